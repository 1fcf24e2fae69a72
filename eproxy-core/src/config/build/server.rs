//! Listeners, limits, timeouts, and who is believed.

use std::collections::HashMap;
use std::net::IpAddr;
#[cfg(unix)]
use std::os::unix::net::SocketAddr;

use ipnet::IpNet;

use crate::config::problem::Notes;
use crate::config::source::Span;
use crate::config::tree::{Node, Table, Value};
use crate::driver::Address;
use crate::message::{Limits, Timeouts};
use crate::server::Builder;

use super::tls;

/// Adds what concerns the server as a whole.
pub(super) fn add(builder: Builder, tree: &Table) -> Builder {
    let mut builder =
        builder.limits(limits(tree)).timeouts(timeouts(tree)).trusted_proxies(tree.texts("trusted_proxies"));
    if let Some(workers) = tree.integer("workers") {
        builder = builder.workers(workers);
    }
    for listener in tree.list("listener").iter().filter_map(Node::table) {
        let Some(address) = listener.text("address") else { continue };
        let tls = listener.get("tls").and_then(tls::tls);
        builder = match (tls, listener.is("proxy_protocol")) {
            (None, false) => builder.bind(address),
            (None, true) => builder.bind_proxy_protocol(address),
            (Some(tls), false) => builder.bind_tls(address, tls),
            (Some(tls), true) => builder.bind_tls_proxy_protocol(address, tls),
        };
    }
    builder
}

pub(super) fn limits(tree: &Table) -> Limits {
    let default = Limits::default();
    let Some(table) = tree.table("limits") else { return default };
    Limits {
        head: table.bytes("head").unwrap_or(default.head),
        target: table.bytes("target").unwrap_or(default.target),
        headers: table.integer("headers").unwrap_or(default.headers),
        body: table.size("body").unwrap_or(default.body),
        drain: table.size("drain").unwrap_or(default.drain),
        connections: table.integer("connections").unwrap_or(default.connections),
        handshakes: table.integer("handshakes").unwrap_or(default.handshakes),
    }
}

pub(super) fn timeouts(tree: &Table) -> Timeouts {
    let default = Timeouts::default();
    let Some(table) = tree.table("timeouts") else { return default };
    Timeouts {
        head: table.duration("head").unwrap_or(default.head),
        handshake: table.duration("handshake").unwrap_or(default.handshake),
        keep_alive: table.duration("keep_alive").unwrap_or(default.keep_alive),
        body_idle: table.duration("body_idle").unwrap_or(default.body_idle),
        body_rate: table.size("body_rate").unwrap_or(default.body_rate),
        write_idle: table.duration("write_idle").unwrap_or(default.write_idle),
        tunnel_idle: table.duration("tunnel_idle").unwrap_or(default.tunnel_idle),
        drain_idle: table.duration("drain_idle").unwrap_or(default.drain_idle),
    }
}

/// Notes what is wrong with what concerns the server as a whole.
pub(super) fn check(tree: &Table, has_gaps: bool, notes: &mut Notes) {
    if let Some(limits) = tree.table("limits")
        && let Some(head) = limits.size("head")
        && !(512..=1 << 30).contains(&head)
    {
        notes.wrong(limits.place("head"), format!("`head` is {head} bytes, expected 512 to 1GiB"));
    }
    for node in tree.list("trusted_proxies") {
        if let Some(text) = node.text().filter(|text| !is_peer(text)) {
            let what = format!("{text:?} is neither an address nor a network like 10.0.0.0/8 nor unix");
            notes.wrong(node.at, what);
        }
    }
    let listeners = tree.list("listener");
    if listeners.is_empty() && !has_gaps && !tree.has("listener") {
        let note = notes.wrong(Span::file(0), "there is no [[listener]]");
        note.hint("a server listens on something: [[listener]] with address = \"127.0.0.1:8080\"");
    }
    let mut known = HashMap::new();
    let trusts = !tree.list("trusted_proxies").is_empty();
    for listener in listeners.iter().filter_map(Node::table) {
        check_listener(listener, trusts, &mut known, notes);
    }
    if let Some(admin) = tree.table("admin")
        && let Ok(address) = admin.text("address").unwrap_or("127.0.0.1:9901").parse::<Address>()
        && known.contains_key(&address.to_string())
    {
        notes.wrong(admin.place("address"), format!("a listener is on {address} already"));
    }
}

fn check_listener(listener: &Table, trusts: bool, known: &mut HashMap<String, Span>, notes: &mut Notes) {
    if let Some(node) = listener.get("address")
        && let Some(text) = node.text()
    {
        match text.parse::<Address>() {
            Err(_) => {
                let note = notes.wrong(node.at, format!("{text:?} is no address to listen on"));
                note.hint("addresses are HOST:PORT and unix:/PATH");
            }
            // The system chooses another one each time.
            Ok(Address::Tcp(address)) if address.port() == 0 => {}
            #[cfg(unix)]
            Ok(Address::Unix(path)) if SocketAddr::from_pathname(&path).is_err() => {
                notes.wrong(node.at, "this path is longer than those of unix-domain sockets can be");
            }
            Ok(address) if known.insert(address.to_string(), node.at).is_some() => {
                notes.wrong(node.at, format!("{text:?} is listened on already"));
            }
            Ok(_) => {}
        }
    }
    if listener.is("proxy_protocol") && !trusts {
        let note = notes.wrong(listener.place("proxy_protocol"), "nobody may speak the PROXY protocol here");
        note.hint("name those who may: trusted_proxies = [\"10.0.0.0/8\"]");
    }
    if let Some(node) = listener.get("tls") {
        match &node.value {
            Value::List(certificates) if certificates.is_empty() => {
                notes.wrong(node.at, "TLS without a certificate");
            }
            _ => tls::check(node, notes),
        }
    }
}

fn is_peer(text: &str) -> bool {
    text == "unix" || text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}
