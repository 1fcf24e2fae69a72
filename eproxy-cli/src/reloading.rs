//! A configuration file that is read again: on SIGHUP, and when it has changed if it says so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_signal::{Signal, Signals};
use eproxy_core::{Config, ConfigFiles, Handle};
use futures_lite::{StreamExt as _, future};
use log::LevelFilter;

/// How often files are looked at, and how long they have to stay as they are before they are read: an editor may be in the
/// middle of them.
const EVERY: Duration = Duration::from_secs(1);

#[cfg(unix)]
const HANGUPS: &[Signal] = &[Signal::Hup];
#[cfg(not(unix))]
const HANGUPS: &[Signal] = &[];

/// What reads a configuration file again.
pub(crate) struct Reloading {
    path: PathBuf,
    /// What the flags say of the log, over which the file has no say.
    level: Option<LevelFilter>,
    current: Config,
    /// The files of the last attempt, as they looked then.
    tried: ConfigFiles,
    hangups: Option<Signals>,
}

impl Reloading {
    /// Takes SIGHUP over.
    pub(crate) fn new(path: &Path, level: Option<LevelFilter>, current: Config) -> Self {
        let hangups = match Signals::new(HANGUPS.iter().copied()) {
            Ok(signals) => Some(signals),
            Err(error) => {
                log::warn!("SIGHUP can't be handled, it will not reload: {error}");
                None
            }
        };
        let tried = current.files().clone();
        Self { path: path.to_owned(), level, current, tried, hangups }
    }

    /// The configuration that is in effect.
    pub(crate) fn config(&self) -> &Config {
        &self.current
    }

    /// Reads the file again whenever that is wanted, for as long as this is polled.
    pub(crate) async fn run(mut self, server: &Handle) {
        let mut last = self.tried.clone();
        loop {
            let hangups = &mut self.hangups;
            let asked = async {
                match hangups {
                    Some(signals) => signals.next().await.is_some(),
                    None => future::pending().await,
                }
            };
            let due = async {
                async_std::task::sleep(EVERY).await;
                false
            };
            if future::or(asked, due).await {
                self.reload(server).await;
                continue;
            }
            if !self.current.reloads_on_change() {
                continue;
            }
            let look = self.tried.look();
            let is_at_rest = look == last;
            if look != self.tried && is_at_rest {
                self.reload(server).await;
            }
            last = look;
        }
    }

    /// Reads the file, and has the server be what it says; whatever is wrong is logged, and everything stays as it was.
    async fn reload(&mut self, server: &Handle) {
        let path = self.path.display();
        let next = match Config::load_after(&self.path, &self.current) {
            Ok(next) => next,
            Err(problems) => {
                self.tried = problems.files().clone();
                problems.iter().for_each(|problem| log::error!("{}", problem.summary()));
                log::error!("{path} is not used: everything stays as it was");
                return;
            }
        };
        self.tried = next.files().clone();
        if let Err(error) = server.replace(next.builder()).await {
            log::error!("{path} is not used, everything stays as it was: {error}");
            return;
        }
        next.settle();
        let differences = next.differences(&self.current);
        differences.iter().for_each(|line| log::info!("{line}"));
        next.warnings().iter().for_each(|problem| log::warn!("{}", problem.summary()));
        log::info!("reloaded {path}: {}, {} changes", next.summary(), differences.len());
        log::set_max_level(self.level.or(next.log_level()).unwrap_or(LevelFilter::Info));
        self.current = next;
    }
}
