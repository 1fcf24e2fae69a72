//! What a configuration file says, done.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use eproxy_core::{Config, Handle, LogFormat};
use futures_lite::future;
use log::LevelFilter;

use crate::flags::{Flags, default_format};
use crate::reloading::Reloading;
use crate::signals::Signals;

/// Reads a file.
///
/// # Errors
///
/// It is wrong, which was told on standard error: the code to end with.
pub(crate) fn load(path: &Path) -> Result<Config, ExitCode> {
    Config::load(path).map_err(|problems| {
        // There is nobody left to tell if this fails.
        let _closed = write!(std::io::stderr(), "{problems}");
        ExitCode::from(2)
    })
}

/// What is logged, and how: as the flags say, else the file.
pub(crate) fn log(flags: &Flags, config: Option<&Config>) -> (LevelFilter, LogFormat) {
    let level = flags.log_level.or_else(|| config?.log_level()).unwrap_or(LevelFilter::Info);
    let format = flags.log_format.or_else(|| config?.log_format()).unwrap_or_else(default_format);
    (level, format)
}

/// Starts the server that a file describes, and serves until a signal ends it.
pub(crate) async fn run(flags: &Flags, config: Config) -> eproxy_core::Result<()> {
    let mut signals = Signals::new();
    let path = flags.config.as_deref().unwrap_or(Path::new(""));
    let builder = config.builder();
    // It takes its signal over before anybody can know that there is a server.
    let reloading = Reloading::new(path, flags.log_level, config);
    let server = builder.start()?;
    announce(&server, reloading.config());
    reloading.config().warnings().iter().for_each(|problem| log::warn!("{}", problem.summary()));
    future::or(reloading.run(&server), signals.until_stopped(&server)).await;
    Ok(())
}

/// Says where the server listens: in the log, and on standard output where the log would keep quiet about a port that only
/// the system knows.
fn announce(server: &Handle, config: &Config) {
    for (listener, (address, is_tls)) in server.listeners().zip(config.listeners()) {
        let scheme = if is_tls { "https" } else { "http" };
        let line = format!("listening on {scheme}://{listener}");
        if address.ends_with(":0") && !log::log_enabled!(log::Level::Info) {
            // Whoever closed standard output does not want to know.
            let _closed = writeln!(std::io::stdout(), "{line}");
        }
        log::info!("{line}");
    }
}
