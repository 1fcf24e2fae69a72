//! Endpoints, and how they are found.

use std::net::SocketAddr;

use crate::config::problem::Notes;
use crate::config::tree::{Node, Table};
#[cfg(feature = "dns")]
use crate::upstream::Srv;
use crate::upstream::{Dns, Endpoint, EndpointsFile, Group};

/// The endpoints that a group names, each with its place.
pub(super) fn endpoints(group: &Table) -> Vec<Endpoint> {
    group.list("endpoints").iter().filter_map(endpoint).collect()
}

fn endpoint(node: &Node) -> Option<Endpoint> {
    let Some(table) = node.table() else { return node.text().map(Endpoint::new) };
    let mut endpoint = Endpoint::new(table.text("url")?);
    if let Some(weight) = table.integer("weight") {
        endpoint = endpoint.weight(weight);
    }
    if let Some(priority) = table.integer("priority") {
        endpoint = endpoint.priority(priority);
    }
    if let Some(zone) = table.text("zone") {
        endpoint = endpoint.zone(zone);
    }
    if let Some(host) = table.text("host") {
        endpoint = endpoint.host(host);
    }
    for entry in table.map("labels") {
        endpoint = endpoint.label(&entry.key, entry.node.text().unwrap_or_default());
    }
    Some(endpoint)
}

/// Notes what is wrong with the endpoints of a group.
pub(super) fn check(group: &Table, notes: &mut Notes) {
    let place = group.place("endpoints");
    let is_empty = group.has("endpoints") && group.list("endpoints").is_empty() && !group.has("discover");
    if is_empty && !group.wrong.contains(&"endpoints") && !notes.are_within(place) {
        notes.wrong(place, "a group without an endpoint");
    }
    // All at once is linear, one by one is not; that tells which.
    if Group::new().set_endpoints(endpoints(group)).is_ok() {
        return;
    }
    let mut known = std::collections::HashSet::new();
    for node in group.list("endpoints") {
        let Some(endpoint) = endpoint(node) else { continue };
        if let Err(error) = Group::new().add(endpoint) {
            notes.wrong(node.at, error.into_detail());
            continue;
        }
        let table = node.table();
        let url = table.map_or(node.text(), |table| table.text("url"));
        if !known.insert((url, table.and_then(|table| table.text("host")))) {
            notes.wrong(node.at, format!("the endpoint {:?} is there twice", url.unwrap_or_default()));
        }
    }
}

/// Adds what looks for endpoints.
pub(super) fn discover(group: Group, table: &Table) -> Group {
    if let Some(url) = table.text("dns") {
        return group.discover(dns(url, table));
    }
    if let Some(path) = table.path("file") {
        let file = EndpointsFile::new(path);
        return group.discover(match table.duration("every") {
            Some(time) => file.every(time),
            None => file,
        });
    }
    #[cfg(feature = "dns")]
    if let Some(url) = table.text("srv") {
        return group.discover(srv(url, table));
    }
    group
}

/// What records are asked for with, whichever they are.
macro_rules! lookups {
    ($discovery:expr, $table:expr) => {{
        let (mut discovery, table) = ($discovery, $table);
        if let Some(time) = table.duration("min_ttl") {
            discovery = discovery.min_ttl(time);
        }
        if let Some(time) = table.duration("max_ttl") {
            discovery = discovery.max_ttl(time);
        }
        if let Some(time) = table.duration("timeout") {
            discovery = discovery.timeout(time);
        }
        #[cfg(feature = "dns")]
        if let Some(server) = server(table) {
            discovery = discovery.server(server);
        }
        if let Some(priority) = table.integer("priority") {
            discovery = discovery.priority(priority);
        }
        if let Some(zone) = table.text("zone") {
            discovery = discovery.zone(zone);
        }
        if let Some(host) = table.text("host") {
            discovery = discovery.host(host);
        }
        for entry in table.map("labels") {
            discovery = discovery.label(&entry.key, entry.node.text().unwrap_or_default());
        }
        discovery
    }};
}

fn dns(url: &str, table: &Table) -> Dns {
    let dns = lookups!(Dns::new(url), table);
    match table.integer("weight") {
        Some(weight) => dns.weight(weight),
        None => dns,
    }
}

#[cfg(feature = "dns")]
fn srv(url: &str, table: &Table) -> Srv {
    lookups!(Srv::new(url), table)
}

/// A DNS server: port 53 unless it is said.
fn server(table: &Table) -> Option<SocketAddr> {
    let text = table.text("server")?;
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, 53)))
}

/// Notes what is wrong with what looks for endpoints.
pub(super) fn check_discover(node: &Node, notes: &mut Notes) {
    let Some(table) = node.table() else { return };
    if !["dns", "srv", "file"].iter().any(|kind| table.has(kind)) {
        return;
    }
    let before = notes.count();
    if let Some(text) = table.text("server")
        && server(table).is_none()
    {
        notes.wrong(table.place("server"), format!("{text:?} is no address, with a port if need be"));
    }
    let of = |kind: &str, keys: &[&str], notes: &mut Notes| {
        for key in keys.iter().filter(|key| table.has(key)) {
            notes.wrong(table.place(key), format!("`{key}` does nothing with `{kind}`"));
        }
    };
    let records = ["min_ttl", "max_ttl", "timeout", "server", "priority", "zone", "labels", "host"];
    if table.has("file") {
        of("file", &[&records[..], &["weight"]].concat(), notes);
    } else if table.has("srv") {
        of("srv", &["every", "weight"], notes);
    } else {
        of("dns", &["every"], notes);
    }
    if cfg!(not(feature = "dns")) && (table.has("srv") || table.has("server")) {
        notes.wrong(node.at, "this eproxy was built without the feature `dns`");
    }
    if before < notes.count() {
        return;
    }
    if let Err(error) = discover(Group::new(), table).build() {
        notes.wrong(node.at, error.into_detail());
    }
}
