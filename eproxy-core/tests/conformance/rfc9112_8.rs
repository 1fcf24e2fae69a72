//! RFC 9112 §8, Handling Incomplete Messages.

use crate::support::{crlf, post};
use crate::table::Mirror;

#[test]
fn a_head_that_breaks_off_is_never_seen() {
    let mirror = Mirror::start();
    let request = crlf("GET /a HTTP/1.1\nHost: test\nA: b\n\n");
    for cut in 0..request.len() {
        let mut client = mirror.server.connect();
        client.send(&request[..cut]);
        client.finish();
        match client.next(false) {
            None => assert_eq!(cut, 0),
            Some(reply) => assert_eq!((reply.status, reply.says_close()), (400, true), "cut at {cut}"),
        }
        client.is_closed();
    }
    assert_eq!(mirror.calls(), 0);
}

#[test]
fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    let mirror = Mirror::start();
    for request in [post("/", "hello"), crate::table::chunked("5\r\nhello\r\n0\r\n\r\n")] {
        let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        for cut in head..request.len() {
            let mut client = mirror.server.connect();
            client.send(&request[..cut]);
            client.finish();
            let reply = client.reply();
            assert_eq!((reply.status, reply.says_close()), (400, true), "cut at {cut}");
            client.is_closed();
        }
    }
}
