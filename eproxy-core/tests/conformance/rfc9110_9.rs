//! RFC 9110 §9, Methods: standard ones with bodies, HEAD without one in the answer, OPTIONS, CONNECT.

use crate::support::{crlf, get};
use crate::table::{Mirror, Want, bytes, line, seen};

#[test]
fn standard_methods_bring_their_bodies() {
    let mirror = Mirror::start();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = bytes(&format!("{method} /a HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nxyz"));
        mirror.check(&[(method, request, seen(format!("{method} /a [] xyz")))]);
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mirror = Mirror::start();
    let mut client = mirror.server.connect();
    client.send(line("HEAD /a HTTP/1.1"));
    assert_eq!(client.reply_to_head().header("content-length"), Some("11"));
    assert_eq!(client.ask(get("/b")).text(), "GET /b [] ");
    let mut client = mirror.server.connect();
    client.send(crlf("HEAD * HTTP/1.1\nHost: test\n\n"));
    assert_eq!(client.reply_to_head().status, 400);
}

#[test]
fn options_for_the_whole_server_is_answered() {
    Mirror::start().check(&[("*", line("OPTIONS * HTTP/1.1"), Want::Answered(204))]);
}

#[test]
fn connect_is_refused_where_nobody_makes_tunnels_and_what_follows_is_not_one() {
    let mirror = Mirror::start();
    let mut client = mirror.server.connect();
    let reply = client.ask(bytes("CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n"));
    assert_eq!(reply.status, 405);
    let reply = client.ask(b"\x16\x03\x01\x00\x05hello\r\n\r\n");
    assert_eq!((reply.status, reply.says_close()), (400, true));
    assert_eq!(mirror.calls(), 0);
}
