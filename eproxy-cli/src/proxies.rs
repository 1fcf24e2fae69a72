//! The two proxies that flags ask for.

use eproxy_core::http_types::Url;
use eproxy_core::{Builder, Forward, Proxy};

use crate::flags::Flags;

/// Adds the proxies that the flags ask for.
pub(crate) fn add(mut server: Builder, flags: &Flags) -> Builder {
    if !flags.to.is_empty() {
        server = server.at("/*path", reverse(flags));
    }
    if flags.forward {
        server = server.forward(forward(flags));
    }
    server
}

/// What they do, for the log.
pub(crate) fn describe(flags: &Flags) -> String {
    let reverse = match flags.to.as_slice() {
        [] => String::new(),
        upstreams => format!(", everything goes to {}", upstreams.join(", ")),
    };
    let forward = match (flags.forward, &flags.forward_parent) {
        (false, _) => String::new(),
        (true, None) => ", a forward proxy".into(),
        (true, Some(parent)) => format!(", a forward proxy to {}", origin(parent)),
    };
    format!("{reverse}{forward}")
}

fn reverse(flags: &Flags) -> Proxy {
    let mut proxy = Proxy::to(flags.to.clone());
    if flags.to.iter().any(|url| url.starts_with("https:")) {
        // A server that speaks TLS answers for the host that its certificate is for.
        proxy = proxy.upstream_host();
    }
    match flags.upstream_timeout {
        Some(timeout) => proxy.timeout(timeout),
        None => proxy,
    }
}

fn forward(flags: &Flags) -> Forward {
    let mut forward = Forward::new();
    for what in &flags.forward_allow {
        forward = forward.allow(what);
    }
    for (name, password) in &flags.forward_user {
        forward = forward.user(name, password);
    }
    if !flags.forward_port.is_empty() {
        forward = forward.connect_ports(flags.forward_port.iter().copied());
    }
    if let Some(parent) = &flags.forward_parent {
        forward = forward.parent(origin(parent));
        if !parent.username().is_empty() {
            forward = forward
                .parent_user(decoded(parent.username()), decoded(parent.password().unwrap_or_default()));
        }
    }
    match flags.upstream_timeout {
        Some(timeout) => forward.timeout(timeout),
        None => forward,
    }
}

/// A URL without its credentials.
fn origin(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("http://{}{port}", url.host_str().unwrap_or_default())
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
