//! What hooks are told of an exchange when it is over, however it ended.

use std::time::Duration;

use eproxy_core::{Answer, Done, Endpoint, Group, Proxy, ProxyRequest, ProxyResponse, Server};

use crate::support::notes::Notes;
use crate::support::server::nobody;
use crate::support::{Connection, Running, eventually, get, post, post_chunked, start};
use crate::upstream::{Upstream, echo, echoing, gate, upstream};

/// What is told of an exchange: its target, the status, the failure, bytes up and down, and the number of tries.
fn told(done: &mut Done) -> String {
    let status = done.status().map_or("gone".into(), |status| status.to_string());
    let failure = done.failure().unwrap_or("-");
    let (up, down, attempts) = (done.bytes_up(), done.bytes_down(), done.attempts());
    format!("{} {status} {failure} {up} {down} {attempts}", done.request().target())
}

/// A server whose hooks tell what became of each exchange, in the order of their ends.
fn telling(proxy: Proxy) -> (Running, Notes) {
    let notes = Notes::default();
    let noted = notes.clone();
    let proxy = proxy.on_done(move |done: &mut Done| noted.add(told(done)));
    (start(Server::builder().workers(1).at("/*path", proxy)), notes)
}

/// An upstream that says this behind a head, and then waits for the gate, or the end.
fn stopping(answer: &'static str) -> Upstream {
    upstream(move |peer| {
        // A client that has broken off by the time there is a connection leaves nothing to be sent.
        if peer.next_head().is_some() {
            peer.say(answer);
            peer.rest();
        }
    })
}

#[test]
fn what_came_of_a_request_that_was_answered_is_told_when_the_client_has_it() {
    let upstream = echoing();
    let (server, notes) = telling(Proxy::to(upstream.url()));
    let mut client = server.connect();
    assert_eq!(client.ask(get("/four")).status, 200);
    assert_eq!(client.ask(post("/b", "hello")).status, 200);
    assert_eq!(client.ask(post_chunked("/c", "6\r\nhello!\r\n0\r\n\r\n")).status, 200);
    client.send("HEAD /d HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply_to_head().status, 200);
    assert_eq!(notes.wait(4), ["/four 200 - 0 5 1", "/b 200 - 5 5 1", "/c 200 - 6 6 1", "/d 200 - 0 0 1"]);
    // Of a long one, too, in either direction.
    let much = "x".repeat(1_000_000);
    assert_eq!(client.ask(post("/e", &much)).body.len(), much.len());
    assert_eq!(notes.wait(1), ["/e 200 - 1000000 1000000 1"]);
}

#[test]
fn the_upstream_is_named_and_the_time_that_it_took_is_told() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        while let Some(seen) = peer.next() {
            gate.wait();
            peer.say(echo(&seen));
        }
    });
    let notes = Notes::default();
    let noted = notes.clone();
    let proxy = Proxy::to(upstream.url()).on_done(move |done: &mut Done| {
        let took = if done.duration() >= Duration::from_millis(30) { "long" } else { "not long" };
        noted.add(format!("{} {took}", done.upstream().unwrap_or("nobody")));
    });
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    let mut client = server.connect();
    client.send(get("/"));
    client.hears_nothing_for(50);
    open.send(()).unwrap();
    assert_eq!(client.reply().status, 200);
    assert_eq!(notes.wait(1), [format!("{} long", upstream.address())]);
}

