//! The last five minutes, a row for each second.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::groups::GroupState;

/// Rows that are kept: five minutes, and one that they begin with.
const ROWS: usize = 301;

/// Rows that come with every event: one that gets lost in between does no harm.
const LATEST: usize = 3;

/// Seconds of an endpoint that are kept.
const TREND: usize = 60;

/// What stands in a row: the time in milliseconds since 1970, rates a second, and gauges.
pub(super) const COLUMNS: [&str; 5] = ["at", "requests", "open", "upstream", "cpu"];

/// What was counted up to one moment.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) requests: u64,
    /// Connections of clients, and to upstreams.
    pub(super) open: u64,
    pub(super) upstream: Option<u64>,
    /// Time on processors.
    pub(super) cpu: Option<Duration>,
}

/// A row; what is not known is null.
type Row = [Option<f64>; COLUMNS.len()];

#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<Moment>,
    rows: VecDeque<Row>,
    trends: HashMap<(String, String), Trend>,
}

#[derive(Debug, Default)]
struct Trend {
    attempts: u64,
    rates: VecDeque<f64>,
}

/// How much of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    Latest,
}

/// The history as it is sent.
#[derive(Debug, Serialize)]
pub(super) struct HistoryState {
    columns: [&'static str; COLUMNS.len()],
    #[serde(serialize_with = "rounded")]
    rows: Vec<Row>,
}

impl History {
    /// Adds what was counted up to now.
    pub(super) fn add(&mut self, moment: Moment, groups: &[GroupState]) {
        let last = self.last.replace(moment.clone());
        let Some(last) = last else {
            // What was counted so far was not counted in a second.
            groups.iter().for_each(|group| self.begin(group));
            return;
        };
        let seconds = moment.instant.duration_since(last.instant).as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let cpu = moment
            .cpu
            .zip(last.cpu)
            .map(|(now, then)| 100.0 * now.saturating_sub(then).as_secs_f64() / seconds);
        self.rows.push_back([
            Some(moment.at as f64),
            Some(rate(moment.requests, last.requests)),
            Some(moment.open as f64),
            moment.upstream.map(|open| open as f64),
            cpu,
        ]);
        while self.rows.len() > ROWS {
            self.rows.pop_front();
        }
        self.follow(groups, rate);
    }

    fn begin(&mut self, group: &GroupState) {
        for endpoint in &group.endpoints {
            let trend = Trend { attempts: endpoint.attempts, rates: VecDeque::new() };
            self.trends.insert((group.name.clone(), endpoint.url.clone()), trend);
        }
    }

    /// Notes how often each endpoint was chosen, and forgets those that are gone.
    fn follow(&mut self, groups: &[GroupState], rate: impl Fn(u64, u64) -> f64) {
        let mut trends = HashMap::new();
        for group in groups {
            for endpoint in &group.endpoints {
                let key = (group.name.clone(), endpoint.url.clone());
                let mut trend = self.trends.remove(&key).unwrap_or_default();
                trend.rates.push_back(rate(endpoint.attempts, trend.attempts));
                if trend.rates.len() > TREND {
                    trend.rates.pop_front();
                }
                trend.attempts = endpoint.attempts;
                trends.insert(key, trend);
            }
        }
        self.trends = trends;
    }

    /// How often an endpoint was chosen, a rate for each of the last seconds.
    pub(super) fn trend(&self, group: &str, url: &str) -> Vec<f64> {
        let trend = self.trends.get(&(group.to_owned(), url.to_owned()));
        trend.map_or_else(Vec::new, |trend| trend.rates.iter().copied().map(round).collect())
    }

    pub(super) fn state(&self, extent: Extent) -> HistoryState {
        let skipped = match extent {
            Extent::All => 0,
            Extent::Latest => self.rows.len().saturating_sub(LATEST),
        };
        HistoryState { columns: COLUMNS, rows: self.rows.iter().skip(skipped).copied().collect() }
    }
}

/// Three digits behind the point say enough.
pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn rounded<S: Serializer>(rows: &[Row], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(|row| row.map(|value| value.map(round))))
}
