//! Connections carry one request after another, and answers keep the order of their requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use eproxy_core::{Builder, Request, Response, Server};

use crate::support::{Running, crlf, get, post, post_chunked, start};

fn echo(req: Request, res: Response) {
    let target = req.target().to_owned();
    req.read(move |body| match body {
        Ok(body) if body.is_empty() => res.send(target),
        Ok(body) => res.send(body),
        Err(error) => res.status(error.status()).send(()),
    });
}

fn late(req: Request, res: Response) {
    let target = req.target().to_owned();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        res.send(target);
    });
}

fn builder() -> Builder {
    Server::builder().at("/late/*rest", late).at("/*rest", echo)
}

fn server() -> Running {
    start(builder())
}

#[test]
fn a_thousand_requests_go_over_one_connection() {
    let server = server();
    let mut client = server.connect();
    for number in 0..1000 {
        let reply = client.ask(get(&format!("/{number}")));
        assert_eq!((reply.status, reply.text()), (200, format!("/{number}").as_str()));
        assert_eq!(reply.header("connection"), None);
    }
    assert_eq!((server.stats().accepted, server.stats().requests), (1, 1000));
}

#[test]
fn pipelined_requests_of_every_kind_are_answered_in_order() {
    let server = server();
    let mut client = server.connect();
    let requests = [
        get("/1"),
        post("/2", "two"),
        post_chunked("/3", "3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n"),
        crlf("HEAD /4 HTTP/1.1\nHost: test\n\n"),
        get("/late/5"),
        post("/6", "six"),
        get("/late/7"),
        get("/8"),
    ];
    client.send(requests.concat());
    for expected in ["/1", "two", "three", "", "/late/5", "six", "/late/7", "/8"] {
        let reply = if expected.is_empty() { client.reply_to_head() } else { client.reply() };
        assert_eq!((reply.status, reply.text()), (200, expected));
    }
}

#[test]
fn thousands_of_requests_in_one_go_are_all_answered() {
    let server = server();
    let mut client = server.connect();
    let requests: Vec<u8> = (0..3000).flat_map(|number| get(&format!("/{number}"))).collect();
    client.send(requests);
    for number in 0..3000 {
        assert_eq!(client.reply().text(), format!("/{number}"));
    }
}

#[test]
fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let server = server();
    let mut client = server.connect();
    let second = post("/2", "second");
    client.send([get("/1"), second[..20].to_vec()].concat());
    assert_eq!(client.reply().text(), "/1");
    client.send(&second[20..55]);
    client.hears_nothing_for(50);
    client.send(&second[55..]);
    assert_eq!(client.reply().text(), "second");
}

#[test]
fn an_answer_does_not_wait_for_the_next_one() {
    let server = start(
        Server::builder()
            .get("/never", |_: Request, res: Response| {
                thread::spawn(move || {
                    thread::sleep(Duration::from_secs(3600));
                    drop(res);
                });
            })
            .at("/*rest", echo),
    );
    let mut client = server.connect();
    client.send([get("/1"), get("/never")].concat());
    assert_eq!(client.reply().text(), "/1");
}

#[test]
fn what_follows_a_last_request_is_never_handled() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let server = start(Server::builder().at("/*rest", move |req: Request, res: Response| {
        count.fetch_add(1, Ordering::Relaxed);
        echo(req, res);
    }));
    let last = [
        crlf("GET /1 HTTP/1.1\nHost: test\nConnection: close\n\n"),
        crlf("GET /1 HTTP/1.1\nHost: test\nConnection: foo, CLOSE\n\n"),
        crlf("GET /1 HTTP/1.1\nHost: test\nConnection: foo\nConnection:close\t\n\n"),
        crlf("GET /1 HTTP/1.0\n\n"),
        crlf("GET /1 HTTP/1.0\nConnection: keep-alive, close\n\n"),
    ];
    for (number, request) in last.into_iter().enumerate() {
        let mut client = server.connect();
        client.send([request, get("/2")].concat());
        let reply = client.reply();
        assert!(reply.text() == "/1" && reply.says_close(), "{reply:?}");
        client.is_closed();
        assert_eq!(calls.load(Ordering::Relaxed) as usize, number + 1);
    }
}

#[test]
fn a_client_of_http_1_0_is_kept_where_it_asks_for_it_and_is_told_so() {
    let server = server();
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(crlf("GET /1 HTTP/1.0\nConnection: Keep-Alive\n\n"));
        assert_eq!((reply.version, reply.header("connection")), (1, Some("keep-alive")));
    }
}

#[test]
fn empty_lines_before_a_request_are_ignored() {
    let server = server();
    let mut client = server.connect();
    assert_eq!(client.ask([b"\r\n", &*post("/1", "one")].concat()).text(), "one");
    assert_eq!(client.ask([b"\r\n\r\n", &*get("/2")].concat()).text(), "/2");
}

#[test]
fn a_client_that_has_ended_its_side_still_gets_its_answers() {
    let server = server();
    let mut client = server.connect();
    client.send([get("/1"), get("/late/2")].concat());
    client.finish();
    assert_eq!(client.reply().text(), "/1");
    assert_eq!(client.reply().text(), "/late/2");
    client.is_closed();
}

#[test]
fn a_request_may_come_in_two_pieces_cut_anywhere() {
    let server = server();
    let request =
        [post("/1", "hello"), post_chunked("/2", "2;x=\"y\"\r\nab\r\n1\r\nc\r\n0\r\nA: b\r\n\r\n")].concat();
    for cut in 1..request.len() {
        let mut client = server.connect();
        client.send(&request[..cut]);
        thread::sleep(Duration::from_millis(2));
        client.send(&request[cut..]);
        assert_eq!((client.reply().text(), client.reply().text()), ("hello", "abc"), "cut at {cut}");
    }
}

#[test]
fn the_server_forgets_connections_that_ended() {
    let server = server();
    let clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    crate::support::eventually("50 connections are open", || server.stats().open == 50);
    drop(clients);
    crate::support::eventually("no connection is open", || server.stats().open == 0);
}
