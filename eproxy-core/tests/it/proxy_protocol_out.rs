//! The PROXY protocol towards upstreams: they are told whose connection it is that one is made for. Headers are taken apart
//! byte by byte here.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use eproxy_core::{Proxy, ProxyProtocol, Server};

use crate::proxy_protocol::{SIGNATURE, binary, ends};
use crate::support::{Connection, Running, get, start};
use crate::upstream::{Peer, Upstream, echo, serve, upstream};

/// An upstream whose connections begin with a header, which is its answer to every request.
fn asking(version: ProxyProtocol) -> Upstream {
    upstream(move |peer| {
        let header = match version {
            ProxyProtocol::V1 => line(peer),
            ProxyProtocol::V2 => addresses(peer),
        };
        while let Some(seen) = peer.next() {
            assert!(echo(&seen).starts_with(b"HTTP/1.1 200"));
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{header}", header.len()));
        }
    })
}

/// Reads a header of version 1.
fn line(peer: &mut Peer) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(peer.raw(1));
    }
    String::from_utf8(line).expect("ASCII").trim_end().to_owned()
}

/// Reads a header of version 2, and says the same in the words of version 1.
fn addresses(peer: &mut Peer) -> String {
    assert_eq!(peer.raw(12), SIGNATURE);
    let fixed = peer.raw(4);
    let rest = peer.raw(usize::from(u16::from_be_bytes([fixed[2], fixed[3]])));
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let four = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&rest[at..at + 4]).expect("four bytes"));
    let six = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&rest[at..at + 16]).expect("sixteen bytes"));
    match fixed[..2] {
        [0x21, 0x11] => format!("PROXY TCP4 {} {} {} {}", four(0), four(4), port(8), port(10)),
        [0x21, 0x21] => format!("PROXY TCP6 {} {} {} {}", six(0), six(16), port(32), port(34)),
        [0x21, 0x00] => "PROXY UNKNOWN".to_owned(),
        _ => panic!("{fixed:?}"),
    }
}

/// What an upstream is told of a client's connection.
fn told(client: &Connection, server: SocketAddr) -> String {
    let client = client.local();
    format!("PROXY TCP4 {} {} {} {}", client.ip(), server.ip(), client.port(), server.port())
}

const BOTH: [ProxyProtocol; 2] = [ProxyProtocol::V1, ProxyProtocol::V2];

#[test]
fn an_upstream_is_told_whose_connection_it_is_once() {
    for version in BOTH {
        let upstream = asking(version);
        let server = serve(Proxy::to(upstream.url()).proxy_protocol(version));
        let mut client = server.connect();
        let expected = told(&client, server.address());
        for target in ["/a", "/b", "/c"] {
            assert_eq!(client.ask(get(target)).text(), expected, "{version:?}");
        }
        client.send([get("/d"), get("/e")].concat());
        assert_eq!([client.reply(), client.reply()].map(|reply| reply.text() == expected), [true; 2]);
        assert_eq!((upstream.accepted(), upstream.count()), (1, 5), "{version:?}");
    }
}

#[test]
fn no_connection_carries_the_requests_of_two_clients() {
    for version in BOTH {
        let upstream = asking(version);
        let server = serve(Proxy::to(upstream.url()).proxy_protocol(version));
        let mut clients = [server.connect(), server.connect(), server.connect()];
        for round in 0..4 {
            for (number, client) in clients.iter_mut().enumerate() {
                let expected = told(client, server.address());
                assert_eq!(client.ask(get(&format!("/{number}"))).text(), expected, "{round}");
            }
        }
        assert_eq!(upstream.accepted(), 3);
        for seen in upstream.seen() {
            assert_eq!(seen.target, format!("/{}", seen.connection), "{version:?}");
        }
        // Who comes later gets none of them, even where its owner is gone.
        drop(clients);
        let mut late = server.connect();
        let expected = told(&late, server.address());
        assert_eq!((late.ask(get("/")).text(), upstream.accepted()), (expected.as_str(), 4));
    }
}

