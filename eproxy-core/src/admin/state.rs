//! Everything that is known of a server at one moment, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Side;
use crate::telemetry::{Failure, Stats};

use super::groups::GroupState;
use super::history::{Extent, History, HistoryState, round};
use super::process;
use super::routes::RouteState;
use super::shared::{Shared, milliseconds, now};

/// What `/api/state` tells, and each event.
#[derive(Debug, Serialize)]
pub(super) struct State {
    /// Milliseconds since 1970, as all times are.
    at: u64,
    server: ServerState,
    process: ProcessState,
    abilities: Abilities,
    log_level: String,
    /// What was counted since the server started.
    totals: Totals,
    history: HistoryState,
    routes: Vec<RouteState>,
    groups: Vec<GroupState>,
    /// The newest first; null where nothing is new.
    failures: Option<Vec<FailureState>>,
}

#[derive(Debug, Serialize)]
struct ServerState {
    name: &'static str,
    version: &'static str,
    started_at: u64,
    uptime_seconds: f64,
    workers: usize,
    listeners: Vec<String>,
    /// `running`, `draining`, `stopped`.
    phase: &'static str,
    ready: bool,
    reasons: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct ProcessState {
    pid: u32,
    cpus: usize,
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
}

/// What the program lets this listener do.
#[derive(Debug, Serialize)]
struct Abilities {
    reload: bool,
    log_level: bool,
    config: bool,
    explain: bool,
}

#[derive(Debug, Serialize)]
struct Totals {
    requests: u64,
    open: u64,
    accepted: u64,
    accept_errors: u64,
    connection_limit: u64,
    tls_handshakes: u64,
    tls_resumed: u64,
    http2_connections: u64,
    http2_streams: u64,
    http2_open_streams: u64,
    upstream_connects: u64,
    upstream_reused: u64,
    retries: u64,
    retries_denied: u64,
    hedges: u64,
    hedges_won: u64,
    queued: u64,
    ejections: u64,
    mirrored: u64,
    mirror_dropped: u64,
    tunnels: u64,
    tunnel_bytes_up: u64,
    tunnel_bytes_down: u64,
    task_panics: u64,
    /// By name; those that there were.
    failures: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct FailureState {
    number: u64,
    at: u64,
    name: &'static str,
    side: &'static str,
    status: u16,
    text: String,
    route: String,
    upstream: Option<String>,
    peer: Option<String>,
    attempt: Option<String>,
}

impl State {
    pub(super) fn now(
        shared: &Shared,
        (mut groups, routes): (Vec<GroupState>, Vec<RouteState>),
        history: &History,
        extent: Extent,
        with_failures: bool,
    ) -> Self {
        if extent == Extent::All {
            for group in &mut groups {
                for endpoint in &mut group.endpoints {
                    endpoint.trend = Some(history.trend(&group.name, &endpoint.url));
                }
            }
        }
        let (instant, at) = now();
        let callbacks = &shared.callbacks;
        Self {
            at,
            server: ServerState::of(shared, instant.duration_since(shared.started).as_secs_f64()),
            process: ProcessState {
                pid: std::process::id(),
                cpus: process::processors(),
                cpu_seconds: process::cpu_time().map(|time| round(time.as_secs_f64())),
                resident_bytes: process::resident_bytes(),
            },
            abilities: Abilities {
                reload: callbacks.reload.is_some(),
                log_level: callbacks.set_level.is_some(),
                config: callbacks.config.is_some(),
                explain: true,
            },
            log_level: log_level(),
            totals: Totals::of(&shared.server.stats()),
            history: history.state(extent),
            routes,
            groups,
            failures: with_failures
                .then(|| shared.server.recent_failures().into_iter().map(FailureState::of).collect()),
        }
    }
}

impl ServerState {
    fn of(shared: &Shared, uptime: f64) -> Self {
        let server = &shared.server;
        let reasons = shared.reasons();
        Self {
            name: "eproxy",
            version: env!("CARGO_PKG_VERSION"),
            started_at: shared.started_at,
            uptime_seconds: round(uptime),
            workers: server.workers(),
            listeners: server.listeners().collect(),
            phase: match (server.has_ended(), server.is_draining()) {
                (true, _) => "stopped",
                (_, true) => "draining",
                (false, false) => "running",
            },
            ready: reasons.is_empty(),
            reasons,
        }
    }
}

impl Totals {
    fn of(stats: &Stats) -> Self {
        Self {
            requests: stats.requests,
            open: stats.open,
            accepted: stats.accepted,
            accept_errors: stats.accept_errors,
            connection_limit: stats.connection_limit,
            tls_handshakes: stats.tls_handshakes,
            tls_resumed: stats.tls_resumed,
            http2_connections: stats.http2_connections,
            http2_streams: stats.http2_streams,
            http2_open_streams: stats.http2_open_streams,
            upstream_connects: stats.upstream_connects,
            upstream_reused: stats.upstream_reused,
            retries: stats.retries,
            retries_denied: stats.retries_denied,
            hedges: stats.hedges,
            hedges_won: stats.hedges_won,
            queued: stats.queued,
            ejections: stats.ejections,
            mirrored: stats.mirrored,
            mirror_dropped: stats.mirror_dropped,
            tunnels: stats.tunnels,
            tunnel_bytes_up: stats.tunnel_bytes_up,
            tunnel_bytes_down: stats.tunnel_bytes_down,
            task_panics: stats.task_panics,
            failures: stats.failures().filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl FailureState {
    fn of(failure: Failure) -> Self {
        Self {
            number: failure.number,
            at: milliseconds(failure.at),
            name: failure.name,
            side: match failure.side {
                Side::Downstream => "downstream",
                Side::Upstream => "upstream",
                Side::Local => "local",
            },
            status: failure.status,
            text: failure.text,
            route: failure.route,
            upstream: failure.upstream,
            peer: failure.peer.map(|peer| peer.to_string()),
            attempt: failure.attempt,
        }
    }
}

/// The level of the `log` facade, in lower case.
pub(super) fn log_level() -> String {
    log::max_level().as_str().to_ascii_lowercase()
}
