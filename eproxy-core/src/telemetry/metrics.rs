//! Reading what a server has counted: all cores together, at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::accept::prefers_openmetrics;
use super::counter::{Counters, Stats};
use super::histogram::Latencies;
use super::openmetrics;
use super::process::ProcessMetrics;
use super::tally::CLASSES;

/// Reads what a server counts. Clones are cheap and read the same server; reading changes nothing for the cores that count.
///
/// See `docs/observability.md` for every metric.
///
/// ```
/// use eproxy_core::{Request, Response, Server};
///
/// # futures_lite::future::block_on(async {
/// let server = Server::builder()
///     .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
///     .bind("127.0.0.1:0")
///     .start()?;
/// let metrics = server.metrics();
/// let text = metrics.openmetrics();
/// assert!(text.contains("# TYPE eproxy_requests counter") && text.ends_with("# EOF\n"));
/// assert!(metrics.snapshot().routes.iter().any(|route| route.name == "/hello"));
/// # server.shutdown(std::time::Duration::ZERO).await;
/// # Ok::<_, eproxy_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    counters: Vec<Arc<Counters>>,
    losses: Arc<Losses>,
    groups: Groups,
    began: Instant,
}

/// Tells what is known of the groups that a server uses now.
type Groups = Box<dyn Fn() -> Vec<GroupMetrics> + Send + Sync>;

/// What was lost on its way out. It is written when something is, and that is rare: all cores share it.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Lines of the access log.
    lines: AtomicU64,
    /// Spans of traces.
    spans: AtomicU64,
}

impl Losses {
    pub(crate) fn add_lines(&self, count: u64) {
        self.lines.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_spans(&self, count: u64) {
        self.spans.fetch_add(count, Ordering::Relaxed);
    }
}

/// What a server has counted at one moment, all cores together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// How long ago the server was started.
    pub uptime: Duration,
    /// What is counted for the whole server.
    pub stats: Stats,
    /// What is counted by route, in the order of their names.
    pub routes: Vec<RouteMetrics>,
    /// What is known of the groups that the server uses now, in the order of their names.
    pub groups: Vec<GroupMetrics>,
    /// What the system says of this process.
    pub process: ProcessMetrics,
    /// Lines of the access log that were dropped: nobody took them as fast as they came, or they could not be written.
    pub access_log_dropped: u64,
    /// Spans of traces that were dropped, likewise.
    pub spans_dropped: u64,
}

/// What was counted of the exchanges of a route.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RouteMetrics {
    /// The route's name, or its pattern; `none` for requests that no route is for or that could not be understood, and
    /// `forward` for those of a forward proxy.
    pub name: String,
    /// Exchanges by the class of their answer.
    pub requests: Classes,
    /// Bytes of the bodies of requests.
    pub bytes_in: u64,
    /// Bytes of the bodies of answers, as they were given.
    pub bytes_out: u64,
    /// How long exchanges took, from when the head of the request was there until the last of the answer was handed to the
    /// system; tunnels until they ended.
    pub duration: Latencies,
}

/// Answers by the class of their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(pub(super) [u64; CLASSES.len()]);

impl Classes {
    /// How many there were of a class: `2xx`; `none` for exchanges that ended without an answer, because the client went
    /// away; 0 for what is no class.
    #[must_use]
    pub fn of(&self, class: &str) -> u64 {
        self.iter().find(|(known, _)| *known == class).map_or(0, |(_, count)| count)
    }

    /// All classes, with those that there are none of.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.0)
    }

    /// How many there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, other: [u64; CLASSES.len()]) {
        self.0.iter_mut().zip(other).for_each(|(count, more)| *count += more);
    }
}

/// What is known of a group of endpoints.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GroupMetrics {
    /// What it is [called](crate::Group::name).
    pub name: String,
    /// Requests that wait for an endpoint to have room.
    pub waiting: u64,
    /// In the order in which they were named or found; those that are called the same are taken together.
    pub endpoints: Vec<EndpointMetrics>,
}

/// What was counted of an endpoint, and how it fares. It is counted from when the first server has started with the endpoint.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EndpointMetrics {
    /// What it is called in logs: `10.0.0.7:3000`.
    pub name: String,
    /// It may be sent new requests: it is fit, and its operator lets it.
    pub is_up: bool,
    /// What it may be sent, as its operator says: `active`, `draining`, `maintenance` or `removed`.
    pub mode: &'static str,
    /// Requests that are with it now.
    pub active: u64,
    /// Times that it was chosen.
    pub attempts: u64,
    /// Times that it was chosen for a request that had been sent before.
    pub retries: u64,
    /// Heads of answers that came, by class.
    pub answers: Classes,
    /// Attempts that found no connection.
    pub unreached: u64,
    /// Attempts that were sent and brought no answer.
    pub unanswered: u64,
    /// Times that it was ejected.
    pub ejections: u64,
    /// Connections to it that were begun.
    pub connects: u64,
    /// How long attempts took to the head of their answer.
    pub latency: Latencies,
}

