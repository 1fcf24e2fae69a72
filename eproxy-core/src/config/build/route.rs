//! Routes: which requests they take, and what answers them.

use std::collections::BTreeSet;

use crate::config::problem::{Notes, reason};
use crate::config::suggest::nearest;
use crate::config::tree::{Node, Table};
use crate::message::is_token;
use crate::router::{self, Mount as _, Mounted, Route};
use crate::upstream::{Group, Registry};

use super::groups::Groups;
use super::{local, proxy};

/// The keys that say what answers.
const ANSWERS: [&str; 4] = ["proxy", "answer", "redirect", "files"];

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
    let group = table.table("proxy").map(|proxy| groups.of_proxy(proxy));
    let make = || answering(table, group.as_ref(), &|_| true);
    if !table.has("methods") {
        return Some(route.any(make()?));
    }
    table.texts("methods").try_fold(route, |route, method| Some(route.method(method, make()?)))
}

/// What answers the requests of a route, as far as it is told by the keys that are wanted.
fn answering(table: &Table, group: Option<&Group>, wanted: &dyn Fn(&str) -> bool) -> Option<Mounted> {
    if let Some(proxy) = table.table("proxy") {
        let group = group.cloned().unwrap_or_else(|| Group::from("http://none.invalid"));
        return Some(proxy::proxy(proxy, group, wanted).mount());
    }
    if let Some(answer) = table.table("answer") {
        return Some(local::answer(answer, wanted).mount());
    }
    if let Some(redirect) = table.get("redirect") {
        return local::redirect(redirect, wanted).map(|redirect| redirect.mount());
    }
    local::files(table.get("files")?, wanted).map(|files| files.mount())
}

/// Notes what is wrong with routes.
pub(super) fn check(tree: &Table, groups: &Groups, has_gaps: bool, notes: &mut Notes) {
    check_groups(tree, groups, has_gaps, notes);
    for table in tables(tree) {
        check_keys(table, notes);
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

/// Notes groups that are named and not there, and such that nobody names.
fn check_groups(tree: &Table, groups: &Groups, has_gaps: bool, notes: &mut Notes) {
    let names: BTreeSet<&str> = groups.named().map(|(name, _)| name).collect();
    let mut used = BTreeSet::new();
    for proxy in tables(tree).filter_map(|table| table.table("proxy")) {
        let Some(name) = proxy.text("group") else { continue };
        used.insert(name);
        if !names.contains(name) && !has_gaps {
            let note = notes.wrong(proxy.place("group"), format!("there is no group `{name}`"));
            if let Some(near) = nearest(name, names.iter().copied()) {
                note.hint(format!("did you mean `{near}`?"));
            }
        }
    }
    for entry in tree.map("group").iter().filter(|entry| !used.contains(entry.key.as_str())) {
        notes.odd(entry.at, format!("nothing uses the group `{}`", entry.key));
    }
}

/// Notes contradictions, and files that are missing.
fn check_keys(table: &Table, notes: &mut Notes) {
    if table.has("methods") && table.list("methods").is_empty() && !table.wrong.contains(&"methods") {
        notes.wrong(table.place("methods"), "a route that answers no method");
    }
    if let Some(proxy) = table.table("proxy") {
        proxy::check_keys(proxy, notes);
    }
    if let Some(answer) = table.table("answer") {
        if answer.has("body") && answer.has("body_file") {
            notes.wrong(answer.place("body_file"), "`body` and `body_file`, of which there can be only one");
        }
        if let Some(path) = answer.path("body_file")
            && let Err(error) = std::fs::metadata(path)
        {
            let what = format!("{}: {}", path.display(), reason(&error));
            notes.wrong(answer.place("body_file"), what);
        }
    }
    if let Some(redirect) = table.table("redirect") {
        if redirect.flag("https") == Some(false) {
            notes.wrong(redirect.place("https"), "`https = false` leads nowhere");
        }
        if redirect.has("port") && !redirect.has("https") {
            notes.wrong(redirect.place("port"), "`port` does nothing without `https`");
        }
    }
}

/// Notes what is wrong with a route by itself.
fn find(table: &Table, groups: &Groups, notes: &mut Notes) {
    let Some(path) = table.text("path") else { return };
    let alone = |route: Route| router::Table::new(vec![route], &mut Registry::default()).err();
    if let Some(error) = alone(Route::new(path)) {
        notes.wrong(table.place("path"), error.into_detail());
        return;
    }
    for node in table.list("methods") {
        let method = node.text().unwrap_or_default();
        if !is_token(method.as_bytes()) {
            notes.wrong(node.at, format!("{method:?} is no method"));
        }
    }
    let with = |wanted: &dyn Fn(&str) -> bool| {
        let group = table.table("proxy").map(|proxy| groups.of_proxy(proxy));
        alone(Route::new(path).any(answering(table, group.as_ref(), wanted)?))
    };
    let Some(all) = with(&|_| true) else { return };
    if let Some(proxy) = table.table("proxy") {
        return proxy::find(proxy, notes);
    }
    let before = notes.count();
    for node in ANSWERS.iter().filter_map(|key| table.get(key)) {
        let place = with(&|_| false).map(|error| (node.at, error));
        let entries = node.table().map_or(&[][..], |table| &table.entries);
        let by_key = entries.iter().filter_map(|entry| Some((entry.node.at, with(&|key| key == entry.key)?)));
        // What is wrong without any key is so with each.
        let found: Vec<_> = if place.is_some() { place.into_iter().collect() } else { by_key.collect() };
        for (at, error) in found {
            notes.wrong(at, without_route(&error.into_detail(), path));
        }
    }
    if notes.count() == before {
        notes.wrong(table.at, without_route(&all.into_detail(), path));
    }
}

/// Where it stands says for which route it is.
fn without_route(detail: &str, path: &str) -> String {
    detail.strip_suffix(&format!(", on route {path}")).unwrap_or(detail).to_owned()
}
