//! What happens to clients that take too long.

use std::time::Duration;

use async_std::task;
use eproxy_core::{Request, Response, Server, Timeouts};

use crate::support::{Running, crlf, eventually, get, pause, start};

const SHORT: Duration = Duration::from_millis(150);

fn server(timeouts: Timeouts) -> Running {
    start(
        Server::builder()
            .timeouts(timeouts)
            .get("/", |_: Request, res: Response| res.send("served"))
            .post("/echo", |req: Request, res: Response| {
                req.read(|body| match body {
                    Ok(body) => res.send(body),
                    Err(error) => res.status(error.status()).send(error.name()),
                });
            })
            .post("/ignore", |_: Request, res: Response| {
                task::spawn(async move {
                    task::sleep(3 * SHORT).await;
                    res.send("late");
                });
            })
            .get("/much", |_: Request, res: Response| res.send(vec![b'x'; 64 << 20])),
    )
}

#[test]
fn a_head_that_does_not_end_is_answered_with_408() {
    let server = server(Timeouts { head: SHORT, ..Timeouts::default() });
    for start in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: test\r\n"] {
        let mut client = server.connect();
        client.send(start);
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (408, true), "{start:?}");
        client.is_closed();
    }
    assert_eq!(server.failures("head_timeout"), 3);
}

#[test]
fn a_head_that_drips_is_not_given_more_time() {
    let server = server(Timeouts { head: 2 * SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    for byte in get("/").iter().cycle().take(100) {
        if client.try_send([*byte | 0x20]).is_err() || server.failures("head_timeout") > 0 {
            break;
        }
        pause(20);
    }
    assert_eq!(client.reply().status, 408);
}

#[test]
fn a_connection_on_which_nothing_comes_is_closed_without_a_word() {
    let server = server(Timeouts { head: SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    client.is_closed();
    assert_eq!(server.failures("head_timeout"), 1);
    eventually("it is gone", || server.stats().open == 0);
}

#[test]
fn a_connection_is_kept_for_its_time_and_closed_without_a_word() {
    let server = server(Timeouts { keep_alive: SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(get("/")).text(), "served");
    }
    client.is_closed();
    assert_eq!(server.failures("head_timeout"), 0);
}

#[test]
fn the_time_for_a_head_begins_with_its_first_byte() {
    let server = server(Timeouts { head: SHORT, keep_alive: 100 * SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    assert_eq!(client.ask(get("/")).text(), "served");
    pause(300);
    assert_eq!(client.ask(get("/")).text(), "served");
    client.send("GET");
    assert_eq!(client.reply().status, 408);
}

#[test]
fn a_body_that_stalls_is_answered_with_408() {
    let server = server(Timeouts { body_idle: SHORT, ..Timeouts::default() });
    for body in ["", "five."] {
        let mut client = server.connect();
        client.send(crlf("POST /echo HTTP/1.1\nHost: test\nContent-Length: 10\n\n"));
        client.send(body);
        let reply = client.reply();
        assert_eq!((reply.status, reply.text(), reply.says_close()), (408, "body_timeout", true));
        client.is_closed();
    }
}

#[test]
fn a_body_that_comes_in_small_pieces_is_in_time_unless_a_rate_is_asked_for() {
    let head = crlf("POST /echo HTTP/1.1\nHost: test\nContent-Length: 10\n\n");
    for (body_rate, status) in [(0, 200), (1_000_000, 408)] {
        let server = server(Timeouts { body_idle: 3 * SHORT, body_rate, ..Timeouts::default() });
        let mut client = server.connect();
        client.send(&head);
        for _ in 0..10 {
            pause(80);
            if client.try_send("x").is_err() {
                break;
            }
        }
        assert_eq!(client.reply().status, status, "at {body_rate} bytes a second");
    }
}

#[test]
fn a_body_that_nobody_reads_is_given_time() {
    let server = server(Timeouts { body_idle: SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    client.send(crlf("POST /ignore HTTP/1.1\nHost: test\nContent-Length: 3\n\n"));
    assert_eq!(client.reply().text(), "late");
    client.send("abc");
    assert_eq!(client.ask(get("/")).text(), "served");
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let server = server(Timeouts { write_idle: 2 * SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    client.send(get("/much"));
    eventually("it is let go", || server.failures("downstream_gone") == 1);
    eventually("it is gone", || server.stats().open == 0);
    assert!(!client.next(false).unwrap().is_whole);
}

#[test]
fn a_client_that_takes_little_by_little_is_served() {
    // Far less than it takes in all, and far more than any of its pauses.
    let server = server(Timeouts { write_idle: 5 * SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    client.send(get("/much"));
    assert_eq!(client.head().unwrap().status, 200);
    let mut left = 64 << 20;
    while left > 0 {
        let n = left.min(4 << 20);
        client.raw(n);
        left -= n;
        pause(130);
    }
    assert_eq!(client.ask(get("/")).text(), "served");
}

#[test]
fn the_time_of_a_head_and_of_keep_alive_does_not_run_while_a_handler_works() {
    let timeouts = Timeouts { head: SHORT, keep_alive: SHORT, ..Timeouts::default() };
    let server = start(Server::builder().timeouts(timeouts).post("/", |req: Request, res: Response| {
        task::spawn(async move {
            task::sleep(3 * SHORT).await;
            req.read(|body| match body {
                Ok(body) => res.send(body),
                Err(error) => res.status(error.status()).send(error.name()),
            });
        });
    }));
    let mut client = server.connect();
    for _ in 0..2 {
        let request = crate::support::post("/", "hello");
        // The head in two pieces, the body too.
        client.send(&request[..10]);
        pause(20);
        client.send(&request[10..request.len() - 3]);
        pause(600);
        client.send(&request[request.len() - 3..]);
        assert_eq!(client.reply().text(), "hello");
    }
}
