//! The last five minutes, a row for each second.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::telemetry::{Latencies, RouteMetrics};

use super::groups::GroupState;
use super::lately::quantile;

/// Rows that are kept: five minutes, and one that they begin with.
const ROWS: usize = 301;

/// Rows that come with every event: one that gets lost in between does no harm.
const LATEST: usize = 3;

/// Seconds of an endpoint that are kept.
const TREND: usize = 60;

/// Seconds whose latencies a row tells of, so that single requests do not make it jump.
const WINDOW: usize = 5;

/// What stands in a row: the time in milliseconds since 1970, rates a second, latencies, gauges.
const COLUMNS: [&str; 13] = [
    "at",
    "requests",
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "open",
    "at_upstreams",
    "cpu",
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What was counted up to one moment.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) requests: u64,
    /// Connections of clients, and requests that are with upstreams.
    pub(super) open: u64,
    pub(super) at_upstreams: u64,
    /// Time on processors.
    pub(super) cpu: Option<Duration>,
}

/// A row; what is not known is null.
type Row = [Option<f64>; COLUMNS.len()];

#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<(Moment, Answers)>,
    /// What was counted by route up to the last moment.
    routes: HashMap<String, RouteMetrics>,
    answered: Answers,
    rows: VecDeque<Row>,
    /// Latencies up to each of the last seconds.
    window: VecDeque<Latencies>,
    trends: HashMap<(String, String), Trend>,
}

/// What was answered since it is looked, on all routes together. It only grows, though a reload makes routes come and go.
#[derive(Clone, Debug, Default)]
struct Answers {
    /// By class; none where nothing is counted by route.
    classes: Option<[u64; CLASSES.len()]>,
    latencies: Latencies,
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

impl Answers {
    /// Adds what has come of a route since `then`.
    fn add(&mut self, now: &RouteMetrics, then: Option<&RouteMetrics>) {
        let classes = self.classes.get_or_insert_default();
        for (count, class) in classes.iter_mut().zip(CLASSES) {
            let earlier = then.map_or(0, |then| then.requests.of(class));
            *count += now.requests.of(class).saturating_sub(earlier);
        }
        match then {
            Some(then) => self.latencies.merge(&now.duration.since(&then.duration)),
            None => self.latencies.merge(&now.duration),
        }
    }
}

impl History {
    /// Adds what was counted up to now.
    pub(super) fn add(&mut self, moment: Moment, routes: &[RouteMetrics], groups: &[GroupState]) {
        for route in routes {
            self.answered.add(route, self.routes.get(&route.name));
        }
        self.routes = routes.iter().map(|route| (route.name.clone(), route.clone())).collect();
        let answered = self.answered.clone();
        let earlier = self.window.front().cloned().unwrap_or_default();
        self.window.push_back(answered.latencies.clone());
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let Some((last, before)) = self.last.replace((moment.clone(), answered.clone())) else {
            // What was counted so far was not counted in a second.
            groups.iter().for_each(|group| self.begin(group));
            return;
        };
        let seconds = moment.instant.duration_since(last.instant).as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let lately = answered.latencies.since(&earlier);
        let class = |class: usize| {
            answered.classes.zip(before.classes).map(|(now, then)| rate(now[class], then[class]))
        };
        let cpu = moment
            .cpu
            .zip(last.cpu)
            .map(|(now, then)| 100.0 * now.saturating_sub(then).as_secs_f64() / seconds);
        self.rows.push_back([
            Some(moment.at as f64),
            Some(rate(moment.requests, last.requests)),
            class(0),
            class(1),
            class(2),
            class(3),
            class(4),
            quantile(&lately, 0.5),
            quantile(&lately, 0.9),
            quantile(&lately, 0.99),
            Some(moment.open as f64),
            Some(moment.at_upstreams as f64),
            cpu,
        ]);
        if self.rows.len() > ROWS {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn moments() -> impl Iterator<Item = (Moment, Vec<RouteMetrics>)> {
        let instant = Instant::now();
        (0..).map(move |second: u64| {
            let moment = Moment {
                instant: instant + Duration::from_secs(second),
                at: 1000 * second,
                requests: 10 * second,
                open: 3,
                at_upstreams: 1,
                cpu: Some(Duration::from_millis(250 * second)),
            };
            (moment, vec![route("/", [0, 8 * second, 0, 0, 2 * second, 0])])
        })
    }

    fn route(name: &str, answers: [u64; 6]) -> RouteMetrics {
        let mut route = RouteMetrics { name: name.into(), ..RouteMetrics::default() };
        route.requests.add(answers);
        route
    }

    #[test]
    fn a_route_that_goes_with_a_reload_takes_no_answers_of_others_with_it() {
        let mut history = History::default();
        for (second, (moment, mut routes)) in moments().take(4).enumerate() {
            if second < 2 {
                routes.push(route("/gone", [0, 1_000_000, 0, 0, 0, 0]));
            }
            history.add(moment, &routes, &[]);
        }
        let answers: Vec<_> = history.rows.iter().map(|row| row[3]).collect();
        assert_eq!(answers, [Some(8.0); 3]);
    }

    #[test]
    fn rows_tell_rates_and_five_minutes_are_kept() {
        let mut history = History::default();
        moments().take(400).for_each(|(moment, routes)| history.add(moment, &routes, &[]));
        let state = history.state(Extent::All);
        assert_eq!(state.rows.len(), ROWS);
        let row: HashMap<_, _> = COLUMNS.into_iter().zip(*state.rows.last().unwrap()).collect();
        for (column, value) in [
            ("at", Some(399_000.0)),
            ("requests", Some(10.0)),
            ("1xx", Some(0.0)),
            ("2xx", Some(8.0)),
            ("5xx", Some(2.0)),
            ("p99_ms", None),
            ("open", Some(3.0)),
            ("at_upstreams", Some(1.0)),
            ("cpu", Some(25.0)),
        ] {
            assert_eq!(row[column], value, "{column}");
        }
        assert_eq!(history.state(Extent::Latest).rows.len(), LATEST);
    }
}
