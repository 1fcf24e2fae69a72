//! RFC 9112 §8, Handling Incomplete Messages.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use async_std::task;
use eproxy_core::{Request, Response, Server};
use futures_lite::AsyncWriteExt as _;

use crate::support::{PATIENCE, crlf, post, start};
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

#[test]
fn a_client_that_waits_for_the_end_of_the_connection_is_told_by_a_reset() {
    // For a client of HTTP/1.0 an orderly end would be the end of the answer.
    let server = start(Server::builder().get("/", |_: Request, res: Response| {
        let mut writer = res.stream();
        task::spawn(async move {
            writer.write_all(b"hello").await.unwrap();
            drop(writer);
        });
    }));
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let end = client.read_to_end(&mut Vec::new());
    assert_eq!(end.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    assert_eq!(server.failures("body_failed"), 1);
}
