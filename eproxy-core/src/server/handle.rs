//! The handle of a running server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_std::channel::Receiver;

use crate::driver::{Address, Remote};
use crate::error::Result;
use crate::telemetry::{Counters, Stats};
use crate::tls::{Acceptor, News};

use super::explain::Explains;
use super::worker::{Life, Phase};

/// A running server. Dropping the handle leaves the server running for as long as the program does.
#[derive(Debug)]
pub struct Handle {
    pub(super) listeners: Vec<Address>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) control: Control,
    pub(super) counters: Vec<Arc<Counters>>,
    /// What takes TLS connections in.
    pub(super) acceptors: Vec<Acceptor>,
    pub(super) explains: Explains,
    /// Closed when the last worker has ended.
    pub(super) ended: Receiver<Infallible>,
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Every exchange was finished.
    Clean,
    /// The deadline came first: what still ran was broken off.
    Forced,
}

/// The way to tell all workers of the phase.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) life: Arc<Life>,
    pub(super) remotes: Vec<Arc<Remote>>,
}

impl Control {
    pub(super) fn advance(&self, phase: Phase) {
        self.life.advance(phase);
        self.remotes.iter().for_each(|remote| remote.nudge());
    }
}

impl Handle {
    /// The TCP addresses that are listened on, with the ports that the system chose, in the order of the `bind` calls.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Reads the certificates of all listeners again, now; that happens by itself when their files change.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that can't be used, as [`start`](crate::Builder::start) would tell it; that listener's
    /// stay as they were.
    pub async fn reload_certificates(&self) -> Result<()> {
        let mut wrong = None;
        for acceptor in &self.acceptors {
            if let Some(News::Kept(error)) = acceptor.reload_now().await {
                wrong.get_or_insert(error);
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Everything that is listened on, as text: `127.0.0.1:8080`, `unix:/run/app.sock`.
    pub fn listeners(&self) -> impl Iterator<Item = String> {
        self.listeners.iter().map(ToString::to_string)
    }

    /// What the server has counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::sum(self.counters.iter().map(|counters| &**counters))
    }

    /// Ends the server in good order: it stops listening, closes idle connections, finishes what runs with
    /// `Connection: close`, and breaks off what is still running after `deadline`.
    ///
    /// # Cancel safety
    ///
    /// The shutdown goes on without its deadline when the future is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        self.control.advance(Phase::Draining);
        if async_std::future::timeout(deadline, self.wait()).await.is_ok() {
            return Shutdown::Clean;
        }
        self.control.advance(Phase::Stopped);
        self.wait().await;
        Shutdown::Forced
    }

    /// Waits until the server has ended.
    pub async fn wait(&self) {
        // Nothing is ever sent: the channel closes when the last worker is gone.
        let _closed = self.ended.recv().await;
    }

    pub(super) fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.control.clone())
    }
}

/// Stops the server at once when it is dropped.
#[derive(Debug)]
pub(super) struct StopOnDrop(Control);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.advance(Phase::Stopped);
    }
}
