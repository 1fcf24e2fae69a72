//! Routes: which requests they take, and what answers them.

use std::collections::BTreeSet;

use crate::config::problem::Notes;
use crate::config::suggest::nearest;
use crate::config::tree::{Node, Table};
use crate::router::{self, Route};
use crate::upstream::Registry;

use super::groups::Groups;
use super::proxy;

/// The routes of a tree, in the order of the file.
pub(super) fn routes(tree: &Table, groups: &Groups) -> Vec<Route> {
    tables(tree).filter_map(|table| route(table, groups)).collect()
}

fn tables(tree: &Table) -> impl Iterator<Item = &Table> {
    tree.list("route").iter().filter_map(Node::table)
}

fn route(table: &Table, groups: &Groups) -> Option<Route> {
    let mut route = Route::new(table.text("path")?);
    if let Some(bytes) = table.size("body_limit") {
        route = route.body_limit(bytes);
    }
    let settings = table.table("proxy")?;
    let group = groups.of_proxy(settings)?;
    let make = || proxy::proxy(settings, group.clone());
    Some(match table.has("methods") {
        true => table.texts("methods").fold(route, |route, method| route.method(method, make())),
        false => route.any(make()),
    })
}

/// Notes what is wrong with routes.
pub(super) fn check(tree: &Table, groups: &Groups, has_gaps: bool, notes: &mut Notes) {
    let names: Vec<&str> = groups.named().map(|(name, _)| name).collect();
    let mut used = BTreeSet::new();
    for table in tables(tree).filter_map(|table| table.table("proxy")) {
        proxy::check_keys(table, notes);
        let Some(name) = table.text("group") else { continue };
        used.insert(name);
        if !names.contains(&name) && !has_gaps {
            let note = notes.wrong(table.place("group"), format!("there is no group `{name}`"));
            if let Some(near) = nearest(name, names.iter().copied()) {
                note.hint(format!("did you mean `{near}`?"));
            }
        }
    }
    for entry in tree.map("group").iter().filter(|entry| !used.contains(entry.key.as_str())) {
        notes.odd(entry.at, format!("nothing uses the group `{}`", entry.key));
    }
    let Err(error) = router::Table::new(routes(tree, groups), &mut Registry::default()) else { return };
    let before = notes.count();
    for table in tables(tree) {
        find(table, groups, notes);
    }
    if notes.count() == before {
        let first = tables(tree).next().map_or(tree.at, |table| table.at);
        notes.wrong(first, error.into_detail());
    }
}

/// Notes what is wrong with a route, if it alone is.
fn find(table: &Table, groups: &Groups, notes: &mut Notes) {
    let alone = |routes| router::Table::new(routes, &mut Registry::default()).err();
    if let Some(path) = table.text("path")
        && let Some(error) = alone(vec![Route::new(path)])
    {
        notes.wrong(table.place("path"), error.into_detail());
        return;
    }
    let Some(route) = route(table, groups) else { return };
    if alone(vec![route]).is_none() {
        return;
    }
    for node in table.list("methods") {
        let method = node.text().unwrap_or_default();
        if !crate::message::is_token(method.as_bytes()) {
            notes.wrong(node.at, format!("{method:?} is no method"));
        }
    }
    if let Some(table) = table.table("proxy") {
        proxy::find(table, notes);
    }
}
