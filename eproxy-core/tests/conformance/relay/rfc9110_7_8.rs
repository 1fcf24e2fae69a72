//! RFC 9110 §7.8, Upgrade: a request for another protocol is one only where it is well-formed, and there is no tunnel
//! before the upstream has switched to what was offered.

use crate::support::{Running, eventually, get};
use crate::table::{bytes, get_with};

use super::table::{Got, Relay, check, each, passed, server, stays, text};
use super::upstream::{Upstream, gate, upstream};

/// A request for an upgrade to a protocol that nobody knows.
const ASKING: &str = "GET /told HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo/2, bar\r\n\r\n";

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo/2\r\n\r\n";

/// An upstream that switches, says `first`, and echoes what it is sent until that ends.
fn switching(first: &'static str) -> (Running, Upstream) {
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say(format!("{SWITCH}{first}"));
        let rest = peer.rest();
        peer.try_say(rest);
    });
    (server(&upstream), upstream)
}

#[test]
fn a_request_is_passed_on_as_one_for_an_upgrade_if_it_is_one() {
    let plain = || passed("GET / [Host: test] ");
    let asks =
        |protocols: &str| passed(format!("GET / [Host: test|Connection: upgrade|Upgrade: {protocols}] "));
    check(&[
        ("named and there", get_with("Connection: Upgrade\r\nUpgrade: foo/2, bar\r\n"), asks("foo/2, bar")),
        ("among others", get_with("Connection: keep-alive, upgrade\r\nupgrade: foo\r\n"), asks("foo")),
        ("on two lines", get_with("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n"), asks("a, b")),
        ("not named", get_with("Upgrade: websocket\r\n"), plain()),
        ("not there", get_with("Connection: upgrade\r\n"), plain()),
        ("empty", get_with("Connection: upgrade\r\nUpgrade: ,\r\n"), plain()),
        // RFC 9113 §3.1: HTTP/2 would be spoken past us.
        (
            "h2c",
            get_with(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            ),
            plain(),
        ),
        (
            "h2c among others",
            get_with("Connection: Upgrade\r\nUpgrade: H2C, foo, HTTP/2.0, h2\r\n"),
            asks("foo"),
        ),
    ]);
    // §7.8: a server ignores one in HTTP/1.0.
    let old =
        bytes("GET / HTTP/1.0\r\nHost: test\r\nConnection: upgrade, keep-alive\r\nUpgrade: foo\r\n\r\n");
    check(&[("in HTTP/1.0", old, plain())]);
}

#[test]
fn a_switch_to_what_was_offered_begins_a_tunnel_and_no_byte_is_lost() {
    // The upstream's first bytes come with its answer, the client's with its request.
    let (server, upstream) = switching("HELLO");
    let mut client = server.connect();
    client.send([ASKING.as_bytes(), b"EARLY\x00\xff\r\n"].concat());
    let reply = client.reply();
    assert_eq!(text(&reply), "101 Switching Protocols [Connection: upgrade|Upgrade: foo/2] ");
    assert_eq!(client.raw(5), b"HELLO");
    client.send("LATE");
    // Each direction ends by itself.
    client.finish();
    assert_eq!(client.rest(), b"EARLY\x00\xff\r\nLATE");
    assert!(upstream.heard(0).ends_with(b"\r\n\r\nEARLY\x00\xff\r\nLATE"));
    eventually("it is counted", || {
        let stats = server.stats();
        (stats.tunnels, stats.tunnel_bytes_up, stats.tunnel_bytes_down) == (1, 13, 18)
    });
}

#[test]
fn each_end_of_a_tunnel_ends_the_other() {
    let (server, upstream) = switching("");
    let mut client = server.connect();
    client.send(ASKING);
    assert_eq!(client.reply().status, 101);
    drop(client);
    eventually("the upstream's connection ends", || upstream.open() == 0);

    let upstream = super::upstream::upstream(|peer| {
        peer.request();
        peer.say(format!("{SWITCH}bye"));
    });
    let server = super::table::server(&upstream);
    let mut client = server.connect();
    client.send(ASKING);
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.rest(), b"bye");
    drop(client);
    eventually("no connection is left", || server.stats().open == 0);
}

