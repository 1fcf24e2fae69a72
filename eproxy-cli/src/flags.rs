//! The flags, and what is wrong with them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use eproxy_core::LogFormat;
use eproxy_core::http_types::Url;
use log::LevelFilter;

/// eproxy is a reverse proxy with --to, a forward proxy with --forward, and what a file says with --config. Without any of
/// them it serves a demo: / lists its endpoints, /hello greets, /proxy relays an upstream's answer.
#[derive(Debug, FromArgs)]
// What completions and the man page are made from (words/mod.rs).
#[cfg_attr(test, derive(argh::ArgsInfo))]
pub(crate) struct Flags {
    /// address to listen on; 127.0.0.1 unless given
    #[argh(option)]
    host: Option<String>,

    /// port to listen on; 8080 unless given, 0 for any that is free
    #[argh(option)]
    port: Option<u16>,

    /// PEM file with a certificate and its chain: speak TLS, HTTP/2 and HTTP/1.1; may be given several times, and is read
    /// again when it changes
    #[argh(option)]
    pub(crate) tls_cert: Vec<PathBuf>,

    /// PEM file with the key of the certificate that was given at the same place
    #[argh(option)]
    pub(crate) tls_key: Vec<PathBuf>,

    /// speak TLS with a certificate that is made at the start and that nobody trusts, to try it out
    #[argh(switch)]
    pub(crate) tls_self_signed: bool,

    /// worker threads; one for each processor unless given
    #[argh(option, from_str_fn(workers))]
    pub(crate) workers: Option<usize>,

    /// do what this file says (docs/configuration.md), and read it again on SIGHUP
    #[argh(option)]
    pub(crate) config: Option<PathBuf>,

    /// pass every request on to this URL, http://, https:// or h2c://HOST:PORT, or unix:/PATH; given several times, to a group of them
    #[argh(option)]
    pub(crate) to: Vec<String>,

    /// pass requests on to wherever they say: absolute targets, and CONNECT to port 443, on the public internet
    #[argh(switch)]
    pub(crate) forward: bool,

    /// with --forward, an address, network (10.1.0.0/16) or host name that may be reached, too; may be given several times
    #[argh(option)]
    pub(crate) forward_allow: Vec<String>,

    /// with --forward, a port that CONNECT may reach, in place of 443; may be given several times
    #[argh(option)]
    pub(crate) forward_port: Vec<u16>,

    /// with --forward, credentials NAME:PASSWORD that clients must show; may be given several times
    #[argh(option, from_str_fn(credentials))]
    pub(crate) forward_user: Vec<(String, String)>,

    /// with --forward, another forward proxy to pass everything on to: http://HOST:PORT, http://NAME:PASSWORD@HOST:PORT
    #[argh(option, from_str_fn(parent))]
    pub(crate) forward_parent: Option<Url>,

    /// how long a client may take to send a request head: 5s, 500ms; 30s unless given
    #[argh(option, from_str_fn(duration))]
    pub(crate) head_timeout: Option<Duration>,

    /// with --to or --forward, how long an upstream may take to begin its answer, and pause within it; 60s unless given
    #[argh(option, from_str_fn(duration))]
    pub(crate) upstream_timeout: Option<Duration>,

    /// URL that the demo's /proxy asks, http:// or https://; an origin inside eproxy unless given
    #[argh(option, from_str_fn(upstream))]
    pub(crate) upstream: Option<Url>,

    /// how long what runs may take to come to its end when the program is stopped (SIGTERM, Ctrl-C) or replaced; 30s unless
    /// given
    #[argh(option, default = "Duration::from_secs(30)", from_str_fn(duration))]
    pub(crate) stop_timeout: Duration,

    /// how long a new program may take to serve when this one is to be replaced by it (SIGUSR2), before it is given up; 30s
    /// unless given
    #[argh(option, default = "Duration::from_secs(30)", from_str_fn(duration))]
    pub(crate) upgrade_timeout: Duration,

    /// debug, info, warn or error; info unless given
    #[argh(option, from_str_fn(log_level))]
    pub(crate) log_level: Option<LevelFilter>,

    /// pretty or json; pretty in a terminal and json elsewhere unless given
    #[argh(option, from_str_fn(log_format))]
    pub(crate) log_format: Option<LogFormat>,

    /// ask this URL, http:// or https://, and exit: 0 if it answers within 3 s with a status from 200 to 399, and 1 if not
    #[argh(option, arg_name = "url", from_str_fn(url_to_ask))]
    pub(crate) health_check: Option<Url>,

    /// print the version and exit
    #[argh(switch)]
    version: bool,

    #[argh(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What is asked about a configuration file.
#[derive(Debug, FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand)]
pub(crate) enum Command {
    /// Whether it is right.
    Check(Check),
    /// What it would do with a request.
    Explain(Explain),
}

/// Says what is wrong with a configuration file, or how much there is in it. Nothing is started.
#[derive(Debug, FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "check")]
pub(crate) struct Check {
    /// the file
    #[argh(positional)]
    pub(crate) file: PathBuf,
}

/// Says what would become of a request by a configuration file, and why. Nothing is started, and nothing is sent.
#[derive(Debug, FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "explain")]
pub(crate) struct Explain {
    /// the file
    #[argh(positional)]
    pub(crate) file: PathBuf,

    /// the method: GET
    #[argh(positional)]
    pub(crate) method: String,

    /// the URL; or a path alone, with the host in a field
    #[argh(positional)]
    pub(crate) url: String,

