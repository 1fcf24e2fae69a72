//! What a server is described as, before any worker has it: the same for those with threads of their own and for one without.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::message::{Limits, Timeouts};
use crate::proxy::Forward;
use crate::router::{Route, Table};
use crate::telemetry::WatchPlan;
use crate::upstream::Registry;

use super::asked::check_name;
use super::builder::Builder;
use super::explain::Explains;
use super::trust::Trusted;

/// What is served, and how; shared by all workers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) table: Arc<Table>,
    pub(super) registry: Arc<Registry>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) trusted: Trusted,
    /// Exchanges are counted by route.
    pub(super) counts: bool,
    /// What is told of them beside numbers.
    pub(super) watch: WatchPlan,
    /// See [`Builder::explain_header`].
    pub(super) explain: Option<Arc<str>>,
}

impl Plan {
    /// Takes everything from `builder` but its addresses and the number of its workers.
    ///
    /// # Errors
    ///
    /// A pattern is invalid or overlaps with another, or an option is out of its bounds.
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
            counts: !builder.wanted.no_metrics,
            watch: WatchPlan::default(),
        })
    }

    /// What requests are explained with.
    pub(super) fn explains(&self) -> Explains {
        let (limits, timeouts) = (self.limits.clone(), self.timeouts.clone());
        Explains { table: self.table.clone(), limits, timeouts }
    }
}

/// What is mounted where, and the upstreams behind it.
fn table(routes: Vec<Route>, forward: Option<Forward>) -> Result<(Table, Registry)> {
    let mut registry = Registry::default();
    let mut table = Table::new(routes, &mut registry)?;
    if let Some(forward) = forward {
        table.set_forward(forward.build()?);
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