#[test]
fn a_request_that_was_never_sent_had_no_tries() {
    let upstream = echoing();
    let proxy = Proxy::to(upstream.url()).on_request(|_: &mut ProxyRequest| Answer::new(403));
    let (server, notes) = telling(proxy);
    assert_eq!(server.ask(get("/a")).status, 403);
    assert_eq!(notes.wait(1), ["/a 403 - 0 0 0"]);
    let (server, notes) = telling(
        Proxy::to(upstream.url()).on_request(|req: &mut ProxyRequest| req.headers_mut().insert("", "")),
    );
    assert_eq!(server.ask(get("/b")).status, 500);
    assert_eq!(notes.wait(1), ["/b 500 hook_failed 0 0 0"]);
    // What the engine refuses itself is told as well.
    let (server, notes) = telling(Proxy::to(upstream.url()));
    assert_eq!(server.ask("TRACE /c HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi").status, 400);
    let around = "Via: 1.1 eproxy, 1.1 eproxy, 1.1 eproxy, 1.1 eproxy\r\n".repeat(2);
    assert_eq!(server.ask(format!("GET /d HTTP/1.1\r\nHost: test\r\n{around}\r\n")).status, 508);
    assert_eq!(server.ask("OPTIONS /e HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n").status, 204);
    assert_eq!(
        notes.wait(3),
        ["/c 400 body_with_trace 0 0 0", "/d 508 loop_detected 0 0 0", "/e 204 - 0 0 0"]
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn each_try_is_counted_and_the_last_failure_is_the_one_that_is_told() {
    let (server, notes) = telling(Proxy::to([nobody(), nobody()]));
    assert_eq!(server.ask(post("/a", "body")).status, 502);
    assert_eq!(notes.wait(1), ["/a 502 connect 4 0 2"]);
    // One that was got over is none.
    let good = echoing();
    let group = Group::from(nobody()).with(Endpoint::new(good.url()).priority(1));
    let (server, notes) = telling(Proxy::to(group));
    assert_eq!(server.ask(get("/b")).status, 200);
    assert_eq!(notes.wait(1), ["/b 200 - 0 2 2"]);
}

#[test]
fn what_was_sent_at_once_over_a_connection_that_then_ended_counts_as_sent() {
    // It answers one request on each connection, and takes another.
    let upstream = upstream(|peer| {
        let seen = peer.next().unwrap();
        peer.say(echo(&seen));
        let _taken = peer.next();
    });
    let notes = Notes::default();
    let noted = notes.clone();
    let proxy = Proxy::to(upstream.url()).on_done(move |done: &mut Done| {
        for attempt in done.tries().iter().filter(|attempt| attempt.failure().is_some()) {
            // More than its body: the head is among them.
            noted.add(format!("{} {}", attempt.phase(), attempt.bytes_sent() > 5));
        }
    });
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    let mut client = server.connect();
    assert_eq!(client.ask(post("/a", "hello")).status, 200);
    assert_eq!(client.ask(post("/b", "hello")).status, 502);
    assert_eq!(notes.wait(1), ["wait true"]);
}

#[test]
fn what_an_upstream_did_wrong_is_told() {
    let cases: [(&str, &str); 4] = [
        ("", "/ 502 upstream_closed 0 0 1"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "/ 502 upstream_truncated 0 0 1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "/ 502 bad_answer 0 0 1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour", "/ 200 upstream_truncated 0 4 1"),
    ];
    for (answer, expected) in cases {
        let upstream = upstream(move |peer| {
            peer.head();
            peer.say(answer);
        });
        let (server, notes) = telling(Proxy::to(upstream.url()));
        let mut client = server.connect();
        client.send(get("/"));
        let reply = client.next(false).unwrap();
        assert_eq!(reply.is_whole, reply.status == 502, "{answer:?}");
        assert_eq!(notes.wait(1), [expected], "{answer:?}");
    }
}

#[test]
fn an_answer_that_a_hook_gave_in_place_of_another_is_the_one_that_is_told() {
    let upstream = echoing();
    let proxy = Proxy::to(upstream.url()).on_response(|_: &mut ProxyResponse| Answer::new(418));
    let (server, notes) = telling(proxy);
    assert_eq!(server.ask(post("/a", "body")).status, 418);
    assert_eq!(notes.wait(1), ["/a 418 - 4 0 1"]);
    let proxy = Proxy::to(upstream.url()).on_response(|res: &mut ProxyResponse| res.set_status(203));
    let (server, notes) = telling(proxy);
    assert_eq!(server.ask(get("/b")).status, 203);
    assert_eq!(notes.wait(1), ["/b 203 - 0 2 1"]);
}

/// Makes a client leave at once.
fn leave(client: Connection) {
    client.reset_on_drop();
    drop(client);
}

#[test]
fn a_client_that_left_before_its_answer_was_sent_nothing() {
    let upstream = stopping("");
    let (server, notes) = telling(Proxy::to(upstream.url()));
    for request in [get("/a"), "POST /b HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nfour".into()] {
        let before = upstream.accepted();
        let mut client = server.connect();
        client.send(&request);
        eventually("it is with the upstream", || upstream.accepted() > before);
        eventually("all of it", || {
            upstream.heard(before).ends_with(if before == 0 { b"\r\n\r\n" } else { b"four" })
        });
        leave(client);
        let expected = ["/a gone downstream_gone 0 0 1", "/b gone downstream_gone 4 0 1"];
        assert_eq!(notes.wait(1), [expected[before]]);
    }
    eventually("both were let go", || upstream.open() == 0);
}

#[test]
fn a_client_that_ended_its_body_too_early_is_told_so_and_so_is_the_hook() {
    let upstream = stopping("");
    let (server, notes) = telling(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send("POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nfour");
    client.finish();
    assert_eq!(client.reply().status, 400);
    assert_eq!(notes.wait(1), ["/a 400 truncated 4 0 1"]);
}

#[test]
fn a_client_that_left_within_its_answer_had_a_part_of_it() {
    let upstream = stopping("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour");
    let (server, notes) = telling(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send(get("/a"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.raw(4), b"four");
    leave(client);
    assert_eq!(notes.wait(1), ["/a 200 downstream_gone 0 4 1"]);
    eventually("the upstream was let go", || upstream.open() == 0);
}

#[test]
fn a_tunnel_is_over_when_it_has_ended() {
    let upstream = upstream(|peer| {
        peer.request();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nhello");
        assert_eq!(peer.raw(4), b"ping");
        peer.say("pong");
        peer.rest();
    });
    let (server, notes) = telling(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send("GET /a HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nping");
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.raw(9), b"hellopong");
    client.hears_nothing_for(20);
    assert_eq!(notes.take(), [""; 0], "it goes on");
    drop(client);
    assert_eq!(notes.wait(1), ["/a 101 - 4 9 1"]);
}

#[test]
fn several_are_told_in_their_order_and_a_panic_among_them_costs_nobody_anything() {
    let (upstream, notes) = (echoing(), Notes::default());
    let (first, second) = (notes.clone(), notes.clone());
    let proxy = Proxy::to(upstream.url()).on_done(move |_: &mut Done| first.add("first")).on_done(
        move |done: &mut Done| {
            second.add("second");
            assert!(done.request().target() != "/bad", "as it is meant to be");
        },
    );
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    let mut client = server.connect();
    for target in ["/a", "/bad", "/b"] {
        assert_eq!(client.ask(get(target)).text(), target);
        assert_eq!(notes.wait(2), ["first", "second"]);
    }
    assert_eq!(server.failures("hook_failed"), 1);
}
