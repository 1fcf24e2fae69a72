//! An upstream that follows a script, and the ways in which the tests ask it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{Answer, Client, ClientOptions, IntoRequest, Result};
use rustls::{ServerConnection, StreamOwned};

use crate::raw::{Helper, PATIENCE, pause};

/// A server on a loopback port whose connections do what a test tells them. It takes as many connections as it was told
/// and refuses the next one; a panic in its script is the test's.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Joined, with its connections, when the upstream is dropped.
    _acceptor: Helper,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    over: AtomicBool,
    seen: Mutex<Vec<Sent>>,
}

/// A request that an upstream was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Request line and fields, with the empty line.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
}

impl Sent {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Starts an upstream that takes `connections` connections; `script` is run for each, with its number, on a thread of
/// its own. The connection is closed when the script returns.
pub(crate) fn upstream(
    connections: usize,
    script: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
) -> Upstream {
    upstream_over(connections, Line::Plain, script)
}

/// The same over what `line` makes of a connection.
pub(crate) fn upstream_over(
    connections: usize,
    line: impl Fn(TcpStream) -> Line + Send + 'static,
    script: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the socket has an address");
    listener.set_nonblocking(true).expect("an option can be set");
    let shared = Arc::new(Shared::default());
    let state = shared.clone();
    let script = Arc::new(script);
    let acceptor = Helper::run(move || {
        let mut running = Vec::new();
        while running.len() < connections && !state.over.load(Ordering::Relaxed) {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            let number = running.len();
            state.accepted.store(number + 1, Ordering::Relaxed);
            let mut peer = Peer::new(stream, &line, state.clone());
            let script = script.clone();
            running.push(Helper::run(move || script(number, &mut peer)));
        }
        drop(listener);
        running.into_iter().for_each(Helper::join);
    });
    Upstream { address, shared, _acceptor: acceptor }
}

/// An upstream that gives the same answer to the first request of its one connection, then closes it.
pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Upstream {
    let answer = answer.into();
    upstream(1, move |_, peer| {
        peer.request();
        peer.say(&answer);
    })
}

impl Upstream {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// How many connections it has taken.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// The requests that its scripts have read so far.
    pub(crate) fn seen(&self) -> Vec<Sent> {
        self.shared.seen.lock().expect("no script panicked while it wrote this").clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// An upstream's end of a connection.
pub(crate) struct Peer {
    line: Line,
    /// Read and not yet used.
    buffer: Vec<u8>,
    shared: Arc<Shared>,
}

/// What bytes go over.
pub(crate) enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Line {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Line {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Line {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(from),
            Self::Tls(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Peer {
    fn new(stream: TcpStream, line: impl Fn(TcpStream) -> Line, shared: Arc<Shared>) -> Self {
        stream.set_nonblocking(false).expect("an option can be set");
        stream.set_nodelay(true).expect("an option can be set");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { line: line(stream), buffer: Vec::new(), shared }
    }

    /// TLS, where there is any.
    pub(crate) fn tls(&mut self) -> &mut StreamOwned<ServerConnection, TcpStream> {
        match &mut self.line {
            Line::Plain(_) => panic!("this is not TLS"),
            Line::Tls(stream) => stream,
        }
    }

    /// Reads the next request, whole.
    pub(crate) fn request(&mut self) -> Sent {
        let head = self.head();
        let mut sent = Sent { head, body: Vec::new() };
        match (sent.header("transfer-encoding"), sent.header("content-length")) {
            (Some(_), Some(_)) => panic!("two framings: {sent:?}"),
            (Some(coding), None) => {
                assert_eq!(coding, "chunked");
                self.chunked(&mut sent.body);
            }
            (None, length) => {
                let length = length.map_or(0, |length| length.parse().expect("a length"));
                sent.body = self.take(length);
            }
        }
        self.shared.seen.lock().expect("no script panicked while it wrote this").push(sent.clone());
        sent
    }

    /// Reads the next request, if there is one before the client closes the connection.
    pub(crate) fn next(&mut self) -> Option<Sent> {
        (!self.buffer.is_empty() || self.fill() > 0).then(|| self.request())
    }

    /// Reads a head and leaves the body alone.
    pub(crate) fn head(&mut self) -> String {
        String::from_utf8(self.until(b"\r\n\r\n")).expect("an ASCII head")
    }

    /// Reads exactly so many bytes.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n {
            assert!(self.fill() > 0, "the client closed after {} of {n} bytes", self.buffer.len());
        }
        self.buffer.drain(..n).collect()
    }

    fn chunked(&mut self, body: &mut Vec<u8>) {
        loop {
            let line = String::from_utf8(self.until(b"\r\n")).expect("an ASCII line");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
            body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n", "the end of a chunk");
            if size == 0 {
                return;
            }
        }
    }

    fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return self.buffer.drain(..at + mark.len()).collect();
            }
            assert!(self.fill() > 0, "the client closed after {:?}", self.buffer.escape_ascii().to_string());
        }
    }

    /// Reads more; 0 is the end, by a reset as well.
    fn fill(&mut self) -> usize {
        let mut chunk = [0; 16 * 1024];
        match self.line.read(&mut chunk) {
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                n
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the client said nothing for a long time")
            }
            Err(_) => 0,
        }
    }

