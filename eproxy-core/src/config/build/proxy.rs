//! Reverse proxies.

use crate::config::problem::Notes;
use crate::config::tree::{Node, Table};
use crate::proxy::Proxy;
use crate::tunnel::ProxyProtocol;
use crate::upstream::{Group, Registry, UpstreamOptions};

/// The proxy that a table describes, as far as it is told by the keys that are wanted.
pub(super) fn proxy(table: &Table, group: Group, wanted: &dyn Fn(&str) -> bool) -> Proxy {
    let mut proxy = Proxy::to(group).upstream_options(upstream_options(table));
    if let Some(time) = table.duration("timeout") {
        proxy = proxy.timeout(time);
    }
    proxy = rewriting(proxy, table, wanted);
    proxy = repeating(proxy, table, wanted);
    if table.flag("forwarding_headers") == Some(false) {
        proxy = proxy.without_forwarding_headers();
    }
    if let Some(bytes) = table.size("body_limit") {
        proxy = proxy.body_limit(bytes);
    }
    if let Some(url) = table.text("mirror").filter(|_| wanted("mirror")) {
        proxy = proxy.mirror(url);
    }
    if let Some(version) = table.text("proxy_protocol") {
        proxy = proxy.proxy_protocol(if version == "v1" { ProxyProtocol::V1 } else { ProxyProtocol::V2 });
    }
    if let Some(bytes) = table.size("buffer_requests") {
        proxy = proxy.buffer_requests(bytes);
    }
    if let Some(bytes) = table.bytes("buffer_responses") {
        proxy = proxy.buffer_responses(bytes);
    }
    match table.is("grpc_web") {
        true => proxy.grpc_web(),
        false => proxy,
    }
}

/// What becomes of requests and answers on their way.
fn rewriting(mut proxy: Proxy, table: &Table, wanted: &dyn Fn(&str) -> bool) -> Proxy {
    let text = |key: &str| table.text(key).filter(|_| wanted(key));
    if table.is("upstream_host") {
        proxy = proxy.upstream_host();
    }
    if let Some(host) = text("host") {
        proxy = proxy.host(host);
    }
    if let Some(prefix) = text("strip_prefix") {
        proxy = proxy.strip_prefix(prefix);
    }
    if let Some(prefix) = text("add_prefix") {
        proxy = proxy.add_prefix(prefix);
    }
    if wanted("request_headers") {
        proxy = headers(proxy, table.table("request_headers"), Way::Request);
    }
    if wanted("response_headers") {
        proxy = headers(proxy, table.table("response_headers"), Way::Answer);
    }
    if table.is("rewrite_locations") {
        proxy = proxy.rewrite_locations();
    }
    for entry in table.map("cookie_domain").iter().filter(|_| wanted("cookie_domain")) {
        proxy = proxy.cookie_domain(&entry.key, entry.node.text().unwrap_or_default());
    }
    for entry in table.map("cookie_path").iter().filter(|_| wanted("cookie_path")) {
        proxy = proxy.cookie_path(&entry.key, entry.node.text().unwrap_or_default());
    }
    proxy
}

/// What is sent again.
fn repeating(mut proxy: Proxy, table: &Table, wanted: &dyn Fn(&str) -> bool) -> Proxy {
    if let Some(retries) = table.integer("retries") {
        proxy = proxy.retries(retries);
    }
    if table.has("retry_statuses") && wanted("retry_statuses") {
        proxy = proxy.retry_statuses(table.list("retry_statuses").iter().filter_map(Node::integer));
    }
    if let Some(time) = table.duration("attempt_timeout") {
        proxy = proxy.attempt_timeout(time);
    }
    if table.is("retry_idempotency_keys") {
        proxy = proxy.retry_idempotency_keys();
    }
    match table.duration("hedge_after") {
        Some(time) => proxy.hedge_after(time),
        None => proxy,
    }
}

/// The timeouts and pool sizes that a proxy is given.
pub(super) fn upstream_options(proxy: &Table) -> UpstreamOptions {
    let default = UpstreamOptions::default();
    let Some(table) = proxy.table("upstream_options") else { return default };
    UpstreamOptions {
        connect: table.duration("connect").unwrap_or(default.connect),
        head: table.duration("head").unwrap_or(default.head),
        body_idle: table.duration("body_idle").unwrap_or(default.body_idle),
        write_idle: table.duration("write_idle").unwrap_or(default.write_idle),
        keep_alive: table.duration("keep_alive").unwrap_or(default.keep_alive),
        pool_size: table.integer("pool_size").unwrap_or(default.pool_size),
        streams: table.integer("streams").unwrap_or(default.streams),
    }
}

