//! Limits on what clients may send, each counted under its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use eproxy_core::{Limits, Request, Response, Route, Server};

use crate::support::{Running, eventually, get, post, post_chunked, start};

/// A server whose handler counts its calls.
fn server(limits: Limits) -> (Running, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let server = start(Server::builder().limits(limits).at("/*rest", move |req: Request, res: Response| {
        count.fetch_add(1, Ordering::Relaxed);
        req.read(|body| match body {
            Ok(body) => res.send(body.len().to_string()),
            Err(error) => res.status(error.status()).send(error.name()),
        });
    }));
    (server, calls)
}

fn with_fields(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n").into_bytes()
}

#[test]
fn a_head_may_be_32_kib_long_and_not_longer() {
    let (server, calls) = server(Limits::default());
    let rest = with_fields("X: \r\n").len();
    for (size, status) in [(32 * 1024, 200), (32 * 1024 + 1, 431), (1 << 20, 431)] {
        let mut client = server.connect();
        // The server may end the connection before it has read all of it.
        let _cut = client.try_send(with_fields(&format!("X: {}\r\n", "v".repeat(size - rest))));
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (status, status != 200), "{size} bytes");
    }
    assert_eq!((server.failures("head_too_large"), calls.load(Ordering::Relaxed)), (2, 1));
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let (server, calls) = server(Limits::default());
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n");
    let line = format!("X-Pad: {}\r\n", "p".repeat(1000));
    let sent = (0..16_384).take_while(|_| client.try_send(&line).is_ok()).count();
    assert!(sent < 16_384, "16 MiB of head were taken");
    assert_eq!((server.failures("head_too_large"), calls.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn a_hundred_headers_are_taken_and_no_more() {
    let (server, calls) = server(Limits::default());
    let mut client = server.connect();
    assert_eq!(client.ask(with_fields(&"A: b\r\n".repeat(99))).status, 200);
    let reply = client.ask(with_fields(&"A: b\r\n".repeat(100)));
    assert_eq!((reply.status, reply.says_close()), (431, true));
    client.is_closed();
    assert_eq!((server.failures("too_many_headers"), calls.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn a_target_may_be_8_kib_long_and_not_longer() {
    let (server, calls) = server(Limits::default());
    for (size, status) in [(8192, 200), (8193, 414), (30_000, 414), (65_536, 414)] {
        let mut client = server.connect();
        let _cut = client.try_send(get(&format!("/{}", "a".repeat(size - 1))));
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (status, status != 200), "{size} bytes");
    }
    assert_eq!((server.failures("target_too_long"), calls.load(Ordering::Relaxed)), (3, 1));
}

#[test]
fn a_body_over_its_limit_is_refused_by_its_length_before_the_handler_is_asked() {
    let (server, calls) = server(Limits { body: 1000, ..Limits::default() });
    let mut client = server.connect();
    assert_eq!(client.ask(post("/", vec![b'x'; 1000])).text(), "1000");
    let reply = client.ask(post("/", vec![b'x'; 1001]));
    assert_eq!((reply.status, reply.says_close()), (413, true));
    client.is_closed();
    assert_eq!((server.failures("body_too_large"), calls.load(Ordering::Relaxed)), (1, 1));
}

#[test]
fn a_chunked_body_over_its_limit_fails_where_it_passes_it() {
    let (server, _) = server(Limits { body: 1000, ..Limits::default() });
    let coded = |n: usize| format!("{n:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(n));
    let mut client = server.connect();
    assert_eq!(client.ask(post_chunked("/", &coded(1000))).text(), "1000");
    for n in [1001, 500_000] {
        let mut client = server.connect();
        let _cut = client.try_send(post_chunked("/", &coded(n)));
        let reply = client.reply();
        assert_eq!((reply.status, reply.text(), reply.says_close()), (413, "body_too_large", true));
        client.is_closed();
    }
}

#[test]
fn a_handler_that_drops_a_body_over_the_limit_answers_413() {
    let server =
        start(Server::builder().route(Route::new("/").body_limit(10).post(|req: Request, res: Response| {
            req.read(|body| {
                if let Ok(body) = body {
                    res.send(body);
                }
            });
        })));
    let reply = server.ask(post_chunked("/", "b\r\n01234567890\r\n0\r\n\r\n"));
    assert_eq!((reply.status, reply.says_close()), (413, true));
    assert_eq!((server.failures("body_too_large"), server.failures("response_dropped")), (1, 0));
}

#[test]
fn each_route_has_its_own_body_limit() {
    let read = |req: Request, res: Response| {
        req.read(|body| match body {
            Ok(body) => res.send(body.len().to_string()),
            Err(error) => res.status(error.status()).send(()),
        });
    };
    let server = start(
        Server::builder()
            .limits(Limits { body: 100, ..Limits::default() })
            .route(Route::new("/small").post(read).body_limit(10))
            .route(Route::new("/large").post(read).body_limit(u64::MAX))
            .post("/default", read),
    );
    for (target, size, status) in [
        ("/small", 10, 200),
        ("/small", 11, 413),
        ("/default", 100, 200),
        ("/default", 101, 413),
        ("/large", 3_000_000, 200),
    ] {
        assert_eq!(server.ask(post(target, vec![b'x'; size])).status, status, "{size} bytes to {target}");
    }
}

#[test]
fn connections_over_the_limit_wait_for_one_to_end() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let server = start(
        Server::builder().workers(1).limits(limits).get("/", |_: Request, res: Response| res.send("served")),
    );
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!((first.ask(get("/")).status, second.ask(get("/")).status), (200, 200));
    let mut third = server.connect();
    third.send(get("/"));
    third.hears_nothing_for(100);
    assert_eq!((server.stats().open, server.stats().connection_limit), (2, 1));
    drop(first);
    assert_eq!(third.reply().text(), "served");
    assert_eq!(second.ask(get("/")).text(), "served");
    drop((second, third));
    eventually("all have ended", || server.stats().open == 0);
}

#[test]
fn options_out_of_their_bounds_are_refused_at_the_start() {
    let builder = || Server::builder().bind("127.0.0.1:0");
    for builder in [
        builder().workers(0),
        builder().workers(1_000_000),
        builder().limits(Limits { head: 10, ..Limits::default() }),
        builder().limits(Limits { connections: 0, ..Limits::default() }),
    ] {
        assert_eq!(builder.start().unwrap_err().name(), "bad_option");
    }
}
