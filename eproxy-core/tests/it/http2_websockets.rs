//! WebSockets, and other tunnels, through all that may be spoken on both sides (RFC 6455, RFC 8441).

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Builder, Group, Proxy, Request, Response, Server, Timeouts, Upgraded};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use h2::Reason;
use h2::ext::Protocol;

use crate::echoing::pattern;
use crate::support::certificates::{pair, tls, trusting};
use crate::support::http2::{Exchange, Http2};
use crate::support::http2_upstream::{Asked, Http2Upstream, Settings, echoing2, http2_upstream};
use crate::support::secure::TlsClient;
use crate::support::wire::Reply;
use crate::support::{Connection, Running, eventually, get, pause};
use crate::upstream::{Peer, Upstream, secure_upstream, upstream};

/// The key of RFC 6455 §1.3, and what it is answered with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn asking(target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )
    .into_bytes()
}

/// An extended CONNECT (RFC 8441 §4).
fn asking2(client: &Http2, target: &str) -> Exchange {
    let mut request = client.request("CONNECT", target);
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request.headers_mut().insert("sec-websocket-version", http::HeaderValue::from_static("13"));
    request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static("chat"));
    client.begin_request(request, false)
}

/// An upstream of HTTP/1 that takes WebSockets and echoes what it is sent, then says goodbye.
fn script1(peer: &mut Peer) {
    let Some(seen) = peer.next().filter(|seen| seen.is_whole) else { return };
    if seen.values("upgrade") != ["websocket"] {
        return peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
    }
    if seen.target == "/no" {
        return peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    }
    let accept = accept_of(&seen.values("sec-websocket-key")[0]);
    peer.say(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\nhello "
    ));
    while let Some(bytes) = peer.some() {
        peer.say(bytes);
    }
    peer.say("bye");
}

fn accept_of(key: &str) -> String {
    let mut digest = sha1_smol::Sha1::new();
    digest.update(key.as_bytes());
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::encode(digest.digest().bytes())
}

/// The same of HTTP/2.
fn script2(asked: &mut Asked) {
    if asked.seen.protocol.as_deref() != Some("websocket") {
        asked.read();
        return asked.answer(200, &[], "plain");
    }
    if asked.seen.target == "/no" {
        return asked.answer(403, &[("content-length", "2")], "no");
    }
    asked.head(200, &[("sec-websocket-protocol", "chat")], false);
    asked.send("hello ");
    while let Ok(Some(bytes)) = asked.try_data() {
        asked.send(&bytes[..]);
    }
    // Whoever has broken off does not hear it.
    let _gone = asked.try_send("bye", true);
}

enum Behind {
    One(Upstream),
    Two(Http2Upstream),
}

impl Behind {
    /// Plain, over TLS, HTTP/2, and that over TLS.
    fn all() -> [Self; 4] {
        let with = |settings: Settings| settings.codec(|codec| codec.enable_connect_protocol());
        [
            Self::One(upstream(script1)),
            // Of an upstream over TLS, WebSockets want HTTP/1.
            Self::One(secure_upstream(pair().server(&["http/1.1"]), script1)),
            Self::Two(http2_upstream(with(Settings::plain()), script2)),
            Self::Two(http2_upstream(with(Settings::secure()), script2)),
        ]
    }

    fn url(&self) -> String {
        match self {
            Self::One(upstream) => upstream.url(),
            Self::Two(upstream) => upstream.url(),
        }
    }

    fn open(&self) -> usize {
        match self {
            Self::One(upstream) => upstream.open(),
            Self::Two(upstream) => upstream.open(),
        }
    }
}

fn serve(url: &str) -> Running {
    let builder = Server::builder().workers(1).at("/*path", Proxy::to(Group::from(url).tls(trusting())));
    Running::new(builder.bind("127.0.0.1:0").bind_tls("127.0.0.1:0", tls()))
}

