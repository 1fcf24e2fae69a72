//! A forward proxy whose clients speak HTTP/2, and whose tunnels are streams.

use eproxy_core::{Forward, Request, Response, Server};
use h2::Reason;

use crate::forward::{forwarding, open_to_loopback};
use crate::support::certificates::tls;
use crate::support::http2::{Exchange, Http2};
use crate::support::secure::TlsClient;
use crate::support::{Running, eventually, start};
use crate::upstream::{Upstream, echoing, upstream};

fn connecting(client: &Http2, authority: &str) -> Exchange {
    let request = http::Request::builder().method("CONNECT").uri(authority).body(()).expect("a request");
    client.begin_request(request, false)
}

/// An upstream that echoes bytes, and says goodbye.
fn bytes() -> Upstream {
    upstream(|peer| {
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
        peer.say("bye");
    })
}

fn open() -> Forward {
    // The ports of the tests are any.
    open_to_loopback().connect_ports(1..=65_535)
}

fn secure(forward: Forward) -> Running {
    Running::new(Server::builder().workers(1).forward(forward).bind_tls("127.0.0.1:0", tls()))
}

#[test]
fn a_tunnel_is_a_stream() {
    let upstream = bytes();
    let plain = forwarding(open());
    let secure = secure(open());
    for (server, client) in [(&plain, Http2::to(plain.address())), (&secure, Http2::secure(secure.address()))]
    {
        for round in 1..4 {
            let mut exchange = connecting(&client, &upstream.address().to_string());
            let head = exchange.head();
            assert_eq!(head.status, 200);
            // RFC 9113 §8.5.
            for name in ["content-length", "transfer-encoding", "connection"] {
                assert!(head.field(name).is_none(), "{name}");
            }
            for size in [1, 1000, 300_000] {
                let sent = vec![b'x'; size];
                exchange.send(&sent[..]);
                assert!(exchange.at_least(size) == sent);
            }
            exchange.send_end("end, ");
            let (rest, end) = exchange.rest();
            assert_eq!(rest, b"end, bye");
            assert!(end.is_ok());
            eventually("it is counted", || server.stats().tunnels == round);
        }
        assert_eq!(server.stats().http2_connections, 1);
    }
    eventually("nothing is left", || upstream.open() == 0);
}

#[test]
fn many_tunnels_share_a_connection() {
    let upstream = bytes();
    let server = forwarding(open());
    let client = Http2::to(server.address());
    let authority = upstream.address().to_string();
    let mut exchanges: Vec<_> = (0..30).map(|_| connecting(&client, &authority)).collect();
    for exchange in &mut exchanges {
        assert_eq!(exchange.head().status, 200);
    }
    for (number, exchange) in exchanges.iter_mut().enumerate() {
        exchange.send(number.to_string());
    }
    for (number, exchange) in exchanges.iter_mut().enumerate() {
        let expected = number.to_string();
        assert_eq!(exchange.at_least(expected.len()), expected.as_bytes());
    }
    exchanges.remove(0).reset(Reason::CANCEL);
    eventually("one is gone", || upstream.open() == 29);
    for exchange in &mut exchanges {
        exchange.send_end("");
        assert_eq!(exchange.rest().0, b"bye");
    }
    eventually("all are gone", || upstream.open() == 0);
}

