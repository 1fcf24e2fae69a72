//! RFC 9110 §10.1.1, Expect: a client that waits to be told to go on is told by the upstream, not by us.

use crate::support::{Running, get};
use crate::table::{bytes, get_with, post_with};

use super::table::{Want, check, each, passed, server, stays, text};
use super::upstream::{Upstream, echo, gate, upstream};

const EXPECTING: &str = "POST /a HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

/// An upstream that answers such a request with this before it reads the body, and the proxy in front of it.
fn answering(first: &'static str) -> (Running, Upstream) {
    let upstream = upstream(move |peer| {
        while let Some(mut seen) = peer.next_head() {
            if !seen.values("expect").is_empty() {
                peer.say(first);
            }
            peer.body(&mut seen);
            if !seen.is_whole {
                return;
            }
            peer.say(echo(&seen));
        }
    });
    (server(&upstream), upstream)
}

#[test]
fn the_upstreams_word_is_passed_on_and_the_body_follows() {
    let (server, upstream) = answering("HTTP/1.1 100 Continue\r\n\r\n");
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(EXPECTING);
        assert_eq!(client.head().unwrap().status, 100);
        assert_eq!(client.ask("hello").text(), "hello");
    }
    client.send(EXPECTING.replace("Content-Length: 5", "Transfer-Encoding: chunked"));
    assert_eq!(client.head().unwrap().status, 100);
    assert_eq!(client.ask("5\r\nhello\r\n0\r\n\r\n").text(), "hello");
    assert_eq!(client.ask(get("/next")).text(), "/next");
    let seen = upstream.texts();
    assert_eq!(seen[0], "POST /a [Host: test|Content-Length: 5|Expect: 100-continue] hello");
    assert_eq!(seen[2], "POST /a [Host: test|Transfer-Encoding: chunked|Expect: 100-continue] hello");
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn nothing_is_said_in_the_upstreams_place() {
    // It may refuse before anything was sent; and if it never says a word, the client goes on by itself.
    let (server, upstream) = answering("");
    let mut client = server.connect();
    client.send(EXPECTING);
    client.hears_nothing_for(100);
    assert!(upstream.heard(0).ends_with(b"Expect: 100-continue\r\n\r\n"), "the head went ahead");
    let reply = client.ask("hello");
    assert_eq!((reply.text(), reply.interim.len()), ("hello", 0));
    assert_eq!(client.ask(get("/next")).text(), "/next");
}

#[test]
fn a_final_answer_instead_of_the_word_spares_the_body() {
    let (done, is_done) = gate();
    let upstream = upstream(move |peer| {
        peer.head();
        peer.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        is_done.wait();
        assert_eq!(peer.rest(), b"", "no body came");
    });
    let server = server(&upstream);
    let mut client = server.connect();
    client.send(EXPECTING);
    let reply = client.reply();
    // The client may still send the body or not: where its next request would begin can't be known.
    assert_eq!(text(&reply), "417 Expectation Failed [Content-Length: 2|Connection: close] no");
    client.is_closed();
    done.send(()).unwrap();
}

#[test]
fn a_client_that_does_not_wait_is_served_alike() {
    check(&[
        (
            "a body at once",
            post_with("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"),
            passed("POST / [Host: test|Content-Length: 5] hello"),
        ),
        (
            "in another case",
            post_with("expect: 100-Continue\r\nContent-Length: 5\r\n", "hello"),
            passed("POST / [Host: test|Content-Length: 5] hello"),
        ),
        ("no body", get_with("Expect: 100-continue\r\n"), passed("GET / [Host: test] ")),
        (
            "an unknown expectation",
            post_with("Expect: x\r\nContent-Length: 5\r\n", "hello"),
            Want::Refused(417, "bad_expectation"),
        ),
        (
            "one more",
            post_with("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n", "hello"),
            Want::Refused(417, "bad_expectation"),
        ),
    ]);
}

#[test]
fn the_upstreams_refusal_of_a_body_that_was_sent_is_passed_on() {
    each(|relay| {
        relay.says(&stays("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"));
        let mut client = relay.server.connect();
        let reply = client.ask(EXPECTING.replace("/a", "/told") + "hello");
        assert_eq!(text(&reply), "417 Expectation Failed [Content-Length: 2] no");
        assert_eq!(client.ask(get("/next")).text(), "/next");
    });
}

#[test]
fn a_client_of_http_1_0_expects_nothing() {
    let request = "POST / HTTP/1.0\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    check(&[(
        "at once",
        bytes(request),
        Want::PassedLast("POST / [Host: test|Content-Length: 5] hello".into()),
    )]);
    // §15.2: and gets no interim answer.
    let (server, _upstream) = answering("HTTP/1.1 100 Continue\r\n\r\n");
    let mut client = server.connect();
    client.send(EXPECTING.replace("HTTP/1.1", "HTTP/1.0"));
    client.hears_nothing_for(50);
    let reply = client.ask("hello");
    assert_eq!((reply.text(), reply.interim.len()), ("hello", 0));
}
