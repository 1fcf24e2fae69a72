//! RFC 8441, Bootstrapping WebSockets with HTTP/2: the extended CONNECT.

use eproxy_core::{Request, Response, Server};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::h2::check::{Want, check, fields};
use crate::h2::client::Client;
use crate::h2::frame::*;
use crate::support::{Running, start};

/// A server with a handler as the documentation has it, which echoes the bytes of the tunnel.
fn server() -> Running {
    start(Server::builder().workers(1).at(
        "/chat",
        |req: Request, res: Response| match req.websocket_accept() {
            Ok(accept) => {
                let mut tunnel = res.header("Sec-WebSocket-Accept", accept).upgrade("websocket");
                async_std::task::spawn(async move {
                    let mut bytes = [0; 1000];
                    while let Ok(n @ 1..) = tunnel.read(&mut bytes).await {
                        tunnel.write_all(&bytes[..n]).await.expect("the client reads");
                    }
                    tunnel.close().await.expect("the client is there");
                });
            }
            Err(error) => {
                res.status(error.status()).header("Sec-WebSocket-Version", "13").send(error.to_string());
            }
        },
    ))
}

const CONNECT: (&str, &str) = (":method", "CONNECT");
const WEBSOCKET: (&str, &str) = (":protocol", "websocket");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "test");
const PATH: (&str, &str) = (":path", "/chat");
const VERSION: (&str, &str) = ("sec-websocket-version", "13");

#[test]
fn a_websocket_is_a_stream() {
    let server = server();
    let mut client = Client::to(server.address());
    // §3.
    assert_eq!(client.setting(ENABLE_CONNECT_PROTOCOL), Some(1));
    let stream = client.request(&[CONNECT, WEBSOCKET, SCHEME, AUTHORITY, PATH, VERSION], false);
    client
        .until("it is accepted", |heard| heard.answers.get(&stream).is_some_and(|answer| answer.status > 0));
    let answer = client.heard.answers[&stream].clone();
    // §5: 200, and no key is answered.
    assert_eq!((answer.status, answer.is_whole), (200, false), "{answer:?}");
    assert_eq!(answer.field("content-length"), None, "RFC 9110 §9.3.6");
    assert_eq!(answer.field("transfer-encoding"), None);
    for (sent, all) in [("hello", 5), (" again", 11)] {
        assert!(client.body(stream, sent.as_bytes(), false));
        client.until("the echo", |heard| heard.answers[&stream].body.len() == all);
    }
    let long = vec![b'x'; 500_000];
    for part in long.chunks(50_000) {
        assert!(client.body(stream, part, false));
    }
    // §5: the end of the tunnel is the end of the stream, a direction at a time.
    client.send(data(stream, END_STREAM, ""));
    let answer = client.answer(stream);
    assert!(answer.is_whole, "{:?}", answer.reset);
    assert_eq!(answer.body.len(), 500_011);
}

#[test]
fn others_go_on_beside_it_and_a_reset_ends_it() {
    let server = server();
    let mut client = Client::to(server.address());
    let open = |client: &mut Client| {
        let stream = client.request(&[CONNECT, WEBSOCKET, SCHEME, AUTHORITY, PATH, VERSION], false);
        client.until("it is accepted", |heard| {
            heard.answers.get(&stream).is_some_and(|answer| answer.status == 200)
        });
        stream
    };
    let (first, second) = (open(&mut client), open(&mut client));
    assert_eq!(client.ask("/none").status, 404);
    client.send(rst_stream(first, CANCEL));
    assert!(client.body(second, b"still there", false));
    client.until("the echo", |heard| heard.answers[&second].text() == "still there");
}

#[test]
fn the_extended_connect_has_its_own_pseudo_header_fields() {
    // §4: those of CONNECT, and those of every other method.
    let malformed = || Want::Malformed(1);
    check(&[
        ("§4: no :scheme", fields(&[CONNECT, WEBSOCKET, AUTHORITY, PATH, VERSION]), malformed()),
        ("§4: no :path", fields(&[CONNECT, WEBSOCKET, SCHEME, AUTHORITY, VERSION]), malformed()),
        (
            "§4: another method",
            fields(&[(":method", "GET"), WEBSOCKET, SCHEME, AUTHORITY, PATH]),
            malformed(),
        ),
        (
            "§4: two of :protocol",
            fields(&[CONNECT, WEBSOCKET, WEBSOCKET, SCHEME, AUTHORITY, PATH, VERSION]),
            malformed(),
        ),
        (
            "§4: :protocol behind a field",
            fields(&[CONNECT, SCHEME, AUTHORITY, PATH, VERSION, WEBSOCKET]),
            malformed(),
        ),
        (
            "RFC 9113 §8.2.2: connection and upgrade",
            fields(&[
                CONNECT,
                WEBSOCKET,
                SCHEME,
                AUTHORITY,
                PATH,
                VERSION,
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
            ]),
            malformed(),
        ),
    ]);
}

#[test]
fn protocols_and_versions_that_there_are_not_are_refused() {
    let server = server();
    let mut client = Client::to(server.address());
    let stream = client.request(&[CONNECT, (":protocol", "carrier-pigeon"), SCHEME, AUTHORITY, PATH], false);
    let answer = client.answer(stream);
    // RFC 9220 §3: 501, as for a method; the status of RFC 6455's handshake will do.
    assert!(matches!(answer.status, 400 | 404 | 405 | 501), "{answer:?}");
    let stream =
        client.request(&[CONNECT, WEBSOCKET, SCHEME, AUTHORITY, PATH, ("sec-websocket-version", "8")], false);
    assert_eq!(client.answer(stream).status, 426, "RFC 6455 §4.4");
    let stream = client.request(&[CONNECT, WEBSOCKET, SCHEME, AUTHORITY, (":path", "/none"), VERSION], false);
    assert_eq!(client.answer(stream).status, 404);
}
