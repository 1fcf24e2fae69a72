//! Bodies go through a proxy as they come, in both directions: nothing that has come is held back, and nobody is made to
//! hold more than a little of what the other side does not take yet.

use std::io::Write as _;
use std::net::TcpStream;

use eproxy_core::Proxy;

use crate::support::{Connection, Helper, PATIENCE, get, pause};
use crate::upstream::{Peer, echo, gate, serve, upstream};

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + ((at ^ at >> 8 ^ at >> 16) % 26) as u8).collect()
}

/// More than the buffers of all sockets on the way hold.
const MUCH: usize = 32 << 20;

#[test]
fn an_event_is_on_its_way_as_soon_as_it_came() {
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
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send(get("/"));
    // The head goes ahead, and no event waits for the next.
    assert_eq!(client.head().unwrap().header("content-type"), Some("text/event-stream"));
    for number in 0..5 {
        open.send(()).unwrap();
        assert_eq!(client.raw(14), format!("9\r\ndata: {number}\n\n\r\n").as_bytes());
    }
    client.hears_nothing_for(20);
    open.send(()).unwrap();
    assert_eq!(client.raw(5), b"0\r\n\r\n");
}

#[test]
fn a_body_of_a_known_length_is_not_held_back_either() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        gate.wait();
        peer.say("world");
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.raw(5), b"hello");
    client.hears_nothing_for(20);
    open.send(()).unwrap();
    assert_eq!(client.raw(5), b"world");
}

#[test]
fn an_upload_is_on_its_way_as_soon_as_it_came() {
    let starts = ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"];
    let pieces: [[&str; 3]; 2] =
        [["hello", "world", ""], ["5\r\nhello\r\n", "5\r\nworld\r\n", "0\r\nX-T: 1\r\n\r\n"]];
    for (start, pieces) in starts.into_iter().zip(pieces) {
        let (say, said) = std::sync::mpsc::channel();
        let upstream = upstream(move |peer| {
            let mut seen = peer.head();
            say.send(Vec::new()).unwrap();
            for piece in pieces {
                say.send(peer.raw(piece.len())).unwrap();
            }
            seen.body = b"whole".into();
            peer.say(echo(&seen));
        });
        let server = serve(Proxy::to(upstream.url()));
        let mut client = server.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{start}"));
        let hears = || said.recv_timeout(PATIENCE).expect("it is on its way");
        assert_eq!(hears(), b"", "the head");
        for piece in pieces {
            client.send(piece);
            assert_eq!(hears(), piece.as_bytes());
        }
        assert_eq!(client.reply().text(), "whole");
    }
}

#[test]
fn an_upstream_that_does_not_read_stops_the_client_and_nothing_is_lost() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        let mut seen = peer.head();
        gate.wait();
        peer.body(&mut seen);
        assert!(seen.is_whole);
        seen.body = format!("{} bytes", seen.body.len()).into();
        peer.say(echo(&seen));
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {MUCH}\r\n\r\n"));
    let sent = client.send_until_stuck(&[b'x'; 0x10000], MUCH);
    assert!(sent < MUCH, "{sent} bytes were taken though nobody read them");
    open.send(()).unwrap();
    client.send(vec![b'x'; MUCH - sent]);
    assert_eq!(client.reply().text(), format!("{MUCH} bytes"));
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream_and_nothing_is_lost() {
    let (say, said) = std::sync::mpsc::channel();
    let upstream = upstream(move |peer: &mut Peer| {
        peer.request();
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n"));
        let chunk = pattern(0x10000);
        for _ in 0..MUCH / chunk.len() {
            peer.say(&chunk);
        }
        say.send(()).unwrap();
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send(get("/"));
    pause(200);
    assert!(said.try_recv().is_err(), "the upstream got rid of everything though nobody read it");
    let reply = client.reply();
    let expected = pattern(0x10000);
    assert!(reply.body.len() == MUCH && reply.body.chunks(0x10000).all(|chunk| chunk == expected));
    said.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn much_goes_through_in_every_framing() {
    const SIZE: usize = 3_000_000;
    let much = std::sync::Arc::new(pattern(SIZE));
    let expected = much.clone();
    // It keeps its connection, but where its answer ends with that: what is reused must not be about to be closed.
    let upstream = upstream(move |peer| {
        while let Some(seen) = peer.next() {
            assert!(seen.body == *expected);
            match seen.target.as_str() {
                "/length" => peer.say(echo(&seen)),
                "/end" => {
                    peer.say("HTTP/1.1 200 OK\r\n\r\n");
                    peer.say(&seen.body);
                    return;
                }
                _ => {
                    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    // Neither the proxy's sizes nor a power of two.
                    for chunk in seen.body.chunks(100_003) {
                        peer.say([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
                    }
                    peer.say("0\r\n\r\n");
                }
            }
        }
    });
    let server = serve(Proxy::to(upstream.url()));
    for target in ["/length", "/chunked", "/end"] {
        let mut request =
            format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
                .into_bytes();
        let mut client = server.connect();
        for chunk in much.chunks(70_001) {
            request.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        request.extend(b"0\r\n\r\n");
        client.send(request);
        let reply = client.reply();
        assert_eq!(reply.status, 200, "{target}");
        assert!(reply.body == *much, "{target}: another body of {} bytes", reply.body.len());
    }
}

#[test]
fn both_directions_move_at_once() {
    // An answer that needs its own request to go on.
    const PIECES: usize = 64;
    let upstream = upstream(|peer| {
        peer.head();
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..PIECES {
            let piece = peer.raw(0x4000);
            peer.say([b"4000\r\n", &piece[..], b"\r\n"].concat());
        }
        peer.say("0\r\n\r\n");
        assert_eq!(peer.rest(), b"");
    });
    let server = serve(Proxy::to(upstream.url()));
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let sender = Helper::run(move || {
        let length = PIECES * 0x4000;
        writer
            .write_all(
                format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
            )
            .unwrap();
        let piece = pattern(0x4000);
        (0..PIECES).for_each(|_| writer.write_all(&piece).unwrap());
    });
    let reply = Connection::over(stream).reply();
    assert!(reply.body == pattern(0x4000).repeat(PIECES));
    sender.join();
}

#[test]
fn an_answer_that_is_whole_before_the_request_ends_the_exchange() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        peer.head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
        gate.wait();
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nbeginning");
    assert_eq!(client.reply().text(), "early");
    // The rest of it can't be told from a request.
    client.is_closed();
    open.send(()).unwrap();
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn interim_answers_and_trailers_go_along() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        let mut seen = peer.head();
        peer.say("HTTP/1.1 100 Continue\r\n\r\n");
        peer.body(&mut seen);
        assert_eq!(seen.trailers, [("X-Up".to_owned(), b"1".to_vec())]);
        peer.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        gate.wait();
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Down: 2\r\n\r\n");
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 100);
    client.send("2\r\nhi\r\n0\r\nX-Up: 1\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 103);
    open.send(()).unwrap();
    let reply = client.reply();
    assert_eq!(reply.text(), "ok");
    assert_eq!(reply.trailers, [("X-Down".to_owned(), b"2".to_vec())]);
}
