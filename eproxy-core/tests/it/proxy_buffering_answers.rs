//! Answers that are read ahead of a slow client, where that is asked for: the upstream is free so much sooner, and the client
//! notices nothing of it.

use std::io;
use std::sync::mpsc::{Receiver, channel};

use eproxy_core::{BodyFilter, Done, Proxy, ProxyResponse};

use crate::support::notes::Notes;
use crate::support::{Connection, PATIENCE, eventually, get, pause};
use crate::upstream::{Upstream, gate, serve, upstream};

/// More than the buffers of all sockets on the way hold.
const MUCH: usize = 32 << 20;

/// A piece of such a body: bytes that differ from place to place.
fn piece() -> Vec<u8> {
    (0..0x10000_usize).map(|at| b'a' + ((at ^ at >> 8) % 26) as u8).collect()
}

/// Whether a body is what an upstream has sent, as far as it goes.
fn is_intact(body: &[u8]) -> bool {
    let piece = piece();
    body.chunks(piece.len()).all(|chunk| *chunk == piece[..chunk.len()])
}

/// An upstream that answers with much in the framing that is asked for, of which it sends `part` bytes, and says when it got
/// rid of that; whatever is asked below `/short` gets a short answer.
fn sending(part: usize) -> (Upstream, Receiver<()>) {
    let (say, said) = channel();
    let upstream = upstream(move |peer| {
        while let Some(seen) = peer.next_head() {
            let framing = match seen.target.as_str() {
                "/length" => format!("Content-Length: {MUCH}\r\n"),
                "/chunked" => "Transfer-Encoding: chunked\r\n".to_owned(),
                "/end" => String::new(),
                target => {
                    peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()));
                    continue;
                }
            };
            peer.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n"));
            let is_chunked = seen.target == "/chunked";
            let piece = piece();
            let piece = if is_chunked { [b"10000\r\n", &piece[..], b"\r\n"].concat() } else { piece };
            for _ in 0..part / 0x10000 {
                if !peer.try_say(&piece) {
                    return;
                }
            }
            if is_chunked && part == MUCH {
                peer.say("0\r\nX-T: 1\r\n\r\n");
            }
            say.send(()).expect("the test listens");
            if seen.target == "/end" || part < MUCH {
                return;
            }
        }
    });
    (upstream, said)
}

#[test]
fn a_client_that_does_not_read_does_not_keep_the_upstream() {
    let (upstream, _said) = sending(MUCH);
    let notes = Notes::default();
    let over = notes.clone();
    let proxy = Proxy::to(upstream.url()).buffer_responses(2 * MUCH);
    let server = serve(proxy.on_done(move |done: &mut Done| over.add(done.request().target())));
    for framing in ["/length", "/chunked", "/end"] {
        let before = upstream.accepted();
        let mut client = server.connect();
        client.send([get(framing), get("/short/behind")].concat());
        assert_eq!(notes.wait(1), [framing], "as far as the upstream has a part in it");
        // Its connection serves others meanwhile, unless it had to end.
        assert_eq!(server.ask(get("/short/other")).text(), "/short/other");
        let others = upstream.accepted() - before.max(1);
        assert_eq!(others, usize::from(framing == "/end"), "{framing}");
        let reply = client.reply();
        assert!(reply.body.len() == MUCH && is_intact(&reply.body), "{framing}");
        assert_eq!(reply.trailers.len(), usize::from(framing == "/chunked"));
        assert_eq!(client.reply().text(), "/short/behind");
        notes.wait(2);
    }
}

#[test]
fn a_client_of_http10_gets_all_of_it_up_to_the_end() {
    let (upstream, said) = sending(MUCH);
    let server = serve(Proxy::to(upstream.url()).buffer_responses(2 * MUCH));
    for framing in ["/length", "/chunked", "/end"] {
        let mut client = server.connect();
        client.send(format!("GET {framing} HTTP/1.0\r\nHost: test\r\n\r\n"));
        said.recv_timeout(PATIENCE).expect("the upstream got rid of everything");
        let reply = client.reply();
        assert!(reply.body.len() == MUCH && is_intact(&reply.body), "{framing}");
        client.is_closed();
    }
}

