//! The admin listener.

use crate::admin::Admin;
use crate::config::problem::{Notes, reason};
use crate::config::tree::Table;

use super::tls;

/// The admin listener that a table describes.
pub(in crate::config) fn admin(table: &Table) -> Admin {
    let mut admin = Admin::new();
    if let Some(address) = table.text("address") {
        admin = admin.bind(address);
    }
    if let Some(token) = table.text("token") {
        admin = admin.token(token);
    }
    if let Some(Ok(token)) = table.path("token_file").map(std::fs::read_to_string) {
        admin = admin.token(token.trim_end_matches(['\n', '\r']));
    }
    if let Some(tls) = table.get("tls").and_then(tls::tls) {
        admin = admin.tls(tls);
    }
    table.texts("hosts").fold(admin, Admin::host)
}

/// Notes what is wrong with the admin listener, if there is one.
pub(super) fn check(tree: &Table, notes: &mut Notes) {
    let Some(table) = tree.table("admin") else { return };
    let before = notes.count();
    if table.has("token") && table.has("token_file") {
        notes.wrong(table.place("token_file"), "`token` and `token_file`, of which there can be only one");
    }
    if let Some(path) = table.path("token_file")
        && let Err(error) = std::fs::read_to_string(path)
    {
        notes.wrong(table.place("token_file"), format!("{}: {}", path.display(), reason(&error)));
    }
    if let Some(node) = table.get("tls") {
        tls::check(node, notes);
    }
    let is_told =
        notes.count() > before || table.wrong.contains(&"token") || table.wrong.contains(&"token_file");
    if let Err(error) = admin(table).check()
        && !is_told
    {
        let place = match (error.name(), table.has("token"), table.has("token_file")) {
            ("bad_address", ..) => "address",
            (_, true, _) => "token",
            (_, _, true) => "token_file",
            _ => "address",
        };
        let what = match error.name() {
            "bad_address" => {
                format!("{:?} is no address to listen on", table.text("address").unwrap_or_default())
            }
            _ => error.into_detail(),
        };
        notes.wrong(table.place(place), what);
    }
}
