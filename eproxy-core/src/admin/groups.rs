//! Groups and their endpoints, as JSON.

use serde::Serialize;

use crate::upstream::{EndpointSnapshot, Group, Health, Mode};

use super::history::round;

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
    latency_ms: Option<f64>,
    /// How often it was chosen, for each of the last seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trend: Option<Vec<f64>>,
}

impl GroupState {
    pub(super) fn of(name: String, group: &Group) -> Self {
        let snapshot = group.snapshot();
        Self {
            name,
            waiting: snapshot.waiting,
            troubles: snapshot.troubles,
            endpoints: snapshot.endpoints.into_iter().map(EndpointState::of).collect(),
        }
    }
}

impl EndpointState {
    fn of(endpoint: EndpointSnapshot) -> Self {
        let latency = endpoint.latency.map(|latency| round(latency.as_secs_f64() * 1000.0));
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
            latency_ms: latency,
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
