//! Request bodies that are read before an upstream hears of them, where that is asked for.

use std::time::Duration;

use eproxy_core::{Endpoint, Group, Proxy, Server, Timeouts};

use crate::support::server::nobody;
use crate::support::{Connection, Running, eventually, get, post, start};
use crate::upstream::{Upstream, echoing, serve, upstream};

/// A server that reads so much of requests before it passes them on, with an echoing upstream.
fn reading(bytes: u64) -> (Running, Upstream) {
    let upstream = echoing();
    (serve(Proxy::to(upstream.url()).buffer_requests(bytes)), upstream)
}

/// Begins an upload in this framing.
fn begin(server: &Running, method: &str, framing: &str) -> Connection {
    let mut client = server.connect();
    client.send(format!("{method} /a HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n"));
    client
}

const CHUNKED: &str = "Transfer-Encoding: chunked";

#[test]
fn an_upstream_hears_of_a_request_when_all_of_it_was_read() {
    let (server, upstream) = reading(100);
    for (framing, pieces) in [
        ("Content-Length: 11", ["hello", " ", "world"]),
        (CHUNKED, ["5\r\nhello\r\n", "1\r\n \r\n", "5\r\nworld\r\n0\r\n\r\n"]),
    ] {
        let before = upstream.bytes();
        let mut client = begin(&server, "POST", framing);
        for piece in pieces {
            client.hears_nothing_for(20);
            assert_eq!(upstream.bytes(), before, "{framing}");
            client.send(piece);
        }
        assert_eq!(client.reply().text(), "hello world");
        assert_eq!(upstream.last().text(), "POST /a [Host: test|Content-Length: 11] hello world");
        // The next request on the connection is what it is.
        assert_eq!(client.ask(get("/b")).text(), "/b");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_request_behind_a_body_that_was_read_is_read_next() {
    let (server, _upstream) = reading(100);
    let mut client = begin(&server, "POST", "Content-Length: 5");
    client.hears_nothing_for(20);
    client.send([b"hello".to_vec(), post("/b", "world"), get("/c")].concat());
    for expected in ["hello", "world", "/c"] {
        assert_eq!(client.reply().text(), expected);
    }
}

#[test]
fn trailers_come_along_with_a_body_that_was_read() {
    let (server, upstream) = reading(100);
    let mut client = begin(&server, "POST", CHUNKED);
    client.send("2\r\nhi\r\n");
    client.hears_nothing_for(20);
    assert_eq!(upstream.bytes(), 0);
    client.send("0\r\nX-T: 1\r\n\r\n");
    assert_eq!(client.reply().text(), "hi");
    assert_eq!(upstream.last().text(), "POST /a [Host: test|Transfer-Encoding: chunked] hi {X-T: 1}");
}

#[test]
fn a_client_that_waits_for_a_word_gets_it_from_the_proxy() {
    let (server, upstream) = reading(100);
    for (framing, body) in [("Content-Length: 5", "hello"), (CHUNKED, "5\r\nhello\r\n0\r\n\r\n")] {
        let mut client = begin(&server, "POST", &format!("Expect: 100-continue\r\n{framing}"));
        assert_eq!(client.head().unwrap().status, 100);
        client.send(body);
        let reply = client.reply();
        assert_eq!((reply.text(), &*reply.interim), ("hello", &[][..]));
        assert_eq!(upstream.last().text(), "POST /a [Host: test|Content-Length: 5] hello");
    }
}

#[test]
fn what_is_longer_is_passed_on_as_it_comes() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).buffer_requests(8));
    // One that is known to be longer, from its first byte on.
    let mut client = begin(&server, "POST", "Content-Length: 11");
    client.send("hello");
    eventually("it is on its way", || upstream.heard(0).ends_with(b"\r\n\r\nhello"));
    client.send(" world");
    assert_eq!(client.reply().text(), "hello world");
    assert_eq!(upstream.last().text(), "POST /a [Host: test|Content-Length: 11] hello world");
    // One that turns out to be.
    let mut client = begin(&server, "POST", CHUNKED);
    client.send("5\r\nhello\r\n");
    client.hears_nothing_for(20);
    let before = upstream.bytes();
    client.send("6\r\n world\r\n");
    eventually("it is on its way", || upstream.bytes() > before && upstream.heard(0).ends_with(b"rld\r\n"));
    client.send("1\r\n!\r\n0\r\nX-T: 1\r\n\r\n");
    assert_eq!(client.reply().text(), "hello world!");
    let expected = "POST /a [Host: test|Transfer-Encoding: chunked] hello world! {X-T: 1}";
    assert_eq!(upstream.last().text(), expected);
}

#[test]
fn a_body_that_is_just_as_long_as_may_be_read_is_read_whole() {
    let (server, upstream) = reading(5);
    for (framing, start, end) in
        [("Content-Length: 5", "hell", "o"), (CHUNKED, "5\r\nhello\r\n", "0\r\n\r\n")]
    {
        let before = upstream.bytes();
        let mut client = begin(&server, "POST", framing);
        client.send(start);
        client.hears_nothing_for(20);
        assert_eq!(upstream.bytes(), before, "{framing}");
        client.send(end);
        assert_eq!(client.reply().text(), "hello");
        assert_eq!(upstream.last().text(), "POST /a [Host: test|Content-Length: 5] hello", "{framing}");
    }
}

