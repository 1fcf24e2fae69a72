//! How long things took lately: latencies now, compared with those of a little while ago.

use std::collections::HashMap;

use serde::Serialize;

use crate::telemetry::Latencies;

use super::history::round;

/// Looks between two of which the later becomes the one to compare with: what is told is of the last 10 to 20 seconds.
const LOOKS: u32 = 10;

/// Latencies as they were counted up to a while ago, by what they are of.
#[derive(Debug, Default)]
pub(super) struct Lately {
    looks: u32,
    earlier: HashMap<String, Latencies>,
    later: HashMap<String, Latencies>,
}

/// How long something took, in milliseconds: what half, nine tenths, and 99 of 100 took at the most.
#[derive(Debug, Default, Serialize)]
pub(super) struct Quantiles {
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl Lately {
    /// Is told of what was counted up to now, once a second.
    pub(super) fn look<'a>(&mut self, now: impl Iterator<Item = (String, &'a Latencies)>) {
        if self.looks.is_multiple_of(LOOKS) {
            let now = now.map(|(key, latencies)| (key, latencies.clone())).collect();
            self.earlier = std::mem::replace(&mut self.later, now);
        }
        self.looks = self.looks.wrapping_add(1);
    }

    /// How long it took lately, or ever where nothing has come lately.
    pub(super) fn quantiles(&self, key: &str, now: &Latencies) -> Quantiles {
        let lately = self.earlier.get(key).map(|earlier| now.since(earlier));
        Quantiles::of(lately.as_ref().filter(|lately| lately.count() > 0).unwrap_or(now))
    }
}

impl Quantiles {
    fn of(latencies: &Latencies) -> Self {
        let [p50_ms, p90_ms, p99_ms] = [0.5, 0.9, 0.99].map(|part| quantile(latencies, part));
        Self { p50_ms, p90_ms, p99_ms }
    }
}

/// What that part took at the most, in milliseconds.
pub(super) fn quantile(latencies: &Latencies, part: f64) -> Option<f64> {
    latencies.quantile(part).map(|duration| round(duration.as_secs_f64() * 1000.0))
}