fn is_granted(reply: &Reply) {
    assert_eq!(reply.status, 101, "{reply:?}");
    let lower = |name| reply.header(name).map(str::to_ascii_lowercase);
    assert_eq!((lower("upgrade"), lower("connection")), (Some("websocket".into()), Some("upgrade".into())));
    assert_eq!(reply.header("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(reply.header("sec-websocket-protocol"), Some("chat"));
    assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (None, None));
}

/// Talks through what was granted to a client of HTTP/1, and ends it from this side.
fn talk<S: Read + Write>(client: &mut Connection<S>, finish: impl FnOnce(&mut Connection<S>)) {
    assert_eq!(client.raw(6), b"hello ");
    for size in [1, 100, 16_384, 200_000] {
        let sent = pattern(size);
        client.send(&sent);
        assert!(client.raw(size) == sent, "{size} bytes");
    }
    client.send("last");
    finish(client);
    assert_eq!(client.raw(4), b"last");
    assert_eq!(client.rest(), b"bye");
}

/// The same of HTTP/2.
fn talk2(exchange: &mut Exchange) {
    assert_eq!(exchange.at_least(6), b"hello ");
    for size in [1, 100, 16_384, 200_000] {
        let sent = pattern(size);
        exchange.send(&sent[..]);
        assert!(exchange.at_least(size) == sent, "{size} bytes");
    }
    exchange.send_end("last");
    let (rest, end) = exchange.rest();
    assert_eq!(rest, b"lastbye");
    assert!(end.is_ok(), "{end:?}");
}

#[test]
fn a_client_of_http1_gets_a_websocket_through_whatever_the_upstream_speaks() {
    for behind in Behind::all() {
        let server = serve(&behind.url());
        let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
        // Over TLS, HTTP/2 is there for WebSockets only if it is there already.
        assert_eq!(Connection::to(plain).ask(get("/")).text(), "plain");
        for round in 1..3 {
            let mut client = Connection::to(plain);
            client.send(asking("/yes"));
            is_granted(&client.reply());
            talk(&mut client, |client| client.finish());
            let mut client = TlsClient::new().alpn(&["http/1.1"]).connect(secure);
            client.send(asking("/yes"));
            is_granted(&client.reply());
            talk(&mut client, Connection::finish_secure);
            assert!(client.has_heard_goodbye());
            eventually("the tunnels are counted", || server.stats().tunnels == 2 * round);
        }
        eventually("nothing is left", || server.stats().open == 0 && behind.open() <= 1);
        let moved = 4 * (1 + 100 + 16_384 + 200_000 + 4);
        let stats = server.stats();
        assert_eq!((stats.tunnel_bytes_up, stats.tunnel_bytes_down), (moved, moved + 4 * 9));
    }
}

#[test]
fn a_client_of_http2_gets_a_websocket_through_whatever_the_upstream_speaks() {
    for behind in Behind::all() {
        let server = serve(&behind.url());
        let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
        for client in [Http2::to(plain), Http2::secure(secure)] {
            assert_eq!(client.get("/").text(), "plain");
            assert!(client.carries_websockets());
            for _ in 0..2 {
                let mut exchange = asking2(&client, "/yes");
                let head = exchange.head();
                assert_eq!((head.status, head.field("sec-websocket-protocol")), (200, Some("chat")));
                for name in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
                    assert!(head.field(name).is_none(), "{name}");
                }
                talk2(&mut exchange);
            }
            assert_eq!(client.get("/").text(), "plain");
        }
        assert_eq!(server.stats().tunnels, 4);
        eventually("nothing is left", || server.stats().open == 0 && behind.open() <= 1);
    }
}

#[test]
fn a_refusal_is_passed_back() {
    for behind in Behind::all() {
        let server = serve(&behind.url());
        let [plain, _] = *server.handle().addresses() else { panic!("two listeners") };
        assert_eq!(Connection::to(plain).ask(get("/")).text(), "plain");
        let reply = Connection::to(plain).ask(asking("/no"));
        assert_eq!((reply.status, reply.text()), (403, "no"));
        let client = Http2::to(plain);
        assert_eq!(client.get("/").text(), "plain");
        let mut exchange = asking2(&client, "/no");
        assert_eq!(exchange.head().status, 403);
        assert_eq!(exchange.rest().0, b"no");
        assert_eq!(server.stats().tunnels, 0);
    }
}

#[test]
fn an_upstream_of_http2_that_carries_no_websockets_is_not_asked() {
    for settings in [Settings::plain(), Settings::secure()] {
        let upstream = echoing2(settings);
        let server = serve(&upstream.url());
        let [plain, _] = *server.handle().addresses() else { panic!("two listeners") };
        assert_eq!(Connection::to(plain).ask(get("/x")).text(), "/x");
        assert_eq!(Connection::to(plain).ask(asking("/yes")).status, 502);
        let client = Http2::to(plain);
        assert_eq!(client.get("/x").text(), "/x");
        let mut exchange = asking2(&client, "/yes");
        assert_eq!(exchange.head().status, 502);
        drop(exchange);
        // Others are none the worse for that.
        assert_eq!(client.get("/y").text(), "/y");
        assert_eq!((upstream.count(), server.stats().tunnels), (3, 0));
        let (failed, shaken) = (server.failures("upgrade_failed"), server.failures("tls_handshake"));
        assert_eq!(failed + shaken, 2);
    }
}

