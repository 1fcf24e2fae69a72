//! Heap allocations of a request in the steady state, over connections that are kept alive.
//!
//! Everything in the process is counted, so neither the client nor the upstream allocates anything while it is measured:
//! they write one buffer and read into another. Run with `cargo bench -p eproxy-core --bench allocations`; as a test it does a few rounds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{
    AccessLog, Proxy, ProxyRequest, ProxyResponse, Request, RequestIds, Response, Result, Server, Traces,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before anything is counted: buffers grow, tasks are made.
const WARM_UP: usize = 1_000;

/// Requests that are counted.
const COUNTED: usize = 100_000;

/// Endpoints of the group.
const GROUP: usize = 8;

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

    fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("the server reads");
    }

    /// Reads an answer, which ends with `end`.
    fn hear(&mut self, end: &[u8]) {
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

/// What the upstream says, whatever it is asked.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

/// Starts an upstream with a thread for each connection.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.expect("the proxy connects")));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("an option can be set");
    let mut buffer = [0; 4096];
    let mut read = 0;
    while let Ok(n @ 1..) = stream.read(&mut buffer[read..]) {
        read += n;
        if buffer[..read].ends_with(b"\r\n\r\n") {
            read = 0;
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    }
}

fn main() {
    // `cargo bench` says so; `cargo test --benches` says nothing.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (warm_up, counted) = if is_test { (10, 100) } else { (WARM_UP, COUNTED) };
    let upstream = format!("http://{}", upstream());
    let group: Vec<String> = (0..GROUP).map(|_| format!("http://{}", self::upstream())).collect();
    let hooked = Proxy::to(upstream.as_str())
        .on_request(|req: &mut ProxyRequest| -> Result<()> {
            req.headers_mut().insert("X-Seen-By", "eproxy")?;
            Ok(())
        })
        .on_response(|res: &mut ProxyResponse| -> Result<()> {
            res.headers_mut().insert("X-Served-By", "eproxy")?;
            Ok(())
        });
    let server = Server::builder()
        .workers(1)
        .at("/proxy/*rest", Proxy::to(upstream.as_str()))
        .at("/group/*rest", Proxy::to(group))
        .at("/hooked/*rest", hooked)
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
    // Lines go where they are written and take no room; none of the traces is sampled.
    let told = Server::builder()
        .workers(1)
        .request_ids(RequestIds::new())
        .access_log(AccessLog::to_file("/dev/null"))
        .traces(Traces::to("http://127.0.0.1:9").sample(0.0))
        .at("/proxy/*rest", Proxy::to(upstream.as_str()))
        .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
        .bind("127.0.0.1:0")
        .start()
        .expect("the server starts");
    let told_address = told.addresses()[0];

    let kibibyte = "x".repeat(1024);
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
    };
    let post = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1024\r\n\r\n{kibibyte}");
    let hello = "\r\n\r\nHello, World!";
    let cases = [
        (address, "GET /hello", 1, get("/hello"), hello),
        (address, "POST /echo, 1 KiB", 1, post, kibibyte.as_str()),
        (address, "GET /thread, answered from another thread", 1, get("/thread"), hello),
        (address, "GET /proxy/, passed on", 1, get("/proxy/"), hello),
        (address, "GET /proxy/, passed on, 16 at once", 16, get("/proxy/"), hello),
        (address, "GET /group/, passed on to a group of 8", 1, get("/group/"), hello),
        (address, "GET /group/, passed on to a group of 8, 16 at once", 16, get("/group/"), hello),
        (address, "GET /hooked/, passed on through two hooks that set a header", 1, get("/hooked/"), hello),
        (told_address, "GET /hello, with an id, logged and traced", 1, get("/hello"), hello),
        (told_address, "GET /proxy/, passed on, with an id, logged and traced", 1, get("/proxy/"), hello),
        (told_address, "GET /proxy/, the same, 16 at once", 16, get("/proxy/"), hello),
    ];
    for (address, name, connections, request, end) in &cases {
        let mut clients: Vec<_> = (0..*connections).map(|_| Client::new(*address)).collect();
        let mut exchange = || {
            clients.iter_mut().for_each(|client| client.ask(request.as_bytes()));
            clients.iter_mut().for_each(|client| client.hear(end.as_bytes()));
        };
        let rounds = counted / connections;
        (0..warm_up).for_each(|_| exchange());
        let region = Region::new(ALLOCATOR);
        (0..rounds).for_each(|_| exchange());
        print(name, &region.change(), rounds * connections);
    }
    block_on(server.shutdown(Duration::from_secs(5)));
    block_on(told.shutdown(Duration::from_secs(5)));
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