#[test]
fn a_request_that_is_sent_again_is_introduced_again() {
    for version in BOTH {
        // The first connection ends when it is used again.
        let upstream = upstream(move |peer| {
            let header = if version == ProxyProtocol::V1 { line(peer) } else { addresses(peer) };
            let mut left = if peer.number == 0 { 1 } else { 9 };
            while peer.next().is_some() && left > 0 {
                peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{header}", header.len()));
                left -= 1;
            }
        });
        let server = serve(Proxy::to(upstream.url()).proxy_protocol(version));
        let mut client = server.connect();
        let expected = told(&client, server.address());
        for _ in 0..3 {
            assert_eq!(client.ask(get("/")).text(), expected, "{version:?}");
        }
        assert_eq!((upstream.accepted(), upstream.count()), (2, 4));
    }
}

#[test]
fn a_connection_that_becomes_a_tunnel_is_introduced_too() {
    let upstream = upstream(|peer| {
        let header = addresses(peer);
        peer.request();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n");
        peer.say(header);
    });
    let server = serve(Proxy::to(upstream.url()).proxy_protocol(ProxyProtocol::V2));
    let mut client = server.connect();
    let expected = told(&client, server.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 101);
    assert_eq!(client.rest(), expected.as_bytes());
}

#[test]
fn requests_that_tell_and_those_that_do_not_share_no_connection() {
    let upstream = upstream(|peer| {
        if peer.number == 0 {
            addresses(peer);
        }
        while let Some(seen) = peer.next() {
            peer.say(echo(&seen));
        }
    });
    let proxy = || Proxy::to(upstream.url());
    let server = start(
        Server::builder()
            .workers(1)
            .at("/told", proxy().proxy_protocol(ProxyProtocol::V2))
            .at("/untold", proxy()),
    );
    let mut client = server.connect();
    for target in ["/told", "/untold", "/told", "/untold"] {
        assert_eq!(client.ask(get(target)).text(), target);
    }
    assert_eq!(upstream.accepted(), 2);
}

#[test]
fn what_a_proxy_in_front_says_is_said_on() {
    let four = ends("192.0.2.7:1234", "198.51.100.1:80");
    let six = ends("[2001:db8::7]:1234", "[2001:db8::1]:80");
    for version in BOTH {
        let upstream = asking(version);
        let server = Running::new(
            Server::builder()
                .workers(1)
                .trusted_proxies(["127.0.0.1"])
                .at("/*path", Proxy::to(upstream.url()).proxy_protocol(version))
                .bind_proxy_protocol("127.0.0.1:0"),
        );
        for (header, expected) in [
            (binary(1, 0x11, &four), "PROXY TCP4 192.0.2.7 198.51.100.1 1234 80"),
            (binary(1, 0x21, &six), "PROXY TCP6 2001:db8::7 2001:db8::1 1234 80"),
        ] {
            let mut client = server.connect();
            client.send(header);
            assert_eq!(client.ask(get("/")).text(), expected);
            assert_eq!(client.ask(get("/")).text(), expected);
        }
        // A connection of the proxy's own.
        let mut client = server.connect();
        client.send(binary(0, 0x00, b""));
        assert_eq!(client.ask(get("/")).text(), told(&client, server.address()));
        assert_eq!(upstream.accepted(), 3);
    }
}

#[cfg(unix)]
#[test]
fn of_a_client_without_an_address_nothing_is_said() {
    let folder = crate::support::folder::Folder::new();
    for version in BOTH {
        let upstream = asking(version);
        let address = format!("unix:{}", folder.path("server.sock").display());
        let proxy = Proxy::to(upstream.url()).proxy_protocol(version);
        let _server = Running::new(Server::builder().workers(1).at("/*path", proxy).bind(address));
        for _ in 0..2 {
            let stream = std::os::unix::net::UnixStream::connect(folder.path("server.sock")).unwrap();
            stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
            assert_eq!(Connection::over(stream).ask(get("/")).text(), "PROXY UNKNOWN");
        }
    }
}
