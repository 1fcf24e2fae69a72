//! Bodies that hooks change, where they take another way than most: requests that are read before they are passed on, and
//! answers that come before the request has been sent.

use std::io;

use eproxy_core::{BodyFilter, Proxy, ProxyRequest, ProxyResponse};

use crate::support::{get, post};
use crate::upstream::{Upstream, echoing, serve, upstream};

/// Writes upper case, and says so at the end.
struct Shout;

impl BodyFilter for Shout {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend(bytes.iter().map(u8::to_ascii_uppercase));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend(b"!");
        Ok(())
    }
}

/// Keeps the length, or not.
struct Cut(usize);

impl BodyFilter for Cut {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(&bytes[..bytes.len() - self.0]);
        Ok(())
    }
}

fn shouting(upstream: &Upstream) -> Proxy {
    Proxy::to(upstream.url())
        .buffer_requests(10)
        .on_request(|req: &mut ProxyRequest| req.transform_body(Shout))
}

/// What the upstream gets of a body that comes behind its head.
fn passed(head: &str, pieces: &[&str]) -> Vec<u8> {
    let upstream = echoing();
    let server = serve(shouting(&upstream));
    let mut client = server.connect();
    client.send(format!("PUT / HTTP/1.1\r\nHost: test\r\n{head}\r\n\r\n"));
    for piece in pieces {
        client.hears_nothing_for(20);
        client.send(piece);
    }
    assert_eq!(client.reply().status, 200);
    // The connection is where the next request begins.
    assert_eq!(client.ask(get("/")).status, 200);
    upstream.seen()[0].body.clone()
}

#[test]
fn a_collected_body_goes_through_the_filters() {
    assert_eq!(passed("Content-Length: 5", &["he", "llo"]), b"HELLO!");
    let coded = ["2\r\nhe\r\n", "3\r\nllo\r\n0\r\n\r\n"];
    assert_eq!(passed("Transfer-Encoding: chunked", &coded), b"HELLO!");
}

#[test]
fn so_does_what_comes_behind_the_collected_part_of_a_body() {
    let coded = ["8\r\nabcdefgh\r\n", "8\r\nijklmnop\r\n", "1\r\nq\r\n0\r\n\r\n"];
    assert_eq!(passed("Transfer-Encoding: chunked", &coded), b"ABCDEFGHIJKLMNOPQ!");
    let long = ["abcdefgh", "ijklmnop"];
    assert_eq!(passed("Content-Length: 16", &long), b"ABCDEFGHIJKLMNOP!");
}

#[test]
fn a_filter_that_does_not_keep_the_length_as_it_said_fails_the_request() {
    for (cut, status, failures) in [(0, 200, 0), (1, 502, 1)] {
        let upstream = echoing();
        let proxy = Proxy::to(upstream.url())
            .buffer_requests(10)
            .on_request(move |req: &mut ProxyRequest| req.transform_body_in_place(Cut(cut)));
        let server = serve(proxy);
        let mut client = server.connect();
        let request = post("/", "hello");
        let (head, body) = request.split_at(request.len() - 5);
        client.send(head);
        client.hears_nothing_for(20);
        client.send(body);
        assert_eq!(client.reply().status, status);
        assert_eq!(server.failures("filter_failed"), failures);
        assert_eq!(upstream.count(), usize::from(cut == 0));
    }
}

#[test]
fn an_early_answer_without_a_body_is_not_given_one_by_filters() {
    for length in ["", "Content-Length: 5\r\n"] {
        let upstream = upstream(move |peer| {
            let mut seen = peer.head();
            peer.say(format!("HTTP/1.1 200 OK\r\n{length}\r\n"));
            peer.body(&mut seen);
        });
        let proxy =
            Proxy::to(upstream.url()).on_response(|res: &mut ProxyResponse| res.transform_body(Shout));
        let server = serve(proxy);
        let mut client = server.connect();
        client.send("HEAD / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello");
        assert_eq!(client.reply_to_head().status, 200);
        client.finish();
        assert_eq!(client.rest(), b"");
        assert_eq!(server.failures("filter_failed"), 0);
    }
}
