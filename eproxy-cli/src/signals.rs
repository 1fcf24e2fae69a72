//! The signals that end the program.

use std::time::Duration;

use async_signal::Signal;
use eproxy_core::{Handle, Shutdown};
use futures_lite::{StreamExt as _, future};

/// How long a graceful stop may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Ctrl-C, and SIGTERM where there is one.
pub(crate) struct Signals(Option<async_signal::Signals>);

impl Signals {
    /// Takes the signals over; without them the program still serves, and ends as the system has it.
    pub(crate) fn new() -> Self {
        let wanted = [
            Signal::Int,
            #[cfg(unix)]
            Signal::Term,
        ];
        match async_signal::Signals::new(wanted) {
            Ok(signals) => Self(Some(signals)),
            Err(error) => {
                log::warn!("signals can't be handled, a stop will not be graceful: {error}");
                Self(None)
            }
        }
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signals) => drop(signals.next().await),
            None => future::pending().await,
        }
    }

    /// Serves until a signal comes, then stops gracefully; a second signal stops at once.
    pub(crate) async fn until_stopped(&mut self, server: &Handle) {
        self.next().await;
        log::info!("stopping; once more to stop at once");
        let graceful = async { Some(server.shutdown(DEADLINE).await) };
        let at_once = async {
            self.next().await;
            None
        };
        match future::or(graceful, at_once).await {
            Some(Shutdown::Clean) => log::info!("stopped"),
            Some(Shutdown::Forced) => {
                log::warn!("stopped after {} s, breaking off what still ran", DEADLINE.as_secs())
            }
            None => log::warn!("stopped at once"),
        }
    }
}
