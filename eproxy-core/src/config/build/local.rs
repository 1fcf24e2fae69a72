//! Answers that no upstream gives: fixed ones, redirects, files.

use crate::config::tree::{Node, Table};
use crate::local::{Files, Fixed, Redirect};

/// The keys that are wanted.
type Wanted<'w> = &'w dyn Fn(&str) -> bool;

/// The same answer to everybody.
pub(super) fn answer(table: &Table, wanted: Wanted<'_>) -> Fixed {
    let mut fixed = Fixed::new(table.integer("status").unwrap_or(200));
    if let Some(body) = table.text("body").filter(|_| wanted("body")) {
        fixed = fixed.body(body.to_owned());
    }
    // What can't be read is told by the check.
    if let Some(Ok(body)) = table.path("body_file").filter(|_| wanted("body_file")).map(std::fs::read) {
        fixed = fixed.body(body);
    }
    if let Some(media_type) = table.text("content_type").filter(|_| wanted("content_type")) {
        fixed = fixed.content_type(media_type.to_owned());
    }
    for entry in table.map("headers").iter().filter(|_| wanted("headers")) {
        for value in entry.node.list().iter().filter_map(Node::text) {
            fixed = fixed.append_header(&entry.key, value);
        }
    }
    fixed
}

/// The client is sent elsewhere; none where it is not said where to.
pub(super) fn redirect(node: &Node, wanted: Wanted<'_>) -> Option<Redirect> {
    let Some(table) = node.table() else { return node.text().map(Redirect::to) };
    let mut redirect = match (table.text("to"), table.is("https")) {
        (Some(to), _) => Redirect::to(to),
        (None, true) => Redirect::https_port(table.integer("port").unwrap_or(443)),
        (None, false) => return None,
    };
    if let Some(status) = table.integer("status").filter(|_| wanted("status")) {
        redirect = redirect.status(status);
    }
    for entry in table.map("headers").iter().filter(|_| wanted("headers")) {
        redirect = redirect.header(&entry.key, entry.node.text().unwrap_or_default());
    }
    Some(redirect)
}

/// Turns something on.
type Switch = fn(Files) -> Files;

/// Files from a folder; none where it is not said which.
pub(super) fn files(node: &Node, wanted: Wanted<'_>) -> Option<Files> {
    let Some(table) = node.table() else { return node.path().map(Files::from) };
    let text = |key: &str| table.text(key).filter(|_| wanted(key));
    let mut files = Files::from(table.path("root")?);
    if let Some(name) = text("index") {
        files = files.index(name);
    }
    if let Some(file) = text("fallback") {
        files = files.fallback(file);
    }
    if let Some(file) = text("not_found") {
        files = files.not_found(file);
    }
    if let Some(value) = text("cache_control") {
        files = files.cache_control(value);
    }
    for entry in table.map("media_types").iter().filter(|_| wanted("media_types")) {
        files = files.media_type(&entry.key, entry.node.text().unwrap_or_default());
    }
    for entry in table.map("headers").iter().filter(|_| wanted("headers")) {
        files = files.header(&entry.key, entry.node.text().unwrap_or_default());
    }
    let switches: [(&str, Switch); 4] = [
        ("precompressed", Files::precompressed),
        ("follow_symlinks", Files::follow_symlinks),
        ("hidden", Files::hidden),
        ("nosniff", Files::nosniff),
    ];
    Some(
        switches
            .into_iter()
            .filter(|(key, _)| table.is(key))
            .fold(files, |files, (_, turn_on)| turn_on(files)),
    )
}
