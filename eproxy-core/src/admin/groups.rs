//! Groups and their endpoints, as JSON.

use serde::Serialize;

use crate::telemetry::Latencies;
use crate::upstream::{EndpointSnapshot, Group, Health, Mode};

use super::history::round;
use super::lately::{Lately, Quantiles};

/// A group at one moment.
#[derive(Debug, Serialize)]
pub(super) struct GroupState {
    pub(super) name: String,
    /// Requests that wait for an endpoint to have room.
    waiting: usize,
    /// Why a discovery could not find out which endpoints there are.
    troubles: Vec<String>,
    pub(super) endpoints: Vec<EndpointState>,
}

/// An endpoint at one moment.
#[derive(Debug, Serialize)]
pub(super) struct EndpointState {
    pub(super) url: String,
    name: String,
    weight: u32,
    priority: u8,
    zone: Option<String>,
    /// `active`, `draining`, `maintenance`.
    mode: &'static str,
    /// `fit`, `ejected`, `broken`, `down`.
    health: &'static str,
    /// Why its last probe failed.
    trouble: Option<String>,
    active: u64,
    pub(super) attempts: u64,
    answers: u64,
    server_errors: u64,
    unreached: u64,
    unanswered: u64,
    ejections: u64,
    /// How long the heads of its answers took, of the last seconds, or of all where none have come in them.
    #[serde(flatten)]
    latency: Quantiles,
    /// How long it is thought to take, by those who choose it.
    estimate_ms: Option<f64>,
    #[serde(skip)]
    latencies: Latencies,
    /// How often it was chosen, for each of the last seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trend: Option<Vec<f64>>,
}

impl GroupState {
    pub(super) fn of(name: String, group: &Group) -> Self {
        let snapshot = group.snapshot();
        let mut endpoints: Vec<_> = snapshot.endpoints.into_iter().map(EndpointState::of).collect();
        // Both come in the order of the group, unless it has changed in between.
        for (endpoint, metrics) in endpoints.iter_mut().zip(group.metrics().endpoints) {
            if endpoint.name == metrics.name {
                endpoint.latencies = metrics.latency;
            }
        }
        Self { name, waiting: snapshot.waiting, troubles: snapshot.troubles, endpoints }
    }

    /// All latencies, with what they are known by.
    pub(super) fn latencies(&self) -> impl Iterator<Item = (String, &Latencies)> {
        self.endpoints.iter().map(|endpoint| (self.key(endpoint), &endpoint.latencies))
    }

    /// Tells how long endpoints took lately.
    pub(super) fn tell(mut self, lately: &Lately) -> Self {
        for number in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[number];
            let latency = lately.quantiles(&self.key(endpoint), &endpoint.latencies);
            self.endpoints[number].latency = latency;
        }
        self
    }

    fn key(&self, endpoint: &EndpointState) -> String {
        format!("{} {}", self.name, endpoint.url)
    }
}

impl EndpointState {
    fn of(endpoint: EndpointSnapshot) -> Self {
        let estimate = endpoint.latency.map(|latency| round(latency.as_secs_f64() * 1000.0));
        Self {
            url: endpoint.url,
            name: endpoint.name,
            weight: endpoint.weight,
            priority: endpoint.priority,
            zone: endpoint.zone,
            mode: mode(endpoint.mode),
            health: health(endpoint.health),
            trouble: endpoint.trouble,
            active: endpoint.active,
            attempts: endpoint.attempts,
            answers: endpoint.answers,
            server_errors: endpoint.server_errors,
            unreached: endpoint.unreached,
            unanswered: endpoint.unanswered,
            ejections: endpoint.ejections,
            latency: Quantiles::default(),
            estimate_ms: estimate,
            latencies: Latencies::default(),
            trend: None,
        }
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Active => "active",
        Mode::Draining => "draining",
        Mode::Maintenance => "maintenance",
        Mode::Removed => "removed",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Fit => "fit",
        Health::Ejected => "ejected",
        Health::Broken => "broken",
        Health::Down => "down",
    }
}
