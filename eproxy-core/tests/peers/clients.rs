//! Other people's clients of a proxy, in front of the server of async-h1.

use std::process::Command;

use crate::async_h1;
use crate::checks::{MEBIBYTE, Peer, file};
use crate::program::{command, find, run};
use crate::support::Running;

/// A server and a proxy in front of it.
fn proxied() -> (Peer, Running) {
    let peer = async_h1::start().expect("a library is always there");
    let server = peer.proxied();
    (peer, server)
}

/// How many connections the clients have made, and how many the proxy has made for them.
fn connections(server: &Running) -> (u64, u64) {
    let stats = server.stats();
    (stats.accepted, stats.upstream_connects)
}

fn curl() -> Option<Command> {
    let mut command = command(&find(&["curl"])?);
    command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]);
    Some(command)
}

#[test]
fn curl_asks_again_and_again_on_one_connection() {
    let Some(mut curl) = curl() else { return };
    let (_peer, server) = proxied();
    let url = |target: &str| format!("http://{}{target}", server.address());
    curl.args(["--write-out", " %{http_code} %{num_connects}\\n"]);
    let said = run(curl.args([url("/hello"), url("/none"), url("/hello"), url("/hello")]));
    assert_eq!(said, "hello 200 1\n 204 0\nhello 200 0\nhello 200 0\n");
    assert_eq!(connections(&server), (1, 1));
}

#[test]
fn curl_uploads_a_megabyte_with_a_length_and_in_chunks_and_waits_for_leave() {
    for field in ["Content-Type: text/plain", "Transfer-Encoding: chunked"] {
        let Some(mut curl) = curl() else { return };
        let (_peer, server) = proxied();
        let mut path = std::env::temp_dir();
        path.push(format!("eproxy-upload-{}-{}", std::process::id(), field.len()));
        std::fs::write(&path, file()).expect("a file can be written");
        // It is given less time than it would wait for the leave.
        curl.args(["--header", field, "--header", "Expect: 100-continue", "--expect100-timeout", "60"]);
        curl.arg("--data-binary").arg(format!("@{}", path.display()));
        let said = run(curl.arg(format!("http://{}/echo", server.address())));
        std::fs::remove_file(&path).expect("the file is there");
        assert!(said.as_bytes() == file(), "{field}: {} bytes of {MEBIBYTE}", said.len());
    }
}

#[test]
fn curl_takes_a_head_without_waiting_for_a_body() {
    let Some(mut curl) = curl() else { return };
    let (_peer, server) = proxied();
    let url = format!("http://{}/hello", server.address());
    let said = run(curl.arg("--head").args([&url, &url]));
    assert_eq!(said.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{said}");
    assert_eq!(said.to_ascii_lowercase().matches("content-length: 5\r\n").count(), 2, "{said}");
    assert_eq!(connections(&server), (1, 1));
}

#[test]
fn curl_of_http_1_0_gets_what_was_in_chunks() {
    let Some(mut curl) = curl() else { return };
    let (_peer, server) = proxied();
    let said = run(curl.arg("--http1.0").arg(format!("http://{}/chunked", server.address())));
    assert!(said.as_bytes() == file(), "{} bytes", said.len());
}

#[test]
fn a_client_of_nodes_keeps_its_connection_and_uploads_in_chunks() {
    let Some(node) = find(&["node", "nodejs"]) else { return };
    let (_peer, server) = proxied();
    let port = server.address().port().to_string();
    let said = run(command(&node).args(["-e", include_str!("scripts/client.js"), &port]));
    assert_eq!(said, "all is well\n");
    assert_eq!(connections(&server), (1, 1));
}

#[test]
fn a_client_of_pythons_keeps_its_connection_and_uploads_in_chunks() {
    let Some(python) = find(&["python3"]) else { return };
    let (_peer, server) = proxied();
    let port = server.address().port().to_string();
    let said = run(command(&python).args(["-c", include_str!("scripts/client.py"), &port]));
    assert_eq!(said, "all is well\n");
    assert_eq!(connections(&server), (1, 1));
}
