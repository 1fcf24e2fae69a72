//! RFC 9113 §8.5, The CONNECT Method, and RFC 8441, of tunnels that begin as streams of HTTP/2: through a forward proxy, and as
//! WebSockets to an upstream of HTTP/1.1.

use eproxy_core::{Forward, Server};

use crate::h2::client::Client;
use crate::h2::frame::*;
use crate::support::{eventually, start};

use super::table::{each, server, stays};
use super::upstream::upstream;

#[test]
fn a_websocket_is_passed_on_as_an_upgrade() {
    // RFC 8441 §5: the key is of HTTP/1.1 only, so the proxy makes one and checks what is answered.
    let upstream = upstream(|peer| {
        let seen = peer.request();
        let key = &seen.values("sec-websocket-key")[0];
        let accept = accept(key);
        peer.say(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\nfirst"
        ));
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
    });
    let server = server(&upstream);
    let mut client = Client::to(server.address());
    let request = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", "/chat?a"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "http://a.example"),
    ];
    let stream = client.request(&request, false);
    client.until("the first bytes", |heard| {
        heard.answers.get(&stream).is_some_and(|answer| answer.body == b"first")
    });
    let answer = client.heard.answers[&stream].clone();
    assert_eq!((answer.status, answer.field("sec-websocket-protocol")), (200, Some("chat")));
    assert_eq!(answer.field("sec-websocket-accept"), None);
    assert!(client.body(stream, b"ping", false));
    client.until("the echo", |heard| heard.answers[&stream].body == b"firstping");
    client.send(data(stream, END_STREAM, ""));
    let answer = client.answer(stream);
    assert!(answer.is_whole, "{answer:?}");
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/chat?a"));
    assert_eq!(
        (seen.values("host"), seen.values("upgrade")),
        (vec!["test".into()], vec!["websocket".into()])
    );
    eventually("the upstream's connection ends", || upstream.open() == 0);
}

/// RFC 6455 §4.2.2.
fn accept(key: &str) -> String {
    let digest = sha1_smol::Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::encode(digest.digest().bytes())
}

#[test]
fn a_websocket_that_the_upstream_refuses_is_refused() {
    let cases = [
        ("a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
        (
            "the answer to another key",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            502,
        ),
    ];
    each(|relay| {
        for (name, told, status) in cases {
            relay.says(&stays(told));
            let mut client = Client::to(relay.server.address());
            let request = [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "test"),
                (":path", "/told"),
                ("sec-websocket-version", "13"),
            ];
            let stream = client.request(&request, false);
            let answer = client.answer(stream);
            assert_eq!((answer.status, answer.is_whole), (status, true), "{name}: {answer:?}");
        }
    });
}

#[test]
fn connect_opens_a_tunnel_through_a_forward_proxy() {
    // §8.5: DATA is the bytes of the connection; END_STREAM is its end, a direction at a time.
    let upstream = upstream(|peer| {
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
        peer.say("bye");
    });
    let forward = Forward::new().allow("127.0.0.1").connect_ports([upstream.address().port()]);
    let server = start(Server::builder().workers(1).forward(forward));
    let mut client = Client::to(server.address());
    let authority = upstream.address().to_string();
    let stream = client.request(&[(":method", "CONNECT"), (":authority", &authority)], false);
    client.until("it is open", |heard| heard.answers.get(&stream).is_some_and(|answer| answer.status > 0));
    let answer = client.heard.answers[&stream].clone();
    assert_eq!((answer.status, answer.is_whole), (200, false), "{answer:?}");
    assert_eq!(answer.field("content-length"), None);
    assert!(client.body(stream, b"any \0 bytes \r\n\r\n", false));
    client.until("the echo", |heard| heard.answers[&stream].body == b"any \0 bytes \r\n\r\n");
    client.send(data(stream, END_STREAM, ""));
    let answer = client.answer(stream);
    assert!(answer.is_whole && answer.body.ends_with(b"bye"), "{answer:?}");
    // And a request with an absolute target in HTTP/1 is one like any other here.
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "127.0.0.1:1"), (":path", "/")];
    let stream = client.request(&fields, true);
    let answer = client.answer(stream);
    assert!(matches!(answer.status, 403 | 502), "{answer:?}");
    // §8.5: a tunnel whose other end breaks is reset.
    let refused = client.request(&[(":method", "CONNECT"), (":authority", "127.0.0.1:1")], false);
    let answer = client.answer(refused);
    assert!(matches!(answer.status, 403 | 502) || answer.reset.is_some(), "{answer:?}");
}