    /// Says something.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.line.write_all(bytes.as_ref()).expect("the client listens");
        self.line.flush().expect("the client listens");
    }

    /// Says something that the client may not listen to any more.
    pub(crate) fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.line.write_all(bytes.as_ref()).is_ok()
    }

    /// Says something in pieces of `size` bytes, with a pause between them.
    pub(crate) fn say_in_pieces(&mut self, bytes: impl AsRef<[u8]>, size: usize) {
        for piece in bytes.as_ref().chunks(size) {
            self.say(piece);
            pause(2);
        }
    }

    /// Says that nothing more will be said.
    pub(crate) fn finish(&self) {
        self.line.socket().shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Ends the connection with a reset, when the script returns.
    pub(crate) fn reset(&self) {
        socket2::SockRef::from(self.line.socket())
            .set_linger(Some(Duration::ZERO))
            .expect("an option can be set");
    }

    /// Keeps the connection open until the client closes it; it has nothing more to say.
    pub(crate) fn stay(&mut self) {
        while self.fill() > 0 {}
        assert!(self.buffer.is_empty(), "the client sent {:?}", self.buffer.escape_ascii().to_string());
    }

    /// Keeps the connection open until the client closes it, whatever it still sends.
    pub(crate) fn stay_deaf(&mut self) {
        while self.fill() > 0 {
            self.buffer.clear();
        }
    }
}

/// An answer with a Content-Length.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// What a future gives, which it has to do before long.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    block_on(async_std::future::timeout(PATIENCE, future)).expect("it comes to an end")
}

/// Sends a request through a client.
pub(crate) fn send(client: &Client, request: impl IntoRequest) -> Result<Answer> {
    wait_for(client.send(request))
}

/// Sends a request through a client and reads the body, which is text.
pub(crate) fn text(client: &Client, request: impl IntoRequest) -> Result<String> {
    wait_for(async {
        let bytes = client.send(request).await?.bytes(1 << 30).await?;
        Ok(String::from_utf8(bytes).expect("a body of text"))
    })
}

/// A client whose patience with one thing is short.
pub(crate) fn client(change: impl FnOnce(&mut ClientOptions)) -> Client {
    let mut options = ClientOptions { head: PATIENCE, body_idle: PATIENCE, ..ClientOptions::default() };
    change(&mut options);
    Client::with_options(options)
}

/// A request with a body.
pub(crate) fn post(
    url: &str,
    body: impl Into<eproxy_core::http_types::Body>,
) -> eproxy_core::http_types::Request {
    let mut request = eproxy_core::http_types::Request::post(url);
    request.set_body(body);
    request
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + ((at ^ at >> 8 ^ at >> 16) % 26) as u8).collect()
}
