//! What clients get from a listener that speaks TLS, and what becomes of those that don't.

use std::io::{Read, Write};
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{Builder, Limits, Proxy, Request, Response, Server, Shutdown, Timeouts, Tls, TlsVersion};
use rustls::ProtocolVersion;

use crate::support::certificates::{VERSIONS, authority, pair, tls};
use crate::support::http2::Http2;
use crate::support::secure::{TlsClient, socket};
use crate::support::{Connection, PATIENCE, Running, crlf, eventually, get};
use crate::upstream::echoing;

fn builder() -> Builder {
    Server::builder()
        .workers(1)
        .get("/", |_: Request, res: Response| res.send("hello"))
        .get("/scheme", |req: Request, res: Response| res.send(req.scheme()))
        .get("/version", |req: Request, res: Response| res.send(format!("{:?}", req.version())))
}

fn server() -> Running {
    listening(builder())
}

fn listening(builder: Builder) -> Running {
    Running::new(builder.bind_tls("127.0.0.1:0", tls()))
}

/// The beginning of a handshake.
fn half_a_hello() -> Vec<u8> {
    let mut hello = Vec::new();
    TlsClient::new().begin().write_tls(&mut hello).expect("memory takes it");
    hello.truncate(hello.len() / 2);
    hello
}

#[test]
fn both_versions_are_spoken() {
    let server = server();
    for version in VERSIONS {
        let mut client = TlsClient::version(version).connect(server.address());
        assert_eq!(client.ask(get("/")).text(), "hello");
        let spoken = client.stream().session().protocol_version();
        assert_eq!(spoken == Some(ProtocolVersion::TLSv1_3), version == VERSIONS[0]);
    }
    assert_eq!(server.stats().tls_handshakes, 2);
}

#[test]
fn an_older_version_than_the_listener_wants_is_refused() {
    let server = Running::new(builder().bind_tls("127.0.0.1:0", tls().min_version(TlsVersion::Tls13)));
    let error = TlsClient::version(VERSIONS[1]).try_connect(server.address()).err().expect("it is refused");
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    assert_eq!(TlsClient::version(VERSIONS[0]).connect(server.address()).ask(get("/")).text(), "hello");
    eventually("it is counted", || server.failures("tls_handshake_failed") == 1);
}

#[test]
fn the_protocol_inside_is_what_the_client_offers() {
    let server = server();
    for offered in [&["http/1.1"][..], &[]] {
        let mut client = TlsClient::new().alpn(offered).connect(server.address());
        assert_eq!(client.ask(get("/version")).text(), "Http1_1");
        assert_eq!(client.stream().session().alpn_protocol(), offered.first().map(|name| name.as_bytes()));
    }
    assert_eq!(Http2::secure(server.address()).get("/version").text(), "Http2_0");
    assert_eq!(server.stats().http2_connections, 1);
    // RFC 7301 §3.2: nothing in common is the end of it.
    assert!(TlsClient::new().alpn(&["spdy/3"]).try_connect(server.address()).is_err());
}

