//! CONNECT (RFC 9110 §9.3.6): a connection of a client becomes one to the place that it names.

use std::time::Duration;

use eproxy_core::{Forward, Server, Timeouts};

use crate::forward::{forwarding, get_at, open_to_loopback};
use crate::support::{Connection, Running, crlf, eventually, pause, start};
use crate::upstream::{Upstream, echo, echoing, upstream};

/// An upstream that sends back what it gets, and `bye` behind its end.
fn parrot() -> Upstream {
    upstream(|peer| {
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
        // Nobody may be left to hear it.
        peer.try_say("bye");
    })
}

/// A forward proxy whose tunnels may go to an upstream.
fn to(upstream: &Upstream) -> Forward {
    open_to_loopback().connect_ports([upstream.address().port()])
}

fn connect(upstream: &Upstream) -> Vec<u8> {
    let authority = upstream.address();
    crlf(&format!("CONNECT {authority} HTTP/1.1\nHost: {authority}\n\n"))
}

/// A client whose tunnel to the upstream is there.
fn tunnel(server: &Running, upstream: &Upstream) -> Connection {
    let mut client = server.connect();
    client.send(connect(upstream));
    assert_eq!(client.head().expect("an answer comes").status, 200);
    client
}

#[test]
fn bytes_go_both_ways_and_the_answer_has_no_body() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let mut client = server.connect();
    client.send(connect(&upstream));
    let reply = client.head().unwrap();
    assert_eq!((reply.status, reply.version), (200, 1));
    for name in ["content-length", "transfer-encoding", "connection"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
    for message in ["hello", "GET / HTTP/1.1\r\n\r\n", "\0\u{7F}\r\n"] {
        client.send(message);
        assert_eq!(client.raw(message.len()), message.as_bytes());
    }
    // The head of the CONNECT was for the proxy.
    assert!(upstream.heard(0).starts_with(b"helloGET / HTTP/1.1\r\n"));
}

#[test]
fn bytes_that_came_with_the_request_are_not_lost() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let early = "early ".repeat(2000);
    let mut client = server.connect();
    client.send([connect(&upstream), early.clone().into_bytes()].concat());
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.raw(early.len()), early.as_bytes());
    client.send("late");
    assert_eq!(client.raw(4), b"late");
}

#[test]
fn a_place_that_speaks_first_is_heard() {
    let upstream = upstream(|peer| {
        peer.say("220 ready\r\n");
        assert_eq!(peer.rest(), b"QUIT\r\n");
    });
    let server = forwarding(to(&upstream));
    let mut client = tunnel(&server, &upstream);
    assert_eq!(client.raw(11), b"220 ready\r\n");
    client.send("QUIT\r\n");
    client.finish();
    client.is_closed();
}

#[test]
fn each_direction_ends_by_itself() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let mut client = tunnel(&server, &upstream);
    client.send("ping");
    client.finish();
    assert_eq!(client.rest(), b"pingbye");
    eventually("both connections are gone", || server.stats().open == 0 && upstream.open() == 0);

    let other = crate::upstream::upstream(|peer| {
        peer.finish();
        assert_eq!(peer.rest(), b"one two");
    });
    let server = forwarding(to(&other));
    let mut client = tunnel(&server, &other);
    client.is_closed();
    client.send("one ");
    pause(20);
    client.send("two");
    client.finish();
    eventually("both connections are gone", || server.stats().open == 0 && other.open() == 0);
}

#[test]
fn whoever_breaks_off_ends_the_tunnel() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let client = tunnel(&server, &upstream);
    client.reset_on_drop();
    drop(client);
    eventually("both connections are gone", || server.stats().open == 0 && upstream.open() == 0);

    let rude = crate::upstream::upstream(|peer| {
        assert_eq!(peer.raw(4), b"ping");
        peer.reset();
    });
    let server = forwarding(to(&rude));
    let mut client = tunnel(&server, &rude);
    client.send("ping");
    client.is_closed();
    eventually("the connection is gone", || server.stats().open == 0);
}

