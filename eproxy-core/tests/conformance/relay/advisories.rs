//! Faults that were found in another proxy's HTTP/1, and must not be ours: each a way to have a request seen by an upstream
//! that the proxy never looked at.

use crate::support::{eventually, get, pause};
use crate::table::bytes;

use super::table::{Relay, Want, check, each, server, stays};
use super::upstream::{gate, upstream};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

/// Asserts that no upstream was sent the smuggled request as one.
fn was_not_smuggled(relay: &Relay) {
    relay.probe();
    let seen = relay.upstream.texts();
    assert!(!seen.iter().any(|text| text.starts_with("GET /smuggled")), "{seen:?}");
}

/// pingora-proxy before 0.5.0: a request that was answered without its upstream left its body on the client's connection,
/// where it was then read as the next request.
#[test]
fn rustsec_2025_0037_a_body_that_was_not_read_is_never_the_next_request() {
    let length = format!("Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
    let chunked =
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    // Answers of our own, which need no body: too many times through here, and the same to a client that waits.
    let around = "Via: 1.1 eproxy\r\n".repeat(8);
    each(|relay| {
        for body in [&length, &chunked] {
            for start in ["", "Expect: 100-continue\r\n"] {
                let mut client = relay.server.connect();
                client.send(format!("POST /a HTTP/1.1\r\nHost: test\r\n{around}{start}{body}"));
                let reply = client.reply();
                assert_eq!(reply.status, 508, "{start:?} {body:?}");
                match reply.says_close() {
                    // Either the body was thrown away, and what comes next is what the client sends next,
                    false => assert_eq!(client.ask(get("/next")).text(), "/next", "{body:?}"),
                    // or nothing comes next.
                    true => client.is_closed(),
                }
            }
        }
        was_not_smuggled(relay);
    });
}

/// The same, with an upstream that answers before it was sent the body.
#[test]
fn rustsec_2025_0037_an_early_answer_leaves_no_body_behind() {
    for closes in ["", "Connection: close\r\n"] {
        let (open, gate) = gate();
        let upstream = upstream(move |peer| {
            let head = peer.next_head().expect("the request comes");
            peer.say(format!("HTTP/1.1 403 Forbidden\r\n{closes}Content-Length: 2\r\n\r\nno"));
            gate.wait();
            // What it is still sent belongs to the request that it has answered.
            let rest = peer.rest();
            let is_begun = |rest: &[u8]| rest.is_empty() || SMUGGLED.as_bytes().starts_with(rest);
            assert!(is_begun(&rest), "{head:?} and {:?}", rest.escape_ascii().to_string());
        });
        let server = server(&upstream);
        let mut client = server.connect();
        client.send(format!(
            "POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
            SMUGGLED.len() + 9
        ));
        assert_eq!(client.reply().text(), "no");
        // This is less than the body that was announced, and then nothing that was asked for.
        let _cut = client.try_send(SMUGGLED);
        client.is_closed();
        open.send(()).unwrap();
        eventually("the upstream's connection ends", || upstream.open() == 0);
        assert_eq!(upstream.accepted(), 1);
    }
}

/// pingora-core before 0.8.0: bytes behind a request with an Upgrade field went to the upstream as they came, before it had
/// switched, and even if it never did.
#[test]
fn rustsec_2026_0033_nothing_goes_through_before_the_upstream_has_switched() {
    let asking = "GET /told HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        let seen = peer.request();
        assert_eq!(seen.text(), "GET /told [Host: test|Connection: upgrade|Upgrade: foo] ");
        peer.hears_nothing_for(100);
        gate.wait();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
        assert_eq!(peer.raw(SMUGGLED.len()), SMUGGLED.as_bytes());
    });
    let server = server(&upstream);
    let mut client = server.connect();
    client.send(format!("{asking}{}", &SMUGGLED[..10]));
    pause(20);
    client.send(&SMUGGLED[10..]);
    open.send(()).unwrap();
    assert_eq!(client.reply().status, 101);
    client.is_closed();
}

/// The same where the upstream does not switch: what is behind is a request, which is checked, and refused where it would
/// have been.
#[test]
fn rustsec_2026_0033_what_is_behind_a_refused_upgrade_is_no_tunnel() {
    let asking = "GET /told HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    let behind =
        "GET /smuggled HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    each(|relay| {
        relay.says(&stays("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"));
        let mut client = relay.server.connect();
        client.send([asking, behind].concat());
        assert_eq!(client.reply().text(), "no");
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (400, true));
        client.is_closed();
        assert_eq!(relay.server.failures("length_and_coding"), 1);
        was_not_smuggled(relay);
    });
}

/// pingora-core before 0.8.0: the body of an HTTP/1.0 request went on until the connection ended, so that whatever came
/// behind it was passed on unseen.
#[test]
fn rustsec_2026_0034_the_body_of_an_http_1_0_request_does_not_last_until_the_end_of_the_connection() {
    each(|relay| {
        for connection in ["", "Connection: keep-alive\r\n"] {
            for method in ["GET", "POST"] {
                let before = relay.upstream.bytes();
                let mut client = relay.server.connect();
                let request = format!("{method} /a HTTP/1.0\r\nHost: test\r\n{connection}\r\n");
                // Behind it is something that is refused, if anybody looks at it.
                client.send(format!("{request}GET /smuggled HTTP/1.1\r\nHost : test\r\n\r\n"));
                assert_eq!(client.reply().text(), "/a");
                match connection {
                    "" => client.is_closed(),
                    _ => assert_eq!(client.reply().status, 400),
                }
                let seen = relay.upstream.last();
                assert_eq!(seen.text(), format!("{method} /a [Host: test] "));
                assert_eq!(relay.upstream.bytes() - before, seen.head.len());
            }
        }
        was_not_smuggled(relay);
    });
}

/// The same advisory: of several transfer codings only one was looked at, and a length beside them was believed where the
/// upstream did not believe it.
#[test]
fn rustsec_2026_0034_several_codings_and_codings_beside_a_length_are_not_guessed_at() {
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let length = format!("Content-Length: {}\r\n", body.len());
    let post =
        |version: &str, fields: &str| bytes(&format!("POST / {version}\r\nHost: test\r\n{fields}\r\n{body}"));
    let bad = || Want::Refused(400, "bad_transfer_encoding");
    let both = || Want::Refused(400, "length_and_coding");
    let twice = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n";
    check(&[
        ("of HTTP/1.0", post("HTTP/1.0", "Transfer-Encoding: chunked\r\n"), bad()),
        (
            "of HTTP/1.0, kept",
            post("HTTP/1.0", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"),
            bad(),
        ),
        (
            "of HTTP/1.0, with a length",
            post("HTTP/1.0", &format!("Transfer-Encoding: chunked\r\n{length}")),
            both(),
        ),
        ("a list", post("HTTP/1.1", "Transfer-Encoding: chunked, identity\r\n"), bad()),
        (
            "a list with a length",
            post("HTTP/1.1", &format!("{length}Transfer-Encoding: identity, chunked\r\n")),
            both(),
        ),
        ("two lines", post("HTTP/1.1", twice), Want::Refused(501, "unknown_coding")),
        ("two lines with a length", post("HTTP/1.1", &format!("{length}{twice}")), both()),
        (
            "two lines the other way round",
            post("HTTP/1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
            bad(),
        ),
    ]);
}
