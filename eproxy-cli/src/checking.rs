//! What is asked about configuration files without starting anything.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use eproxy_core::http_types::Url;
use eproxy_core::{Asked, Config};

use crate::configured;
use crate::flags::{Check, Command, Explain};

/// Answers on standard output; what is wrong is told on standard error, and ends with 2.
pub(crate) fn run(command: &Command) -> ExitCode {
    let (Command::Check(Check { file }) | Command::Explain(Explain { file, .. })) = command;
    let config = match configured::load(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match command {
        Command::Check(_) => say(&checked(file, &config)),
        Command::Explain(explain) => match explained(explain, &config) {
            Ok(text) => say(&text),
            Err(what) => {
                crate::complain(&what);
                ExitCode::from(2)
            }
        },
    }
}

fn checked(file: &Path, config: &Config) -> String {
    let warnings = config.warnings().iter().map(|problem| format!("warning: {problem}"));
    let ok = format!("{}: ok, {}\n", file.display(), config.summary());
    warnings.chain([ok]).collect()
}

/// What would become of a request, and why.
///
/// # Errors
///
/// It is no request.
fn explained(explain: &Explain, config: &Config) -> Result<String, String> {
    let mut asked = Asked::new(&explain.method, &explain.url);
    for line in &explain.header {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("{line:?} is not NAME: VALUE"))?;
        asked = asked.header(name.trim(), value.trim());
    }
    let told = config.builder().explain(&asked).map_err(|error| error.to_string())?;
    Ok(format!("{}{told}", listener(&explain.url, config)))
}

/// Which listeners a URL leads to, if it is a whole one: those of its port that speak TLS as its scheme says. Routes are the same
/// for all of them.
fn listener(url: &str, config: &Config) -> String {
    let Some(url) = Url::parse(url).ok().filter(Url::has_host) else { return String::new() };
    let (is_tls, port) = (url.scheme() == "https", url.port_or_known_default());
    let listens = |(address, tls): &(&str, bool)| {
        let listened = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        *tls == is_tls && listened.is_some() && listened == port
    };
    let fit: Vec<_> = config.listeners().filter(listens).map(|(address, _)| address).collect();
    match (fit.as_slice(), port) {
        ([], Some(port)) => format!("listener    none at port {port}; if there is something in front, any\n"),
        ([], None) => String::new(),
        (fit, _) => format!("listener    {}\n", fit.join(", ")),
    }
}

fn say(text: &str) -> ExitCode {
    match write!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed standard output does not want to know.
        Err(_) => ExitCode::FAILURE,
    }
}