#[test]
fn the_limit_of_a_body_is_another_one_and_no_upstream_hears_of_what_is_over_it() {
    for most in [100, 3, 5] {
        let upstream = echoing();
        let server = serve(Proxy::to(upstream.url()).buffer_requests(most).body_limit(5));
        let mut client = begin(&server, "POST", CHUNKED);
        client.send("5\r\nhello\r\n");
        client.send("0\r\n\r\n");
        assert_eq!(client.reply().text(), "hello", "{most}");
        let reply = server.ask(post("/a", "hello!"));
        assert_eq!((reply.status, reply.says_close()), (413, true));
        let mut client = begin(&server, "POST", CHUNKED);
        client.send("6\r\nhello!\r\n");
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (413, true), "{most}");
        assert_eq!(server.failures("body_too_large"), 2);
        assert!(upstream.seen().iter().all(|seen| seen.body == b"hello" || !seen.is_whole), "{most}");
        assert!(most < 5 || upstream.count() == 1, "{most}: it was read before");
    }
}

#[test]
fn what_is_wrong_with_a_body_is_known_before_an_upstream_hears_of_it() {
    let upstream = echoing();
    let short = Duration::from_millis(100);
    let timeouts = Timeouts { body_idle: short, ..Timeouts::default() };
    let proxy = Proxy::to(upstream.url()).buffer_requests(100);
    let server = start(Server::builder().workers(1).timeouts(timeouts).at("/*path", proxy));
    let mut client = begin(&server, "POST", CHUNKED);
    client.send("2\r\nhi\r\nx\r\n");
    assert_eq!((client.reply().status, server.failures("bad_chunk")), (400, 1));
    let mut client = begin(&server, "POST", "Content-Length: 9");
    client.send("four");
    client.finish();
    assert_eq!((client.reply().status, server.failures("truncated")), (400, 1));
    let mut client = begin(&server, "POST", "Content-Length: 9");
    client.send("four");
    assert_eq!((client.reply().status, server.failures("body_timeout")), (408, 1));
    let mut client = begin(&server, "POST", "Content-Length: 9");
    client.send("four");
    client.reset_on_drop();
    drop(client);
    eventually("it is gone", || server.stats().open == 0);
    assert_eq!((upstream.accepted(), upstream.bytes()), (0, 0));
}

/// A server that prefers an upstream which ends each connection with the request unanswered, and has a good one.
fn retrying(proxy: fn(Proxy) -> Proxy) -> (Running, Upstream, Upstream) {
    let bad = upstream(|peer| {
        peer.next();
    });
    let good = echoing();
    let group = Group::from(bad.url()).with(Endpoint::new(good.url()).priority(1));
    (serve(proxy(Proxy::to(group))), bad, good)
}

#[test]
fn a_body_that_was_read_whole_can_be_sent_again() {
    for (framing, body) in [("Content-Length: 5", "hello"), (CHUNKED, "5\r\nhello\r\n0\r\n\r\n")] {
        let (server, bad, good) = retrying(|proxy| proxy.buffer_requests(100));
        let mut client = begin(&server, "PUT", framing);
        client.hears_nothing_for(20);
        client.send(body);
        assert_eq!(client.reply().text(), "hello");
        assert_eq!((bad.last().body, good.last().body), (b"hello".to_vec(), b"hello".to_vec()));
        assert_eq!(server.stats().retries, 1);
    }
}

#[test]
fn one_that_was_not_or_must_not_be_is_not_sent_again() {
    type Change = fn(Proxy) -> Proxy;
    let cases: [(&str, Change, &str); 4] = [
        ("not read", |proxy| proxy, "PUT"),
        ("not read whole", |proxy| proxy.buffer_requests(3), "PUT"),
        ("not to be repeated", |proxy| proxy.buffer_requests(100), "POST"),
        ("not asked for", |proxy| proxy.buffer_requests(100).retries(0), "PUT"),
    ];
    for (name, change, method) in cases {
        let (server, bad, good) = retrying(change);
        let mut client = begin(&server, method, CHUNKED);
        client.hears_nothing_for(20);
        client.send("5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(client.reply().status, 502, "{name}");
        assert_eq!((bad.count(), good.count(), server.stats().retries), (1, 0, 0), "{name}");
    }
    // What nobody can have seen goes elsewhere, whatever it is.
    let good = echoing();
    let group = Group::from(nobody()).with(Endpoint::new(good.url()).priority(1));
    let server = serve(Proxy::to(group).buffer_requests(100));
    let mut client = begin(&server, "POST", CHUNKED);
    client.hears_nothing_for(20);
    client.send("5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "hello");
}

#[test]
fn a_slow_client_does_not_keep_an_upstream_from_others() {
    let (server, upstream) = reading(100);
    let mut slow = begin(&server, "POST", "Content-Length: 9");
    slow.send("four");
    for target in ["/b", "/c"] {
        assert_eq!(server.ask(get(target)).text(), target);
    }
    slow.send("-five");
    assert_eq!(slow.reply().text(), "four-five");
    assert_eq!(upstream.accepted(), 1);
}
