//! Routes, as JSON.

use serde::Serialize;

use crate::telemetry::{Classes, RouteMetrics};

use super::lately::{Lately, Quantiles};

/// A route at one moment. What is counted is counted from when the server started.
#[derive(Debug, Serialize)]
pub(super) struct RouteState {
    route: String,
    requests: u64,
    #[serde(flatten)]
    classes: ClassState,
    bytes_in: u64,
    bytes_out: u64,
    /// Of the last seconds, or of all where none have come in them.
    #[serde(flatten)]
    latency: Quantiles,
}

/// Answers by class.
#[derive(Debug, Serialize)]
struct ClassState {
    #[serde(rename = "1xx")]
    informational: u64,
    #[serde(rename = "2xx")]
    successful: u64,
    #[serde(rename = "3xx")]
    redirection: u64,
    #[serde(rename = "4xx")]
    client_error: u64,
    #[serde(rename = "5xx")]
    server_error: u64,
    /// Clients that went away before.
    none: u64,
}

impl RouteState {
    /// Is made of what was counted of a route, unless that is nothing and the route is none.
    pub(super) fn of(route: RouteMetrics, lately: &Lately) -> Option<Self> {
        let is_none = matches!(route.name.as_str(), "none" | "forward");
        (!is_none || route.requests.total() > 0).then(|| Self {
            latency: lately.quantiles(&route.name, &route.duration),
            requests: route.requests.total(),
            classes: ClassState::of(&route.requests),
            bytes_in: route.bytes_in,
            bytes_out: route.bytes_out,
            route: route.name,
        })
    }
}

impl ClassState {
    fn of(classes: &Classes) -> Self {
        Self {
            informational: classes.of("1xx"),
            successful: classes.of("2xx"),
            redirection: classes.of("3xx"),
            client_error: classes.of("4xx"),
            server_error: classes.of("5xx"),
            none: classes.of("none"),
        }
    }
}
