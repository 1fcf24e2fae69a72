//! What filters may do to a message: much may go through them, its end is told in every framing, and where they fail or
//! do not keep their word, the recipient can tell that something is missing.

use std::io;

use eproxy_core::{BodyFilter, Proxy, ProxyRequest, ProxyResponse};

use crate::support::notes::Notes;
use crate::support::{Running, eventually, get};
use crate::upstream::{Upstream, echoing, gate, serve, upstream};

/// What a filter does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It writes one byte too few, or too many, with the first piece or at the end.
    Short,
    Long,
    ShortAtEnd,
    LongAtEnd,
    /// It fails, with the first piece or at the end.
    Error,
    ErrorAtEnd,
    Panic,
    PanicAtEnd,
}

use Fault::{Error, ErrorAtEnd, Long, LongAtEnd, Panic, PanicAtEnd, Short, ShortAtEnd};

/// A filter that does it.
struct Faulty {
    fault: Fault,
    has_begun: bool,
    held: Option<u8>,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { fault, has_begun: false, held: None }
    }
}

impl BodyFilter for Faulty {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match self.fault {
            Short if is_first => out.extend_from_slice(&bytes[1..]),
            Long if is_first => out.extend([b"x", bytes].concat()),
            Error if is_first => return Err(io::Error::other("as it is meant to be")),
            Panic if is_first => panic!("as it is meant to be"),
            ShortAtEnd => {
                // The last byte never leaves.
                out.extend(self.held.replace(bytes[bytes.len() - 1]));
                out.extend_from_slice(&bytes[..bytes.len() - 1]);
            }
            _ => out.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.fault {
            LongAtEnd => out.push(b'x'),
            ErrorAtEnd => return Err(io::Error::other("as it is meant to be")),
            PanicAtEnd => panic!("as it is meant to be"),
            _ => {}
        }
        Ok(())
    }
}

const LENGTHS: [Fault; 4] = [Short, Long, ShortAtEnd, LongAtEnd];
const FAILURES: [Fault; 4] = [Error, ErrorAtEnd, Panic, PanicAtEnd];

/// Short enough to be there with the head, in several pieces, and more than all buffers on the way.
const SIZES: [usize; 3] = [5, 40_000, 3_000_000];

/// Each framing of an answer with each size.
fn framings() -> impl Iterator<Item = (&'static str, usize)> {
    ["length", "chunked", "end"].into_iter().flat_map(|framing| SIZES.map(|size| (framing, size)))
}

