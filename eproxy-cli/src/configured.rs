//! What a configuration file says, done.

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use eproxy_core::{Admin, Config, Handle, Inherited, LogFormat};
use futures_lite::future;
use log::LevelFilter;

use crate::flags::{Flags, default_format};
use crate::process::Process;
use crate::reloading::{self, Reloading};

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
pub(crate) async fn run(flags: &Flags, config: Config, inherited: Inherited) -> eproxy_core::Result<()> {
    let mut process = Process::new(inherited);
    // It is taken over before anybody can know that there is a server.
    let hangups = reloading::hangups();
    let server = process.start(config.builder())?;
    let path = flags.config.as_deref().unwrap_or(Path::new(""));
    let reloading = Reloading::new(path, flags.log_level, config);
    let config = reloading.config();
    announce(&server, &config);
    let admin = Administration { reloading: &reloading, server: &server, handle: Cell::new(None) };
    // The listener of a predecessor is closed when this program serves.
    if !process.is_successor() {
        admin.start()?;
    }
    config.warnings().iter().for_each(|problem| log::warn!("{}", problem.summary()));
    drop(config);
    process.serves(&server);
    let serving = future::or(admin.keep(), reloading.run(&server, hangups));
    future::or(serving, process.until_stopped(flags, &server, &|| admin.close())).await;
    Ok(())
}

/// The admin listener of the file, if it has one.
struct Administration<'a> {
    reloading: &'a Reloading,
    server: &'a Handle,
    handle: Cell<Option<Handle>>,
}

impl Administration<'_> {
    /// # Errors
    ///
    /// As for [`Admin::start`].
    fn start(&self) -> eproxy_core::Result<()> {
        let Some(admin) = self.reloading.config().admin() else { return Ok(()) };
        let admin = administrate(admin, self.reloading, self.server).start(self.server)?;
        admin.listeners().for_each(|listener| log::info!("the admin listener is on {listener}"));
        self.handle.set(Some(admin));
        Ok(())
    }

    /// Starts it, if that was not done, as soon as a predecessor has left its address; never ready.
    async fn keep(&self) {
        /// How long a predecessor is waited for, and how often its address is tried.
        const PATIENCE: Duration = Duration::from_secs(10);
        const PAUSE: Duration = Duration::from_millis(50);
        let is_there = self.handle.take().map(|handle| self.handle.set(Some(handle))).is_some();
        let mut waited = Duration::ZERO;
        while !is_there && let Err(error) = self.start() {
            if error.name() != "listen" || waited > PATIENCE {
                log::error!("no admin listener: {error}");
                break;
            }
            async_std::task::sleep(PAUSE).await;
            waited += PAUSE;
        }
        future::pending().await
    }

    /// Leaves its address to somebody else.
    fn close(&self) {
        if let Some(handle) = self.handle.take() {
            async_std::task::spawn(async move { handle.shutdown(Duration::ZERO).await });
        }
    }
}

/// Tells an admin listener what it shows and what it can do.
fn administrate(admin: Admin, reloading: &Reloading, server: &Handle) -> Admin {
    let (groups, shown, again, server) =
        (reloading.clone(), reloading.clone(), reloading.clone(), server.clone());
    admin
        .groups_from(move || {
            let config = groups.config();
            config.groups().map(|(name, group)| (name.to_owned(), group.clone())).collect()
        })
        .config(move || shown.config().describe())
        .on_reload(move || {
            let (again, server) = (again.clone(), server.clone());
            async move { again.reload(&server).await }
        })
        .on_log_level(|level| {
            let level = level.parse().map_err(|_| format!("{level:?} is no level"))?;
            log::set_max_level(level);
            Ok(())
        })
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
