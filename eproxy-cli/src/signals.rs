//! The signals that end the program, or replace it.

use async_signal::Signal;
use eproxy_core::{Handle, Shutdown};
use futures_lite::{StreamExt as _, future};

use crate::flags::Flags;
use crate::notify::Notify;
#[cfg(unix)]
use crate::upgrade::{Failure, Program};

/// Ctrl-C; SIGTERM and SIGUSR2 where there are such.
pub(crate) struct Signals(Option<async_signal::Signals>);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Stop,
    /// To be replaced by the program that is in the file now.
    Upgrade,
}

/// Who listens when the program has ended.
enum Legacy {
    Nobody,
    Successor,
}

/// What the program does at a signal, and with what.
pub(crate) struct Ending<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) server: &'a Handle,
    pub(crate) notify: &'a Notify,
    /// Called when another program has taken the place of this one.
    pub(crate) leave: &'a dyn Fn(),
    #[cfg(unix)]
    pub(crate) program: std::io::Result<Program>,
}

impl Signals {
    /// Takes the signals over; without them the program still serves, and ends as the system has it.
    pub(crate) fn new() -> Self {
        let wanted = [
            Signal::Int,
            #[cfg(unix)]
            Signal::Term,
            #[cfg(unix)]
            Signal::Usr2,
        ];
        match async_signal::Signals::new(wanted) {
            Ok(signals) => Self(Some(signals)),
            Err(error) => {
                log::warn!("signals can't be handled, a stop will not be graceful: {error}");
                Self(None)
            }
        }
    }

    async fn next(&mut self) -> Wish {
        let Some(signals) = &mut self.0 else { return future::pending().await };
        match signals.next().await {
            #[cfg(unix)]
            Some(Ok(Signal::Usr2)) => Wish::Upgrade,
            _ => Wish::Stop,
        }
    }

    async fn next_stop(&mut self) {
        while self.next().await != Wish::Stop {
            log::warn!("no upgrade while the program is being replaced or stopped");
        }
    }

    /// Serves until a signal comes that ends that, then stops gracefully; a second signal stops at once.
    pub(crate) async fn until_stopped(&mut self, ending: &Ending<'_>) {
        let alive = async {
            ending.notify.keep_alive().await;
            Legacy::Nobody
        };
        let legacy = future::or(alive, self.until_ending(ending)).await;
        let deadline = ending.flags.stop_timeout;
        let graceful = async {
            Some(match legacy {
                Legacy::Nobody => ending.server.shutdown(deadline).await,
                Legacy::Successor => ending.server.hand_over(deadline).await,
            })
        };
        let at_once = async {
            self.next_stop().await;
            None
        };
        match future::or(graceful, at_once).await {
            Some(Shutdown::Clean) => log::info!("stopped"),
            Some(Shutdown::Forced) => {
                log::warn!("stopped after {deadline:?}, breaking off what still ran")
            }
            None => log::warn!("stopped at once"),
        }
    }

    async fn until_ending(&mut self, ending: &Ending<'_>) -> Legacy {
        loop {
            if self.next().await == Wish::Stop {
                ending.notify.stopping("stopping");
                log::info!("stopping; once more to stop at once");
                return Legacy::Nobody;
            }
            #[cfg(unix)]
            if let Some(legacy) = self.upgrade(ending).await {
                return legacy;
            }
        }
    }

    /// Has the program replaced; none if that has come to nothing.
    #[cfg(unix)]
    async fn upgrade(&mut self, ending: &Ending<'_>) -> Option<Legacy> {
        let Ending { flags, server, notify, leave, program } = ending;
        notify.reloading("starting the new program");
        log::info!("starting the new program");
        let started = match program {
            Ok(program) => program.start(server).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let replaced = match started {
            Ok(successor) => {
                let id = successor.id();
                successor.ready(flags.upgrade_timeout, self.next_stop()).await.map(|()| id)
            }
            Err(error) => Err(Failure::Other(error)),
        };
        match replaced {
            Ok(id) => {
                leave();
                notify.replaced(id, "serving in the new program");
                log::info!("replaced by process {id}; finishing what runs, a signal to stop at once");
                Some(Legacy::Successor)
            }
            Err(Failure::GivenUp) => {
                notify.stopping("stopping");
                log::info!("stopping, without the new program; once more to stop at once");
                Some(Legacy::Nobody)
            }
            Err(Failure::Other(why)) => {
                log::error!("the new program does not take over, this one goes on: {why}");
                notify.ready(&format!("serving; the new program did not take over: {why}"));
                None
            }
        }
    }
}
