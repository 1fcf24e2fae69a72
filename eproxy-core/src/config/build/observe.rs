//! What is told of exchanges: the access log, identifiers, traces.

use crate::config::problem::Notes;
use crate::config::tree::{Node, Table, Value};
use crate::message::is_token;
use crate::otlp::Traces;
use crate::server::{Builder, Server};
use crate::telemetry::{AccessLog, RequestIds};

/// Adds what is to be told.
pub(super) fn add(mut builder: Builder, tree: &Table) -> Builder {
    if let Some(log) = tree.get("access_log").and_then(access_log) {
        builder = builder.access_log(log);
    }
    if let Some(ids) = tree.get("request_ids").and_then(request_ids) {
        builder = builder.request_ids(ids);
    }
    if let Some(traces) = tree.table("traces").and_then(traces) {
        builder = builder.traces(traces);
    }
    if let Some(name) = tree.text("explain_header") {
        builder = builder.explain_header(name);
    }
    match tree.flag("metrics") {
        Some(are_counted) => builder.metrics(are_counted),
        None => builder,
    }
}

fn access_log(node: &Node) -> Option<AccessLog> {
    let Some(table) = node.table() else { return node.path().map(AccessLog::to_file) };
    let mut log = match table.path("file") {
        Some(path) => AccessLog::to_file(path),
        None if table.is("log") => AccessLog::to_log(),
        None => return None,
    };
    log = match table.text("format") {
        Some("json") => log.json(),
        Some(_) => log.pretty(),
        None => log,
    };
    if let Some(part) = table.number("sample") {
        log = log.sample(part);
    }
    if table.has("redact_query") {
        log = log.redact_query(table.texts("redact_query"));
    }
    log = table.texts("headers").fold(log, AccessLog::header);
    Some(table.texts("headers_in_clear").fold(log, AccessLog::header_in_clear))
}

fn request_ids(node: &Node) -> Option<RequestIds> {
    let Some(table) = node.table() else {
        return matches!(node.value, Value::Flag(true)).then(RequestIds::new);
    };
    let mut ids = RequestIds::new();
    if let Some(name) = table.text("header") {
        ids = ids.header(name);
    }
    Some(if table.is("keep_from_anybody") { ids.keep_from_anybody() } else { ids })
}

fn traces(table: &Table) -> Option<Traces> {
    let mut traces = Traces::to(table.text("to")?);
    if let Some(part) = table.number("sample") {
        traces = traces.sample(part);
    }
    if let Some(name) = table.text("service") {
        traces = traces.service(name);
    }
    if table.is("trusted_only") {
        traces = traces.trusted_only();
    }
    let fields = table.map("headers").iter();
    Some(
        fields.fold(traces, |traces, field| traces.header(&field.key, field.node.text().unwrap_or_default())),
    )
}

/// Notes what is wrong with what is to be told.
pub(super) fn check(tree: &Table, notes: &mut Notes) {
    if let Some(node) = tree.get("access_log") {
        check_access_log(node, notes);
    }
    if let Some(node) = tree.get("request_ids")
        && let Some(Err(_)) = request_ids(node).map(|ids| ids.build())
        && let Some(table) = node.table()
    {
        let name = table.text("header").unwrap_or_default();
        let what = format!("{name:?} is no header field that could have identifiers");
        notes.wrong(table.place("header"), what);
    }
    if let Some(table) = tree.table("traces")
        && let Some(traces) = traces(table)
    {
        if traces.endpoint().is_err() {
            let what = format!("{:?} is no collector", traces.shown());
            notes
                .wrong(table.place("to"), what)
                .hint("collectors are http://HOST:PORT and https://HOST, with keys in `headers`");
        }
        for field in table.map("headers").iter().filter(|field| !is_token(field.key.as_bytes())) {
            notes.wrong(field.at, format!("{:?} is no name of a header field", field.key));
        }
        let is_visible =
            |node: &Node| node.text().is_none_or(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        for field in table.map("headers").iter().filter(|field| !is_visible(&field.node)) {
            notes.wrong(field.node.at, format!("the value of {:?} is not of visible ASCII", field.key));
        }
    }
    if let Some(name) = tree.text("explain_header")
        && !Server::builder().explain_header(name).check().is_empty()
    {
        let what = format!("{name:?} is no header field by which one could ask");
        notes.wrong(tree.place("explain_header"), what);
    }
}

fn check_access_log(node: &Node, notes: &mut Notes) {
    let table = node.table();
    if let Some(table) = table {
        if table.flag("log") == Some(false) {
            notes.wrong(table.place("log"), "`log = false` leads nowhere");
        }
        for key in ["headers", "headers_in_clear"] {
            for node in table.list(key) {
                let name = node.text().unwrap_or_default();
                if !is_token(name.as_bytes()) {
                    notes.wrong(node.at, format!("{name:?} is no name of a header field"));
                }
            }
        }
    }
    let (path, place) = match table {
        Some(table) => (table.path("file"), table.place("file")),
        None => (node.path(), node.at),
    };
    if let Some(path) = path {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            notes.wrong(place, format!("{}: there can be no such file", path.display()));
        }
    }
}
