//! What becomes of a body that its handler did not read.

use std::time::Duration;

use eproxy_core::{Limits, Request, Response, Server, Timeouts};

use crate::support::{Running, crlf, eventually, get, pause, post, post_chunked, start};

fn server(limits: Limits) -> Running {
    start(
        Server::builder()
            .limits(limits)
            .at("/*rest", |req: Request, res: Response| res.send(req.target().to_owned())),
    )
}

#[test]
fn up_to_256_kib_are_drained_and_the_connection_is_kept() {
    let server = server(Limits::default());
    let mut client = server.connect();
    for size in [1, 100, 10_000, 200_000, 256 * 1024] {
        client.send(post("/post", vec![b'x'; size]));
        let reply = client.reply();
        assert_eq!((reply.text(), reply.says_close()), ("/post", false), "{size} bytes");
        assert_eq!(client.ask(get("/next")).text(), "/next", "after {size} bytes");
    }
    let coded = format!("{:x}\r\n{}\r\n0\r\nA: b\r\n\r\n", 100_000, "x".repeat(100_000));
    assert_eq!(client.ask(post_chunked("/post", &coded)).text(), "/post");
    assert_eq!(client.ask(get("/next")).text(), "/next");
}

#[test]
fn a_longer_body_ends_the_connection_and_the_answer_arrives() {
    let server = server(Limits::default());
    for size in [1 << 20, 8 << 20] {
        let mut client = server.connect();
        // The server may end the connection while this is on its way.
        let _cut = client.try_send(post("/post", vec![b'x'; size]));
        assert_eq!(client.reply().text(), "/post", "{size} bytes");
        client.is_closed();
    }
}

#[test]
fn a_body_that_comes_after_its_answer_is_not_taken_for_a_request() {
    let server = server(Limits::default());
    let mut client = server.connect();
    let smuggled = get("/smuggled");
    client.send(crlf(&format!("POST /post HTTP/1.1\nHost: test\nContent-Length: {}\n\n", smuggled.len())));
    assert_eq!(client.reply().text(), "/post");
    client.send([smuggled, get("/next")].concat());
    assert_eq!(client.reply().text(), "/next");
    client.finish();
    client.is_closed();
}

#[test]
fn the_limit_of_draining_is_an_option() {
    let server = server(Limits { drain: 10, ..Limits::default() });
    let mut client = server.connect();
    for (size, keeps) in [(10, true), (11, false)] {
        client.send(crlf(&format!("POST /post HTTP/1.1\nHost: test\nContent-Length: {size}\n\n")));
        assert_eq!(client.reply().text(), "/post");
        client.send(vec![b'x'; size]);
        match keeps {
            true => assert_eq!(client.ask(get("/next")).text(), "/next"),
            false => client.is_closed(),
        }
    }
}

#[test]
fn a_body_that_turns_out_malformed_while_it_is_drained_ends_the_connection() {
    let server = server(Limits::default());
    let mut client = server.connect();
    client.send(post_chunked("/post", "5\r\nhello"));
    assert_eq!(client.reply().text(), "/post");
    client.send("X\r\n0\r\n\r\n");
    client.send(get("/smuggled"));
    client.is_closed();
}

#[test]
fn a_body_is_drained_after_a_handler_that_took_its_time() {
    let timeouts = Timeouts { head: Duration::from_millis(100), ..Timeouts::default() };
    let server = start(Server::builder().timeouts(timeouts).at("/*rest", |req: Request, res: Response| {
        std::thread::spawn(move || {
            pause(300);
            res.send(req.target().to_owned());
        });
    }));
    let mut client = server.connect();
    let request = post("/post", "hello");
    client.send(&request[..request.len() - 2]);
    let reply = client.reply();
    assert_eq!((reply.text(), reply.says_close()), ("/post", false));
    client.send(&request[request.len() - 2..]);
    assert_eq!(client.ask(get("/next")).text(), "/next");
}

#[test]
fn a_client_that_sends_without_end_is_let_go_after_its_answer() {
    let server = server(Limits::default());
    let mut client = server.connect();
    client.send(crlf("POST /post HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n"));
    assert_eq!(client.reply().text(), "/post");
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, "x".repeat(65_536));
    let sent = (0..1000).take_while(|_| client.try_send(&chunk).is_ok()).count();
    assert!(sent < 1000, "64 MB were read for nothing");
    eventually("it is gone", || server.stats().open == 0);
}
