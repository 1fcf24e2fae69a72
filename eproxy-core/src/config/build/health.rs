//! What finds out how endpoints fare, and what they are spared.

use crate::config::tree::{Node, Table, Value};
use crate::upstream::{AdaptiveLimit, Breaker, Ejection, Probe, RetryBudget};

/// Active health checks; none where it is not said what is asked.
pub(super) fn probe(table: &Table) -> Option<Probe> {
    let mut probe = asking(table)?;
    if let Some(host) = table.text("host") {
        probe = probe.host(host);
    }
    for entry in table.map("headers") {
        probe = probe.header(&entry.key, entry.node.text().unwrap_or_default());
    }
    if let Some(method) = table.text("method") {
        probe = probe.method(method);
    }
    if table.has("expect_status") {
        probe = probe.expect_status(
            table.list("expect_status").iter().flat_map(|node| statuses(node).unwrap_or_default()),
        );
    }
    if let Some(body) = table.text("expect_body") {
        probe = probe.expect_body(body);
    }
    if let Some(time) = table.duration("interval") {
        probe = probe.interval(time);
    }
    if let Some(time) = table.duration("timeout") {
        probe = probe.timeout(time);
    }
    if let Some(results) = table.integer("rise") {
        probe = probe.rise(results);
    }
    if let Some(results) = table.integer("fall") {
        probe = probe.fall(results);
    }
    match table.integer("port") {
        Some(port) => Some(probe.port(port)),
        None => Some(probe),
    }
}

fn asking(table: &Table) -> Option<Probe> {
    if let Some(path) = table.text("http") {
        return Some(Probe::http(path));
    }
    if table.is("tcp") {
        return Some(Probe::tcp());
    }
    match &table.get("grpc")?.value {
        Value::Text { text, .. } => Some(Probe::grpc_service(text)),
        Value::Flag(true) => Some(Probe::grpc()),
        _ => None,
    }
}

/// The statuses in `204` and `"200-299"`.
pub(super) fn statuses(node: &Node) -> Option<Vec<u16>> {
    if let Some(status) = node.integer() {
        return Some(vec![status]);
    }
    let text = node.text()?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && (200..600).contains(&first) && last < 600).then(|| (first..=last).collect())
}

/// Passive health checks.
pub(super) fn ejection(table: &Table) -> Ejection {
    let default = Ejection::default();
    Ejection {
        connect_errors: table.integer("connect_errors").unwrap_or(default.connect_errors),
        no_answers: table.integer("no_answers").unwrap_or(default.no_answers),
        server_errors: table.integer("server_errors").unwrap_or(default.server_errors),
        shortest: table.duration("shortest").unwrap_or(default.shortest),
        longest: table.duration("longest").unwrap_or(default.longest),
        max_share: table.number("max_share").unwrap_or(default.max_share),
        outliers: table.flag("outliers").unwrap_or(default.outliers),
        interval: table.duration("interval").unwrap_or(default.interval),
        deviations: table.number("deviations").unwrap_or(default.deviations),
        least_hosts: table.integer("least_hosts").unwrap_or(default.least_hosts),
        least_requests: table.integer("least_requests").unwrap_or(default.least_requests),
        outlier_rest: table.duration("outlier_rest").unwrap_or(default.outlier_rest),
        outlier_longest: table.duration("outlier_longest").unwrap_or(default.outlier_longest),
    }
}

/// A circuit breaker.
pub(super) fn breaker(table: &Table) -> Breaker {
    let default = Breaker::default();
    Breaker {
        failures: table.integer("failures").unwrap_or(default.failures),
        share: table.number("share").unwrap_or(default.share),
        least_requests: table.integer("least_requests").unwrap_or(default.least_requests),
        window: table.duration("window").unwrap_or(default.window),
        open: table.duration("open").unwrap_or(default.open),
        longest: table.duration("longest").unwrap_or(default.longest),
        trials: table.integer("trials").unwrap_or(default.trials),
        trials_at_once: table.integer("trials_at_once").unwrap_or(default.trials_at_once),
    }
}

/// A limit that follows latency.
pub(super) fn adaptive_limit(table: &Table) -> AdaptiveLimit {
    let default = AdaptiveLimit::default();
    AdaptiveLimit {
        least: table.integer("least").unwrap_or(default.least),
        most: table.integer("most").unwrap_or(default.most),
        first: table.integer("first").unwrap_or(default.first),
        tolerance: table.number("tolerance").unwrap_or(default.tolerance),
        window: table.duration("window").unwrap_or(default.window),
        measure: table.duration("measure").unwrap_or(default.measure),
    }
}

/// How much may be sent again.
pub(super) fn retry_budget(table: &Table) -> RetryBudget {
    let default = RetryBudget::default();
    RetryBudget {
        share: table.number("share").unwrap_or(default.share),
        least_per_second: table.integer("least_per_second").unwrap_or(default.least_per_second),
    }
}
