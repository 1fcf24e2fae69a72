//! The flags, and what is wrong with them.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use eproxy_core::http_types::Url;
use log::LevelFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// eproxy serves a demo: / lists its endpoints, /hello greets, /proxy relays an upstream's answer.
#[derive(Debug, FromArgs)]
pub(crate) struct Flags {
    /// address to listen on; 127.0.0.1 unless given
    #[argh(option, default = "String::from(\"127.0.0.1\")")]
    pub(crate) host: String,

    /// port to listen on; 8080 unless given, 0 for any that is free
    #[argh(option, default = "8080")]
    pub(crate) port: u16,

    /// worker threads; one for each processor unless given
    #[argh(option, from_str_fn(workers))]
    pub(crate) workers: Option<usize>,

    /// URL that /proxy asks; an origin inside eproxy unless given
    #[argh(option, from_str_fn(upstream))]
    pub(crate) upstream: Option<Url>,

    /// URL to pass every request on to; may be given several times
    #[argh(option)]
    pub(crate) to: Vec<String>,

    /// how long a client may take to send a request head: 5s, 500ms; 30s unless given
    #[argh(option, from_str_fn(duration))]
    pub(crate) head_timeout: Option<Duration>,

    /// how long an upstream may take to begin its answer, and pause within it; 60s unless given
    #[argh(option, from_str_fn(duration))]
    pub(crate) upstream_timeout: Option<Duration>,

    /// debug, info, warn or error; info unless given
    #[argh(option, default = "LevelFilter::Info", from_str_fn(log_level))]
    pub(crate) log_level: LevelFilter,

    /// pretty or json; pretty in a terminal and json elsewhere unless given
    #[argh(option, default = "default_format()", from_str_fn(log_format))]
    pub(crate) log_format: LogFormat,

    /// print the version and exit
    #[argh(switch)]
    version: bool,
}

/// Why the program ends before it begins.
#[derive(Debug)]
pub(crate) enum Early {
    /// What was asked for, on standard output.
    Answer(String),
    /// What is wrong, on standard error.
    Usage(String),
}

impl Early {
    /// Prints it, and gives the exit code: 0, or 2 for wrong usage.
    pub(crate) fn print(self) -> ExitCode {
        match self {
            Self::Answer(text) => {
                // Whoever closed standard output has seen enough.
                let _closed = writeln!(std::io::stdout(), "{}", text.trim_end());
                ExitCode::SUCCESS
            }
            Self::Usage(text) => {
                crate::complain(&text);
                ExitCode::from(2)
            }
        }
    }
}

impl Flags {
    /// Reads the flags of this process.
    ///
    /// # Errors
    ///
    /// A flag is wrong, or only asks for help or the version.
    pub(crate) fn from_env() -> Result<Self, Early> {
        let given: Result<Vec<String>, _> =
            std::env::args_os().skip(1).map(|arg| arg.into_string()).collect();
        let given = given.map_err(|arg| Early::Usage(format!("argument {arg:?} is not UTF-8")))?;
        Self::parse(&given.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn parse(given: &[&str]) -> Result<Self, Early> {
        let flags = Self::from_args(&["eproxy"], given).map_err(|exit| match exit.status {
            Ok(()) => Early::Answer(exit.output),
            Err(()) => Early::Usage(one_line(&exit.output)),
        })?;
        match flags.version {
            true => Err(Early::Answer(format!("eproxy {}", env!("CARGO_PKG_VERSION")))),
            false => Ok(flags),
        }
    }

    /// What to listen on, as eproxy-core takes it: IPv6 addresses in brackets.
    pub(crate) fn address(&self) -> String {
        let (host, port) = (&self.host, self.port);
        match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }
}

/// The flag and what is wrong with it, without the advice that argh adds.
fn one_line(output: &str) -> String {
    let line =
        output.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Run eproxy"));
    format!("{} (see eproxy --help)", line.collect::<Vec<_>>().join(" "))
}

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers @ 1..=1024) => Ok(workers),
        _ => Err("expected a number from 1 to 1024".into()),
    }
}

/// `5s`, `500ms`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("expected more than nothing, such as 5s".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; expected something like 5s or 500ms")),
    }
}

fn upstream(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}; expected something like http://127.0.0.1:9000/get"))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "https" => Err("https needs TLS, which this version does not have yet; use http://".into()),
        _ => Err("expected something like http://127.0.0.1:9000/get".into()),
    }
}

fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text {
        "debug" => Ok(LevelFilter::Debug),
        "info" => Ok(LevelFilter::Info),
        "warn" => Ok(LevelFilter::Warn),
        "error" => Ok(LevelFilter::Error),
        _ => Err("expected debug, info, warn or error".into()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected pretty or json".into()),
    }
}

fn default_format() -> LogFormat {
    match std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        true => LogFormat::Pretty,
        false => LogFormat::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(given: &[&str]) -> String {
        match Flags::parse(given) {
            Err(Early::Usage(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_serve_the_demo_on_port_8080() {
        let flags = Flags::parse(&[]).unwrap();
        assert_eq!((flags.address().as_str(), flags.workers), ("127.0.0.1:8080", None));
        let six = Flags::parse(&["--host", "::1", "--port", "0"]).unwrap();
        assert_eq!(six.address(), "[::1]:0");
    }

    #[test]
    fn what_is_wrong_is_said_on_one_line() {
        for (given, part) in [
            (&["--nope"][..], "--nope"),
            (&["--port", "99999"], "--port"),
            (&["--workers", "0"], "1 to 1024"),
            (&["--upstream", "nonsense"], "http://127.0.0.1:9000/get"),
            (&["--upstream", "https://a/"], "TLS"),
            (&["--upstream", "mailto:a@b"], "expected"),
            (&["--log-level", "loud"], "debug, info, warn or error"),
            (&["--log-format", "xml"], "pretty or json"),
        ] {
            let text = usage(given);
            assert!(text.contains(part) && !text.contains('\n'), "{given:?}: {text}");
        }
    }
}
