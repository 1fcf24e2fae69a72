//! The handle of a running server.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_std::channel::Receiver;

use crate::driver::Remote;
use crate::error::{Error, Kind, Result};
use crate::telemetry::{Counters, Failure, Journal, Metrics, Stats};
use crate::tls::News;

use super::builder::Builder;
use super::held::Held;
use super::life::{Legacy, Life, Phase};
use super::orders::Orders;
use super::replace::Listeners;
use super::telling::Telling;

/// A running server; clones are handles of the same. Dropping it leaves the server running for as long as the program does.
#[derive(Clone, Debug)]
pub struct Handle {
    control: Control,
    counters: Vec<Arc<Counters>>,
    pub(super) telling: Arc<Telling>,
    journal: Journal,
    listeners: Arc<Mutex<Listeners>>,
    /// Closed when the last worker has ended.
    ended: Receiver<Infallible>,
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Every exchange was finished.
    Clean,
    /// The deadline came first: what still ran was broken off.
    Forced,
}

/// The way to tell all workers something.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) life: Arc<Life>,
    pub(super) workers: Vec<(Arc<Remote>, Arc<Orders>)>,
    pub(super) held: Arc<Held>,
}

impl Control {
    pub(super) fn advance(&self, phase: Phase) {
        match phase {
            Phase::Running => {}
            // Before the last connections are accepted: nobody finds the way to them any more.
            Phase::Draining => self.held.let_go(self.life.legacy() == Legacy::HandedOn),
            Phase::Stopped => self.held.close(),
        }
        self.life.advance(phase);
        self.workers.iter().for_each(|(remote, _)| remote.nudge());
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("life", &self.life).field("workers", &self.workers.len()).finish()
    }
}

impl Handle {
    pub(super) fn new(
        control: Control,
        counters: Vec<Arc<Counters>>,
        telling: Telling,
        journal: Journal,
        listeners: Listeners,
        ended: Receiver<Infallible>,
    ) -> Self {
        let (telling, listeners) = (Arc::new(telling), Arc::new(listeners.into()));
        Self { control, counters, telling, journal, listeners, ended }
    }

    fn listening(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The TCP addresses that are listened on, with the ports that the system chose, in the order of the `bind` calls; one
    /// that takes inherited sockets by their name may have several.
    #[must_use]
    pub fn addresses(&self) -> Arc<[SocketAddr]> {
        self.listening().addresses()
    }

    /// Has the server be what another builder describes: its routes, forward proxy, limits, timeouts, trusted proxies and
    /// listeners. All of it is made first; then each worker swaps it between two turns, and what is returned is ready when
    /// the last has done so.
    ///
    /// Nothing is lost by that. Requests, tunnels and WebSockets that have begun go on as they were described when they
    /// came; connections stay open, and their next request is routed anew. A [`Group`](crate::Group) that is given to
    /// proxies of the new description as well keeps its connections, the health of its endpoints and all that is counted.
    /// A listener whose address stays keeps its socket and gets the new certificates; one that is no longer there is
    /// closed, and its connections end as they like. The number of workers stays as it was.
    ///
    /// ```
    /// use eproxy_core::{Proxy, Request, Response, Server};
    ///
    /// # futures_lite::future::block_on(async {
    /// let server = Server::builder().at("/*path", Proxy::to("http://10.0.0.7:3000")).bind("127.0.0.1:0").start()?;
    /// let listener = server.listeners().next().unwrap_or_default();
    /// server
    ///     .replace(
    ///         Server::builder()
    ///             .at("/*path", Proxy::to("http://10.0.0.8:3000"))
    ///             .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
    ///             .bind(listener),
    ///     )
    ///     .await?;
    /// # server.shutdown(std::time::Duration::ZERO).await;
    /// # Ok::<_, eproxy_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Builder::start`], and `start` where the server is draining. Nothing has changed then.
    ///
    /// # Cancel safety
    ///
    /// The swap is made whether or not it is waited for.
    pub async fn replace(&self, builder: Builder) -> Result<()> {
        let over = {
            let mut listening = self.listening();
            if self.is_draining() {
                return Err(Error::new(Kind::Start).detail("a server that is draining".to_owned()));
            }
            let outlets = self.telling.outlets().next(&builder.wanted, &self.journal)?;
            let watch = outlets.plan.clone();
            let (over, plan) =
                listening.replace(builder, watch, &self.control, &self.journal, &self.ended)?;
            self.telling.replace(outlets, &plan);
            over
        };
        // Nothing is ever sent: the channel closes with the last worker that has swapped, or ended.
        let _closed = futures_lite::future::or(over.recv(), self.ended.recv()).await;
        Ok(())
    }

    /// Reads the certificates of all listeners again, now; that happens by itself when their files change.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that can't be used, as [`start`](crate::Builder::start) would tell it; that listener's
    /// stay as they were.
    pub async fn reload_certificates(&self) -> Result<()> {
        let mut wrong = None;
        let acceptors = self.listening().acceptors();
        for acceptor in acceptors {
            if let Some(News::Kept(error)) = acceptor.reload_now().await {
                wrong.get_or_insert(error);
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Everything that is listened on, as text: `127.0.0.1:8080`, `unix:/run/app.sock`.
    pub fn listeners(&self) -> impl Iterator<Item = String> {
        self.listening().texts().into_iter()
    }

    /// What the server has counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::sum(self.counters.iter().map(|counters| &**counters))
    }

    /// The last failures, the newest first: up to 50 that clients are to blame for, and 50 others. What comes faster than
    /// that is only [counted](Self::stats).
    #[must_use]
    pub fn recent_failures(&self) -> Vec<Failure> {
        self.journal.recent().latest()
    }

    /// Whether the server is on its way to its end, or there: it takes no new connections.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.control.life.is_draining()
    }

    /// How far it has come, for those who are part of what is served and must not hold on to the whole server.
    pub(crate) fn life(&self) -> Arc<Life> {
        self.control.life.clone()
    }

    /// Whether the last worker has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_closed()
    }

    /// How many workers it was started with.
    pub(crate) fn workers(&self) -> usize {
        self.counters.len()
    }

    /// Reads what the server counts, by route and by endpoint as well; see [`Metrics`].
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.telling.metrics.clone()
    }

