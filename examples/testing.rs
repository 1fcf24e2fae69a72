//! How to test what is built with eproxy: the server below, a handler and a proxy, runs in a lab, with upstreams that do what
//! they are told to and a clock that nobody has to wait for. It listens on nothing, and is over at once.
//!
//! ```text
//! $ cargo run --example testing
//! a handler: 200 "Hello, Ada!"
//! an upstream after 20 seconds: 200 "the report", late by 20 s
//! one that says nothing: 504, given up after 30 s
//! one that breaks off: 200, whole: false
//! a request that comes byte by byte: HTTP/1.1 200 OK
//! a client that leaves: 0 connections to the upstream are left
//! all this took 61 s on the lab's clock
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Builder, Proxy, Request, Response, Server, UpstreamOptions};

/// What is to be tested, as the program would start it.
fn server() -> Builder {
    let patience = UpstreamOptions { head: Duration::from_secs(30), ..UpstreamOptions::default() };
    Server::builder()
        .get("/hello/:name", |req: Request, res: Response| {
            res.send(format!("Hello, {}!", req.param("name").unwrap_or("nobody")));
        })
        .at("/reports/*path", Proxy::to("http://reports.internal:3000").upstream_options(patience))
}

fn main() {
    let lab = Lab::new();
    let reports = lab.upstream("http://reports.internal:3000", Script::new());
    lab.serve(server());

    let reply = lab.get("/hello/Ada");
    println!("a handler: {} {:?}", reply.status(), reply.text());
    assert_eq!(reports.requests(), 0);

    // The upstream takes its time, and the lab's clock goes on meanwhile.
    reports.set(Script::new().latency(Duration::from_secs(20)).answer(200, "the report"));
    let reply = lab.get("/reports/today");
    let late = lab.now().as_secs();
    println!("an upstream after 20 seconds: {} {:?}, late by {late} s", reply.status(), reply.text());
    assert_eq!(reports.last_request().line(), "GET /reports/today HTTP/1.1");

    reports.set(Script::new().stall());
    let (begin, reply) = (lab.now(), lab.get("/reports/today"));
    println!("one that says nothing: {}, given up after {} s", reply.status(), (lab.now() - begin).as_secs());

    reports
        .set(Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nthe re").pause(SECOND).reset());
    let reply = lab.get("/reports/today");
    println!("one that breaks off: {}, whole: {}", reply.status(), reply.is_whole());

    // Clients can be as odd as upstreams.
    let client = lab.connect();
    for byte in b"GET /hello/Ada HTTP/1.1\r\nHost: test\r\n\r\n" {
        client.send([*byte]);
    }
    let received = client.received();
    let line = received.split(|byte| *byte == b'\r').next().unwrap_or_default();
    println!("a request that comes byte by byte: {}", line.escape_ascii());

    reports.set(Script::new().stall());
    let client = lab.connect();
    client.send("GET /reports/today HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(reports.open_connections(), 1);
    client.close();
    lab.advance(10 * SECOND);
    println!("a client that leaves: {} connections to the upstream are left", reports.open_connections());

    println!("all this took {} s on the lab's clock", lab.now().as_secs());
}

const SECOND: Duration = Duration::from_secs(1);