#[test]
fn beyond_what_may_be_read_ahead_the_upstream_waits_for_the_client() {
    for most in [1 << 20, 10_000] {
        let (upstream, said) = sending(MUCH);
        let server = serve(Proxy::to(upstream.url()).buffer_responses(most));
        for framing in ["/length", "/chunked"] {
            let mut client = server.connect();
            client.send(get(framing));
            pause(100);
            assert!(said.try_recv().is_err(), "{framing}: the upstream got rid of everything");
            let reply = client.reply();
            assert!(reply.body.len() == MUCH && is_intact(&reply.body), "{framing}");
            said.recv_timeout(PATIENCE).unwrap();
            assert_eq!(client.ask(get("/short")).text(), "/short");
        }
    }
}

#[test]
fn what_the_client_can_take_is_passed_on_at_once() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for number in 0..5 {
            gate.wait();
            peer.say(format!("9\r\ndata: {number}\n\n\r\n"));
        }
        gate.wait();
        peer.say("0\r\n\r\n");
    });
    let server = serve(Proxy::to(upstream.url()).buffer_responses(MUCH));
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.head().unwrap().header("content-type"), Some("text/event-stream"));
    for number in 0..5 {
        open.send(()).unwrap();
        assert_eq!(client.raw(14), format!("9\r\ndata: {number}\n\n\r\n").as_bytes());
    }
    open.send(()).unwrap();
    assert_eq!(client.raw(5), b"0\r\n\r\n");
}

/// Asserts that what comes is a part of the answer, and nothing else.
fn is_broken_off(client: &mut Connection, what: &str) {
    let reply = client.next(false).expect("it had begun");
    assert!(!reply.is_whole && reply.body.len() < MUCH, "{what}: {} bytes", reply.body.len());
    assert!(is_intact(&reply.body), "{what}: something else is among {} bytes", reply.body.len());
    client.is_closed();
}

#[test]
fn an_answer_that_breaks_off_while_its_client_is_behind_is_one_that_breaks_off() {
    for framing in ["/length", "/chunked"] {
        let (upstream, said) = sending(MUCH - 0x10000);
        let server = serve(Proxy::to(upstream.url()).buffer_responses(2 * MUCH));
        let mut client = server.connect();
        client.send(get(framing));
        said.recv_timeout(PATIENCE).expect("the upstream got rid of its part");
        eventually("the end was noticed", || server.failures("upstream_truncated") == 1);
        is_broken_off(&mut client, framing);
    }
}

#[test]
fn an_answer_that_breaks_off_because_of_its_request_is_a_part_of_itself_too() {
    for ahead in [0, 1 << 20] {
        for framing in ["/length", "/chunked"] {
            let (upstream, _said) = sending(MUCH);
            let server = serve(Proxy::to(upstream.url()).buffer_responses(ahead));
            let mut client = server.connect();
            client.send(format!(
                "POST {framing} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
            ));
            // Until nothing moves any more.
            pause(100);
            client.send("no chunk\r\n");
            eventually("that is noticed", || server.failures("bad_chunk") == 1);
            is_broken_off(&mut client, framing);
        }
    }
}

#[test]
fn filters_have_their_turn_with_what_is_read_ahead() {
    struct Capitals;
    impl BodyFilter for Capitals {
        fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
            out.extend(bytes.iter().map(u8::to_ascii_uppercase));
            Ok(())
        }
    }
    let (upstream, said) = sending(MUCH);
    let server = serve(
        Proxy::to(upstream.url())
            .buffer_responses(2 * MUCH)
            .on_response(|res: &mut ProxyResponse| res.transform_body_in_place(Capitals)),
    );
    for framing in ["/length", "/chunked"] {
        let mut client = server.connect();
        client.send(get(framing));
        said.recv_timeout(PATIENCE).expect("the upstream got rid of everything");
        let body = client.reply().body.to_ascii_lowercase();
        assert!(body.len() == MUCH && is_intact(&body), "{framing}");
    }
}
