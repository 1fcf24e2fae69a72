//! TLS on both sides.

use std::path::Path;
use std::time::SystemTime;

use crate::config::keys::one_of;
use crate::config::problem::Notes;
use crate::config::tree::{Node, Table};
use crate::tls::{Certificate, ClientCertificates, Tls, TlsVersion, UpstreamTls};

/// What a listener for TLS is told; none where there is no certificate.
pub(super) fn tls(node: &Node) -> Option<Tls> {
    let Some(table) = node.table() else { return certificates(None, node.list()) };
    let mut tls = certificates(Some(table), table.list("certificates"))?;
    if table.is("refuse_unknown_names") {
        tls = tls.refuse_unknown_names();
    }
    if let Some(offered) = table.flag("http2") {
        tls = tls.http2(offered);
    }
    if let Some(version) = version(table) {
        tls = tls.min_version(version);
    }
    if let Some(clients) = table.table("client_certificates")
        && let Some(roots) = clients.path("roots")
    {
        tls = tls.client_certificates(match clients.flag("required") {
            Some(false) => ClientCertificates::optional(roots),
            _ => ClientCertificates::required(roots),
        });
    }
    if let Some(time) = table.duration("reload_every") {
        tls = tls.reload_every(time);
    }
    match table.flag("tickets") {
        Some(given) => Some(tls.tickets(given)),
        None => Some(tls),
    }
}

fn version(table: &Table) -> Option<TlsVersion> {
    table.text("min_version").map(|version| match version {
        "1.3" => TlsVersion::Tls13,
        _ => TlsVersion::Tls12,
    })
}

/// The certificate that a table has itself, and those of a list.
fn certificates(table: Option<&Table>, list: &[Node]) -> Option<Tls> {
    let tables = table.into_iter().chain(list.iter().filter_map(Node::table));
    tables.fold(None, |tls: Option<Tls>, table| {
        let (Some(certificate), Some(key)) = (table.path("certificate"), table.path("key")) else {
            return tls;
        };
        let tls = match tls {
            None => Tls::files(certificate, key),
            Some(tls) => tls.and_files(certificate, key),
        };
        Some(match table.path("ocsp") {
            Some(path) => tls.ocsp_file(path),
            None => tls,
        })
    })
}

/// Notes what is wrong with the TLS of a listener.
pub(super) fn check(node: &Node, notes: &mut Notes) {
    let before = notes.count();
    let (own, list) = match node.table() {
        Some(table) => (Some(table), table.list("certificates")),
        None => (None, node.list()),
    };
    if let Some(table) = own {
        check_own(table, notes);
    }
    for table in own.into_iter().chain(list.iter().filter_map(Node::table)) {
        check_certificate(table, notes);
    }
    if notes.count() > before {
        return;
    }
    if let Some(Err(error)) = tls(node).map(|tls| tls.acceptor()) {
        let place = match own.and_then(|table| table.table("client_certificates")) {
            Some(clients) => clients.place("roots"),
            None => node.at,
        };
        notes.wrong(place, error.into_detail());
    }
}

/// Notes what is wrong with a table that may have a certificate of its own.
fn check_own(table: &Table, notes: &mut Notes) {
    let own = ["certificate", "key"].map(|key| table.has(key));
    match own {
        [false, false] if table.list("certificates").is_empty() && !table.has("certificates") => {
            let what = format!("{} is missing in TLS", one_of(&["certificate", "certificates"], "or"));
            notes.wrong(table.at, what);
        }
        [true, false] => {
            notes.wrong(table.place("certificate"), "a `certificate` without its `key`");
        }
        [false, true] => {
            notes.wrong(table.place("key"), "a `key` without its `certificate`");
        }
        _ => {}
    }
}

/// Notes what is wrong with a certificate, and whether it can be used now.
fn check_certificate(table: &Table, notes: &mut Notes) {
    let (Some(certificate), Some(key)) = (table.path("certificate"), table.path("key")) else { return };
    let tls = Tls::files(certificate, key);
    let tls = match table.path("ocsp") {
        Some(path) => tls.ocsp_file(path),
        None => tls,
    };
    if let Err(error) = tls.acceptor() {
        let detail = error.into_detail();
        let names = |path: &Path| detail.contains(&path.display().to_string());
        let place = match (names(certificate), names(key), table.path("ocsp")) {
            (true, _, _) => "certificate",
            (_, true, _) => "key",
            (_, _, Some(_)) => "ocsp",
            _ => "certificate",
        };
        notes.wrong(table.place(place), detail);
        return;
    }
    check_time(certificate, key, table, notes);
}

/// Notes that a certificate can't be used now.
#[expect(
    clippy::disallowed_methods,
    reason = "certificates are of the calendar's time, and nothing runs here"
)]
fn check_time(certificate: &Path, key: &Path, table: &Table, notes: &mut Notes) {
    let pair = std::fs::read(certificate).ok().zip(std::fs::read(key).ok());
    let read = pair.and_then(|(certificate, key)| Certificate::from_pem(&certificate, &key).ok());
    let now = SystemTime::now();
    match read.and_then(|certificate| certificate.validity()) {
        Some((_, until)) if until < now => {
            let days = now.duration_since(until).unwrap_or_default().as_secs() / (24 * 60 * 60);
            let what = format!("the certificate has expired {days} days ago");
            notes.odd(table.place("certificate"), what);
        }
        Some((from, _)) if from > now => {
            notes.odd(table.place("certificate"), "the certificate is not valid yet");
        }
        _ => {}
    }
}

/// How endpoints are spoken to over TLS.
pub(super) fn upstream_tls(table: &Table) -> UpstreamTls {
    let mut tls =
        table.list("roots").iter().filter_map(Node::path).fold(UpstreamTls::new(), UpstreamTls::roots_file);
    if table.is("system_roots") {
        tls = tls.and_system_roots();
    }
    if let Some(name) = table.text("server_name") {
        tls = tls.server_name(name);
    }
    if let Some(own) = table.table("client_certificate")
        && let (Some(certificate), Some(key)) = (own.path("certificate"), own.path("key"))
    {
        tls = tls.client_certificate_files(certificate, key);
    }
    if let Some(offered) = table.flag("http2") {
        tls = tls.http2(offered);
    }
    if let Some(version) = version(table) {
        tls = tls.min_version(version);
    }
    match table.is("dangerous_accept_any_certificate") {
        true => tls.dangerous_accept_any_certificate(),
        false => tls,
    }
}