/// Which header fields.
#[derive(Clone, Copy)]
enum Way {
    Request,
    Answer,
}

fn headers(mut proxy: Proxy, table: Option<&Table>, way: Way) -> Proxy {
    let Some(table) = table else { return proxy };
    for name in table.texts("remove") {
        proxy = rule(proxy, way, Rule::Remove, name, "");
    }
    for entry in table.map("set") {
        proxy = rule(proxy, way, Rule::Set, &entry.key, entry.node.text().unwrap_or_default());
    }
    for entry in table.map("add") {
        for value in entry.node.list().iter().filter_map(Node::text) {
            proxy = rule(proxy, way, Rule::Add, &entry.key, value);
        }
    }
    proxy
}

#[derive(Clone, Copy)]
enum Rule {
    Remove,
    Set,
    Add,
}

fn rule(proxy: Proxy, way: Way, rule: Rule, name: &str, value: &str) -> Proxy {
    match (way, rule) {
        (Way::Request, Rule::Remove) => proxy.remove_request_header(name),
        (Way::Request, Rule::Set) => proxy.request_header(name, value),
        (Way::Request, Rule::Add) => proxy.add_request_header(name, value),
        (Way::Answer, Rule::Remove) => proxy.remove_response_header(name),
        (Way::Answer, Rule::Set) => proxy.response_header(name, value),
        (Way::Answer, Rule::Add) => proxy.add_response_header(name, value),
    }
}

/// Notes what is wrong with a proxy that could not be built.
pub(super) fn find(table: &Table, notes: &mut Notes) {
    let wrong = |proxy: Proxy| proxy.build(&mut Registry::default()).err();
    let alone = |key: &str| wrong(proxy(table, Group::from("http://a"), &|known| known == key));
    for (key, expected) in [
        ("host", "a host, and a port if need be"),
        ("strip_prefix", "the beginning of a path, without spaces, ? and #"),
        ("add_prefix", "the beginning of a path, without spaces, ? and #"),
        ("mirror", ""),
        ("cookie_domain", ""),
        ("cookie_path", ""),
    ] {
        let Some(error) = alone(key) else { continue };
        let what = match (expected, table.text(key)) {
            ("", _) => error.into_detail(),
            (_, text) => format!("`{key}` is {:?}, expected {expected}", text.unwrap_or_default()),
        };
        notes.wrong(table.place(key), what);
    }
    for key in ["request_headers", "response_headers"] {
        let Some(headers) = table.table(key).filter(|_| alone(key).is_some()) else { continue };
        let mut check = |at, name: &str, value: &str| {
            let proxy = rule(Proxy::to("http://a"), Way::Request, Rule::Set, name, value);
            if let Some(error) = wrong(proxy) {
                notes.wrong(at, error.into_detail().replace("Proxy::host", "`host`"));
            }
        };
        headers.list("remove").iter().for_each(|node| check(node.at, node.text().unwrap_or_default(), ""));
        for entry in headers.map("set") {
            check(entry.at, &entry.key, entry.node.text().unwrap_or_default());
        }
        for entry in headers.map("add") {
            entry
                .node
                .list()
                .iter()
                .for_each(|node| check(node.at, &entry.key, node.text().unwrap_or_default()));
        }
    }
}

/// Notes contradictions between keys.
pub(super) fn check_keys(table: &Table, notes: &mut Notes) {
    if table.is("upstream_host") && table.has("host") {
        notes.wrong(table.place("host"), "`upstream_host` and `host`, of which there can be only one");
    }
    if let Some(options) = table.table("upstream_options")
        && table.has("timeout")
    {
        for key in ["head", "body_idle"].iter().filter(|key| options.has(key)) {
            let what = format!("`timeout` and `upstream_options.{key}`, of which there can be only one");
            notes.wrong(options.place(key), what);
        }
    }
    if table.integer("retries") == Some(0_u32) {
        for key in ["retry_statuses", "retry_idempotency_keys"].iter().filter(|key| table.has(key)) {
            notes.wrong(table.place(key), format!("`{key}` does nothing with `retries = 0`"));
        }
    }
}
