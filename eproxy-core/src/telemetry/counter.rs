//! Counters of one core, and their sum.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Kind;

use super::tally::Ledger;

/// A counter that one thread changes and any thread reads: no read-modify-write, no shared cache line to fight for.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one; only from the thread that owns the counter.
    pub(crate) fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Adds more than one; only from the thread that owns the counter.
    pub(crate) fn add_many(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Sets a gauge; only from the thread that owns it.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one core counts.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Downstream connections accepted.
    pub(crate) accepted: Counter,
    /// Downstream connections open now.
    pub(crate) open: Counter,
    /// `accept` failed: no descriptors or memory left.
    pub(crate) accept_errors: Counter,
    /// Times that accepting stopped because the connection limit was reached.
    pub(crate) connection_limit: Counter,
    /// Requests whose head was understood.
    pub(crate) requests: Counter,
    /// TLS handshakes with clients, and those of them that went on with an earlier session.
    pub(crate) tls_handshakes: Counter,
    pub(crate) tls_resumed: Counter,
    /// Connections of clients that speak HTTP/2, and the streams that were begun on them.
    pub(crate) http2_connections: Counter,
    pub(crate) http2_streams: Counter,
    /// Those of them that are carried now.
    pub(crate) http2_open_streams: Counter,
    /// Tasks of the engine that panicked.
    pub(crate) task_panics: Counter,
    /// Connections to upstreams that were begun, and those that were used again.
    pub(crate) upstream_connects: Counter,
    pub(crate) upstream_reused: Counter,
    /// Requests that were sent again.
    pub(crate) retries: Counter,
    /// Requests that were not sent again because the budget for that was spent.
    pub(crate) retries_denied: Counter,
    /// Second endpoints that were asked because the first took its time.
    pub(crate) hedges: Counter,
    /// Those who answered first.
    pub(crate) hedges_won: Counter,
    /// Requests that waited for room with an endpoint.
    pub(crate) queued: Counter,
    /// Endpoints that were ejected.
    pub(crate) ejections: Counter,
    /// Copies of requests that were answered, and those that were given up.
    pub(crate) mirrored: Counter,
    pub(crate) mirror_dropped: Counter,
    /// Connections that became tunnels, and what went through those.
    pub(crate) tunnels: Counter,
    pub(crate) tunnel_bytes_up: Counter,
    pub(crate) tunnel_bytes_down: Counter,
    /// What is counted by route.
    pub(crate) routes: Ledger,
    /// By kind.
    failures: Vec<Counter>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            accepted: Counter::default(),
            open: Counter::default(),
            accept_errors: Counter::default(),
            connection_limit: Counter::default(),
            requests: Counter::default(),
            tls_handshakes: Counter::default(),
            tls_resumed: Counter::default(),
            http2_connections: Counter::default(),
            http2_streams: Counter::default(),
            http2_open_streams: Counter::default(),
            task_panics: Counter::default(),
            upstream_connects: Counter::default(),
            upstream_reused: Counter::default(),
            retries: Counter::default(),
            retries_denied: Counter::default(),
            hedges: Counter::default(),
            hedges_won: Counter::default(),
            queued: Counter::default(),
            ejections: Counter::default(),
            mirrored: Counter::default(),
            mirror_dropped: Counter::default(),
            tunnels: Counter::default(),
            tunnel_bytes_up: Counter::default(),
            tunnel_bytes_down: Counter::default(),
            routes: Ledger::default(),
            failures: Kind::ALL.iter().map(|_| Counter::default()).collect(),
        }
    }

    /// Counts a failure under its name.
    pub(crate) fn failure(&self, kind: Kind) {
        self.failures[kind as usize].add();
    }
}

