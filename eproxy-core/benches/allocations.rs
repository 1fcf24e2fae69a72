//! Heap allocations of a request in the steady state, over one connection that is kept alive.
//!
//! Everything in the process is counted, so the client allocates nothing while it is measured: it writes one buffer and
//! reads into another. Run with `cargo bench -p eproxy-core --bench allocations`; as a test it does a few rounds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{Request, Response, Server};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before anything is counted: buffers grow, tasks are made.
const WARM_UP: usize = 1_000;

/// Requests that are counted.
const COUNTED: usize = 100_000;

/// A client of fixed buffers.
struct Client {
    stream: TcpStream,
    buffer: [u8; 4096],
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server takes connections");
        stream.set_nodelay(true).expect("an option can be set");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        Self { stream, buffer: [0; 4096] }
    }

    /// Sends `request`; the answer ends with `end`.
    fn exchange(&mut self, request: &[u8], end: &[u8]) {
        self.stream.write_all(request).expect("the server reads");
        let mut read = 0;
        while !self.buffer[..read].ends_with(end) {
            let n = self.stream.read(&mut self.buffer[read..]).expect("the server answers");
            assert!(
                n > 0,
                "the connection ended, or the answer is long: {:?}",
                self.buffer[..read].escape_ascii()
            );
            read += n;
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

fn main() {
    // `cargo bench` says so; `cargo test --benches` says nothing.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (warm_up, counted) = if is_test { (10, 100) } else { (WARM_UP, COUNTED) };
    let server = Server::builder()
        .workers(1)
        .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
        .post("/echo", |req: Request, res: Response| {
            req.read(|body| match body {
                Ok(body) => res.send(body),
                Err(error) => res.status(error.status()).send(()),
            });
        })
        .get("/thread", {
            // One thread that answers what it is handed, through a channel that allocates nothing on the way.
            let (give, take) = std::sync::mpsc::sync_channel::<Response>(1);
            thread::spawn(move || take.into_iter().for_each(|res| res.send("Hello, World!")));
            move |_: Request, res: Response| drop(give.send(res))
        })
        .bind("127.0.0.1:0")
        .start()
        .expect("the server starts");
    let address = server.addresses()[0];

    let kibibyte = "x".repeat(1024);
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
    };
    let post = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1024\r\n\r\n{kibibyte}");
    let cases = [
        ("GET /hello", get("/hello"), "\r\n\r\nHello, World!"),
        ("POST /echo, 1 KiB", post, kibibyte.as_str()),
        ("GET /thread, answered from another thread", get("/thread"), "\r\n\r\nHello, World!"),
    ];
    for (name, request, end) in &cases {
        let mut client = Client::new(address);
        for _ in 0..warm_up {
            client.exchange(request.as_bytes(), end.as_bytes());
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..counted {
            client.exchange(request.as_bytes(), end.as_bytes());
        }
        print(name, &region.change(), counted);
    }
    block_on(server.shutdown(Duration::from_secs(5)));
}

fn print(name: &str, stats: &Stats, requests: usize) {
    let each = |count: usize| count as f64 / requests as f64;
    println!(
        "{name}: {:.3} allocations, {:.3} reallocations, {:.1} bytes a request",
        each(stats.allocations),
        each(stats.reallocations),
        each(stats.bytes_allocated),
    );
}
