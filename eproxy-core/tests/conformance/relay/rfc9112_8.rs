//! RFC 9112 §8, Handling Incomplete Messages: what broke off on one side is never whole on the other.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use crate::support::wire::Reply;
use crate::support::{PATIENCE, Running, crlf, eventually, get, post};
use crate::table::chunked;

use super::table::{Got, Relay, TOLD, closes, each, server, tell};
use super::upstream::{gate, upstream};

#[test]
fn a_head_that_breaks_off_is_not_passed_on() {
    let relay = Relay::start(true);
    let request = crlf("GET /a HTTP/1.1\nHost: test\nA: b\n\n");
    let before = relay.upstream.bytes();
    for cut in 1..request.len() {
        let mut client = relay.server.connect();
        client.send(&request[..cut]);
        client.finish();
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (400, true), "cut at {cut}");
        client.is_closed();
    }
    assert_eq!(relay.server.failures("truncated"), request.len() as u64 - 1);
    let probe = relay.probe();
    assert_eq!((relay.upstream.bytes() - before, relay.upstream.accepted()), (probe.head.len(), 1));
}

#[test]
fn a_body_that_breaks_off_is_never_passed_on_as_a_whole_one() {
    each(|relay| {
        let mut cuts = 0;
        for request in [post("/", "hello"), chunked("5\r\nhello\r\n0\r\nT: 1\r\n\r\n")] {
            let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
            for cut in head..request.len() {
                let mut client = relay.server.connect();
                client.send(&request[..cut]);
                client.finish();
                let reply = client.reply();
                assert_eq!((reply.status, reply.says_close()), (400, true), "cut at {cut}");
                client.is_closed();
                cuts += 1;
            }
        }
        assert_eq!(relay.server.failures("truncated"), cuts);
        eventually("no connection to the upstream is left", || relay.upstream.open() == 0);
        let whole: Vec<_> = relay.upstream.seen().into_iter().filter(|seen| seen.is_whole).collect();
        assert!(whole.iter().all(|seen| seen.target == "/probe"), "{whole:?}");
    });
}

#[test]
fn an_answer_that_breaks_off_is_never_passed_on_as_a_whole_one() {
    let plain = |rest: &str| closes(&format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{rest}"));
    let coded = |rest: &str| closes(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}"));
    let broken = || Got::Broken(200, "upstream_truncated");
    tell(&[
        ("nothing of the body", plain(""), broken()),
        ("some of the body", plain("hello"), broken()),
        ("nearly all of the body", plain(&"x".repeat(99_999)), broken()),
        ("before the first chunk", coded(""), broken()),
        ("inside a size", coded("5\r\nhello\r\n1"), broken()),
        ("inside the line end of a size", coded("5\r"), broken()),
        ("inside a chunk", coded("64\r\nhello"), broken()),
        ("behind a chunk", coded("5\r\nhello"), broken()),
        ("before the last chunk", coded("5\r\nhello\r\n"), broken()),
        ("inside the last chunk", coded("5\r\nhello\r\n0"), broken()),
        ("before the trailer section", coded("5\r\nhello\r\n0\r\n"), broken()),
        ("inside the trailer section", coded("5\r\nhello\r\n0\r\nT: 1\r\n"), broken()),
    ]);
}

#[test]
fn a_head_of_an_answer_that_breaks_off_is_not_passed_on() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for cut in [1, 9, 12, 16, 17, 20, 35, 36, 37] {
        tell(&[(&format!("cut at {cut}"), closes(&whole[..cut]), Got::Instead(502, "upstream_truncated"))]);
    }
    // RFC 9110 §15.6.3: nothing at all is no answer either.
    let relay = Relay::start(false);
    let silent = Got::Instead(502, "upstream_closed");
    relay.tell_to("nothing", TOLD.as_bytes(), &closes(""), &silent);
    let interim = closes("HTTP/1.1 103 Early Hints\r\n\r\n");
    let truncated = Got::Instead(502, "upstream_truncated");
    relay.tell_to("only an interim one", TOLD.as_bytes(), &interim, &truncated);
}

/// What comes of an answer that ends with a reset.
fn reset_behind(answer: &'static str) -> (Reply, Running) {
    let (heard, hears) = gate();
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say(answer);
        hears.wait();
        peer.reset();
    });
    let server = server(&upstream);
    let mut client = server.connect();
    client.send(get("/"));
    // A reset would destroy what is still on its way.
    let mut reply = client.head().expect("the head comes");
    heard.send(()).expect("the upstream waits for it");
    reply.body = client.rest();
    (reply, server)
}

#[test]
fn a_reset_inside_an_answer_is_not_its_end() {
    for (answer, rest) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nhello\r\n"),
        // Here an orderly end would be one.
        ("HTTP/1.1 200 OK\r\n\r\nhello", "5\r\nhello\r\n"),
    ] {
        let (reply, server) = reset_behind(answer);
        assert_eq!((reply.status, &*reply.body), (200, rest.as_bytes()), "{answer:?}");
        assert_eq!(server.failures("upstream_io"), 1, "{answer:?}");
    }
}

#[test]
fn a_client_that_waits_for_the_end_of_the_connection_is_told_by_a_reset() {
    // §8: for a client of HTTP/1.0 an orderly end would be the end of the answer.
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    ] {
        let relay = Relay::start(true);
        relay.says(&closes(answer));
        let mut client = TcpStream::connect(relay.server.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET /told HTTP/1.0\r\nHost: test\r\n\r\n").unwrap();
        let end = client.read_to_end(&mut Vec::new());
        assert_eq!(end.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset), "{answer:?}");
    }
}
