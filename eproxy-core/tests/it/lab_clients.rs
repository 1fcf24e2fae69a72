//! What clients of a lab can do to a server.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Forward, Proxy, Request, Response, Server};

use crate::support::lab::{between, lab, seconds};
use crate::support::{get, post};

/// A lab whose server sends back what it is sent.
fn echo() -> Lab {
    let lab = Lab::new();
    let echo = |mut req: Request, res: Response| res.send(req.take_body());
    lab.serve(Server::builder().post("/", echo).get("/", |_: Request, res: Response| res.send("hello")));
    lab
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let lab = echo();
    let client = lab.connect();
    for byte in get("/") {
        assert!(client.received().is_empty());
        client.send([byte]);
    }
    assert!(client.received().ends_with(b"\r\n\r\nhello"));
    for byte in post("/", "abc") {
        client.send([byte]);
    }
    assert!(client.received().ends_with(b"\r\n\r\nabc"));
    assert_eq!(lab.now(), Duration::ZERO);
}

#[test]
fn requests_may_come_at_once_and_are_answered_in_their_order() {
    let lab = echo();
    let client = lab.connect();
    client.send([post("/", "one"), get("/"), post("/", "two")].concat());
    let received = String::from_utf8(client.received()).unwrap();
    let places: Vec<_> = ["one", "hello", "two"].map(|text| received.find(text)).into();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{received}");
}

#[test]
fn half_a_head_is_waited_for_as_long_as_heads_may_take() {
    let lab = echo();
    let client = lab.connect();
    client.send("GET / HTTP/1.1\r\nHo");
    lab.advance(seconds(29));
    assert!(!client.is_closed());
    assert!(client.received_to_end().starts_with(b"HTTP/1.1 408 "));
    assert!(between(&lab, 30, 31), "{:?}", lab.now());
    assert_eq!(lab.stats().failure("head_timeout"), 1);
}

#[test]
fn a_connection_is_kept_as_long_as_it_may_be_between_requests() {
    let lab = echo();
    let client = lab.connect();
    for _ in 0..3 {
        lab.advance(seconds(25));
        assert_eq!(client.ask(get("/")).text(), "hello");
    }
    lab.advance(seconds(74));
    assert!(!client.is_closed());
    lab.advance(seconds(2));
    assert!(client.is_closed() && !client.is_reset());
    assert_eq!(lab.stats().open, 0);
}

#[test]
fn a_client_that_goes_away_ends_its_exchange_with_the_upstream() {
    let (lab, app) = lab(Script::new().stall());
    let ends: [fn(eproxy_core::testing::Connection); 2] = [|client| client.close(), |client| client.reset()];
    for end in ends {
        let client = lab.connect();
        client.send(get("/"));
        assert_eq!(app.open_connections(), 1);
        end(client);
        lab.advance(seconds(3));
        assert_eq!((app.open_connections(), lab.stats().open), (0, 0));
    }
    let pending = lab.send(get("/"));
    drop(pending);
    lab.advance(seconds(3));
    assert_eq!((app.requests(), app.open_connections()), (3, 0));
}

#[test]
fn a_client_that_says_that_nothing_follows_still_gets_its_answer() {
    let (lab, _app) = lab(Script::new().latency(seconds(10)).answer(200, "late"));
    let client = lab.connect();
    client.send(get("/")).finish();
    let received = client.received_to_end();
    assert!(received.ends_with(b"late"), "{}", received.escape_ascii());
}

#[test]
fn a_client_that_reads_nothing_is_given_up_when_it_has_taken_nothing_for_a_minute() {
    let long = "x".repeat(8 * 1024 * 1024);
    let (lab, app) = lab(Script::new().answer(200, &long));
    let client = lab.connect();
    client.stop_reading();
    client.send(get("/"));
    lab.advance(seconds(59));
    assert_eq!((app.requests(), lab.stats().open), (1, 1));
    lab.advance(seconds(3));
    assert_eq!((lab.stats().open, app.open_connections()), (0, 0));
    client.read_on();
    assert!(client.is_closed());
    let received = client.received().len();
    assert!((1..long.len()).contains(&received), "{received}");
}

#[test]
fn a_client_that_pauses_gets_the_whole_answer() {
    let long = "x".repeat(8 * 1024 * 1024);
    let (lab, _app) = lab(Script::new().answer(200, &long));
    let client = lab.connect();
    client.stop_reading();
    client.send(get("/"));
    lab.advance(seconds(30));
    client.read_on();
    assert!(client.received().ends_with(long.as_bytes()));
}

#[test]
fn many_clients_wait_at_the_same_time() {
    let (lab, app) = lab(Script::new().latency(seconds(1)).answer(200, "x"));
    let all: Vec<_> = (0..200).map(|_| lab.send(get("/"))).collect();
    assert_eq!((app.requests(), app.open_connections()), (200, 200));
    assert!(all.into_iter().all(|pending| lab.wait(pending).status() == 200));
    assert!(between(&lab, 1, 2), "{:?}", lab.now());
}

#[test]
fn a_client_is_where_it_says_it_is() {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", Script::new().answer(200, ""));
    lab.serve(Server::builder().trusted_proxies(["10.0.0.0/8"]).at("/*path", Proxy::to("http://app.test")));
    let request = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    for (client, expected) in [("10.1.2.3:4", "203.0.113.9, 10.1.2.3"), ("[2001:db8::1]:5", "2001:db8::1")] {
        assert_eq!(lab.connect_from(client.parse().unwrap()).ask(request).status(), 200);
        assert_eq!(app.last_request().header("X-Forwarded-For"), Some(expected));
    }
}

#[test]
fn a_server_that_drains_finishes_what_runs() {
    let (lab, _app) = lab(Script::new().latency(seconds(5)).answer(200, "done"));
    let (idle, asks, busy) = (lab.connect(), lab.connect(), lab.send(get("/")));
    lab.drain();
    lab.advance(Duration::from_millis(500));
    assert!(!idle.is_closed(), "a request may be on its way to the server");
    asks.send(get("/"));
    lab.advance(seconds(1));
    assert!(idle.is_closed() && !asks.is_closed());
    assert!(asks.received_to_end().ends_with(b"done"));
    let reply = lab.wait(busy);
    assert_eq!((reply.text(), reply.header("connection")), ("done", Some("close")));
    assert_eq!(lab.stats().open, 0);
}

#[test]
fn a_tunnel_is_kept_as_long_as_it_may_carry_nothing() {
    let lab = Lab::new();
    let far = lab.upstream("http://far.test:443", Script::new());
    far.greet(Script::new().echo());
    lab.serve(Server::builder().forward(Forward::new()));
    let client = lab.connect();
    client.ask("CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n");
    for _ in 0..3 {
        lab.advance(seconds(599));
        client.send("ping");
        assert_eq!(client.received(), b"ping");
    }
    lab.advance(seconds(1201));
    assert!(client.is_closed());
    assert_eq!((far.open_connections(), lab.stats().tunnels), (0, 1));
}

#[test]
fn what_one_side_of_a_tunnel_ends_the_other_learns() {
    let lab = Lab::new();
    let far = lab.upstream("http://far.test:443", Script::new());
    far.greet(Script::new().send("welcome").pause(seconds(1)).send("goodbye").close());
    lab.serve(Server::builder().forward(Forward::new()));
    let client = lab.connect();
    client.ask("CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n");
    assert_eq!(client.received(), b"welcome");
    assert_eq!(client.received_to_end(), b"goodbye");
    assert_eq!(lab.now().as_secs(), 1);
}
