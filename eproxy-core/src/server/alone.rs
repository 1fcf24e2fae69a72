//! A worker on the calling thread, taken through its turns by whoever holds it. The worker is the real one; only
//! accepting is left out: connections are handed to it.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::{Core, Peer, Stream};
use crate::error::Result;
use crate::telemetry::{Counters, Journal, Metrics, Stats};

use super::builder::Builder;
use super::edition::Share;
use super::life::{Life, Phase};
use super::plan::{Plan, start_failed};
use super::telling::{Outlets, Telling};
use super::worker::{Common, Worker};

/// A server of one worker and no listener.
pub(crate) struct Alone {
    worker: Rc<Worker>,
    life: Arc<Life>,
    counters: Arc<Counters>,
    telling: Telling,
}

impl Alone {
    /// Makes a server for the core of this thread. Its addresses and the number of its workers mean nothing.
    ///
    /// # Errors
    ///
    /// As for [`Builder::start`].
    pub(crate) fn new(mut builder: Builder, core: &Rc<Core>) -> Result<Self> {
        let mut plan = Plan::new(&mut builder)?;
        let journal = Journal::start().map_err(start_failed)?;
        let outlets = Outlets::default().next(&builder.wanted, &journal)?;
        plan.watch = outlets.plan.clone();
        let (counters, life) = (Arc::new(Counters::new()), Arc::new(Life::new()));
        let common = Common {
            counters: counters.clone(),
            journal,
            life: life.clone(),
            orders: Arc::default(),
            share: Share { number: 0, of: 1 },
        };
        let telling = Telling::new(outlets, &plan, vec![counters.clone()]);
        Ok(Self { worker: Worker::new(core, &plan, common), life, counters, telling })
    }

    /// Takes in a connection of `peer`, who has connected to `local`.
    pub(crate) fn admit(&self, stream: Stream, peer: SocketAddr, local: SocketAddr) {
        self.worker.admit_at(stream, Peer::Tcp(peer), local);
    }

    /// Takes a turn, as [`Core::step`] does.
    ///
    /// # Errors
    ///
    /// The system's poll failed.
    pub(crate) fn step(&self, most: Duration) -> io::Result<bool> {
        self.worker.step(most)
    }

    /// Has the server finish what runs, and take nothing new.
    pub(crate) fn drain(&self) {
        self.life.advance(Phase::Draining);
    }

    /// Reads what the server counts.
    pub(crate) fn metrics(&self) -> Metrics {
        self.telling.metrics.clone()
    }

    /// What the server has counted so far.
    pub(crate) fn stats(&self) -> Stats {
        Stats::sum(std::iter::once(&*self.counters))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.worker.close();
    }
}
