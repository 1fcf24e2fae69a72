//! All of a configuration: checked once, built as often as is wanted.

use crate::config::problem::Notes;
use crate::config::tree::Table;
use crate::server::{Builder, Server};

use super::groups::Groups;
use super::{admin, forward, observe, route, server};

/// Notes everything that is wrong with a tree, and makes its groups; those that are the same as before are those of
/// `previous`. With `has_gaps` a part of it could not be read.
pub(in crate::config) fn check(
    tree: &Table,
    previous: Option<&Groups>,
    has_gaps: bool,
    notes: &mut Notes,
) -> Groups {
    server::check(tree, has_gaps, notes);
    admin::check(tree, notes);
    observe::check(tree, notes);
    let groups = Groups::of(tree, previous, notes);
    forward::check(tree, notes);
    route::check(tree, &groups, has_gaps, notes);
    groups
}

/// The server that a tree describes which was found right.
pub(in crate::config) fn builder(tree: &Table, groups: &Groups) -> Builder {
    let mut builder = observe::add(server::add(Server::builder(), tree), tree);
    if let Some(forward) = tree.table("forward") {
        builder = builder.forward(forward::forward(forward));
    }
    for route in route::routes(tree, groups) {
        builder = builder.route(route);
    }
    builder
}
