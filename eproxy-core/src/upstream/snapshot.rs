//! What is known of a group at one moment, for whoever runs it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::telemetry::{EndpointMetrics, GroupMetrics};

use super::group::{Group, Inner};
use super::health::Verdict;
use super::node::{Mode, Node};

/// What is known of a [`Group`](crate::Group) at one moment, all cores together.
///
/// ```
/// use eproxy_core::Group;
///
/// for endpoint in Group::from(["http://10.0.0.7:3000", "http://10.0.0.8:3000"]).snapshot().endpoints {
///     println!("{}: {:?}, {} requests", endpoint.name, endpoint.health, endpoint.active);
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupSnapshot {
    /// The endpoints, in the order in which they were named.
    pub endpoints: Vec<EndpointSnapshot>,
    /// Requests that wait for an endpoint to have room.
    pub waiting: usize,
    /// Why a discovery could not find out which endpoints there are now, for each that could not: those that it has found
    /// before stay.
    pub troubles: Vec<String>,
}

/// What is known of one endpoint at one moment. What is counted is counted from when the first server has started with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointSnapshot {
    /// Its URL, as it was given or found.
    pub url: String,
    /// What it is called in logs: `10.0.0.7:3000`.
    pub name: String,
    /// See [`Endpoint::weight`](crate::Endpoint::weight); as it is now.
    pub weight: u32,
    /// See [`Endpoint::priority`](crate::Endpoint::priority).
    pub priority: u8,
    /// See [`Endpoint::zone`](crate::Endpoint::zone).
    pub zone: Option<String>,
    /// What it may be sent, as its operator says.
    pub mode: Mode,
    /// How it fares.
    pub health: Health,
    /// Why its last probe failed, if it did.
    pub trouble: Option<String>,
    /// Requests that are with it now.
    pub active: u64,
    /// Times that it was chosen.
    pub attempts: u64,
    /// Heads of answers that came.
    pub answers: u64,
    /// Those among them with a status from 500 on.
    pub server_errors: u64,
    /// Attempts that found no connection.
    pub unreached: u64,
    /// Attempts that were sent and brought no answer.
    pub unanswered: u64,
    /// Times that it was ejected.
    pub ejections: u64,
    /// The estimate of how long it takes to answer, that of the core which thinks the worst of it; none before it has
    /// answered.
    pub latency: Option<Duration>,
}

/// How an endpoint fares, as far as anybody has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Nothing is known against it.
    Fit,
    /// It rests because of how it treated requests.
    Ejected,
    /// Its circuit breaker lets nothing through, or only trials.
    Broken,
    /// Probes say that it is down.
    Down,
}

impl GroupSnapshot {
    pub(super) fn of(group: &Inner) -> Self {
        let now = group.roster.latest();
        let published = group.roster.published();
        let endpoints = published.nodes.iter().map(|node| EndpointSnapshot::of(node, now)).collect();
        Self { endpoints, waiting: group.line.length(), troubles: group.searches.troubles() }
    }

    /// The endpoint of a URL or a name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&EndpointSnapshot> {
        self.endpoints.iter().find(|endpoint| endpoint.url == name || endpoint.name == name)
    }
}

impl EndpointSnapshot {
    fn of(node: &Node, now: u64) -> Self {
        let tallies = node.tallies();
        let sum = |count: fn(&super::tally::Tally) -> u64| tallies.iter().map(|tally| count(tally)).sum();
        let slowest = tallies.iter().map(|tally| tally.latency.read()).max().filter(|latency| *latency > 0);
        Self {
            url: node.endpoint.url.clone(),
            name: node.name.to_string(),
            weight: node.weight(),
            priority: node.endpoint.priority,
            zone: node.endpoint.zone.clone(),
            mode: node.mode(),
            health: health(node, now),
            trouble: node.trouble(),
            active: sum(|tally| tally.active.read()),
            attempts: sum(|tally| tally.attempts.read()),
            answers: sum(|tally| tally.answers.total()),
            server_errors: sum(|tally| tally.answers.server_errors()),
            unreached: sum(|tally| tally.unreached.read()),
            unanswered: sum(|tally| tally.unanswered.read()),
            ejections: u64::from(node.ejections.load(Ordering::Relaxed)),
            latency: slowest.map(Duration::from_micros),
        }
    }
}

impl Group {
    /// What collectors of metrics are told of it.
    pub(crate) fn metrics(&self) -> GroupMetrics {
        let group = self.inner();
        let now = group.roster.latest();
        let published = group.roster.published();
        GroupMetrics {
            name: group.name().to_owned(),
            waiting: group.line.length() as u64,
            endpoints: published.nodes.iter().map(|node| endpoint_metrics(node, now)).collect(),
        }
    }
}

fn endpoint_metrics(node: &Node, now: u64) -> EndpointMetrics {
    let EndpointSnapshot { name, mode, health, active, attempts, unreached, unanswered, ejections, .. } =
        EndpointSnapshot::of(node, now);
    let mut metrics = EndpointMetrics {
        name,
        is_up: health == Health::Fit && mode == Mode::Active,
        mode: match mode {
            Mode::Active => "active",
            Mode::Draining => "draining",
            Mode::Maintenance => "maintenance",
            Mode::Removed => "removed",
        },
        active,
        attempts,
        unreached,
        unanswered,
        ejections,
        ..EndpointMetrics::default()
    };
    for tally in node.tallies() {
        metrics.retries += tally.retries.read();
        metrics.connects += tally.connects.read();
        metrics.answers.add(tally.answers.read());
        metrics.latency.add(&tally.head);
    }
    metrics
}

fn health(node: &Node, now: u64) -> Health {
    match node.verdict() {
        Some(Verdict::Down) => Health::Down,
        _ if node.standing.is_ejected(now) => Health::Ejected,
        _ if node.is_broken() => Health::Broken,
        _ => Health::Fit,
    }
}
