//! The forward proxy.

use crate::config::problem::Notes;
use crate::config::tree::Table;
use crate::proxy::Forward;

use super::proxy;

/// The forward proxy that a table describes.
pub(super) fn forward(table: &Table) -> Forward {
    let mut forward = Forward::new().upstream_options(proxy::upstream_options(table));
    for user in table.map("users") {
        forward = forward.user(&user.key, user.node.text().unwrap_or_default());
    }
    forward = table.texts("allow").fold(forward, Forward::allow);
    forward = table.texts("deny").fold(forward, Forward::deny);
    if table.has("connect_ports") {
        forward = forward.connect_ports(table.list("connect_ports").iter().filter_map(|port| port.integer()));
    }
    if let Some(url) = table.text("parent") {
        forward = forward.parent(url);
    }
    if let Some(parent) = table.table("parent") {
        if let Some(url) = parent.text("url") {
            forward = forward.parent(url);
        }
        if let (Some(user), Some(password)) = (parent.text("user"), parent.text("password")) {
            forward = forward.parent_user(user, password);
        }
    }
    if table.is("forwarding_headers") {
        forward = forward.forwarding_headers();
    }
    if let Some(time) = table.duration("timeout") {
        forward = forward.timeout(time);
    }
    match table.size("body_limit") {
        Some(bytes) => forward.body_limit(bytes),
        None => forward,
    }
}

/// Notes what is wrong with the forward proxy, if there is one.
pub(super) fn check(tree: &Table, notes: &mut Notes) {
    let Some(table) = tree.table("forward") else { return };
    let wrong = |forward: Forward| forward.build().err();
    let Some(error) = wrong(forward(table)) else { return };
    let before = notes.count();
    for user in table.map("users") {
        if let Some(error) = wrong(Forward::new().user(&user.key, user.node.text().unwrap_or_default())) {
            notes.wrong(user.at, error.into_detail());
        }
    }
    for key in ["allow", "deny"] {
        for node in table.list(key) {
            let text = node.text().unwrap_or_default();
            let alone = if key == "allow" { Forward::new().allow(text) } else { Forward::new().deny(text) };
            if let Some(error) = wrong(alone) {
                notes.wrong(node.at, error.into_detail());
            }
        }
    }
    if notes.count() == before {
        notes.wrong(table.place("parent"), error.into_detail());
    }
}