    /// Opens the file of the access log again, under the name that it was given: for those who have renamed it. Lines that
    /// cores have told before are in the file that was renamed, or in the new one.
    pub fn reopen_logs(&self) {
        self.telling.outlets().reopen();
    }

    /// Ends the server in good order, without a request being lost:
    ///
    /// * It stops listening. Whoever has connected before is served, what waits to be accepted included; the files of
    ///   unix-domain listeners are removed. On Linux, attempts to connect that are made in the last 200 ms of listening are
    ///   neither taken nor refused: they are made again after a second, by the system, and refused then.
    /// * What runs is finished, with `Connection: close`. Connections on which nothing is under way stay open for
    ///   [`Timeouts::drain_idle`](crate::Timeouts::drain_idle): a request that comes in this time is answered, with
    ///   `Connection: close`, too. Clients that speak HTTP/2 are told to begin no further stream, and what they had begun by
    ///   the time they heard of that is answered (RFC 9113 §6.8).
    /// * Tunnels go on until one of their sides ends them.
    /// * What is still running after `deadline` is broken off; with a deadline of zero, everything is, now.
    ///
    /// # Cancel safety
    ///
    /// The shutdown goes on without its deadline when the future is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        self.control.advance(Phase::Draining);
        let is_clean = async_std::future::timeout(deadline, self.ended.recv()).await.is_ok();
        if !is_clean {
            self.control.advance(Phase::Stopped);
        }
        self.wait().await;
        if is_clean { Shutdown::Clean } else { Shutdown::Forced }
    }

    /// Duplicates of all listening sockets, to be handed to another process, which takes them by
    /// [`Builder::inherit`](crate::Builder::inherit) and listens together with this one. Several may have the same address,
    /// one for each worker: all of them have to be handed on, as connections wait in each. None when the server does not
    /// listen any more.
    ///
    /// # Errors
    ///
    /// `listen`: the system has no descriptor left.
    #[cfg(unix)]
    pub fn listening_sockets(&self) -> Result<Vec<super::ListeningSocket>> {
        self.control.life.leave(Legacy::Lent);
        self.control.held.lend()
    }

    /// As [`shutdown`](Self::shutdown), once another process listens on all of
    /// [`listening_sockets`](Self::listening_sockets): what waits to be accepted is left to it, and so are the files of
    /// unix-domain listeners.
    ///
    /// # Cancel safety
    ///
    /// As for [`shutdown`](Self::shutdown).
    pub async fn hand_over(&self, deadline: Duration) -> Shutdown {
        self.control.life.leave(Legacy::HandedOn);
        self.shutdown(deadline).await
    }

    /// Waits until the server has ended, and what it had to log of exchanges is written; that is waited for for a few seconds
    /// at the most.
    pub async fn wait(&self) {
        // Nothing is ever sent: the channel closes when the last worker is gone.
        let _closed = self.ended.recv().await;
        self.telling.outlets().flush().await;
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
