//! Connections that a handler takes over.

use std::time::Duration;

use async_std::task;
use eproxy_core::{Request, Response, Server, Timeouts, Upgraded};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Running, crlf, eventually, get, pause, start};

fn server() -> Running {
    let short = Duration::from_millis(150);
    let timeouts = Timeouts { head: short, keep_alive: short, body_idle: short, ..Timeouts::default() };
    start(
        Server::builder()
            .workers(1)
            .timeouts(timeouts)
            .at("/echo", |_: Request, res: Response| {
                let mut connection = res.header("X-Proto", "yes").upgrade("echo/1");
                task::spawn(async move {
                    let end = echo(&mut connection).await;
                    connection.write_all(b"bye").await?;
                    connection.close().await?;
                    end
                });
            })
            .at("/first", |_: Request, res: Response| {
                // The server speaks first and listens to nobody.
                let mut connection = res.upgrade("x");
                task::spawn(async move {
                    let _gone = connection.write_all(b"hello").await;
                });
            })
            .at("/bad", |_: Request, res: Response| drop(res.upgrade("not a token")))
            .get("/", |_: Request, res: Response| res.send("plain")),
    )
}

async fn echo(connection: &mut Upgraded) -> std::io::Result<()> {
    let mut chunk = [0; 1000];
    loop {
        match connection.read(&mut chunk).await? {
            0 => return Ok(()),
            n => connection.write_all(&chunk[..n]).await?,
        }
    }
}

fn upgrading(target: &str) -> Vec<u8> {
    crlf(&format!("GET {target} HTTP/1.1\nHost: test\nConnection: keep-alive, Upgrade\nUpgrade: echo/1\n\n"))
}

#[test]
fn bytes_behind_the_request_reach_the_handler_and_none_are_lost() {
    let server = server();
    let mut client = server.connect();
    client.send([upgrading("/echo"), b"first bytes".to_vec()].concat());
    let reply = client.reply();
    assert_eq!(
        (reply.status, reply.header("upgrade"), reply.header("x-proto")),
        (101, Some("echo/1"), Some("yes"))
    );
    assert!(reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
    assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (None, None));
    assert_eq!(client.raw(11), b"first bytes");
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.raw(18), b"GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn each_direction_ends_by_itself() {
    let server = server();
    let mut client = server.connect();
    client.send(upgrading("/echo"));
    assert_eq!(client.reply().status, 101);
    client.send("ping");
    assert_eq!(client.raw(4), b"ping");
    client.finish();
    assert_eq!(client.rest(), b"bye");
    eventually("the connection is gone", || server.stats().open == 0);
}

#[test]
fn much_goes_through_in_both_directions_at_once() {
    let server = server();
    let mut client = server.connect();
    client.send(upgrading("/echo"));
    assert_eq!(client.reply().status, 101);
    for round in 0..200_u8 {
        let block = vec![round; 20_000];
        client.send(&block);
        assert!(client.raw(block.len()) == block, "round {round}");
    }
}

#[test]
fn a_handler_that_listens_no_more_ends_the_connection() {
    let server = server();
    let mut client = server.connect();
    client.send(upgrading("/first"));
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.rest(), b"hello");
    eventually("the connection is gone", || server.stats().open == 0);
}

#[test]
fn a_client_that_did_not_ask_is_not_switched() {
    let server = server();
    let mut client = server.connect();
    for request in [
        get("/echo"),
        crlf("GET /echo HTTP/1.1\nHost: test\nUpgrade: echo/1\n\n"),
        crlf("GET /echo HTTP/1.1\nHost: test\nConnection: upgrade\n\n"),
        crlf("GET /echo HTTP/1.0\nConnection: upgrade, keep-alive\nUpgrade: echo/1\n\n"),
    ] {
        let reply = client.ask(request);
        assert_eq!((reply.status, reply.header("x-proto")), (500, None));
    }
    assert_eq!(client.ask(upgrading("/bad")).status, 500);
    assert_eq!(client.ask(upgrading("/")).text(), "plain");
    assert_eq!(server.failures("bad_response"), 5);
}

#[test]
fn a_client_that_vanishes_frees_its_connection() {
    let server = server();
    let mut client = server.connect();
    client.send(upgrading("/echo"));
    assert_eq!(client.reply().status, 101);
    client.reset_on_drop();
    drop(client);
    eventually("the connection is gone", || server.stats().open == 0);
}

#[test]
fn the_times_of_requests_are_not_those_of_an_upgraded_connection() {
    let server = server();
    let mut client = server.connect();
    client.send(upgrading("/echo"));
    assert_eq!(client.reply().status, 101);
    for _ in 0..2 {
        pause(500);
        client.send("ping");
        assert_eq!(client.raw(4), b"ping");
    }
}

#[test]
fn a_connection_that_carries_nothing_is_closed_and_one_that_does_is_not() {
    let tunnel_idle = Duration::from_millis(200);
    let server = start(Server::builder().timeouts(Timeouts { tunnel_idle, ..Timeouts::default() }).at(
        "/echo",
        |_: Request, res: Response| {
            let mut connection = res.upgrade("echo/1");
            task::spawn(async move { echo(&mut connection).await });
        },
    ));
    let mut client = server.connect();
    client.send(upgrading("/echo"));
    assert_eq!(client.head().unwrap().status, 101);
    for _ in 0..10 {
        pause(60);
        client.send("x");
        assert_eq!(client.raw(1), b"x");
    }
    client.is_closed();
}