#[test]
fn much_goes_through_in_both_directions_at_once() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let mut client = tunnel(&server, &upstream);
    for round in 0..100_u8 {
        let block = vec![round; 40_000];
        client.send(&block);
        assert!(client.raw(block.len()) == block, "round {round}");
    }
    client.finish();
    assert_eq!(client.rest(), b"bye");
    let counts = || (server.stats().tunnel_bytes_up, server.stats().tunnel_bytes_down);
    eventually("all of it is counted", || counts() == (4_000_000, 4_000_003));
    assert_eq!(server.stats().tunnels, 1);
}

#[test]
fn a_tunnel_that_carries_nothing_is_closed_and_one_that_does_is_not() {
    let upstream = parrot();
    let timeouts = Timeouts { tunnel_idle: Duration::from_millis(200), ..Timeouts::default() };
    let server = start(Server::builder().workers(1).timeouts(timeouts).forward(to(&upstream)));
    let mut client = tunnel(&server, &upstream);
    for _ in 0..10 {
        pause(60);
        client.send("x");
        assert_eq!(client.raw(1), b"x");
    }
    client.is_closed();
    eventually("the other end is told", || upstream.open() == 0);
}

#[test]
fn the_times_of_requests_are_not_those_of_a_tunnel() {
    let upstream = parrot();
    let short = Duration::from_millis(100);
    let timeouts = Timeouts {
        head: short,
        keep_alive: short,
        body_idle: short,
        write_idle: short,
        ..Timeouts::default()
    };
    let server = start(Server::builder().workers(1).timeouts(timeouts).forward(to(&upstream).timeout(short)));
    let mut client = tunnel(&server, &upstream);
    for _ in 0..2 {
        pause(400);
        client.send("ping");
        assert_eq!(client.raw(4), b"ping");
    }
}

#[test]
fn other_requests_may_come_before_it_on_the_connection() {
    let upstream = upstream(|peer| {
        if peer.number > 0 {
            assert_eq!(peer.rest(), b"tunnelled");
        }
        while let Some(seen) = peer.next() {
            peer.say(echo(&seen));
        }
    });
    let server = forwarding(to(&upstream));
    let mut client = server.connect();
    assert_eq!(client.ask(get_at(&upstream, "/first")).text(), "/first");
    client.send([get_at(&upstream, "/second"), connect(&upstream), b"tunnelled".to_vec()].concat());
    assert_eq!(client.reply().text(), "/second");
    assert_eq!(client.head().unwrap().status, 200);
    client.finish();
    client.is_closed();
    // It has a connection of its own.
    assert_eq!((upstream.accepted(), upstream.heard(1)), (2, b"tunnelled".to_vec()));
}

#[test]
fn an_http_10_client_may_have_one_too() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let mut client = server.connect();
    client.send(crlf(&format!("CONNECT {} HTTP/1.0\n\n", upstream.address())));
    assert_eq!(client.head().unwrap().status, 200);
    client.send("ping");
    assert_eq!(client.raw(4), b"ping");
}

#[test]
fn a_connect_has_no_body() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let head = |fields: &str| {
        let authority = upstream.address();
        crlf(&format!("CONNECT {authority} HTTP/1.1\nHost: {authority}\n{fields}\n"))
    };
    for (fields, body) in [
        ("Content-Length: 5\n", "hello"),
        ("Content-Length: 5\n", ""),
        ("Transfer-Encoding: chunked\n", "0\r\n\r\n"),
    ] {
        let mut client = server.connect();
        client.send([head(fields), body.into()].concat());
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (400, true), "{fields:?}");
    }
    assert_eq!((server.failures("body_with_trace"), upstream.accepted()), (3, 0));
    // One of no bytes is none.
    let mut client = server.connect();
    client.send([head("Content-Length: 0\n"), b"ping".to_vec()].concat());
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.raw(4), b"ping");
}