/// What a server has counted since it started, over all its workers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Failures of `accept`, for want of descriptors or memory: the server backs off and goes on.
    pub accept_errors: u64,
    /// Times that accepting stopped because [`Limits::connections`](crate::Limits::connections) was reached.
    pub connection_limit: u64,
    /// Requests whose head was understood.
    pub requests: u64,
    /// TLS handshakes with clients that came to their end.
    pub tls_handshakes: u64,
    /// Those of them that went on with an earlier session, without anybody showing a certificate.
    pub tls_resumed: u64,
    /// Connections of clients that spoke HTTP/2.
    pub http2_connections: u64,
    /// Streams that they have begun, each with a request.
    pub http2_streams: u64,
    /// Those of them that are open now, but for those that are answered the moment they have come.
    pub http2_open_streams: u64,
    /// Panics of the engine itself, each of which cost one connection: a bug to report.
    pub task_panics: u64,
    /// Connections to upstreams that were begun.
    pub upstream_connects: u64,
    /// Times that a connection to an upstream was used again.
    pub upstream_reused: u64,
    /// Requests that were sent again, to the same or another upstream.
    pub retries: u64,
    /// Requests that were not sent again because the budget of their group was spent ([`Group::retry_budget`](crate::Group::retry_budget)).
    pub retries_denied: u64,
    /// Requests that a second endpoint was asked as well, because the first took its time ([`Proxy::hedge_after`](crate::Proxy::hedge_after)).
    pub hedges: u64,
    /// Times that the second endpoint answered first.
    pub hedges_won: u64,
    /// Requests that waited until an endpoint had room ([`Group::queue`](crate::Group::queue)).
    pub queued: u64,
    /// Times that an endpoint was ejected for how it treated a request ([`Group::ejection`](crate::Group::ejection)). Outliers
    /// are counted in [`EndpointSnapshot::ejections`](crate::EndpointSnapshot::ejections) only.
    pub ejections: u64,
    /// Copies of requests ([`Proxy::mirror`](crate::Proxy::mirror)) that were answered.
    pub mirrored: u64,
    /// Copies of requests that were not: too many or too slow at once, or failed.
    pub mirror_dropped: u64,
    /// Connections that became tunnels to an upstream: after an upgrade, or by CONNECT.
    pub tunnels: u64,
    /// Bytes that went through tunnels to upstreams.
    pub tunnel_bytes_up: u64,
    /// Bytes that came through tunnels from upstreams.
    pub tunnel_bytes_down: u64,
    failures: Vec<u64>,
}

impl Stats {
    pub(crate) fn sum<'a>(cores: impl Iterator<Item = &'a Counters>) -> Self {
        let mut sum = Self { failures: vec![0; Kind::ALL.len()], ..Self::default() };
        for core in cores {
            sum.accepted += core.accepted.read();
            sum.open += core.open.read();
            sum.accept_errors += core.accept_errors.read();
            sum.connection_limit += core.connection_limit.read();
            sum.requests += core.requests.read();
            sum.tls_handshakes += core.tls_handshakes.read();
            sum.tls_resumed += core.tls_resumed.read();
            sum.http2_connections += core.http2_connections.read();
            sum.http2_streams += core.http2_streams.read();
            sum.http2_open_streams += core.http2_open_streams.read();
            sum.task_panics += core.task_panics.read();
            sum.upstream_connects += core.upstream_connects.read();
            sum.upstream_reused += core.upstream_reused.read();
            sum.retries += core.retries.read();
            sum.retries_denied += core.retries_denied.read();
            sum.hedges += core.hedges.read();
            sum.hedges_won += core.hedges_won.read();
            sum.queued += core.queued.read();
            sum.ejections += core.ejections.read();
            sum.mirrored += core.mirrored.read();
            sum.mirror_dropped += core.mirror_dropped.read();
            sum.tunnels += core.tunnels.read();
            sum.tunnel_bytes_up += core.tunnel_bytes_up.read();
            sum.tunnel_bytes_down += core.tunnel_bytes_down.read();
            for (total, counter) in sum.failures.iter_mut().zip(&core.failures) {
                *total += counter.read();
            }
        }
        sum
    }

    /// How often a failure of that [name](crate::Error::name) occurred: `head_timeout`, `bare_line_feed`,
    /// `handler_panicked`; 0 for names that there are not.
    #[must_use]
    pub fn failure(&self, name: &str) -> u64 {
        self.failures().find(|(known, _)| *known == name).map_or(0, |(_, count)| count)
    }

    /// All failures by name, those that never occurred included.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.iter().zip(&self.failures).map(|(kind, count)| (kind.row().name, *count))
    }
}