#[test]
fn an_upstream_that_does_not_know_of_websockets_is_not_taken_for_one() {
    let upstream = crate::upstream::echoing();
    let server = serve(&upstream.url());
    let [plain, _] = *server.handle().addresses() else { panic!("two listeners") };
    let reply = Connection::to(plain).ask(asking("/x"));
    assert_eq!((reply.status, reply.text()), (200, "/x"));
    // To a client of HTTP/2, 200 would say that it is open (RFC 8441 §5).
    let mut exchange = asking2(&Http2::to(plain), "/x");
    assert_eq!(exchange.head().status, 501);
    assert_eq!(server.stats().tunnels, 0);
}

#[test]
fn an_upstream_over_tls_that_speaks_both_is_spoken_to_in_http1() {
    let upstream = secure_upstream(pair().server(&["h2", "http/1.1"]), |peer| {
        // It would like HTTP/2 better.
        script1(peer);
    });
    let server = serve(&upstream.url());
    let [plain, _] = *server.handle().addresses() else { panic!("two listeners") };
    let mut client = Connection::to(plain);
    client.send(asking("/yes"));
    is_granted(&client.reply());
    talk(&mut client, |client| client.finish());
}

#[test]
fn whoever_goes_first_takes_the_other_side_along() {
    for behind in Behind::all() {
        let server = serve(&behind.url());
        let [plain, _] = *server.handle().addresses() else { panic!("two listeners") };
        assert_eq!(Connection::to(plain).ask(get("/")).text(), "plain");
        let mut client = Connection::to(plain);
        client.send(asking("/yes"));
        is_granted(&client.reply());
        client.reset_on_drop();
        drop(client);
        eventually("it has gone", || server.stats().open == 0 && behind.open() <= 1);
        let client = Http2::to(plain);
        assert_eq!(client.get("/").text(), "plain");
        let mut exchange = asking2(&client, "/yes");
        assert_eq!(exchange.head().status, 200);
        assert_eq!(exchange.at_least(6), b"hello ");
        exchange.reset(Reason::CANCEL);
        assert_eq!(client.get("/").text(), "plain");
        drop(client);
        eventually("it has gone", || server.stats().open == 0 && behind.open() <= 1);
    }
}

#[test]
fn an_upstream_that_breaks_off_is_told_of() {
    for is_http2 in [false, true] {
        let behind = match is_http2 {
            false => Behind::One(upstream(|peer| {
                let seen = peer.request();
                let accept = accept_of(&seen.values("sec-websocket-key")[0]);
                peer.say(format!(
                    "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\nhello "
                ));
                peer.raw(1);
                peer.reset();
            })),
            true => Behind::Two(http2_upstream(
                Settings::plain().codec(|codec| codec.enable_connect_protocol()),
                |asked| {
                    asked.head(200, &[], false);
                    asked.send("hello ");
                    let _first = asked.try_data();
                    asked.reset(Reason::INTERNAL_ERROR);
                },
            )),
        };
        let server = serve(&behind.url());
        let [plain, _] = *server.handle().addresses() else { panic!("two listeners") };
        let mut client = Connection::to(plain);
        client.send(asking("/yes"));
        assert_eq!(client.reply().status, 101);
        assert_eq!(client.raw(6), b"hello ");
        client.send("x");
        assert_eq!(client.rest(), b"");
        let client = Http2::to(plain);
        let mut exchange = asking2(&client, "/yes");
        assert_eq!(exchange.head().status, 200);
        assert_eq!(exchange.at_least(6), b"hello ");
        exchange.send("x");
        let (rest, end) = exchange.rest();
        // RFC 8441 §5: a connection that breaks off is a stream that is reset.
        assert!(rest.is_empty() && end.is_err(), "{is_http2}: {rest:?} {end:?}");
        eventually("nothing is left", || behind.open() <= 1);
    }
}