    /// a header field NAME: VALUE that the request has; may be given several times
    #[argh(option, short = 'H', arg_name = "field")]
    pub(crate) header: Vec<String>,
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
        if flags.version {
            return Err(Early::Answer(format!("eproxy {}", env!("CARGO_PKG_VERSION"))));
        }
        match flags.contradiction() {
            Some(what) => Err(Early::Usage(format!("{what} (see eproxy --help)"))),
            None => Ok(flags),
        }
    }

    /// Flags that would be without effect.
    fn contradiction(&self) -> Option<&'static str> {
        let tunes_forward = !self.forward_allow.is_empty()
            || !self.forward_port.is_empty()
            || !self.forward_user.is_empty()
            || self.forward_parent.is_some();
        if tunes_forward && !self.forward {
            return Some("the --forward-... flags need --forward");
        }
        if let Some(what) = self.beside_config() {
            return Some(what);
        }
        if self.tls_cert.len() != self.tls_key.len() {
            return Some("each --tls-cert needs a --tls-key, and each key its certificate");
        }
        if self.tls_self_signed && !self.tls_cert.is_empty() {
            return Some("--tls-self-signed and --tls-cert are two different certificates");
        }
        if self.upstream.is_some() && !self.serves_demo() {
            return Some("--upstream is for the demo, which --to and --forward take the place of");
        }
        if self.upstream_timeout.is_some() && self.serves_demo() {
            return Some("--upstream-timeout needs --to or --forward");
        }
        None
    }

    /// Flags for what a file says.
    fn beside_config(&self) -> Option<&'static str> {
        let has_others = !self.serves_demo()
            || self.workers.is_some()
            || !self.tls_cert.is_empty()
            || !self.tls_key.is_empty()
            || self.tls_self_signed
            || self.upstream.is_some()
            || self.upstream_timeout.is_some()
            || self.head_timeout.is_some()
            || self.host.is_some()
            || self.port.is_some();
        match (&self.config, &self.command) {
            (Some(_), None) if has_others => Some(
                "beside --config there are only the --log-... flags, --stop-timeout and --upgrade-timeout: the file says the rest",
            ),
            (Some(_), Some(_)) => Some("a command is given its file behind its name, without --config"),
            (None, Some(_)) if has_others => Some("a command takes no flags but its own"),
            _ => None,
        }
    }

    /// Neither kind of proxy was asked for.
    pub(crate) fn serves_demo(&self) -> bool {
        self.to.is_empty() && !self.forward
    }

    pub(crate) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("127.0.0.1")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(8080)
    }

    /// What to listen on, as eproxy-core takes it: IPv6 addresses in brackets.
    pub(crate) fn address(&self) -> String {
        let (host, port) = (self.host(), self.port());
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
    asked(text, "http://127.0.0.1:9000/get")
}

fn url_to_ask(text: &str) -> Result<Url, String> {
    asked(text, "http://127.0.0.1:9901/healthz")
}

/// A URL that can be asked.
fn asked(text: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; expected something like {example}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(format!("expected something like {example}")),
    }
}

fn credentials(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() => Ok((name.to_owned(), password.to_owned())),
        _ => Err("expected NAME:PASSWORD".into()),
    }
}

fn parent(text: &str) -> Result<Url, String> {
    let expected = "expected something like http://127.0.0.1:3128";
    let url = Url::parse(text).map_err(|error| format!("{error}; {expected}"))?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    // A password is somebody's.
    let is_named = url.password().is_none() || !url.username().is_empty();
    match url.scheme() == "http" && url.has_host() && is_bare && is_named {
        true => Ok(url),
        false => Err(expected.into()),
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

/// How lines look unless that is said.
pub(crate) fn default_format() -> LogFormat {
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
            (&["--upstream", "mailto:a@b"], "expected"),
            (&["--health-check", "localhost"], "http://127.0.0.1:9901/healthz"),
            (&["--log-level", "loud"], "debug, info, warn or error"),
            (&["--log-format", "xml"], "pretty or json"),
            (&["--forward-allow", "10.0.0.0/8"], "need --forward"),
            (&["--forward", "--forward-user", "ada"], "NAME:PASSWORD"),
            (&["--forward", "--forward-parent", "nowhere"], "http://127.0.0.1:3128"),
            (&["--forward", "--forward-parent", "http://a/path"], "http://127.0.0.1:3128"),
            (&["--forward", "--forward-parent", "http://a/#x"], "http://127.0.0.1:3128"),
            (&["--forward", "--forward-parent", "http://:secret@a"], "http://127.0.0.1:3128"),
            (&["--to", "http://a", "--upstream", "http://b/"], "for the demo"),
            (&["--upstream-timeout", "5s"], "needs --to"),
            (&["--to", "http://a", "--upstream-timeout", "soon"], "5s or 500ms"),
            (&["--head-timeout", "0s"], "more than nothing"),
            (&["--tls-cert", "a.pem"], "needs a --tls-key"),
            (&["--config", "a.toml", "--to", "http://a"], "the file says the rest"),
            (&["--config", "a.toml", "--port", "80"], "the file says the rest"),
            (&["--config", "a.toml", "check", "a.toml"], "without --config"),
            (&["--to", "http://a", "check", "a.toml"], "no flags but its own"),
            (&["check"], "file"),
            (&["--tls-self-signed", "--tls-cert", "a.pem", "--tls-key", "b.pem"], "two different"),
        ] {
            let text = usage(given);
            assert!(text.contains(part) && !text.contains('\n'), "{given:?}: {text}");
        }
    }
}