#[test]
fn tls_goes_through_a_tunnel() {
    // What it is for: the client speaks with somebody else.
    let behind = Running::new(
        Server::builder()
            .workers(1)
            .get("/", |_: Request, res: Response| res.send("behind"))
            .bind_tls("127.0.0.1:0", tls()),
    );
    let server = forwarding(open());
    let client = Http2::to(server.address());
    let mut exchange = connecting(&client, &behind.address().to_string());
    assert_eq!(exchange.head().status, 200);
    let mut inside = TlsClient::new().begin();
    let mut heard = Vec::new();
    std::io::Write::write_all(&mut inside.writer(), b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .expect("it is kept");
    while !heard.ends_with(b"behind") {
        let mut out = Vec::new();
        while inside.wants_write() {
            inside.write_tls(&mut out).expect("memory takes it");
        }
        if !out.is_empty() {
            exchange.send(out);
        }
        let came = exchange.data().expect("there is more");
        inside.read_tls(&mut &came[..]).expect("there is room");
        inside.process_new_packets().expect("it is TLS");
        let mut plain = [0; 1000];
        if let Ok(n) = std::io::Read::read(&mut inside.reader(), &mut plain) {
            heard.extend_from_slice(&plain[..n]);
        }
    }
}

#[test]
fn requests_go_where_their_authority_says() {
    let upstream = echoing();
    let server = forwarding(open());
    let client = Http2::to(server.address());
    for (method, path) in [("GET", "/a?b"), ("DELETE", "/"), ("POST", "/c")] {
        let target = format!("http://{}{path}", upstream.address());
        let answer = client.ask(method, &target).whole();
        assert_eq!((answer.status, answer.text()), (200, path));
        assert_eq!(answer.field("via"), Some("1.1 eproxy"));
        let seen = upstream.last();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, path));
        assert_eq!(seen.values("host"), [upstream.address().to_string()]);
        assert_eq!(seen.values("via"), ["2.0 eproxy"]);
        assert!(seen.values("x-forwarded-for").is_empty());
    }
    assert_eq!(client.post(&format!("http://{}/", upstream.address()), "body").text(), "body");
}

#[test]
fn who_may_not_is_told_so() {
    let upstream = echoing();
    let authority = upstream.address().to_string();
    let server = forwarding(open().user("ada", "secret"));
    let client = Http2::to(server.address());
    let mut refused = connecting(&client, &authority);
    let head = refused.head();
    assert_eq!(head.status, 407);
    assert!(head.field("proxy-authenticate").is_some());
    let credentials = format!("Basic {}", base64::encode("ada:secret"));
    let mut request =
        http::Request::builder().method("CONNECT").uri(&*authority).body(()).expect("a request");
    request.headers_mut().insert("proxy-authorization", credentials.parse().expect("a value"));
    assert_eq!(client.begin_request(request, false).head().status, 200);
    let mut request = client.request("GET", &format!("http://{authority}/x"));
    request.headers_mut().insert("proxy-authorization", credentials.parse().expect("a value"));
    assert_eq!(client.begin_request(request, true).whole().text(), "/x");
    assert!(upstream.last().values("proxy-authorization").is_empty());
    // Nowhere else than where it is allowed.
    let server = forwarding(Forward::new());
    let client = Http2::to(server.address());
    assert_eq!(connecting(&client, &authority).head().status, 403);
    assert_eq!(client.get(&format!("http://{authority}/")).status, 403);
}

#[test]
fn a_tunnel_to_nowhere_is_a_bad_gateway() {
    let nobody = crate::support::server::nobody();
    let authority = nobody.strip_prefix("http://").expect("a URL");
    let server = forwarding(open());
    let client = Http2::to(server.address());
    let mut exchange = connecting(&client, authority);
    assert_eq!(exchange.head().status, 502);
    assert!(exchange.rest().1.is_ok());
    // Nor is one without a port (RFC 9110 §9.3.6).
    let mut exchange = connecting(&client, "127.0.0.1");
    assert_eq!(exchange.head().status, 400);
    drop(exchange);
    assert_eq!(server.failures("connect"), 1);
}

#[test]
fn what_is_served_beside_a_forward_proxy_is_served_over_http2_too() {
    let upstream = echoing();
    let server = start(
        Server::builder()
            .workers(1)
            .forward(open())
            .get("/", |_: Request, res: Response| res.send("a proxy")),
    );
    let client = Http2::to(server.address());
    assert_eq!(client.get("/").text(), "a proxy");
    let mut exchange = connecting(&client, &upstream.address().to_string());
    assert_eq!(exchange.head().status, 200);
}