/// A handler that echoes what it is sent, then says goodbye.
fn echo(_: Request, res: Response) {
    let mut upgraded = res.header("Sec-WebSocket-Protocol", "chat").upgrade("websocket");
    task::spawn(async move {
        upgraded.write_all(b"hello ").await?;
        copy(&mut upgraded).await?;
        upgraded.write_all(b"bye").await?;
        upgraded.close().await
    });
}

async fn copy(upgraded: &mut Upgraded) -> std::io::Result<()> {
    let mut chunk = [0; 1000];
    loop {
        match upgraded.read(&mut chunk).await? {
            0 => return Ok(()),
            n => upgraded.write_all(&chunk[..n]).await?,
        }
    }
}

fn handling() -> Builder {
    Server::builder().workers(1).at("/yes", echo).get("/", |_: Request, res: Response| res.send("plain"))
}

#[test]
fn a_handler_takes_websockets_of_all_clients() {
    let server = Running::new(handling().bind("127.0.0.1:0").bind_tls("127.0.0.1:0", tls()));
    let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
    for client in [Http2::to(plain), Http2::secure(secure)] {
        let mut exchange = asking2(&client, "/yes");
        let head = exchange.head();
        assert_eq!((head.status, head.field("sec-websocket-protocol")), (200, Some("chat")));
        talk2(&mut exchange);
        // Many at once, beside other requests.
        let mut exchanges: Vec<_> = (0..20).map(|_| asking2(&client, "/yes")).collect();
        exchanges.iter_mut().for_each(|exchange| assert_eq!(exchange.head().status, 200));
        exchanges.iter_mut().for_each(talk2);
        assert_eq!(client.get("/").text(), "plain");
        let mut exchange = asking2(&client, "/nowhere");
        assert_eq!(exchange.head().status, 404);
        let mut exchange = asking2(&client, "/");
        // 200 would be taken for an open WebSocket (RFC 8441 §5).
        assert_eq!(exchange.head().status, 501);
    }
    let mut client = TlsClient::new().connect(secure);
    client.send(asking("/yes"));
    assert_eq!(client.reply().status, 101);
    talk(&mut client, Connection::finish_secure);
    eventually("nothing is left", || server.stats().open == 0);
}

#[test]
fn a_websocket_that_carries_nothing_is_closed_and_one_that_does_is_not() {
    let upstream = upstream(script1);
    let timeouts = Timeouts { tunnel_idle: Duration::from_millis(150), ..Timeouts::default() };
    let builder =
        handling().timeouts(timeouts).at("/up/*path", Proxy::to(upstream.url()).strip_prefix("/up"));
    let server = Running::new(builder.bind("127.0.0.1:0"));
    let client = Http2::to(server.address());
    for target in ["/yes", "/up/yes"] {
        let mut busy = asking2(&client, target);
        let mut idle = asking2(&client, target);
        for exchange in [&mut busy, &mut idle] {
            assert_eq!(exchange.head().status, 200);
            assert_eq!(exchange.at_least(6), b"hello ");
        }
        for _ in 0..8 {
            pause(50);
            busy.send("x");
            assert_eq!(busy.at_least(1), b"x");
        }
        // What was told to whom has gone quiet may be an end or a reset.
        let (rest, _end) = idle.rest();
        assert!(rest.is_empty() || rest == b"bye", "{rest:?}");
        busy.send_end("");
        assert_eq!(busy.rest().0, b"bye");
    }
}

#[test]
fn what_is_no_websocket_is_not_taken_for_one() {
    let (give, take) = channel();
    let server = Running::new(
        Server::builder()
            .workers(1)
            .at("/*path", move |req: Request, res: Response| {
                give.send(req.method().to_owned()).expect("the test waits");
                res.send("");
            })
            .bind("127.0.0.1:0"),
    );
    let client = Http2::to(server.address());
    assert_eq!(client.get("/").status, 200);
    assert_eq!(take.recv().as_deref(), Ok("GET"));
    // Another protocol (RFC 8441 §4), and another version.
    let mut request = client.request("CONNECT", "/");
    request.extensions_mut().insert(Protocol::from_static("connect-udp"));
    assert_eq!(client.begin_request(request, false).head().status, 400);
    // A CONNECT of which nobody makes a tunnel here.
    let request =
        http::Request::builder().method("CONNECT").uri("other.test:443").body(()).expect("a request");
    let refused = client.begin_request(request, false).head().status;
    assert!((400..500).contains(&refused), "{refused}");
    assert_eq!(client.get("/").status, 200);
}
