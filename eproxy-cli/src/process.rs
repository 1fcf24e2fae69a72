//! The process that the server runs in: what it was given at its start, who hears that it serves, and what ends it.

use eproxy_core::{Builder, Handle, Inherited};

use crate::flags::Flags;
use crate::notify::Notify;
use crate::signals::{Ending, Signals};
#[cfg(unix)]
use crate::upgrade::{Predecessor, Program};

/// A process, from its start on.
pub(crate) struct Process {
    signals: Signals,
    notify: Notify,
    /// Sockets that it was given; none once there is a server.
    inherited: Inherited,
    #[cfg(unix)]
    program: std::io::Result<Program>,
    #[cfg(unix)]
    predecessor: Option<Predecessor>,
}

impl Process {
    /// Takes signals over, before anybody can know that there is a server.
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is nobody to be replaced"))]
    pub(crate) fn new(mut inherited: Inherited) -> Self {
        Self {
            #[cfg(unix)]
            program: Program::of_this_process(),
            #[cfg(unix)]
            predecessor: Some(Predecessor::of(&mut inherited)),
            signals: Signals::new(),
            notify: Notify::from_env(),
            inherited,
        }
    }

    /// Starts the server, with the sockets that there are.
    ///
    /// # Errors
    ///
    /// As for [`Builder::start`].
    pub(crate) fn start(&mut self, builder: Builder) -> eproxy_core::Result<Handle> {
        builder.inherit(std::mem::take(&mut self.inherited)).start()
    }

    /// Says that the server serves: to the program that it is to replace, or to the service manager.
    pub(crate) fn serves(&mut self, server: &Handle) {
        #[cfg(unix)]
        let is_told = self.predecessor.take().is_some_and(|predecessor| predecessor.tell());
        #[cfg(not(unix))]
        let is_told = false;
        if !is_told {
            // One that is to be replaced tells the service manager itself: this process is not known there yet.
            let listeners = server.listeners().collect::<Vec<_>>().join(", ");
            self.notify.ready(&format!("listening on {listeners}"));
        }
    }

    /// Whether there is a program that it is to replace.
    pub(crate) fn is_successor(&self) -> bool {
        #[cfg(unix)]
        return self.predecessor.as_ref().is_some_and(Predecessor::is_there);
        #[cfg(not(unix))]
        false
    }

    /// Serves until a signal ends it; `leave` is called when another program has taken its place.
    pub(crate) async fn until_stopped(self, flags: &Flags, server: &Handle, leave: &dyn Fn()) {
        let Self { mut signals, notify, .. } = self;
        let ending = Ending {
            flags,
            server,
            notify: &notify,
            leave,
            #[cfg(unix)]
            program: self.program,
        };
        signals.until_stopped(&ending).await;
    }
}
