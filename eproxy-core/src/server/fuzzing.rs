//! A server on the calling thread, for one client: what the fuzzer drives. The worker, its driver and its sockets are
//! the real ones; only accepting is left out.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;

use crate::driver::{Core, Peer, Stream};
use crate::error::Result;
use crate::telemetry::{Counters, Journal, Stats};

use super::builder::Builder;
use super::door::Entrance;
use super::edition::Share;
use super::life::{Life, Phase};
use super::plan::{Plan, start_failed};
use super::worker::{Common, Worker};

/// How long a client, and then the server, may take to come to an end. Shorter than any of the server's timeouts, so
/// that nothing which hangs is mistaken for something that ran out of time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is served, to be run again and again.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    plan: Plan,
    journal: Journal,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client is done and every connection is closed.
    Clean,
    /// The client waited in vain.
    ClientWaits,
    /// So many connections stayed open without a client.
    LeftOpen(u64),
    /// So many of the engine's tasks panicked.
    Panicked(u64),
}

/// The way in for the client of a run.
pub(crate) struct Door(Rc<Worker>);

impl Door {
    /// The core that everything runs on.
    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.0.core
    }

    /// Opens a connection and returns the client's end of it.
    ///
    /// # Errors
    ///
    /// The system has no descriptor left.
    pub(crate) fn connect(&self) -> io::Result<Stream> {
        let (ours, theirs) = Stream::pair(&self.0.core)?;
        self.0.admit(ours, Peer::Unix, &Entrance::default());
        Ok(theirs)
    }
}

impl Rehearsal {
    /// Takes routes and limits from `builder`.
    ///
    /// # Errors
    ///
    /// A pattern is invalid, or the system has no thread left.
    pub(crate) fn new(mut builder: Builder) -> Result<Self> {
        // Nobody has anything to say to a server that ends: it is not waited for.
        builder.timeouts.drain_idle = Duration::ZERO;
        Ok(Self { plan: Plan::new(&mut builder)?, journal: Journal::start().map_err(start_failed)? })
    }

    /// Runs a new worker until `client` is done and its connections are closed. Nothing is left of earlier runs.
    ///
    /// # Errors
    ///
    /// The system has no descriptor left, or its poll failed.
    pub(crate) fn run<C>(&self, client: impl FnOnce(Door) -> C) -> io::Result<Ending>
    where
        C: Future<Output = ()> + 'static,
    {
        let (core, life) = (Core::new()?, Arc::new(Life::new()));
        let counters = Arc::new(Counters::new());
        let common = Common {
            counters: counters.clone(),
            journal: self.journal.clone(),
            life: life.clone(),
            orders: Arc::default(),
            share: Share { number: 0, of: 1 },
        };
        let worker = Worker::new(&core, &self.plan, common);
        let ending = Rc::new(Cell::new(Ending::Clean));
        let client = client(Door(worker.clone()));
        core.spawn(watch(client, core.clone(), life, counters, ending.clone()));
        worker.run()?;
        Ok(match core.panics() {
            0 => ending.get(),
            panics => Ending::Panicked(panics),
        })
    }
}

/// Stops the server once the client is done, or when it takes too long.
async fn watch(
    client: impl Future<Output = ()>,
    core: Rc<Core>,
    life: Arc<Life>,
    counters: Arc<Counters>,
    ending: Rc<Cell<Ending>>,
) {
    let done = async {
        client.await;
        true
    };
    let too_late = async {
        core.sleep(PATIENCE).await;
        false
    };
    if future::or(done, too_late).await {
        // The worker stops by itself when its last connection is closed.
        life.advance(Phase::Draining);
        core.sleep(PATIENCE).await;
        ending.set(Ending::LeftOpen(Stats::sum(std::iter::once(&*counters)).open));
    } else {
        ending.set(Ending::ClientWaits);
    }
    life.advance(Phase::Stopped);
}
