//! A group, but for its endpoints.

use crate::config::problem::{Notes, reason};
use crate::config::tree::{Node, Table, Value};
use crate::upstream::{Balance, Group, HashKey, Sticky};

use super::{endpoint, health, tls};

/// The group that a table describes.
pub(super) fn group(table: &Table) -> Group {
    let group = settings(Group::new(), table, &|_| true);
    // What is wrong with an endpoint was noted.
    let _checked = group.set_endpoints(endpoint::endpoints(table));
    group
}

/// Tells a group what stands under the keys that are wanted.
fn settings(group: Group, table: &Table, wanted: &dyn Fn(&str) -> bool) -> Group {
    let mut group = choosing(group, table, wanted);
    let sub = |key: &str| table.table(key).filter(|_| wanted(key));
    if let Some(probe) = sub("probe").and_then(health::probe) {
        group = group.probe(probe);
    }
    if let Some(ejection) = sub("ejection") {
        group = group.ejection(health::ejection(ejection));
    }
    if let Some(breaker) = sub("breaker") {
        group = group.breaker(health::breaker(breaker));
    }
    if let Some(requests) = table.integer("max_requests").filter(|_| wanted("max_requests")) {
        group = group.max_requests(requests);
    }
    if let Some(limit) = sub("adaptive_limit") {
        group = group.adaptive_limit(health::adaptive_limit(limit));
    }
    if let Some(queue) = sub("queue")
        && let (Some(requests), Some(patience)) = (queue.integer("requests"), queue.duration("patience"))
    {
        group = group.queue(requests, patience);
    }
    match sub("retry_budget") {
        Some(budget) => group.retry_budget(health::retry_budget(budget)),
        None => group,
    }
}

/// Who the endpoints are, and how they are chosen.
fn choosing(mut group: Group, table: &Table, wanted: &dyn Fn(&str) -> bool) -> Group {
    for discovery in table.list("discover").iter().filter_map(Node::table).filter(|_| wanted("discover")) {
        group = endpoint::discover(group, discovery);
    }
    if let Some(tls) = table.table("tls").filter(|_| wanted("tls")) {
        group = group.tls(tls::upstream_tls(tls));
    }
    if let Some(balance) = table.get("balance").and_then(balance) {
        group = group.balance(balance);
    }
    if let Some(sticky) = table.table("sticky").filter(|_| wanted("sticky")).and_then(sticky) {
        group = group.sticky(sticky);
    }
    if let Some(time) = table.duration("slow_start") {
        group = group.slow_start(time);
    }
    if let Some(zone) = table.text("prefer_zone") {
        group = match table.number("prefer_zone_while") {
            Some(part) => group.prefer_zone_while(zone, part),
            None => group.prefer_zone(zone),
        };
    }
    if let Some(subset) = table.table("subset_by")
        && let (Some(header), Some(label)) = (subset.text("header"), subset.text("label"))
    {
        group = match subset.is("strict") {
            true => group.subset_strictly_by(header, label),
            false => group.subset_by(header, label),
        };
    }
    if let Some(part) = table.number("failover_below") {
        group = group.failover_below(part);
    }
    match table.number("panic_below") {
        Some(part) => group.panic_below(part),
        None => group,
    }
}

fn balance(node: &Node) -> Option<Balance> {
    let Some(table) = node.table() else {
        return Some(match node.text()? {
            "least_requests" => Balance::LeastRequests,
            "round_robin" => Balance::RoundRobin,
            "random" => Balance::Random,
            _ => Balance::PeakEwma,
        });
    };
    let hash = table.get("hash")?;
    let key = match (hash.text(), hash.table()) {
        (Some("client"), _) => HashKey::Client,
        (Some(_), _) => HashKey::Path,
        (_, Some(key)) => match (key.text("header"), key.text("cookie"), key.text("query")) {
            (Some(name), ..) => HashKey::Header(name.into()),
            (_, Some(name), _) => HashKey::Cookie(name.into()),
            (_, _, Some(name)) => HashKey::Query(name.into()),
            _ => return None,
        },
        _ => return None,
    };
    Some(Balance::Hash(key))
}

fn sticky(table: &Table) -> Option<Sticky> {
    let mut sticky = Sticky::cookie(table.text("cookie")?);
    if let Some(secret) = table.text("secret") {
        sticky = sticky.secret(secret);
    }
    if let Some(Ok(secret)) = table.path("secret_file").map(std::fs::read) {
        let end = secret.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        sticky = sticky.secret(&secret[..end]);
    }
    if table.is("secure") {
        sticky = sticky.secure();
    }
    match table.duration("max_age") {
        Some(age) => Some(sticky.max_age(age)),
        None => Some(sticky),
    }
}

/// Notes what is wrong with a group that was made of a table.
pub(super) fn check(table: &Table, group: &Group, notes: &mut Notes) {
    let before = notes.count();
    endpoint::check(table, notes);
    table.list("discover").iter().for_each(|node| endpoint::check_discover(node, notes));
    check_keys(table, notes);
    let Err(error) = group.build() else { return };
    // The keys that are tried one by one, with those that they need.
    let parts: [&[&str]; 7] = [
        &["probe"],
        &["ejection"],
        &["breaker"],
        &["adaptive_limit"],
        &["queue", "max_requests", "adaptive_limit"],
        &["sticky"],
        &["tls"],
    ];
    for part in parts.iter().filter(|part| table.has(part[0])) {
        let alone = settings(Group::from("http://a"), table, &|key| part.contains(&key));
        let place = table.place(part[0]);
        if let Err(error) = alone.build()
            && !notes.are_within(place)
        {
            notes.wrong(place, error.into_detail());
        }
    }
    let is_told = notes.count() > before || notes.are_within(table.place("endpoints"));
    if !is_told && table.wrong.is_empty() {
        notes.wrong(table.at, error.into_detail());
    }
}

/// Notes contradictions between keys.
fn check_keys(table: &Table, notes: &mut Notes) {
    if !table.has("endpoints") && !table.has("discover") {
        notes.wrong(table.at, "a group without `endpoints` and without `discover`");
    }
    if table.has("queue") && !table.has("max_requests") && !table.has("adaptive_limit") {
        let note = notes.wrong(table.place("queue"), "`queue` without a limit that anybody would wait for");
        note.hint("`max_requests` or `adaptive_limit` is one");
    }
    if table.has("prefer_zone_while") && !table.has("prefer_zone") {
        notes.wrong(
            table.place("prefer_zone_while"),
            "`prefer_zone_while` does nothing without `prefer_zone`",
        );
    }
    if let Some(probe) = table.table("probe") {
        check_probe(probe, notes);
    }
    if let Some(sticky) = table.table("sticky") {
        if sticky.has("secret") && sticky.has("secret_file") {
            notes.wrong(
                sticky.place("secret_file"),
                "`secret` and `secret_file`, of which there can be only one",
            );
        }
        if let Some(path) = sticky.path("secret_file")
            && let Err(error) = std::fs::read(path)
        {
            notes.wrong(sticky.place("secret_file"), format!("{}: {}", path.display(), reason(&error)));
        }
    }
}

fn check_probe(probe: &Table, notes: &mut Notes) {
    for node in probe.list("expect_status") {
        if let (None, Value::Text { text, .. }) = (health::statuses(node), &node.value) {
            let what = format!("{text:?} is no range of statuses, expected something like \"200-299\"");
            notes.wrong(node.at, what);
        }
    }
    for key in ["tcp", "grpc"] {
        if probe.flag(key) == Some(false) {
            notes.wrong(probe.place(key), format!("`{key} = false` asks for nothing"));
        }
    }
}
