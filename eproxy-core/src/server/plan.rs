//! What the workers of a server are made from: the same for those with threads of their own and for one without.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::driver::Core;
use crate::error::{Error, Kind, Result};
use crate::message::{Limits, Timeouts};
use crate::proxy::{Forward, Site};
use crate::router::{Route, Table};
use crate::telemetry::{Counters, Journal};
use crate::upstream::Registry;

use super::asked::check_name;
use super::builder::Builder;
use super::explain::Explains;
use super::trust::Trusted;
use super::worker::{Life, Options, Worker};

/// What is served, and how; shared by all workers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) table: Arc<Table>,
    pub(super) registry: Arc<Registry>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) trusted: Trusted,
    /// See [`Builder::explain_header`].
    pub(super) explain: Option<Arc<str>>,
    pub(super) journal: Journal,
    pub(super) life: Arc<Life>,
}

impl Plan {
    /// Takes everything from `builder` but its addresses and the number of its workers.
    ///
    /// # Errors
    ///
    /// A pattern is invalid or overlaps with another, an option is out of its bounds, or the system has no thread left.
    pub(super) fn new(builder: &mut Builder) -> Result<Self> {
        let trusted = Trusted::parse(&builder.trusted)?;
        check(&builder.limits)?;
        builder.explain.as_deref().map_or(Ok(()), check_name)?;
        let (routes, forward) = (std::mem::take(&mut builder.routes), builder.forward.take());
        let (table, mut registry) = table(routes, forward)?;
        registry.begin();
        Ok(Self {
            table: Arc::new(table),
            registry: Arc::new(registry),
            limits: builder.limits.clone(),
            timeouts: builder.timeouts.clone(),
            trusted,
            explain: builder.explain.as_deref().map(Arc::from),
            journal: Journal::start().map_err(start_failed)?,
            life: Arc::new(Life::new()),
        })
    }

    /// Makes the worker of a core, with its share of what is for all of them together: 1 of `shares`, the one of `number`.
    pub(super) fn worker(
        &self,
        core: &Rc<Core>,
        counters: Arc<Counters>,
        (number, shares): (usize, usize),
    ) -> Rc<Worker> {
        let site = Site::new(core, &self.registry, counters, self.journal.clone(), self.timeouts.clone());
        let share = |all: usize| (all / shares + usize::from(number < all % shares)).max(1);
        let Limits { connections, handshakes, .. } = self.limits;
        let options = Options {
            limits: self.limits.clone(),
            connections: share(connections),
            handshakes: share(handshakes),
            trusted: self.trusted.clone(),
            explain: self.explain.clone(),
        };
        Worker::new(site, self.table.clone(), options, self.life.clone())
    }

    /// What requests are explained with.
    pub(super) fn explains(&self) -> Explains {
        let (limits, timeouts) = (self.limits.clone(), self.timeouts.clone());
        Explains { table: self.table.clone(), limits, timeouts }
    }

    /// Has a worker look after the groups of upstreams; one of all does it for the others.
    pub(super) fn supervise(&self, worker: &Worker) {
        worker.site.upstreams.supervise(&self.journal);
    }
}

/// What is mounted where, and the upstreams behind it.
fn table(routes: Vec<Route>, forward: Option<Forward>) -> Result<(Table, Registry)> {
    let mut registry = Registry::default();
    let mut table = Table::new(routes, &mut registry)?;
    if let Some(forward) = forward {
        table.set_forward(forward.build(&mut registry)?);
    }
    Ok((table, registry))
}

pub(super) fn check(limits: &Limits) -> Result<()> {
    let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
    if !(512..=1 << 30).contains(&limits.head) {
        return wrong(format!("a head limit of {} bytes, expected 512 to 1 GiB", limits.head));
    }
    match (limits.connections, limits.handshakes) {
        (0, _) => wrong("a limit of no connections".into()),
        (_, 0) => wrong("a limit of no TLS handshakes".into()),
        _ => Ok(()),
    }
}

pub(super) fn start_failed(error: io::Error) -> Error {
    Error::new(Kind::Start).because(error)
}
