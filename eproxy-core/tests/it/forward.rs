//! Requests that name where they are to go, and a forward proxy that passes them on.

use std::time::Duration;

use eproxy_core::{Forward, Request, Response, Server};

use crate::support::{Running, crlf, get, start};
use crate::upstream::{Upstream, echoing, upstream};

/// A forward proxy that may reach the upstreams of the tests.
pub(crate) fn open_to_loopback() -> Forward {
    Forward::new().allow("127.0.0.1")
}

/// Starts a server that is a forward proxy and nothing else.
pub(crate) fn forwarding(forward: Forward) -> Running {
    start(Server::builder().workers(1).forward(forward))
}

/// A GET whose target is absolute.
pub(crate) fn get_at(upstream: &Upstream, path: &str) -> Vec<u8> {
    let authority = upstream.address();
    crlf(&format!("GET http://{authority}{path} HTTP/1.1\nHost: {authority}\n\n"))
}

#[test]
fn a_request_goes_where_its_target_says() {
    let upstream = echoing();
    let server = forwarding(open_to_loopback());
    let authority = upstream.address();
    let reply = server.ask(get_at(&upstream, "/a/b?c=%2F&d"));
    assert_eq!((reply.status, reply.text()), (200, "/a/b?c=%2F&d"));
    let seen = upstream.last();
    assert_eq!(seen.text().trim_end(), format!("GET /a/b?c=%2F&d [Host: {authority}]"));
    // RFC 9110 §7.6.3: a proxy says in both directions that it was there; who sent the request is nobody's business.
    assert_eq!(
        (seen.values("via"), reply.header("via")),
        (vec!["1.1 eproxy".to_owned()], Some("1.1 eproxy"))
    );
    for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded"] {
        assert_eq!(seen.values(name), [] as [&str; 0], "{name}");
    }
}

#[test]
fn paths_stay_as_they_came_and_those_that_are_missing_are_made() {
    let upstream = echoing();
    let server = forwarding(open_to_loopback());
    let authority = upstream.address();
    for (method, scheme, path, expected) in [
        ("GET", "http", "", "/"),
        ("GET", "HTTP", "/", "/"),
        ("GET", "http", "?q=http://other/", "/?q=http://other/"),
        ("GET", "http", "//a/../%2e/%zz;x", "//a/../%2e/%zz;x"),
        // RFC 9112 §3.2.4.
        ("OPTIONS", "http", "", "*"),
        ("OPTIONS", "http", "/", "/"),
        ("DELETE", "http", "/x", "/x"),
        ("PROPFIND", "http", "/x", "/x"),
    ] {
        let target = format!("{scheme}://{authority}{path}");
        let reply = server.ask(crlf(&format!("{method} {target} HTTP/1.1\nHost: test\n\n")));
        assert_eq!(reply.status, 200, "{method} {target}");
        let seen = upstream.last();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, expected), "{target}");
    }
}

#[test]
fn the_host_of_the_target_takes_the_place_of_any_other() {
    // RFC 9112 §3.2.2.
    let upstream = echoing();
    let server = forwarding(open_to_loopback());
    let authority = upstream.address().to_string();
    let line = format!("GET http://{authority}/ HTTP/1.1\n");
    for fields in ["Host: other.example\n", "X-A: 1\nhOsT: other.example:81\n", "Host:\n"] {
        assert_eq!(server.ask(crlf(&format!("{line}{fields}\n"))).status, 200);
        assert_eq!(upstream.last().values("host"), [authority.as_str()], "{fields:?}");
    }
    let reply = server.ask(crlf(&format!("GET http://{authority}/ HTTP/1.0\n\n")));
    assert_eq!((reply.status, upstream.last().values("host")), (200, vec![authority.clone()]));
    // RFC 9112 §3.2: that it is not looked at is no reason for it to be missing or to be there twice.
    for fields in ["", "Host: a\nHost: a\n", "Host: a b\n"] {
        let reply = server.ask(crlf(&format!("{line}{fields}\n")));
        assert_eq!((reply.status, reply.says_close()), (400, true), "{fields:?}");
    }
    assert_eq!((upstream.count(), server.failures("bad_host")), (4, 3));
}

