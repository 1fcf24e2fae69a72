//! `Expect: 100-continue`: answered when the body is first wanted, never in the middle of the answer.

use std::sync::mpsc::channel;

use async_std::task;
use eproxy_core::{Request, Response, Route, Server};

use crate::support::{Running, crlf, get, start};

fn server() -> Running {
    start(
        Server::builder()
            .route(
                Route::new("/echo")
                    .any(|req: Request, res: Response| {
                        req.read(|body| match body {
                            Ok(body) => res.send(body),
                            Err(error) => res.status(error.status()).send(()),
                        });
                    })
                    .body_limit(100),
            )
            .at("/ignore", |_: Request, res: Response| res.status(202).send("no"))
            .at("/relay", |mut req: Request, res: Response| {
                let mut writer = res.stream();
                let body = req.take_body();
                task::spawn(async move {
                    if body.copy_to(&mut writer).await.is_ok() {
                        writer.finish();
                    }
                });
            }),
    )
}

fn expecting(target: &str, length: usize) -> Vec<u8> {
    crlf(&format!("POST {target} HTTP/1.1\nHost: test\nExpect: 100-Continue\nContent-Length: {length}\n\n"))
}

#[test]
fn the_client_is_told_to_go_on_when_the_body_is_wanted() {
    let server = server();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(expecting("/echo", 5));
        assert_eq!(client.head().unwrap().status, 100);
        client.hears_nothing_for(20);
        client.send("hello");
        assert_eq!(client.reply().text(), "hello");
    }
    let chunked =
        crlf("POST /echo HTTP/1.1\nHost: test\nExpect: 100-continue\nTransfer-Encoding: chunked\n\n");
    client.send(chunked);
    assert_eq!(client.head().unwrap().status, 100);
    assert_eq!(client.ask("2\r\nhi\r\n0\r\n\r\n").text(), "hi");
}

#[test]
fn it_is_not_told_before_the_body_is_wanted() {
    let (give, take) = channel();
    let server = start(Server::builder().post("/", move |req: Request, res: Response| {
        give.send((req, res)).unwrap();
    }));
    let mut client = server.connect();
    client.send(expecting("/", 5));
    let (req, res) = take.recv().unwrap();
    client.hears_nothing_for(50);
    req.read(|body| res.send(body.unwrap()));
    assert_eq!(client.head().unwrap().status, 100);
    assert_eq!(client.ask("hello").text(), "hello");
}

#[test]
fn a_body_that_comes_unasked_needs_no_word() {
    let server = server();
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask([expecting("/echo", 5), b"hello".to_vec()].concat());
        assert_eq!((reply.text(), reply.interim.len()), ("hello", 0));
    }
}

#[test]
fn an_answer_without_the_body_ends_the_connection() {
    let server = server();
    for (target, status) in [("/ignore", 202), ("/none", 404)] {
        let mut client = server.connect();
        let reply = client.ask(expecting(target, 5));
        assert_eq!((reply.status, reply.says_close(), reply.interim.len()), (status, true, 0), "{target}");
        client.is_closed();
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = server();
    let mut client = server.connect();
    let reply = client.ask(expecting("/echo", 101));
    assert_eq!((reply.status, reply.interim.len(), reply.says_close()), (413, 0, true));
    client.is_closed();
}

#[test]
fn old_clients_and_requests_without_a_body_are_told_nothing() {
    let server = server();
    let mut client = server.connect();
    let reply = client.ask(crlf("GET /echo HTTP/1.1\nHost: test\nExpect: 100-continue\n\n"));
    assert_eq!((reply.status, reply.interim.len()), (200, 0));
    assert_eq!(client.ask(get("/ignore")).status, 202);

    let mut client = server.connect();
    client.send(crlf("POST /echo HTTP/1.0\nHost: test\nExpect: 100-continue\nContent-Length: 5\n\n"));
    client.hears_nothing_for(50);
    assert_eq!(client.ask("hello").text(), "hello");
}

#[test]
fn who_answers_before_reading_has_the_client_told_in_front_of_the_answer() {
    let server = server();
    let mut client = server.connect();
    client.send(expecting("/relay", 5));
    assert_eq!(client.head().unwrap().status, 100);
    assert_eq!(client.head().unwrap().status, 200);
    client.send("hello");
    assert_eq!(client.raw(15), b"5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.ask(get("/ignore")).status, 202);
}

#[test]
fn other_expectations_are_refused() {
    let server = server();
    let mut client = server.connect();
    let reply = client.ask(crlf("GET /ignore HTTP/1.1\nHost: test\nExpect: the-unexpected\n\n"));
    assert_eq!((reply.status, reply.says_close()), (417, true));
    assert_eq!(server.failures("bad_expectation"), 1);
}