impl Metrics {
    #[expect(
        clippy::disallowed_methods,
        reason = "when it began, for whoever wants to know how long that is ago"
    )]
    pub(crate) fn new(counters: Vec<Arc<Counters>>, losses: Arc<Losses>, groups: Groups) -> Self {
        Self(Arc::new(Inner { counters, losses, groups, began: Instant::now() }))
    }

    /// What was counted up to now.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let Inner { counters, losses, began, .. } = &*self.0;
        MetricsSnapshot {
            uptime: began.elapsed(),
            stats: Stats::sum(counters.iter().map(|counters| &**counters)),
            routes: self.routes(),
            groups: self.groups(),
            process: ProcessMetrics::read(),
            access_log_dropped: losses.lines.load(Ordering::Relaxed),
            spans_dropped: losses.spans.load(Ordering::Relaxed),
        }
    }

    /// What is known of groups.
    pub(crate) fn groups(&self) -> Vec<GroupMetrics> {
        by_name((self.0.groups)())
    }

    /// What was counted by route.
    pub(crate) fn routes(&self) -> Vec<RouteMetrics> {
        let mut routes: BTreeMap<String, RouteMetrics> = BTreeMap::new();
        for core in &self.0.counters {
            core.routes.each(|name, tally| {
                let route = routes.entry(name.to_owned()).or_default();
                route.requests.add(tally.classes.read());
                route.bytes_in += tally.bytes_in.read();
                route.bytes_out += tally.bytes_out.read();
                route.duration.add(&tally.duration);
            });
        }
        routes.into_iter().map(|(name, route)| RouteMetrics { name, ..route }).collect()
    }

    /// Everything as text in the format of OpenMetrics 1.0, whose media type is
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        openmetrics::encode(self.snapshot())
    }

    /// Everything as text in the older format of Prometheus, 0.0.4, whose media type is
    /// `text/plain; version=0.0.4; charset=utf-8`.
    #[must_use]
    pub fn prometheus(&self) -> String {
        openmetrics::plain(&self.openmetrics())
    }

    /// Everything as text in the format that an `Accept` field asks for (RFC 9110 §12.5.1), with its media type: OpenMetrics
    /// where it is named with at least the weight of the older format, and that otherwise.
    ///
    /// ```
    /// # fn f(metrics: eproxy_core::Metrics, req: eproxy_core::Request, res: eproxy_core::Response) {
    /// let (mime, text) = metrics.negotiate(req.headers().get_str("accept"));
    /// # let _told = res.header("Content-Type", mime).send(text);
    /// # }
    /// ```
    #[must_use]
    pub fn negotiate(&self, accept: Option<&str>) -> (&'static str, String) {
        match accept.is_some_and(prefers_openmetrics) {
            true => (OPENMETRICS, self.openmetrics()),
            false => (PROMETHEUS, self.prometheus()),
        }
    }
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Takes groups of one name, and endpoints of one name within a group, together: they are told apart by nothing else.
fn by_name(groups: Vec<GroupMetrics>) -> Vec<GroupMetrics> {
    let mut known: BTreeMap<String, GroupMetrics> = BTreeMap::new();
    for GroupMetrics { name, waiting, endpoints } in groups {
        let group = known.entry(name).or_default();
        group.waiting += waiting;
        for endpoint in endpoints {
            match group.endpoints.iter_mut().find(|known| known.name == endpoint.name) {
                Some(known) => known.merge(&endpoint),
                None => group.endpoints.push(endpoint),
            }
        }
    }
    known.into_iter().map(|(name, group)| GroupMetrics { name, ..group }).collect()
}

impl EndpointMetrics {
    fn merge(&mut self, other: &Self) {
        self.is_up |= other.is_up;
        if other.mode == "active" {
            self.mode = other.mode;
        }
        self.active += other.active;
        self.attempts += other.attempts;
        self.retries += other.retries;
        self.answers.add(other.answers.0);
        self.unreached += other.unreached;
        self.unanswered += other.unanswered;
        self.ejections += other.ejections;
        self.connects += other.connects;
        self.latency.merge(&other.latency);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("cores", &self.0.counters.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_add_up_and_what_has_the_same_name_is_one() {
        let cores = [Arc::new(Counters::new()), Arc::new(Counters::new())];
        let counting = [0, 1].map(|core: usize| cores[core].routes.tally("/a"));
        counting[0].record(200, (1, 2), 1_000_000);
        counting[1].record(404, (3, 4), 1_000_000);
        let endpoint = |name: &str, mode, attempts| EndpointMetrics {
            name: name.into(),
            mode,
            attempts,
            ..EndpointMetrics::default()
        };
        let group = |name: &str, endpoints| GroupMetrics { name: name.into(), waiting: 1, endpoints };
        let groups = move || {
            vec![
                group("b", vec![endpoint("x:80", "draining", 1)]),
                group("a", vec![]),
                group("b", vec![endpoint("x:80", "active", 2), endpoint("y:80", "active", 4)]),
            ]
        };
        let metrics = Metrics::new(cores.to_vec(), Arc::default(), Box::new(groups));
        let snapshot = metrics.snapshot();
        let [route] = &snapshot.routes[..] else { panic!("{snapshot:?}") };
        assert_eq!((route.requests.of("2xx"), route.requests.of("4xx"), route.requests.total()), (1, 1, 2));
        assert_eq!((route.bytes_in, route.bytes_out, route.duration.count()), (4, 6, 2));
        let [a, b] = &snapshot.groups[..] else { panic!("{snapshot:?}") };
        assert_eq!((a.name.as_str(), a.waiting, b.waiting), ("a", 1, 2));
        let seen: Vec<_> = b.endpoints.iter().map(|it| (it.name.as_str(), it.mode, it.attempts)).collect();
        assert_eq!(seen, [("x:80", "active", 3), ("y:80", "active", 4)]);
    }
}
