//! Routes: which requests they take, and what answers them.

use std::collections::{BTreeSet, HashMap};

use crate::config::problem::{Notes, reason};
use crate::config::suggest::nearest;
use crate::config::tree::{Entry, Node, Table};
use crate::message::is_token;
use crate::router::{self, Finding, Hidden, Match, Mount as _, Mounted, Route, Unreachable};
use crate::upstream::{Group, Registry};

use super::groups::Groups;
use super::{local, proxy};

/// The keys that say what answers.
const ANSWERS: [&str; 4] = ["proxy", "answer", "redirect", "files"];

/// The routes of a tree, in the order of the file.
pub(super) fn routes(tree: &Table, groups: &Groups) -> Vec<Route> {
    let named = |table| Some((table, route(table, groups)?));
    let routes = tables(tree).filter_map(named);
    routes.map(|(table, route)| table.text("name").into_iter().fold(route, Route::name)).collect()
}

fn tables(tree: &Table) -> impl Iterator<Item = &Table> {
    tree.list("route").iter().filter_map(Node::table)
}

/// A route without its name.
fn route(table: &Table, groups: &Groups) -> Option<Route> {
    let mut route = conditions(Route::new(table.text("path")?), table);
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

/// Which requests a route is for, paths and methods aside.
fn conditions(mut route: Route, table: &Table) -> Route {
    route = table.texts("host").fold(route, Route::host);
    for (key, value) in matches(table, "header") {
        route = route.when_header(&key.key, value);
    }
    for (key, value) in matches(table, "query") {
        route = route.when_query(&key.key, value);
    }
    match table.integer("priority") {
        Some(priority) => route.priority(priority),
        None => route,
    }
}

/// What header fields or query parameters have to be.
fn matches<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = (&'t Entry, Match)> {
    table.map(key).iter().filter_map(|entry| Some((entry, condition(&entry.node)?)))
}

fn condition(node: &Node) -> Option<Match> {
    let Some(table) = node.table() else { return node.text().map(Match::exact) };
    match (table.text("exact"), table.text("prefix"), table.flag("present")) {
        (Some(text), ..) => Some(Match::exact(text)),
        (_, Some(text), _) => Some(Match::prefix(text)),
        (.., Some(true)) => Some(Match::present()),
        (.., Some(false)) => Some(Match::absent()),
        _ => None,
    }
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
    check_names(tree, notes);
    for table in tables(tree) {
        check_keys(table, notes);
    }
    let all: Vec<_> = tables(tree).filter_map(|table| Some((table, route(table, groups)?))).collect();
    let (tables, routes): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let routes = numbered(&tables, routes);
    let findings = router::check(&routes);
    let is_sound = !findings.iter().any(Finding::is_fatal);
    if is_sound && router::Table::new(routes, &mut Registry::default()).is_ok() {
        return findings.iter().for_each(|finding| note(finding, &tables, notes));
    }
    let before = notes.count();
    for table in &tables {
        find(table, groups, notes);
    }
    findings.iter().for_each(|finding| note(finding, &tables, notes));
    if notes.count() == before
        && let Some(table) = tables.first()
    {
        notes.wrong(table.at, "these routes can't be used");
    }
}

/// Notes what was found among all routes; what is wrong with one by itself is found otherwise.
fn note(finding: &Finding, tables: &[&Table], notes: &mut Notes) {
    let meant = |label: &str| tables.get(label.strip_prefix('#')?.parse::<usize>().ok()?).copied();
    let label = |table: &Table| table.text("name").or(table.text("path")).unwrap_or_default().to_owned();
    match finding {
        Finding::Invalid(error) => {
            let what = error.to_string();
            let Some((_, detail)) = what.split_once(": ") else { return };
            let is_meant = |table: &&&Table| {
                table
                    .text("path")
                    .is_some_and(|path| detail.starts_with(&format!("{path:?} matches the same paths as ")))
            };
            if let Some(table) = tables.iter().find(is_meant) {
                notes.wrong(table.place("path"), detail);
            }
        }
        Finding::Unreachable(Unreachable { route, method, why, .. }) => {
            let Some(table) = meant(route) else { return };
            let request = method.as_deref().unwrap_or("request");
            let why = match why {
                Hidden::Behind(other) => {
                    let other = meant(other).map_or(other.clone(), label);
                    format!(
                        "no {request} can reach this route: {other} comes before it and takes all of them"
                    )
                }
                Hidden::Contradiction(one, other) => format!("no request can have both: {one}, {other}"),
                Hidden::Replaced => {
                    format!(
                        "no {request} can reach this route: a later one that asks for the same answers it"
                    )
                }
            };
            notes.wrong(table.at, why);
        }
    }
}

/// Routes with a number in place of their names: that of the first with which each becomes one, as those do that ask for
/// the same, unless they have different names.
fn numbered(tables: &[&Table], routes: Vec<Route>) -> Vec<Route> {
    let mut known: HashMap<String, Vec<(usize, Option<&str>)>> = HashMap::new();
    let mut numbered = Vec::with_capacity(routes.len());
    for (at, (table, route)) in tables.iter().zip(routes).enumerate() {
        let asked = ["path", "host", "header", "query", "priority"];
        let asked = asked.map(|key| table.get(key).map(Node::exact));
        let same = known.entry(format!("{asked:?}")).or_default();
        let name = table.text("name");
        let joins = |other: &Option<&str>| other.is_none() || name.is_none() || *other == name;
        let first = same.iter().find(|(_, other)| joins(other)).map_or(at, |(first, _)| *first);
        same.push((first, name));
        numbered.push(route.name(format!("#{first}")));
    }
    numbered
}

/// Notes names that two routes have.
fn check_names(tree: &Table, notes: &mut Notes) {
    let mut known = BTreeSet::new();
    for table in tables(tree) {
        if let Some(name) = table.text("name")
            && !known.insert(name)
        {
            notes.wrong(table.place("name"), format!("another route is called {name:?}, too"));
        }
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
            && let Err(error) = std::fs::read(path)
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
    let of = |route: Route| alone(route).map(|error| without_route(&error.into_detail(), "/"));
    for node in table.list("host") {
        if let Some(wrong) = of(Route::new("/").host(node.text().unwrap_or_default())) {
            notes.wrong(node.at, wrong);
        }
    }
    for (entry, value) in matches(table, "header") {
        if let Some(wrong) = of(Route::new("/").when_header(&entry.key, value)) {
            notes.wrong(entry.at, wrong.replace("Route::host", "`host`"));
        }
    }
    if let Some(name) = table.text("name")
        && let Some(wrong) = of(Route::new("/").name(name))
    {
        notes.wrong(table.place("name"), wrong);
    }
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
