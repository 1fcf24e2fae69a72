//! RFC 6455 §4, Opening Handshake: both halves of it are checked, so that neither side can be talked into a tunnel that the
//! other does not know of.

use crate::table::bytes;

use super::table::{Got, Relay, Want, check, each, passed, server, stays, text};
use super::upstream::upstream;

/// The example of §1.3.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn asking(method: &str, fields: &str) -> Vec<u8> {
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    bytes(&format!("{method} /told HTTP/1.1\r\nHost: test\r\n{upgrade}{fields}\r\n"))
}

fn switch(fields: &str) -> String {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}{fields}\r\n")
}

#[test]
fn a_handshake_passes_and_frames_after_it() {
    let upstream = upstream(|peer| {
        peer.request();
        peer.say(switch(&format!("{ACCEPT}Sec-WebSocket-Protocol: chat\r\n")) + "\u{1}first");
        while let Some(frame) = Some(peer.raw(5)).filter(|frame| frame != b"leave") {
            peer.say(frame);
        }
    });
    let server = server(&upstream);
    let mut client = server.connect();
    let offer =
        format!("Origin: http://a.example\r\n{KEY}{VERSION}Sec-WebSocket-Protocol: superchat, chat\r\n");
    let reply = client.ask(asking("GET", &offer));
    let accepted = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=|Sec-WebSocket-Protocol: chat";
    assert_eq!(
        text(&reply),
        format!("101 Switching Protocols [{accepted}|Connection: upgrade|Upgrade: websocket] ")
    );
    assert_eq!(client.raw(6), b"\x01first");
    for frame in ["ping1", "ping2", "ping3"] {
        client.send(frame);
        assert_eq!(client.raw(5), frame.as_bytes());
    }
    client.send("leave");
    client.is_closed();
    let offered = offer.trim_end().replace("\r\n", "|");
    assert_eq!(
        upstream.texts(),
        [format!("GET /told [Host: test|{offered}|Connection: upgrade|Upgrade: WebSocket] ")]
    );
}

#[test]
fn a_request_that_is_no_handshake_is_not_passed_on() {
    // §4.2.1.
    let bad = || Want::Refused(400, "bad_upgrade");
    check(&[
        ("another method", asking("POST", &format!("{KEY}{VERSION}")), bad()),
        ("no key", asking("GET", VERSION), bad()),
        ("two keys", asking("GET", &format!("{KEY}{KEY}{VERSION}")), bad()),
        ("a short key", asking("GET", &format!("Sec-WebSocket-Key: c2hvcnQ=\r\n{VERSION}")), bad()),
        ("a key that is none", asking("GET", &format!("Sec-WebSocket-Key: ????\r\n{VERSION}")), bad()),
        ("no version", asking("GET", KEY), bad()),
        ("two versions", asking("GET", &format!("{KEY}{VERSION}{VERSION}")), bad()),
    ]);
    // Without an upgrade they are fields like any other.
    let plain = bytes(&format!("GET / HTTP/1.1\r\nHost: test\r\n{KEY}\r\n"));
    let seen = "GET / [Host: test|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==] ";
    check(&[("no upgrade", plain, passed(seen))]);
}

#[test]
fn another_version_is_answered_with_the_one_that_is_spoken() {
    // §4.4.
    let asking = |version: &str| asking("GET", &format!("{KEY}Sec-WebSocket-Version: {version}\r\n"));
    let answered = || Want::Answered(426, "websocket_version");
    check(&["8", "777", "13, 8"].map(|version| (version, asking(version), answered())));
    let relay = Relay::start(true);
    let mut client = relay.server.connect();
    let reply = client.ask(asking("8"));
    let fields = ["sec-websocket-version", "upgrade", "connection"].map(|name| reply.header(name));
    assert_eq!(fields, [Some("13"), Some("websocket"), Some("upgrade")]);
    // No tunnel: what follows is a request, or none.
    assert_eq!(client.ask(b"\x81\x85RAWFRAME\r\n\r\n").status, 400);
}

#[test]
fn an_answer_that_is_not_that_to_the_handshake_opens_no_tunnel() {
    // §4.1: what a client would have to fail the connection for.
    let other = "Sec-WebSocket-Accept: c3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let failed = Got::Instead(502, "upgrade_failed");
    let request = asking("GET", &format!("{KEY}{VERSION}Sec-WebSocket-Protocol: chat, superchat\r\n"));
    each(|relay| {
        for (name, fields) in [
            ("no answer to the key", String::new()),
            ("the answer to another key", other.to_owned()),
            ("two answers", format!("{ACCEPT}{ACCEPT}")),
            ("a protocol that was not offered", format!("{ACCEPT}Sec-WebSocket-Protocol: other\r\n")),
            ("two protocols", format!("{ACCEPT}Sec-WebSocket-Protocol: chat, superchat\r\n")),
            ("an extension that was not offered", format!("{ACCEPT}Sec-WebSocket-Extensions: x\r\n")),
        ] {
            relay.tell_to(name, &request, &stays(&(switch(&fields) + "FRAMES")), &failed);
        }
        assert_eq!(relay.server.stats().tunnels, 0);
    });
}