#[test]
fn a_place_that_is_not_named_with_its_port_is_a_bad_request() {
    let server = forwarding(open_to_loopback());
    for target in [
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:99999",
        "127.0.0.1:443/",
        "ada@127.0.0.1:443",
        "http://127.0.0.1:443/",
        "/",
        "*",
        ":443",
        "[::1]",
        "[::1:443",
        "::1:443",
        "a..%00:443",
    ] {
        let reply = server.ask(crlf(&format!("CONNECT {target} HTTP/1.1\nHost: test\n\n")));
        assert_eq!((reply.status, reply.says_close()), (400, true), "{target}");
    }
    assert_eq!((server.failures("bad_target"), server.stats().upstream_connects), (14, 0));
}

#[test]
fn only_the_ports_that_are_named_may_be_reached_and_443_where_none_is() {
    let upstreams = [echoing(), echoing(), echoing()];
    let ports = upstreams.each_ref().map(|upstream| upstream.address().port());
    let status = |server: &Running, upstream: &Upstream| {
        let mut client = server.connect();
        client.send(connect(upstream));
        client.head().unwrap().status
    };
    let server = forwarding(open_to_loopback());
    assert_eq!(upstreams.each_ref().map(|upstream| status(&server, upstream)), [403; 3]);
    let server = forwarding(open_to_loopback().connect_ports([]));
    assert_eq!(upstreams.each_ref().map(|upstream| status(&server, upstream)), [403; 3]);
    let server = forwarding(open_to_loopback().connect_ports([ports[0], ports[2]]));
    assert_eq!(upstreams.each_ref().map(|upstream| status(&server, upstream)), [200, 403, 200]);
    assert_eq!((server.failures("port_denied"), upstreams[1].accepted()), (1, 0));
    // Nothing is said of the ports of other requests, which are no tunnels.
    assert_eq!(server.ask(get_at(&upstreams[1], "/")).status, 200);
}

#[test]
fn a_client_may_go_on_after_a_tunnel_that_was_refused() {
    let (upstream, dead) = (echoing(), parrot().address());
    let forward = open_to_loopback().allow("name.invalid").connect_ports([443, dead.port()]);
    let server = forwarding(forward);
    let mut client = server.connect();
    for (target, status, error) in [
        (dead.to_string(), 502, "connection_refused"),
        ("name.invalid:443".into(), 502, "dns_error"),
        ("127.0.0.1:80".into(), 403, "http_request_denied"),
        ("10.0.0.1:443".into(), 403, "destination_ip_prohibited"),
    ] {
        let reply = client.ask(crlf(&format!("CONNECT {target} HTTP/1.1\nHost: {target}\n\n")));
        assert_eq!((reply.status, reply.says_close()), (status, false), "{target}");
        assert_eq!(reply.header("proxy-status"), Some(format!("eproxy; error={error}").as_str()));
    }
    assert_eq!(client.ask(get_at(&upstream, "/on")).text(), "/on");
    assert_eq!(server.stats().tunnels, 0);
}

#[test]
fn what_was_meant_for_a_tunnel_that_was_refused_is_not_taken_for_a_request() {
    let upstream = echoing();
    let authority = upstream.address();
    let refusals = [
        (forwarding(open_to_loopback()), 403),
        (forwarding(to(&upstream).deny("127.0.0.1")), 403),
        (forwarding(to(&upstream).user("ada", "secret")), 407),
    ];
    // `ada:secret`
    let evil = format!(
        "GET http://{authority}/evil HTTP/1.1\nHost: x\nProxy-Authorization: Basic YWRhOnNlY3JldA==\n\n"
    );
    for (server, status) in &refusals {
        let mut client = server.connect();
        client.send([connect(&upstream), crlf(&evil)].concat());
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (*status, true));
        client.is_closed();
    }
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn a_server_that_ends_ends_its_tunnels() {
    let upstream = parrot();
    let server = forwarding(to(&upstream));
    let mut client = tunnel(&server, &upstream);
    client.send("ping");
    assert_eq!(client.raw(4), b"ping");
    assert_eq!(server.stats().open, 1);
    drop(server);
    client.is_closed();
    eventually("the other end is told", || upstream.open() == 0);
}