#[test]
fn what_concerns_a_connection_is_not_passed_on_in_either_direction() {
    let upstream = upstream(|peer| {
        while peer.next().is_some() {
            peer.say(
                "HTTP/1.1 200 OK\r\nConnection: X-Theirs\r\nX-Theirs: 1\r\nKeep-Alive: timeout=5\r\n\
                 Proxy-Connection: keep-alive\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let server = forwarding(open_to_loopback());
    let authority = upstream.address();
    let reply = server.ask(crlf(&format!(
        "GET http://{authority}/ HTTP/1.1\nHost: {authority}\nProxy-Connection: keep-alive\nKeep-Alive: 300\n\
         Connection: X-Mine, keep-alive\nX-Mine: 1\nX-Kept: 1\nAuthorization: Basic b3RoZXI=\n\n"
    )));
    let expected = format!("GET / [Host: {authority}|X-Kept: 1|Authorization: Basic b3RoZXI=]");
    assert_eq!(upstream.last().text().trim_end(), expected);
    assert_eq!((reply.status, reply.header("x-kept")), (200, Some("1")));
    for name in ["connection", "x-theirs", "keep-alive", "proxy-connection"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
}

#[test]
fn bodies_are_passed_on_with_a_length_or_in_chunks() {
    let upstream = echoing();
    let server = forwarding(open_to_loopback());
    let mut client = server.connect();
    let head = format!("POST http://{}/up HTTP/1.1\r\nHost: x\r\n", upstream.address());
    let large = "0123456789".repeat(30_000);
    let framed = [
        ("Content-Length: 5\r\n\r\nhello".into(), "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".into(), "abcde"),
        (format!("Content-Length: {}\r\n\r\n{large}", large.len()), large.as_str()),
        ("Content-Length: 0\r\n\r\n".into(), "/up"),
    ];
    for (rest, answer) in framed {
        let reply = client.ask(format!("{head}{rest}"));
        assert!(reply.status == 200 && reply.text() == answer, "{}", &rest[..30]);
    }
    assert_eq!(upstream.last().values("content-length"), ["0"]);
}

#[test]
fn one_connection_of_a_client_may_go_to_several_places_and_theirs_are_used_again() {
    let upstreams = [echoing(), echoing()];
    let server = forwarding(open_to_loopback());
    let mut client = server.connect();
    for round in 0..3 {
        for upstream in &upstreams {
            let path = format!("/{round}");
            assert_eq!(client.ask(get_at(upstream, &path)).text(), path);
        }
    }
    assert_eq!(upstreams.each_ref().map(Upstream::accepted), [1, 1]);
    let stats = server.stats();
    assert_eq!((stats.upstream_connects, stats.upstream_reused), (2, 4));
    // Another client's requests may come on them, too: nothing of a connection is about whom it was made for.
    assert_eq!(server.ask(get_at(&upstreams[0], "/")).status, 200);
    assert_eq!(upstreams[0].accepted(), 1);
}

#[test]
fn another_protocol_may_be_switched_to_on_the_way() {
    let upstream = upstream(|peer| {
        assert_eq!(peer.request().values("upgrade"), ["echo/1"]);
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\nfirst");
        assert_eq!(peer.raw(4), b"ping");
        peer.say("pong");
    });
    let server = forwarding(open_to_loopback());
    let authority = upstream.address();
    let mut client = server.connect();
    client.send(crlf(&format!(
        "GET http://{authority}/ HTTP/1.1\nHost: {authority}\nConnection: upgrade\nUpgrade: echo/1\n\n"
    )));
    let reply = client.head().unwrap();
    assert_eq!((reply.status, reply.header("upgrade")), (101, Some("echo/1")));
    assert_eq!(client.raw(5), b"first");
    client.send("ping");
    assert_eq!(client.rest(), b"pong");
    assert_eq!(server.stats().tunnels, 1);
}

#[test]
fn a_request_that_may_go_no_further_is_answered_here() {
    // RFC 9110 §7.6.2.
    let upstream = echoing();
    let server = forwarding(open_to_loopback());
    let authority = upstream.address();
    let ask = |method: &str, left: u32| {
        let line = format!("{method} http://{authority}/ HTTP/1.1\nHost: {authority}\n");
        let credentials = "Proxy-Authorization: Basic YWRhOnNlY3JldA==\nCookie: secret\n";
        server.ask(crlf(&format!("{line}{credentials}Max-Forwards: {left}\n\n")))
    };
    assert_eq!((ask("OPTIONS", 0).status, upstream.count()), (204, 0));
    let trace = ask("TRACE", 0);
    assert_eq!((trace.status, trace.header("content-type")), (200, Some("message/http")));
    assert!(trace.text().starts_with(&format!("TRACE http://{authority}/ HTTP/1.1\r\n")), "{trace:?}");
    assert!(!trace.text().contains("secret") && !trace.text().contains("Basic"), "{trace:?}");
    for (method, left) in [("OPTIONS", 1), ("TRACE", 7)] {
        assert_eq!(ask(method, left).status, 200);
        assert_eq!(upstream.last().values("max-forwards"), [(left - 1).to_string()]);
    }
    assert_eq!((ask("GET", 0).status, upstream.count()), (200, 3));
}

#[test]
fn ipv6_where_the_machine_has_it() {
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        eprintln!("skipped: this machine has no IPv6 loopback: {error}");
        return;
    }
    let upstream = crate::upstream::upstream_at("[::1]:0".parse().unwrap(), |peer| {
        while let Some(seen) = peer.next() {
            peer.say(crate::upstream::echo(&seen));
        }
    });
    let port = upstream.address().port();
    let server = forwarding(Forward::new().allow("::1").connect_ports([port]));
    for host in ["[::1]", "[0:0::0001]"] {
        let mut client = server.connect();
        let get = format!("GET http://{host}:{port}/a HTTP/1.1\nHost: x\n\n");
        assert_eq!(client.ask(crlf(&get)).text(), "/a");
        assert_eq!(upstream.last().values("host"), [format!("{host}:{port}")]);
        client.send(crlf(&format!("CONNECT {host}:{port} HTTP/1.1\nHost: x\n\n")));
        assert_eq!(client.head().unwrap().status, 200);
        assert_eq!(client.ask(get_at(&upstream, "/b")).status, 200);
    }
    // That one was opened, and not its neighbours.
    assert_eq!(server.ask(crlf(&format!("GET http://127.0.0.1:{port}/ HTTP/1.1\nHost: x\n\n"))).status, 403);
}

#[test]
fn a_target_that_cannot_be_gone_to_is_a_bad_request() {
    let server = forwarding(open_to_loopback());
    for target in [
        "http:///path",
        "http://:80/",
        "http://ada@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://a%00b/",
        "http://1.2.3.4.5/",
        "http://300.1/",
        "ftp://127.0.0.1/",
        "127.0.0.1:80",
        "example",
    ] {
        let reply = server.ask(crlf(&format!("GET {target} HTTP/1.1\nHost: test\n\n")));
        assert_eq!((reply.status, reply.says_close()), (400, true), "{target}");
    }
    // For that there are tunnels.
    assert_eq!(server.ask("GET https://127.0.0.1/ HTTP/1.1\r\nHost: test\r\n\r\n").status, 502);
    assert_eq!((server.failures("bad_target"), server.failures("scheme")), (11, 1));
    assert_eq!(server.stats().upstream_connects, 0);
}

#[test]
fn a_place_that_cannot_be_reached_is_502_and_the_client_may_go_on() {
    let server = forwarding(open_to_loopback().allow("name.invalid"));
    let dead = {
        let upstream = echoing();
        get_at(&upstream, "/")
    };
    let mut client = server.connect();
    let reply = client.ask(dead);
    assert_eq!((reply.status, reply.header("proxy-status")), (502, Some("eproxy; error=connection_refused")));
    let reply = client.ask("GET http://name.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((reply.status, reply.header("proxy-status")), (502, Some("eproxy; error=dns_error")));
    assert_eq!((server.failures("connect"), server.failures("resolve")), (1, 1));
    let upstream = echoing();
    assert_eq!(client.ask(get_at(&upstream, "/on")).text(), "/on");
}

#[test]
fn a_place_that_says_nothing_is_504_in_time() {
    let upstream = upstream(|peer| {
        peer.request();
        assert_eq!(peer.rest(), b"");
    });
    let server = forwarding(open_to_loopback().timeout(Duration::from_millis(100)));
    let reply = server.ask(get_at(&upstream, "/"));
    assert_eq!((reply.status, server.failures("upstream_head_timeout")), (504, 1));
}

#[test]
fn a_request_for_the_proxy_itself_is_one_for_its_routes_if_it_has_any() {
    let upstream = echoing();
    let server = forwarding(open_to_loopback());
    for request in [get("/path"), b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()] {
        let reply = server.ask(request);
        assert_eq!((reply.status, reply.says_close()), (400, true));
    }
    assert_eq!(server.failures("not_forward"), 2);

    let both = start(
        Server::builder()
            .workers(1)
            .forward(open_to_loopback())
            .get("/path", |_: Request, res: Response| res.send("a route")),
    );
    let mut client = both.connect();
    assert_eq!(client.ask(get("/path")).text(), "a route");
    assert_eq!(client.ask(get("/other")).status, 404);
    assert_eq!(client.ask(get_at(&upstream, "/path")).text(), "/path");
    // A server without a forward proxy takes an absolute target for one of its own (RFC 9112 §3.2.2).
    let none = start(Server::builder().workers(1).get("/path", |_: Request, res: Response| res.send("mine")));
    assert_eq!(none.ask(get_at(&upstream, "/path")).text(), "mine");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn where_requests_come_from_is_told_if_that_is_wanted_and_passed_on_otherwise() {
    let upstream = echoing();
    let authority = upstream.address();
    let claims = "X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1\nX-Forwarded-Proto: https\n";
    let request = crlf(&format!("GET http://{authority}/ HTTP/1.1\nHost: x\n{claims}\n"));
    let told = |forward: Forward| {
        assert_eq!(forwarding(forward).ask(&request).status, 200);
        let seen = upstream.last();
        ["x-forwarded-for", "forwarded", "x-forwarded-proto"].map(|name| seen.values(name).join("; "))
    };
    assert_eq!(told(open_to_loopback()), ["192.0.2.1", "for=192.0.2.1", "https"]);
    let forwarded = format!("for=127.0.0.1;host=\"{authority}\";proto=http");
    assert_eq!(told(open_to_loopback().forwarding_headers()), ["127.0.0.1", &forwarded, "http"]);
}

#[test]
fn bodies_are_limited() {
    let upstream = echoing();
    let server = forwarding(open_to_loopback().body_limit(5));
    let head = format!("POST http://{}/ HTTP/1.1\r\nHost: x\r\n", upstream.address());
    assert_eq!(server.ask(format!("{head}Content-Length: 5\r\n\r\nhello")).text(), "hello");
    assert_eq!(server.ask(format!("{head}Content-Length: 6\r\n\r\nhello!")).status, 413);
    assert_eq!((upstream.count(), server.failures("body_too_large")), (1, 1));
}

#[test]
fn what_is_wrong_with_a_forward_proxy_is_said_when_the_server_starts() {
    let wrong: [(&str, Forward); 8] = [
        ("allowed destination", Forward::new().allow("10.0.0.0/33")),
        ("allowed destination", Forward::new().allow("host:80")),
        ("allowed destination", Forward::new().allow("http://host")),
        ("denied destination", Forward::new().deny("host")),
        ("colon", Forward::new().user("a:b", "c")),
        ("control", Forward::new().user("a", "b\r\n")),
        ("is neither", Forward::new().parent("10.0.0.1:3128")),
        ("is neither", Forward::new().parent("ftp://10.0.0.1")),
    ];
    for (what, forward) in wrong {
        let error = Server::builder().forward(forward).bind("127.0.0.1:0").start().unwrap_err();
        assert_eq!(error.name(), "bad_option", "{what}");
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
}
