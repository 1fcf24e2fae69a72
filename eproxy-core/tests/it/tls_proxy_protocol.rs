//! The PROXY protocol in front of TLS and of HTTP/2, in both directions.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use eproxy_core::{Builder, Group, Proxy, ProxyProtocol, Request, Response, Server, Timeouts};

use crate::proxy_protocol::{binary, ends};
use crate::support::certificates::{tls, trusting};
use crate::support::http2::Http2;
use crate::support::http2_upstream::{Settings, http2_upstream};
use crate::support::secure::{Secure, TlsClient, socket};
use crate::support::{Connection, Running, crlf, eventually, get};
use crate::upstream::{echoing, upstream};

fn builder() -> Builder {
    Server::builder().workers(1).trusted_proxies(["127.0.0.1"]).get("/who", |req: Request, res: Response| {
        res.send(format!("{} {}", req.scheme(), req.peer_addr().expect("a client over TCP")))
    })
}

fn introduced() -> Running {
    Running::new(builder().bind_tls_proxy_protocol("127.0.0.1:0", tls()))
}

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n";

fn headers() -> [Vec<u8>; 2] {
    [HEADER.to_vec(), binary(1, 0x11, &ends("192.0.2.7:1234", "198.51.100.1:443"))]
}

/// Shakes hands behind a header.
fn connect(address: SocketAddr, header: &[u8]) -> Connection<Secure> {
    let socket = socket(address);
    (&socket).write_all(header).expect("the server reads");
    Connection::over(TlsClient::new().over(socket).expect("the handshake comes to its end"))
}

fn connect2(address: SocketAddr, header: &[u8]) -> Http2 {
    let socket = TcpStream::connect(address).expect("the server takes connections");
    (&socket).write_all(header).expect("the server reads");
    Http2::secure_over(socket.into(), &TlsClient::new(), &h2::client::Builder::new())
}

#[test]
fn a_client_behind_the_header_is_who_the_header_says() {
    let server = introduced();
    for header in headers() {
        let mut client = connect(server.address(), &header);
        for _ in 0..2 {
            assert_eq!(client.ask(get("/who")).text(), "https 192.0.2.7:1234");
        }
        let client = connect2(server.address(), &header);
        for _ in 0..2 {
            assert_eq!(client.get("/who").text(), "https 192.0.2.7:1234");
        }
    }
}

#[test]
fn a_header_and_a_hello_in_one_piece_or_in_many() {
    let server = introduced();
    for size in [usize::MAX, 7, 200] {
        for header in headers() {
            let socket = socket(server.address());
            let mut client = TlsClient::new().begin();
            let mut first = header.clone();
            client.write_tls(&mut first).expect("memory takes it");
            for piece in first.chunks(size.min(first.len())) {
                (&socket).write_all(piece).expect("the server reads");
                if size != usize::MAX {
                    crate::support::pause(1);
                }
            }
            let mut stream = rustls::StreamOwned::new(client, socket);
            let asking = crlf("GET /who HTTP/1.1\nHost: test\nConnection: close\n\n");
            stream.write_all(&asking).expect("the server reads");
            let mut reply = String::new();
            std::io::Read::read_to_string(&mut stream, &mut reply).expect("it ends with a goodbye");
            assert!(reply.ends_with("https 192.0.2.7:1234"), "{reply}");
        }
    }
}

