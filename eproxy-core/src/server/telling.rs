//! What is told of exchanges, and where it goes: what a builder says of that, and the threads and tasks behind it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_std::channel::{self, Receiver};

use crate::error::Result;
use crate::otlp::{Exporter, Traces};
use crate::telemetry::{
    AccessLog, Counters, Journal, LogQueue, Losses, Metrics, RequestIds, Sink, SpanQueue, WatchPlan,
};
use crate::upstream::Registry;

use super::builder::Builder;
use super::explain::Explains;
use super::plan::Plan;

/// What is to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) no_metrics: bool,
    ids: Option<RequestIds>,
    log: Option<AccessLog>,
    traces: Option<Traces>,
}

/// What is told of exchanges. Without any of these, they are counted, and failures go to the program's log.
impl Builder {
    /// Says whether exchanges are counted by route, as they are unless this says no; see
    /// [`Handle::metrics`](crate::Handle::metrics). What is counted for the whole server, and by endpoint, is counted whatever
    /// this says.
    pub fn metrics(mut self, are_counted: bool) -> Self {
        self.wanted.no_metrics = !are_counted;
        self
    }

    /// Logs every exchange, or some, when it is over. A second call replaces the first.
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.wanted.log = Some(log);
        self
    }

    /// Gives every request an identifier, which its handler, its upstream and its client are told, and logs and traces. Off
    /// unless set: what a client says in `X-Request-Id` passes as any other field then.
    pub fn request_ids(mut self, ids: RequestIds) -> Self {
        self.wanted.ids = Some(ids);
        self
    }

    /// Traces exchanges. Off unless set: `traceparent` passes as any other field then.
    pub fn traces(mut self, traces: Traces) -> Self {
        self.wanted.traces = Some(traces);
        self
    }
}

/// Where what is told goes, for one description of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlets {
    losses: Arc<Losses>,
    log: Option<(Sink, LogQueue)>,
    traces: Option<(Traces, SpanQueue)>,
    pub(super) plan: WatchPlan,
}

impl Outlets {
    /// Makes what `wanted` asks for. What is there already and stays the same is gone on with; what is no longer wanted comes
    /// to its end with the last exchange that tells it something.
    ///
    /// # Errors
    ///
    /// `BadOption`: an option is out of its bounds, the file can't be written to; `Start`: the system has no thread left.
    pub(super) fn next(&self, wanted: &Wanted, journal: &Journal) -> Result<Self> {
        let losses = &self.losses;
        let mut next = Self { losses: losses.clone(), ..Self::default() };
        next.plan.ids = wanted.ids.as_ref().map(RequestIds::build).transpose()?;
        if let Some(log) = &wanted.log {
            let rules = log.build()?;
            let queue = match self.log.as_ref().filter(|(sink, _)| *sink == log.sink) {
                Some((_, queue)) => queue.clone(),
                None => LogQueue::start(log, losses, journal)?,
            };
            next.log = Some((log.sink.clone(), queue.clone()));
            next.plan.log = Some((rules, queue));
        }
        if let Some(traces) = &wanted.traces {
            let rules = traces.rules()?;
            let queue = match self.traces.as_ref().filter(|(known, _)| known == traces) {
                Some((_, queue)) => queue.clone(),
                None => Exporter::start(traces, losses, journal)?,
            };
            next.traces = Some((traces.clone(), queue.clone()));
            next.plan.traces = Some((rules, queue));
        }
        Ok(next)
    }

    /// Has the file of the access log be opened again.
    pub(super) fn reopen(&self) {
        if let Some((_, queue)) = &self.log {
            queue.reopen();
        }
    }

    /// Waits until what was told so far is where it goes; for a while, if that takes longer.
    pub(super) fn flush(&self) -> impl Future<Output = ()> + use<> {
        /// A file system or a collector may never come back.
        const PATIENCE: Duration = Duration::from_secs(5);
        let (told, over): (_, Receiver<Infallible>) = channel::bounded(1);
        let queues = (self.log.as_ref().map(|(_, queue)| queue.clone()), self.traces.clone());
        async move {
            if let (None, None) = &queues {
                return;
            }
            let flushed = async {
                if let Some(log) = &queues.0 {
                    log.flush(told.clone()).await;
                }
                if let Some((_, spans)) = &queues.1 {
                    spans.flush(told.clone()).await;
                }
                drop(told);
                // Nothing is ever sent: the channel closes when the last of them is done.
                let _closed = over.recv().await;
            };
            let _late = async_std::future::timeout(PATIENCE, flushed).await;
        }
    }
}

/// What is known of a running server beside its workers: what is told, and where from.
pub(super) struct Telling {
    outlets: Mutex<Outlets>,
    /// The groups that it uses now.
    registry: Arc<Mutex<Weak<Registry>>>,
    explains: Mutex<Explains>,
    pub(super) metrics: Metrics,
}

impl Telling {
    pub(super) fn new(outlets: Outlets, plan: &Plan, counters: Vec<Arc<Counters>>) -> Self {
        let registry = Arc::new(Mutex::new(Arc::downgrade(&plan.registry)));
        let known = registry.clone();
        let groups = move || {
            let registry = known.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            registry.map_or_else(Vec::new, |registry| registry.metrics())
        };
        let metrics = Metrics::new(counters, outlets.losses.clone(), Box::new(groups));
        Self { outlets: Mutex::new(outlets), registry, explains: Mutex::new(plan.explains()), metrics }
    }

    pub(super) fn outlets(&self) -> Outlets {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What requests are explained with.
    pub(super) fn explains(&self) -> Explains {
        self.explains.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another description has taken the place of the one before.
    pub(super) fn replace(&self, outlets: Outlets, plan: &Plan) {
        *self.outlets.lock().unwrap_or_else(PoisonError::into_inner) = outlets;
        *self.registry.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&plan.registry);
        *self.explains.lock().unwrap_or_else(PoisonError::into_inner) = plan.explains();
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").field("outlets", &self.outlets()).finish_non_exhaustive()
    }
}
