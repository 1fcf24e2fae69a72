//! RFC 9112 §9.3, Persistence, with pipelining (§9.3.2) and tear-down (§9.6): each side's connection is kept or ended by
//! what its own messages say.

use crate::support::{get, pause, post, post_chunked};
use crate::table::{bytes, get_with, line};

use super::table::{Got, Relay, Want, check, each, got, passed, server, stays, tell};
use super::upstream::{echo, echoing, gate, upstream};

#[test]
fn the_clients_connection_is_kept_unless_the_client_says_close() {
    let seen = || passed("GET / [Host: test] ");
    let last = || Want::PassedLast("GET / [Host: test] ".into());
    check(&[
        ("nothing said", get_with(""), seen()),
        ("keep-alive", get_with("Connection: keep-alive\r\n"), seen()),
        ("close", get_with("Connection: close\r\n"), last()),
        ("in a list", get_with("Connection: foo, CLOSE\r\n"), last()),
        ("on a second line", get_with("Connection: foo\r\nConnection: close\r\n"), last()),
        ("with white space", get_with("connection:close\t\r\n"), last()),
        ("beside keep-alive", get_with("Connection: keep-alive, close\r\n"), last()),
        ("only like close", get_with("Connection: closed, x-close\r\n"), seen()),
        ("HTTP/1.0", line("GET / HTTP/1.0"), last()),
        ("HTTP/1.0 kept", bytes("GET / HTTP/1.0\r\nHost: test\r\nConnection: Keep-Alive\r\n\r\n"), seen()),
        (
            "HTTP/1.0 kept and closed",
            bytes("GET / HTTP/1.0\r\nHost: test\r\nConnection: Keep-Alive, close\r\n\r\n"),
            last(),
        ),
    ]);
}

#[test]
fn the_upstreams_connection_is_kept_unless_the_upstream_says_close() {
    // RFC 9110 §7.6.1: what it says of its connection is not for the client, whose own is kept.
    let answer = |fields: &str| stays(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"));
    let kept = || got("200 OK [Content-Length: 2] ok");
    let once = || Got::PassedOnce("200 OK [Content-Length: 2] ok".into());
    tell(&[
        ("nothing said", answer(""), kept()),
        ("keep-alive", answer("Connection: keep-alive\r\nKeep-Alive: timeout=77, max=9\r\n"), kept()),
        ("close", answer("Connection: close\r\n"), once()),
        ("in a list", answer("Connection: foo, CLOSE\r\n"), once()),
        ("on a second line", answer("Connection: foo\r\nConnection: close\r\n"), once()),
        ("only like close", answer("Connection: closed\r\n"), kept()),
    ]);
    let status = |status: &str| stays(&format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno"));
    for line in ["404 Not Found", "500 Oops", "503 Service Unavailable"] {
        tell(&[(line, status(line), got(format!("{line} [Content-Length: 2] no")))]);
    }
}

#[test]
fn ten_requests_of_one_client_need_one_connection_to_the_upstream() {
    let relay = Relay::start(true);
    let mut client = relay.server.connect();
    for number in 0..10 {
        let reply = match number % 2 {
            0 => client.ask(get("/a")),
            _ => client.ask(post_chunked("/a", "5\r\nhello\r\n0\r\n\r\n")),
        };
        assert_eq!(reply.text(), if number % 2 == 0 { "/a" } else { "hello" });
    }
    assert_eq!(relay.upstream.accepted(), 1);
    assert_eq!(relay.server.stats().upstream_reused, 10);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    each(|relay| {
        let mut client = relay.server.connect();
        let mut requests = Vec::new();
        let mut expected = Vec::new();
        for number in 0..30 {
            let body = format!("B{number}").repeat(50);
            let target = format!("/{number}");
            let (request, answer) = match number % 3 {
                0 => (get(&target), target),
                1 => (post(&target, &body), body),
                _ => (post_chunked(&target, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())), body),
            };
            requests.extend(request);
            expected.push(answer);
        }
        client.send(requests);
        for expected in expected {
            assert_eq!(client.reply().text(), expected);
        }
        let seen = relay.upstream.seen();
        assert!(seen[1..].iter().enumerate().all(|(at, seen)| seen.target == format!("/{at}")));
    });
}

#[test]
fn a_slow_answer_holds_back_those_behind_it_and_not_those_before_it() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        while let Some(seen) = peer.next() {
            if seen.target == "/slow" {
                gate.wait();
            }
            peer.say(echo(&seen));
        }
    });
    let server = server(&upstream);
    let mut client = server.connect();
    client.send([get("/fast"), get("/slow"), get("/next")].concat());
    assert_eq!(client.reply().text(), "/fast");
    client.hears_nothing_for(20);
    open.send(()).unwrap();
    assert_eq!(client.reply().text(), "/slow");
    assert_eq!(client.reply().text(), "/next");
}

#[test]
fn a_request_may_come_in_pieces_behind_another() {
    each(|relay| {
        let second = post("/2", "second");
        let mut client = relay.server.connect();
        client.send([&get("/1"), &second[..20]].concat());
        assert_eq!(client.reply().text(), "/1");
        client.send(&second[20..40]);
        pause(20);
        client.send(&second[40..]);
        assert_eq!(client.reply().text(), "second");
    });
}

#[test]
fn what_comes_behind_the_last_request_is_not_passed_on() {
    each(|relay| {
        for last in [get_with("Connection: close\r\n"), line("GET / HTTP/1.0")] {
            let before = relay.upstream.count();
            let mut client = relay.server.connect();
            client.send([last, get("/smuggled")].concat());
            let reply = client.reply();
            assert_eq!((reply.text(), reply.says_close()), ("/", true));
            client.is_closed();
            relay.probe();
            let targets: Vec<_> =
                relay.upstream.seen()[before..].iter().map(|seen| seen.target.clone()).collect();
            assert_eq!(targets, ["/", "/probe"]);
        }
    });
}

#[test]
fn a_client_that_ends_its_side_is_still_answered() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next() {
            pause(50);
            peer.say(echo(&seen));
        }
    });
    let server = server(&upstream);
    // The second time over a connection that was used before.
    for _ in 0..2 {
        for request in [get("/1"), post("/2", "/2"), post_chunked("/3", "2\r\n/3\r\n0\r\n\r\n")] {
            let mut client = server.connect();
            client.send(&request);
            client.finish();
            let reply = client.reply();
            assert!(reply.text().starts_with('/'), "{reply:?}");
            client.is_closed();
        }
    }
    assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn a_client_that_asks_for_nothing_more_is_left_alone() {
    let upstream = echoing();
    let server = server(&upstream);
    let mut client = server.connect();
    assert_eq!(client.ask(get("/a")).text(), "/a");
    client.hears_nothing_for(50);
    assert_eq!(client.ask(get("/b")).text(), "/b");
}