#[test]
fn upstreams_are_told_of_that_client() {
    let upstream = echoing();
    let builder = builder().at("/*path", Proxy::to(upstream.url()));
    let server = Running::new(builder.bind_tls_proxy_protocol("127.0.0.1:0", tls()));
    assert_eq!(connect(server.address(), HEADER).ask(get("/x")).status, 200);
    let seen = upstream.last();
    assert_eq!(seen.values("x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(seen.values("x-forwarded-proto"), ["https"]);
    assert_eq!(connect2(server.address(), HEADER).get("/y").status, 200);
    assert_eq!(upstream.last().values("x-forwarded-for"), ["192.0.2.7"]);
}

#[test]
fn without_a_header_there_is_no_handshake() {
    let server = introduced();
    assert!(TlsClient::new().try_connect(server.address()).is_err());
    eventually("it is counted", || server.failures("bad_proxy_protocol") == 1);
    // Nor is one accepted of those who are not trusted.
    let builder = Server::builder().workers(1).trusted_proxies(["192.0.2.1"]);
    let builder = builder.get("/", |_: Request, res: Response| res.send(""));
    let server = Running::new(builder.bind_tls_proxy_protocol("127.0.0.1:0", tls()));
    let socket = socket(server.address());
    let _cut = (&socket).write_all(HEADER);
    assert!(TlsClient::new().over(socket).is_err());
    eventually("it is counted", || server.failures("bad_proxy_protocol") == 1);
}

#[test]
fn garbage_behind_a_header_is_a_handshake_that_failed() {
    let server = introduced();
    let mut client = server.connect();
    client.send([HEADER, &get("/who")].concat());
    client.rest();
    eventually("it is counted", || server.failures("tls_handshake_failed") == 1);
}

#[test]
fn a_handshake_behind_a_header_has_its_own_time() {
    let timeouts = Timeouts { handshake: Duration::from_millis(100), ..Timeouts::default() };
    let server = Running::new(builder().timeouts(timeouts).bind_tls_proxy_protocol("127.0.0.1:0", tls()));
    let mut client = server.connect();
    client.send(HEADER);
    client.is_closed();
    eventually("it is counted", || server.failures("tls_handshake_timeout") == 1);
}

#[test]
fn http2_without_tls_begins_behind_a_header_too() {
    let server = Running::new(builder().bind_proxy_protocol("127.0.0.1:0"));
    for header in headers() {
        let socket = TcpStream::connect(server.address()).expect("the server takes connections");
        (&socket).write_all(&header).expect("the server reads");
        let client = Http2::over(socket.into(), &h2::client::Builder::new());
        assert_eq!(client.get("/who").text(), "http 192.0.2.7:1234");
    }
}

#[test]
fn an_upstream_over_tls_is_told_before_the_handshake() {
    // The script reads what comes as it is, before there is any TLS.
    let upstream = upstream(|peer| {
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n") {
            header.extend(peer.raw(1));
        }
        assert!(header.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 "), "{}", header.escape_ascii());
        // RFC 8446 §5.1: a record of the handshake.
        assert_eq!(peer.raw(2), [22, 3]);
    });
    let url = upstream.url().replace("http://", "https://");
    let proxy = Proxy::to(Group::from(url).tls(trusting())).proxy_protocol(ProxyProtocol::V1);
    let server = Running::new(Server::builder().workers(1).at("/*path", proxy).bind("127.0.0.1:0"));
    assert_eq!(server.connect().ask(get("/x")).status, 502);
    eventually("it was seen", || upstream.accepted() == 1 && upstream.open() == 0);
}

#[test]
fn requests_of_different_clients_share_no_connection_of_http2() {
    // The codec of the upstream would not understand a header: whoever strips it stands in between.
    let behind = http2_upstream(Settings::plain(), |asked| {
        let target = asked.seen.target.clone();
        asked.answer(200, &[], target);
    });
    let to = behind.address();
    let stripping = upstream(move |peer| {
        while peer.raw(1) != b"\n" {}
        let mut behind = TcpStream::connect(to).expect("the upstream takes connections");
        let mut back = behind.try_clone().expect("a handle");
        let writer = peer.writer();
        let copy = crate::support::Helper::run(move || drop(std::io::copy(&mut back, &mut &*writer)));
        while let Some(bytes) = peer.some() {
            if behind.write_all(&bytes).is_err() {
                break;
            }
        }
        let _gone = behind.shutdown(std::net::Shutdown::Both);
        copy.join();
    });
    let url = stripping.url().replace("http://", "h2c://");
    let proxy = Proxy::to(url).proxy_protocol(ProxyProtocol::V1);
    let server = Running::new(Server::builder().workers(1).at("/*path", proxy).bind("127.0.0.1:0"));
    let clients = [server.connect(), server.connect()];
    for mut client in clients {
        for _ in 0..3 {
            assert_eq!(client.ask(get("/x")).text(), "/x");
        }
    }
    assert_eq!(stripping.accepted(), 2);
    let client = Http2::to(server.address());
    for _ in 0..3 {
        assert_eq!(client.get("/y").text(), "/y");
    }
    assert_eq!(stripping.accepted(), 3);
}
