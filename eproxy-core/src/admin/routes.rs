//! Routes, as JSON, with latencies of a little while ago.

use std::collections::HashMap;

use serde::Serialize;

use crate::telemetry::{Classes, Latencies, RouteMetrics};

use super::history::round;

/// Looks between two of which the later becomes the one to compare with: what is told is of the last 10 to 20 seconds.
const LOOKS: u32 = 10;

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
    latency: LatencyState,
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

/// How long it took, in milliseconds.
#[derive(Debug, Serialize)]
struct LatencyState {
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// Latencies of routes as they were counted up to a while ago.
#[derive(Debug, Default)]
pub(super) struct Before {
    looks: u32,
    earlier: HashMap<String, Latencies>,
    later: HashMap<String, Latencies>,
}

impl Before {
    /// Is told of what was counted up to now, once a second.
    pub(super) fn look(&mut self, routes: &[RouteMetrics]) {
        if self.looks % LOOKS == 0 {
            let now = routes.iter().map(|route| (route.name.clone(), route.duration.clone())).collect();
            self.earlier = std::mem::replace(&mut self.later, now);
        }
        self.looks = self.looks.wrapping_add(1);
    }

    pub(super) fn states(&self, routes: Vec<RouteMetrics>) -> Vec<RouteState> {
        // Two names are those of no route: they are worth a line only where there is something in it.
        let is_shown = |route: &RouteMetrics| {
            route.requests.total() > 0 || !matches!(route.name.as_str(), "none" | "forward")
        };
        routes.into_iter().filter(is_shown).map(|route| self.state(route)).collect()
    }

    fn state(&self, route: RouteMetrics) -> RouteState {
        let lately = self.earlier.get(&route.name).map(|earlier| route.duration.since(earlier));
        let latencies = lately.filter(|lately| lately.count() > 0).unwrap_or(route.duration);
        RouteState {
            route: route.name,
            requests: route.requests.total(),
            classes: ClassState::of(&route.requests),
            bytes_in: route.bytes_in,
            bytes_out: route.bytes_out,
            latency: LatencyState {
                p50_ms: quantile(&latencies, 0.5),
                p90_ms: quantile(&latencies, 0.9),
                p99_ms: quantile(&latencies, 0.99),
            },
        }
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

/// What that part took at the most, in milliseconds.
pub(super) fn quantile(latencies: &Latencies, part: f64) -> Option<f64> {
    latencies.quantile(part).map(|duration| round(duration.as_secs_f64() * 1000.0))
}
