//! A configuration file that is read again: on SIGHUP, when somebody asks for it over the admin listener, and when it has
//! changed if it says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// What reads a configuration file again; clones are the same.
#[derive(Clone)]
pub(crate) struct Reloading(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// What the flags say of the log, over which the file has no say.
    level: Option<LevelFilter>,
    state: Mutex<State>,
    /// Held by whoever reloads.
    turn: async_std::sync::Mutex<()>,
}

struct State {
    current: Arc<Config>,
    /// The files of the last attempt, as they looked then.
    tried: ConfigFiles,
}

impl Reloading {
    pub(crate) fn new(path: &Path, level: Option<LevelFilter>, current: Config) -> Self {
        let tried = current.files().clone();
        let state = Mutex::new(State { current: Arc::new(current), tried });
        Self(Arc::new(Shared { path: path.to_owned(), level, state, turn: ().into() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration that is in effect.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.state().current.clone()
    }

    /// Reads the file again whenever that is wanted, for as long as this is polled.
    pub(crate) async fn run(&self, server: &Handle, hangups: Option<Signals>) {
        future::or(self.on_hangups(server, hangups), self.on_changes(server)).await;
    }

    async fn on_hangups(&self, server: &Handle, hangups: Option<Signals>) {
        let Some(mut hangups) = hangups else { return future::pending().await };
        while hangups.next().await.is_some() {
            // Whoever has renamed the access log says so in this way, too.
            server.reopen_logs();
            // What came of it was logged.
            let _logged = self.reload(server).await;
        }
        future::pending().await
    }

    async fn on_changes(&self, server: &Handle) {
        let mut last = self.state().tried.clone();
        loop {
            async_std::task::sleep(EVERY).await;
            if !self.config().reloads_on_change() {
                continue;
            }
            let tried = self.state().tried.clone();
            let look = tried.look();
            if look != tried && look == last {
                let _logged = self.reload(server).await;
            }
            last = look;
        }
    }

    /// Reads the file, and has the server be what it says. What comes of it is logged and given back.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, a line each; everything stays as it was.
    pub(crate) async fn reload(&self, server: &Handle) -> Result<String, String> {
        let _turn = self.0.turn.lock().await;
        let path = self.0.path.display();
        let current = self.config();
        let refused = |problems: Vec<String>| {
            problems.iter().for_each(|line| log::error!("{line}"));
            log::error!("{path} is not used: everything stays as it was");
            Err(problems.join("\n"))
        };
        let next = match Config::load_after(&self.0.path, &current) {
            Ok(next) => next,
            Err(problems) => {
                self.state().tried = problems.files().clone();
                return refused(problems.iter().map(|problem| problem.summary()).collect());
            }
        };
        self.state().tried = next.files().clone();
        if let Err(error) = server.replace(next.builder()).await {
            return refused(vec![error.to_string()]);
        }
        next.settle();
        let differences = next.differences(&current);
        differences.iter().for_each(|line| log::info!("{line}"));
        next.warnings().iter().for_each(|problem| log::warn!("{}", problem.summary()));
        let what = match differences.as_slice() {
            [] => format!("reloaded {path}: nothing has changed"),
            [_] => format!("reloaded {path}: 1 change"),
            all => format!("reloaded {path}: {} changes", all.len()),
        };
        log::info!("{what}");
        log::set_max_level(self.0.level.or(next.log_level()).unwrap_or(LevelFilter::Info));
        self.state().current = Arc::new(next);
        Ok(what)
    }
}

/// Takes SIGHUP over, where there is one.
pub(crate) fn hangups() -> Option<Signals> {
    match Signals::new(HANGUPS.iter().copied()) {
        Ok(signals) => Some(signals),
        Err(error) => {
            log::warn!("SIGHUP can't be handled, it will not reload: {error}");
            None
        }
    }
}