#[test]
fn a_switch_to_anything_else_is_a_failure() {
    let switch = |fields: &str| stays(&format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\nTUNNEL"));
    each(|relay| {
        for (name, told) in [
            ("another protocol", switch("Connection: upgrade\r\nUpgrade: websocket\r\n")),
            ("two at once", switch("Connection: upgrade\r\nUpgrade: foo/2, bar\r\n")),
            ("none", switch("Connection: upgrade\r\n")),
            ("not named by Connection", switch("Upgrade: foo/2\r\n")),
            ("another version of it", switch("Connection: upgrade\r\nUpgrade: foo/1\r\n")),
        ] {
            relay.tell_to(name, ASKING.as_bytes(), &told, &Got::Instead(502, "upgrade_failed"));
        }
    });
}

#[test]
fn a_refused_upgrade_leaves_no_tunnel() {
    let refusals = [
        ("200 OK", "", "200 OK [Content-Length: 2] no"),
        ("403 Forbidden", "", "403 Forbidden [Content-Length: 2] no"),
        // §15.5.22: which protocols would do.
        (
            "426 Upgrade Required",
            "Connection: upgrade\r\nUpgrade: foo/3\r\n",
            "426 Upgrade Required [Upgrade: foo/3|Content-Length: 2|Connection: upgrade] no",
        ),
    ];
    each(|relay: &Relay| {
        for (status, fields, expected) in refusals {
            let told = stays(&format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 2\r\n\r\nno"));
            relay.tell_to(status, ASKING.as_bytes(), &told, &Got::Passed(expected.into()));
            // What follows is a request like any other, or none.
            let mut client = relay.server.connect();
            client.send(ASKING);
            assert_eq!(text(&client.reply()), expected);
            let asked = relay.upstream.bytes();
            let reply = client.ask(b"\x81\x85RAWFRAME\r\n\r\n");
            assert_eq!((reply.status, reply.says_close()), (400, true));
            assert_eq!(relay.upstream.bytes(), asked);
        }
        assert_eq!(relay.server.stats().tunnels, 0);
    });
}

#[test]
fn a_request_behind_one_that_was_refused_an_upgrade_is_checked_like_any_other() {
    each(|relay| {
        relay.says(&stays("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"));
        let mut client = relay.server.connect();
        client.send([ASKING.as_bytes(), &get("/next")].concat());
        assert_eq!(client.reply().status, 403);
        assert_eq!(client.reply().text(), "/next");
        assert_eq!(relay.upstream.last().text(), "GET /next [Host: test] ");
    });
}

#[test]
fn a_body_goes_before_the_protocol() {
    // §7.8: a client sends the whole request before it sends anything else.
    let asking = "POST /a HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo/2\r\nContent-Length: 5\r\n\r\n";
    let (server, upstream) = switching("");
    let mut client = server.connect();
    client.send(format!("{asking}helloEARLY"));
    assert_eq!(client.reply().status, 101);
    client.finish();
    assert_eq!(client.rest(), b"EARLY");
    let expected = "POST /a [Host: test|Content-Length: 5|Connection: upgrade|Upgrade: foo/2] hello";
    assert_eq!(upstream.texts(), [expected]);

    // An upstream that switches without having heard it speaks of something else.
    let (open, gate) = gate();
    let upstream = super::upstream::upstream(move |peer| {
        peer.head();
        peer.say(SWITCH);
        gate.wait();
        assert_eq!(peer.rest(), b"");
    });
    let server = super::table::server(&upstream);
    let mut client = server.connect();
    client.send(asking);
    let reply = client.reply();
    assert_eq!((reply.status, reply.says_close()), (502, true));
    let _cut = client.try_send("hello");
    open.send(()).unwrap();
    assert_eq!(server.failures("upgrade_failed"), 1);
}