/// An upstream that sends a body of the size that is asked for, in the framing that is asked for: `/chunked/5`.
fn sized() -> Upstream {
    upstream(|peer| {
        while let Some(seen) = peer.next() {
            let parts = seen.target[1..].split_once('/').expect("a framing and a size");
            let (framing, size) = (parts.0, parts.1.parse().expect("a number"));
            let body = vec![b'a'; size];
            // Whoever breaks off may do so before all of it was said.
            let is_said = match framing {
                "length" => {
                    // A short one comes in one piece.
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
                    peer.try_say([head.as_bytes(), &body].concat())
                }
                "chunked" => {
                    peer.try_say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                        && body.chunks(100_003).all(|piece| {
                            peer.try_say(
                                [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat(),
                            )
                        })
                        && peer.try_say("0\r\n\r\n")
                }
                _ => {
                    let _said = peer.try_say("HTTP/1.1 200 OK\r\n\r\n") && peer.try_say(body);
                    false
                }
            };
            if !is_said {
                return;
            }
        }
    })
}

/// A server with that upstream, whose answers go through a faulty filter.
fn faulty_down(fault: Fault, in_place: bool) -> (Running, Upstream) {
    let upstream = sized();
    let server =
        serve(Proxy::to(upstream.url()).on_response(move |res: &mut ProxyResponse| match in_place {
            true => res.transform_body_in_place(Faulty::new(fault)),
            false => res.transform_body(Faulty::new(fault)),
        }));
    (server, upstream)
}

#[test]
fn an_answer_of_another_length_than_was_announced_is_broken_off() {
    for fault in LENGTHS {
        for size in SIZES {
            let (server, _upstream) = faulty_down(fault, true);
            let mut client = server.connect();
            client.send(get(&format!("/length/{size}")));
            let reply = client.next(false).unwrap();
            // Where nothing was sent yet, the client is told; else it lacks a part.
            let is_told = (reply.status, reply.is_whole) == (502, true);
            assert!(is_told || !reply.is_whole, "{fault:?} of {size}: {} whole bytes", reply.body.len());
            client.is_closed();
            assert_eq!(server.failures("filter_failed"), 1, "{fault:?} of {size}");
        }
    }
}

#[test]
fn an_answer_whose_filter_fails_is_broken_off_in_every_framing() {
    for fault in FAILURES {
        for (framing, size) in framings() {
            // With a length that stays, and in chunks; and up to the end of the upstream's connection.
            let (server, _upstream) = faulty_down(fault, framing == "length" && size != SIZES[1]);
            let mut client = server.connect();
            client.send(get(&format!("/{framing}/{size}")));
            let reply = client.next(false).unwrap();
            let is_told = (reply.status, reply.is_whole) == (502, true);
            assert!(is_told || !reply.is_whole, "{fault:?} of {framing}/{size}");
            client.is_closed();
            assert_eq!(server.failures("filter_failed"), 1, "{fault:?} of {framing}/{size}");
            assert_eq!(server.ask("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n").status, 204);
        }
    }
}

#[test]
fn an_upload_of_another_length_than_was_announced_is_broken_off() {
    for fault in LENGTHS {
        for size in SIZES {
            let upstream = upstream(|peer| {
                peer.next();
            });
            let server = serve(Proxy::to(upstream.url()).on_request(move |req: &mut ProxyRequest| {
                req.transform_body_in_place(Faulty::new(fault));
            }));
            broken_off(
                &server,
                &upstream,
                &format!("Content-Length: {size}\r\n\r\n"),
                &vec![b'a'; size],
                fault,
            );
        }
    }
}

#[test]
fn an_upload_whose_filter_fails_is_broken_off_in_every_framing() {
    for fault in FAILURES {
        for size in SIZES {
            let body = vec![b'a'; size];
            let coded = [format!("{size:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            let length = format!("Content-Length: {size}\r\n\r\n");
            let bodies = [(length.as_str(), &body), ("Transfer-Encoding: chunked\r\n\r\n", &coded)];
            for (framing, body) in bodies {
                let upstream = upstream(|peer| {
                    peer.next();
                });
                let server = serve(Proxy::to(upstream.url()).on_request(move |req: &mut ProxyRequest| {
                    req.transform_body(Faulty::new(fault));
                }));
                broken_off(&server, &upstream, framing, body, fault);
            }
        }
    }
}

/// Asserts that the client of this upload gets a 502, and that the upstream got nothing that it could take for whole.
fn broken_off(server: &Running, upstream: &Upstream, framing: &str, body: &[u8], fault: Fault) {
    let mut client = server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}"));
    // The proxy may have had enough before all of it was sent.
    let _said = client.try_send(body);
    let reply = client.reply();
    assert_eq!((reply.status, reply.says_close()), (502, true), "{fault:?} of {framing}");
    assert_eq!(server.failures("filter_failed"), 1, "{fault:?} of {framing}");
    eventually("the upstream's connection ends", || upstream.open() == 0);
    assert!(upstream.seen().iter().all(|seen| !seen.is_whole), "{fault:?} of {framing}");
}

/// Writes everything twice, and a mark at the end.
struct Twice;

impl BodyFilter for Twice {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        bytes.iter().for_each(|byte| out.extend([*byte, *byte]));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.push(b'.');
        Ok(())
    }
}

#[test]
fn an_answer_whose_length_changes_has_a_framing_that_its_client_knows() {
    let upstream = sized();
    let server =
        serve(Proxy::to(upstream.url()).on_response(|res: &mut ProxyResponse| res.transform_body(Twice)));
    for (framing, size) in framings() {
        let mut expected = vec![b'a'; 2 * size];
        expected.push(b'.');
        let mut client = server.connect();
        for _ in 0..2 {
            let reply = client.ask(get(&format!("/{framing}/{size}")));
            assert!(reply.body == expected, "{framing}/{size}");
            // A short one that is there as a whole has a length; of others nobody knows it.
            let is_chunked = reply.header("transfer-encoding") == Some("chunked");
            assert!(is_chunked || (framing == "length" && size == SIZES[0]), "{framing}/{size}");
        }
        // HTTP/1.0 has no chunks.
        let mut client = server.connect();
        let old = format!("GET /{framing}/{size} HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
        let reply = client.ask(old);
        assert!(reply.body == expected, "{framing}/{size}");
        assert_eq!(reply.header("transfer-encoding"), None);
        let has_length = reply.header("content-length").is_some();
        assert_eq!(has_length, framing == "length" && size == SIZES[0], "{framing}/{size}");
        assert_eq!(reply.says_close(), !has_length);
        if !has_length {
            client.is_closed();
        }
    }
}

#[test]
fn an_answer_that_keeps_its_length_keeps_its_framing() {
    struct Same;
    impl BodyFilter for Same {
        fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
            out.extend(bytes.iter().map(|_| b'b'));
            Ok(())
        }
    }
    let upstream = sized();
    let server = serve(
        Proxy::to(upstream.url()).on_response(|res: &mut ProxyResponse| res.transform_body_in_place(Same)),
    );
    let mut client = server.connect();
    for size in SIZES {
        for framing in ["length", "chunked"] {
            let reply = client.ask(get(&format!("/{framing}/{size}")));
            assert!(reply.body == vec![b'b'; size], "{framing}/{size}");
            let length = (framing == "length").then(|| size.to_string());
            assert_eq!(reply.header("content-length"), length.as_deref());
        }
    }
}

#[test]
fn much_goes_up_through_a_filter_in_every_framing() {
    let upstream = echoing();
    let server =
        serve(Proxy::to(upstream.url()).on_request(|req: &mut ProxyRequest| req.transform_body(Twice)));
    for size in SIZES {
        let body = vec![b'a'; size];
        let mut expected = vec![b'a'; 2 * size];
        expected.push(b'.');
        let mut chunked = Vec::new();
        for piece in body.chunks(70_001) {
            chunked.extend([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        chunked.extend(b"0\r\n\r\n");
        let length = format!("Content-Length: {size}");
        let mut client = server.connect();
        for (framing, body) in [(length.as_str(), &body), ("Transfer-Encoding: chunked", &chunked)] {
            client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n"));
            client.send(body);
            assert!(client.reply().body == expected, "{framing}");
        }
    }
}

#[test]
fn an_old_client_whose_answer_breaks_off_gets_no_orderly_end() {
    let (open, gate) = gate();
    let notes = Notes::default();
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\n\r\nfirst");
        gate.wait();
        peer.say("second");
        peer.rest();
    });
    struct Second(Notes);
    impl BodyFilter for Second {
        fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
            self.0.add(String::from_utf8_lossy(bytes));
            if bytes != b"first" {
                return Err(io::Error::other("as it is meant to be"));
            }
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
    let noted = notes.clone();
    let server = serve(Proxy::to(upstream.url()).on_response(move |res: &mut ProxyResponse| {
        res.transform_body(Second(noted.clone()));
    }));
    let stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    io::Write::write_all(&mut &stream, b"GET / HTTP/1.0\r\nHost: test\r\n\r\n").unwrap();
    let mut client = crate::support::Connection::over(stream.try_clone().unwrap());
    assert_eq!(client.head().unwrap().header("connection"), Some("close"));
    assert_eq!(client.raw(5), b"first");
    open.send(()).unwrap();
    let end = io::Read::read(&mut &stream, &mut [0; 16]);
    assert_eq!(end.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
    assert_eq!(notes.take(), ["first", "second"]);
}