#[test]
fn http2_is_not_agreed_on_where_it_is_not_offered() {
    let server = Running::new(builder().bind_tls("127.0.0.1:0", tls().http2(false)));
    let mut client = TlsClient::new().alpn(&["h2", "http/1.1"]).connect(server.address());
    assert_eq!(client.stream().session().alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(client.ask(get("/version")).text(), "Http1_1");
    assert!(TlsClient::new().alpn(&["h2"]).try_connect(server.address()).is_err());
}

#[test]
fn requests_follow_each_other_one_by_one_and_in_a_row() {
    let server = server();
    let mut client = TlsClient::new().connect(server.address());
    for _ in 0..20 {
        assert_eq!(client.ask(get("/")).text(), "hello");
    }
    client.send(get("/").repeat(100));
    for _ in 0..100 {
        assert_eq!(client.reply().text(), "hello");
    }
    // In records that end anywhere.
    for piece in get("/").repeat(3).chunks(7) {
        client.send(piece);
    }
    for _ in 0..3 {
        assert_eq!(client.reply().text(), "hello");
    }
    assert_eq!((server.stats().accepted, server.stats().requests), (1, 123));
}

#[test]
fn the_scheme_is_told_to_handlers_and_upstreams() {
    let upstream = echoing();
    let server = builder().at("/up/*path", Proxy::to(upstream.url())).bind("127.0.0.1:0");
    let server = Running::new(server.bind_tls("127.0.0.1:0", tls()));
    let [plain, secure] = *server.handle().addresses() else { panic!("two listeners") };
    let ask_plain = |target: &str| Connection::to(plain).ask(get(target));
    let ask = |target: &str| TlsClient::new().connect(secure).ask(get(target));
    assert_eq!((ask_plain("/scheme").text(), ask("/scheme").text()), ("http", "https"));
    for is_secure in [false, true] {
        let (reply, expected) = if is_secure { (ask("/up/"), "https") } else { (ask_plain("/up/"), "http") };
        assert_eq!(reply.status, 200);
        let seen = upstream.last();
        assert_eq!(seen.values("x-forwarded-proto"), [expected]);
        assert!(seen.values("forwarded")[0].contains(&format!("proto={expected}")), "{seen:?}");
    }
    assert_eq!(Http2::secure(secure).get("/up/").status, 200);
    assert_eq!(upstream.last().values("x-forwarded-proto"), ["https"]);
    assert_eq!(Http2::to(plain).get("/up/").status, 200);
    assert_eq!(upstream.last().values("x-forwarded-proto"), ["http"]);
}

#[test]
fn a_request_for_another_host_than_the_handshake_has_named_is_misdirected() {
    let server = server();
    let host = |host: &str| crlf(&format!("GET / HTTP/1.1\nHost: {host}\n\n"));
    let client = || TlsClient::new().ask_for("a.test");
    for right in ["a.test", "A.Test", "a.test:8443", "a.test."] {
        assert_eq!(client().connect(server.address()).ask(host(right)).status, 200, "{right}");
    }
    for wrong in ["b.test", "test", "127.0.0.1", "x.a.test"] {
        assert_eq!(client().connect(server.address()).ask(host(wrong)).status, 421, "{wrong}");
    }
    assert_eq!(server.failures("misdirected"), 4);
    // In a target, too.
    let absolute = crlf("GET http://b.test/ HTTP/1.1\nHost: a.test\n\n");
    assert_eq!(client().connect(server.address()).ask(absolute).status, 421);
    // Of HTTP/2 only the request is refused: others may follow (RFC 9110 §15.5.20).
    let http2 = |name| {
        Http2::secure_with(server.address(), &TlsClient::new().ask_for("a.test"), &h2::client::Builder::new())
            .of_host(name)
    };
    let client = http2("b.test");
    assert_eq!((client.get("/").status, client.get("/").status), (421, 421));
    let client = client.of_host("a.test");
    assert_eq!(client.get("/").text(), "hello");
    // Who has named nobody may ask for all.
    let mut client = TlsClient::new().without_sni().connect(server.address());
    assert_eq!((client.ask(host("a.test")).status, client.ask(host("b.test")).status), (200, 200));
    let by_address = TlsClient::new().ask_for("127.0.0.1").connect(server.address()).ask(host("127.0.0.1"));
    assert_eq!(by_address.status, 200);
}

#[test]
fn a_connection_ends_with_a_goodbye() {
    let server = server();
    let mut client = TlsClient::new().connect(server.address());
    let reply = client.ask(crlf("GET / HTTP/1.1\nHost: test\nConnection: close\n\n"));
    assert!(reply.says_close());
    client.is_closed_with_goodbye();
    // Also where the client says it first, inside or outside of TLS.
    for outside in [false, true] {
        let mut client = TlsClient::new().connect(server.address());
        assert_eq!(client.ask(get("/")).text(), "hello");
        if outside {
            client.finish_secure()
        } else {
            client.say_goodbye()
        }
        client.is_closed_with_goodbye();
    }
    // And behind a refusal.
    let mut client = TlsClient::new().connect(server.address());
    assert_eq!(client.ask("nonsense\r\n\r\n").status, 400);
    client.is_closed_with_goodbye();
}

#[test]
fn a_request_and_a_goodbye_in_one_are_answered() {
    let server = server();
    let mut client = TlsClient::new().connect(server.address());
    client.send(get("/").repeat(2));
    client.finish_secure();
    assert_eq!((client.reply().text(), client.reply().text()), ("hello", "hello"));
    client.is_closed_with_goodbye();
}

#[test]
fn an_unused_connection_is_closed_with_a_goodbye() {
    let timeouts = Timeouts { keep_alive: Duration::from_millis(100), ..Timeouts::default() };
    let server = listening(builder().timeouts(timeouts));
    let mut client = TlsClient::new().connect(server.address());
    assert_eq!(client.ask(get("/")).text(), "hello");
    client.is_closed_with_goodbye();
}

#[test]
fn what_is_no_handshake_is_counted_and_does_not_bother_others() {
    let server = server();
    let mut other = TlsClient::new().connect(server.address());
    let plain = get("/");
    let too_long = [22, 3, 1, 255, 255].to_vec();
    let mut garbage = vec![0; 5000];
    garbage.fill_with(|| fastrand::u8(..));
    garbage[0] = 0xff;
    for (number, nonsense) in [plain, b"\0\0\0\0\0\0\0\0".to_vec(), too_long, garbage].into_iter().enumerate()
    {
        let mut client = Connection::to(server.address());
        let _cut = client.try_send(&nonsense);
        // There may be an alert.
        let rest = client.rest();
        assert!(rest.is_empty() || rest[0] == 21, "{}", rest.escape_ascii());
        eventually("it is counted", || server.failures("tls_handshake_failed") == number as u64 + 1);
    }
    assert_eq!(other.ask(get("/")).text(), "hello");
    assert_eq!((server.stats().tls_handshakes, server.stats().requests), (1, 1));
}

#[test]
fn nonsense_behind_the_handshake_ends_the_connection() {
    let server = server();
    let mut client = TlsClient::new().connect(server.address());
    assert_eq!(client.ask(get("/")).text(), "hello");
    client.stream().socket().write_all(&get("/")).expect("the server reads");
    client.is_closed();
    assert_eq!(TlsClient::new().connect(server.address()).ask(get("/")).text(), "hello");
    eventually("the connections are gone", || server.stats().open == 0);
}

#[test]
fn whoever_only_looks_whether_the_port_is_open_is_no_failure() {
    let server = server();
    drop(Connection::to(server.address()));
    eventually("it has gone", || server.stats().accepted == 1 && server.stats().open == 0);
    assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn a_handshake_has_its_time() {
    let timeouts = Timeouts { handshake: Duration::from_millis(100), ..Timeouts::default() };
    let server = listening(builder().timeouts(timeouts));
    let mut silent = Connection::to(server.address());
    let mut slow = Connection::to(server.address());
    slow.send(half_a_hello());
    silent.is_closed();
    slow.is_closed();
    eventually("they are counted", || server.failures("tls_handshake_timeout") == 2);
    // It does not last into what follows.
    let mut client = TlsClient::new().connect(server.address());
    crate::support::pause(200);
    assert_eq!(client.ask(get("/")).text(), "hello");
}

#[test]
fn a_handshake_that_is_over_leaves_the_time_of_a_head() {
    let timeouts = Timeouts { head: Duration::from_millis(100), ..Timeouts::default() };
    let server = listening(builder().timeouts(timeouts));
    let mut client = TlsClient::new().connect(server.address());
    client.is_closed_with_goodbye();
    assert_eq!(server.failures("head_timeout"), 1);
}

#[test]
fn so_many_handshakes_go_on_at_once_and_no_more() {
    let server = listening(builder().limits(Limits { handshakes: 2, ..Limits::default() }));
    let mut shaking: Vec<_> = (0..2).map(|_| Connection::to(server.address())).collect();
    for client in &mut shaking {
        client.send(half_a_hello());
    }
    eventually("both are there", || server.stats().open == 2);
    Connection::to(server.address()).is_closed();
    eventually("it is counted", || server.failures("tls_handshake_limit") == 1);
    drop(shaking.pop());
    eventually("one has gone", || server.stats().open == 1);
    // Those that are through don't count.
    let clients: Vec<_> = (0..3).map(|_| TlsClient::new().connect(server.address())).collect();
    for mut client in clients {
        assert_eq!(client.ask(get("/")).text(), "hello");
    }
}

#[test]
fn half_finished_handshakes_do_not_keep_a_server_from_its_end() {
    let server = server();
    let mut shaking = Connection::to(server.address());
    shaking.send(half_a_hello());
    let mut idle = TlsClient::new().connect(server.address());
    assert_eq!(idle.ask(get("/")).text(), "hello");
    eventually("both are there", || server.stats().open == 2);
    assert_eq!(block_on(server.handle().shutdown(PATIENCE)), Shutdown::Clean);
    shaking.is_closed();
    idle.is_closed_with_goodbye();
}

#[test]
fn sessions_are_resumed_and_counted() {
    let server = server();
    for version in VERSIONS {
        let before = server.stats();
        let client = TlsClient::version(version).resuming();
        let mut first = client.connect(server.address());
        // The tickets of TLS 1.3 come behind the handshake.
        assert_eq!(first.ask(get("/")).text(), "hello");
        let mut second = client.connect(server.address());
        assert_eq!(second.ask(get("/")).text(), "hello");
        assert_eq!((first.stream().is_resumed(), second.stream().is_resumed()), (false, true));
        let after = server.stats();
        assert_eq!(
            (after.tls_handshakes - before.tls_handshakes, after.tls_resumed - before.tls_resumed),
            (2, 1)
        );
    }
}

#[test]
fn sessions_are_not_resumed_where_no_tickets_are_given_nor_by_another_listener() {
    let server = Running::new(builder().bind_tls("127.0.0.1:0", tls().tickets(false)));
    let others = Running::new(builder().bind_tls("127.0.0.1:0", tls()).bind_tls("127.0.0.1:0", tls()));
    let [one, other] = *others.handle().addresses() else { panic!("two listeners") };
    for (first, second) in [(server.address(), server.address()), (one, other)] {
        let client = TlsClient::new().resuming();
        for address in [first, second] {
            let mut client = client.connect(address);
            assert_eq!(client.ask(get("/")).text(), "hello");
            assert!(!client.stream().is_resumed());
        }
    }
}

#[test]
fn several_listeners_of_one_server_have_each_their_own() {
    let other = authority().certify(&["b.test"]);
    let builder = builder().bind("127.0.0.1:0").bind_tls("127.0.0.1:0", pair().tls());
    let server = Running::new(builder.bind_tls("127.0.0.1:0", Tls::pem(&other.certificate, &other.key)));
    let [plain, one, two] = *server.handle().addresses() else { panic!("three listeners") };
    assert_eq!(Connection::to(plain).ask(get("/")).text(), "hello");
    assert!(TlsClient::new().ask_for("a.test").try_connect(one).is_ok());
    assert!(TlsClient::new().ask_for("a.test").try_connect(two).is_err());
    assert!(TlsClient::new().ask_for("b.test").try_connect(two).is_ok());
}

#[cfg(unix)]
#[test]
fn a_unix_domain_socket_can_speak_tls() {
    use std::os::unix::net::UnixStream;
    let folder = crate::support::folder::Folder::new();
    let path = folder.path("tls.sock");
    let server = Running::new(builder().bind_tls(format!("unix:{}", path.display()), tls()));
    let socket = UnixStream::connect(&path).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut stream = rustls::StreamOwned::new(TlsClient::new().begin(), socket);
    stream.write_all(&crlf("GET /scheme HTTP/1.1\nHost: test\nConnection: close\n\n")).expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("it ends with a goodbye");
    assert!(reply.ends_with("\r\n\r\nhttps"), "{reply}");
    assert_eq!(server.stats().tls_handshakes, 1);
    drop(server);
}

#[test]
fn a_hello_in_pieces_is_one() {
    let server = server();
    let socket = socket(server.address());
    let mut client = TlsClient::new().begin();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("memory takes it");
    for byte in hello.chunks(97) {
        (&socket).write_all(byte).expect("the server reads");
        crate::support::pause(1);
    }
    let mut stream = rustls::StreamOwned::new(client, socket);
    stream.write_all(&get("/")).expect("the server reads");
    let mut status = [0; 15];
    stream.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200 OK");
}
