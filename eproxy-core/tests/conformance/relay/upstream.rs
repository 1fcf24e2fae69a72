//! An upstream that follows a script, and records every byte that it was sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use eproxy_core::{Proxy, Server};
use rustls::{ServerConfig, ServerConnection};

use crate::support::{Connection, Helper, PATIENCE, Running, pause, start};

use super::seen::{End, Seen, field};

/// A server on a loopback port whose connections do what a test tells them. A panic in its script is the test's. It ends
/// when it is dropped: after the server that sends it requests, or the scripts that still run are cut short.
pub(crate) struct Upstream {
    address: SocketAddr,
    is_secure: bool,
    log: Arc<Log>,
    /// Joined, with its connections, when the upstream is dropped.
    acceptor: Option<Helper>,
}

/// What is known of it.
#[derive(Default)]
struct Log {
    is_over: AtomicBool,
    /// Connections taken so far, and those that have not ended.
    accepted: AtomicUsize,
    open: AtomicUsize,
    /// Requests, in the order in which they came to their end.
    seen: Mutex<Vec<Seen>>,
    /// The bytes of each connection.
    heard: Mutex<Vec<Vec<u8>>>,
    streams: Mutex<Vec<Weak<TcpStream>>>,
}

/// Starts an upstream on a free port. `script` is run for each connection, on a thread of its own; the connection is
/// closed when it returns.
pub(crate) fn upstream(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Upstream {
    upstream_at("127.0.0.1:0".parse().expect("an address"), script)
}

/// Starts an upstream at an address.
pub(crate) fn upstream_at(
    address: SocketAddr,
    script: impl Fn(&mut Peer) + Send + Sync + 'static,
) -> Upstream {
    start_at(address, None, script)
}

/// The same as [`upstream`], over TLS.
pub(crate) fn secure_upstream(
    tls: ServerConfig,
    script: impl Fn(&mut Peer) + Send + Sync + 'static,
) -> Upstream {
    start_at("127.0.0.1:0".parse().expect("an address"), Some(Arc::new(tls)), script)
}

fn start_at(
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    script: impl Fn(&mut Peer) + Send + Sync + 'static,
) -> Upstream {
    let is_secure = tls.is_some();
    let listener = TcpListener::bind(address).expect("the port is free");
    let address = listener.local_addr().expect("the socket has an address");
    let log = Arc::new(Log::default());
    let (shared, script) = (log.clone(), Arc::new(script));
    let acceptor = Helper::run(move || {
        let mut running = Vec::new();
        loop {
            let (stream, _) = listener.accept().expect("connections can be taken");
            if shared.is_over.load(Ordering::SeqCst) {
                break;
            }
            let tls =
                tls.as_ref().map(|tls| ServerConnection::new(tls.clone()).expect("a good configuration"));
            let mut peer = Peer::new(stream, tls, &shared);
            let (log, script) = (shared.clone(), script.clone());
            running.push(Helper::run(move || {
                let end = catch_unwind(AssertUnwindSafe(|| script(&mut peer)));
                drop(peer);
                log.open.fetch_sub(1, Ordering::SeqCst);
                match end {
                    // A script that the end of the test has cut short is no failure.
                    Err(panic) if !log.is_over.load(Ordering::SeqCst) => resume_unwind(panic),
                    _ => {}
                }
            }));
        }
        drop(listener);
        running.into_iter().for_each(Helper::join);
    });
    Upstream { address, is_secure, log, acceptor: Some(acceptor) }
}

/// An upstream that answers every request with its target, or with the body if it has one.
pub(crate) fn echoing() -> Upstream {
    upstream(|peer| {
        while let Some(seen) = peer.next().filter(|seen| seen.is_whole) {
            peer.say(echo(&seen));
        }
    })
}

/// What an upstream answers that has nothing else to say: the target of the request, or its body if it has one.
pub(crate) fn echo(seen: &Seen) -> Vec<u8> {
    let body = if seen.body.is_empty() { seen.target.as_bytes() } else { &seen.body };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let body = if seen.method == "HEAD" { b"" } else { body };
    [head.as_bytes(), body].concat()
}

/// Starts a server that passes everything on.
pub(crate) fn serve(proxy: Proxy) -> Running {
    start(Server::builder().workers(1).at("/*path", proxy))
}

/// A place in a script that the test lets it pass.
pub(crate) struct Gate(Mutex<Receiver<()>>);

/// Makes a gate, and what opens it, once for each thing that is sent.
pub(crate) fn gate() -> (Sender<()>, Gate) {
    let (open, opened) = channel();
    (open, Gate(Mutex::new(opened)))
}

impl Gate {
    pub(crate) fn wait(&self) {
        self.0
            .lock()
            .expect("nobody panics while holding this")
            .recv_timeout(PATIENCE)
            .expect("the gate opens");
    }
}

impl Upstream {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.is_secure { "https" } else { "http" }, self.address)
    }

    /// Connections that it has taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }

    /// Connections whose scripts run.
    pub(crate) fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }

    /// The requests that its scripts have read so far, broken-off ones among them.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().expect("nobody panics while holding this").clone()
    }

    /// The last of them.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request was seen")
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.log.seen.lock().expect("nobody panics while holding this").len()
    }

    /// The lines that say what it has seen: see [`Seen::text`].
    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts_from(0)
    }

    /// Those from the request of this number on.
    pub(crate) fn texts_from(&self, first: usize) -> Vec<String> {
        let seen = self.log.seen.lock().expect("nobody panics while holding this");
        seen[first..].iter().map(Seen::text).collect()
    }

    /// Every byte that came on a connection so far.
    pub(crate) fn heard(&self, connection: usize) -> Vec<u8> {
        let heard = self.log.heard.lock().expect("nobody panics while holding this");
        heard.get(connection).cloned().unwrap_or_default()
    }

    /// How many bytes came in all.
    pub(crate) fn bytes(&self) -> usize {
        self.log.heard.lock().expect("nobody panics while holding this").iter().map(Vec::len).sum()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.log.is_over.store(true, Ordering::SeqCst);
        // The acceptor waits for a connection.
        let _woken = TcpStream::connect_timeout(&self.address, PATIENCE);
        let streams =
            std::mem::take(&mut *self.log.streams.lock().expect("nobody panics while holding this"));
        for stream in streams.iter().filter_map(Weak::upgrade) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        drop(self.acceptor.take());
    }
}

/// An upstream's end of a connection.
pub(crate) struct Peer {
    /// The number of the connection; the first has 0.
    pub(crate) number: usize,
    stream: Arc<TcpStream>,
    connection: Connection<Recorded>,
    log: Arc<Log>,
}

/// A stream whose bytes are recorded as they are read.
struct Recorded {
    stream: Arc<TcpStream>,
    /// What it wears, and whether that is to be ended with a goodbye.
    tls: Option<ServerConnection>,
    is_cut: bool,
    number: usize,
    log: Arc<Log>,
}

impl Read for Recorded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut &*self.stream).read(into)?,
            None => (&*self.stream).read(into)?,
        };
        let mut heard = self.log.heard.lock().expect("nobody panics while holding this");
        heard[self.number].extend_from_slice(&into[..n]);
        Ok(n)
    }
}

impl Write for Recorded {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls, &mut &*self.stream).write(from),
            None => (&*self.stream).write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Recorded {
    /// Says that nothing more will be said, if it wears TLS.
    fn say_goodbye(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        tls.send_close_notify();
        while tls.wants_write() && tls.write_tls(&mut &*self.stream).is_ok() {}
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.is_cut {
            self.say_goodbye();
        }
    }
}

impl Peer {
    fn new(stream: TcpStream, tls: Option<ServerConnection>, log: &Arc<Log>) -> Self {
        stream.set_nodelay(true).expect("an option can be set");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let stream = Arc::new(stream);
        log.streams.lock().expect("nobody panics while holding this").push(Arc::downgrade(&stream));
        log.heard.lock().expect("nobody panics while holding this").push(Vec::new());
        log.open.fetch_add(1, Ordering::SeqCst);
        let number = log.accepted.fetch_add(1, Ordering::SeqCst);
        let recorded = Recorded { stream: stream.clone(), tls, is_cut: false, number, log: log.clone() };
        Self { number, stream, connection: Connection::over(recorded), log: log.clone() }
    }

    /// Reads the next request, if there is one before the proxy ends the connection. Its body may be broken off.
    pub(crate) fn next(&mut self) -> Option<Seen> {
        let mut seen = self.next_head()?;
        self.body(&mut seen);
        Some(seen)
    }

    /// Reads the next head, if there is one, and leaves the body alone.
    pub(crate) fn next_head(&mut self) -> Option<Seen> {
        self.connection.has_more().then(|| self.head())
    }

    /// Reads the next request, which has to be whole.
    pub(crate) fn request(&mut self) -> Seen {
        let seen = self.next().expect("a request comes before the connection ends");
        assert!(seen.is_whole, "the request broke off: {seen:?}");
        seen
    }

    /// Reads a head, which has to come, and leaves the body alone.
    pub(crate) fn head(&mut self) -> Seen {
        let head = self.connection.until(b"\r\n\r\n");
        Seen::of_head(self.number, head.unwrap_or_else(|| panic!("half a head: {:?}", self.connection)))
    }

    /// Reads the body that belongs to a head; the request is then one that was seen.
    pub(crate) fn body(&mut self, seen: &mut Seen) {
        seen.is_whole = match seen.end() {
            End::After(length) => self.connection.take(length, &mut seen.body),
            End::LastChunk => self.chunked(seen).is_some(),
        };
        self.log.seen.lock().expect("nobody panics while holding this").push(seen.clone());
    }

    fn chunked(&mut self, seen: &mut Seen) -> Option<()> {
        loop {
            let line = self.connection.until(b"\r\n")?;
            let digits = std::str::from_utf8(&line[..line.len() - 2]).expect("an ASCII line");
            assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "chunk size {digits:?} in {seen:?}");
            let size = usize::from_str_radix(digits, 16).expect("a chunk size");
            if size == 0 {
                break;
            }
            let mut end = Vec::new();
            if !self.connection.take(size, &mut seen.body) || !self.connection.take(2, &mut end) {
                return None;
            }
            assert_eq!(end, b"\r\n", "the end of a chunk in {seen:?}");
        }
        loop {
            let line = self.connection.until(b"\r\n")?;
            match line.strip_suffix(b"\r\n").expect("a line ends with its end") {
                b"" => return Some(()),
                line => seen.trailers.push(field(line, &format!("{seen:?}"))),
            }
        }
    }

    /// Exactly so many bytes, whatever they are.
    pub(crate) fn raw(&mut self, n: usize) -> Vec<u8> {
        self.connection.raw(n)
    }

    /// The next bytes, as many as have come; none at the end of the connection.
    pub(crate) fn some(&mut self) -> Option<Vec<u8>> {
        self.connection.some()
    }

    /// Says that nothing more will be said.
    pub(crate) fn finish(&mut self) {
        self.connection.stream().say_goodbye();
        self.stream.shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.connection.rest()
    }

    /// Asserts that nothing comes for some milliseconds, the end neither.
    pub(crate) fn hears_nothing_for(&mut self, milliseconds: u64) {
        assert!(self.connection.is_used_up(), "{:?}", self.connection);
        let patience = |patience| self.stream.set_read_timeout(Some(patience)).expect("a timeout can be set");
        patience(Duration::from_millis(milliseconds));
        match (&*self.stream).read(&mut [0; 256]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("heard {other:?}"),
        }
        patience(PATIENCE);
    }

    /// Says something.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.send(bytes);
    }

    /// A handle to write to the connection with, beside this one, where it is a plain one.
    pub(crate) fn writer(&self) -> Arc<TcpStream> {
        self.stream.clone()
    }

    /// Says something that the proxy may not listen to any more; says whether it could be said.
    pub(crate) fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.connection.try_send(bytes).is_ok()
    }

    /// Says something that the proxy may not listen to; says no where it takes nothing for so long. Half of it may then have
    /// been said.
    pub(crate) fn say_within(&mut self, bytes: &[u8], milliseconds: u64) -> bool {
        let patience =
            |patience| self.stream.set_write_timeout(Some(patience)).expect("a timeout can be set");
        patience(Duration::from_millis(milliseconds));
        let is_said = self.connection.try_send(bytes).is_ok();
        patience(PATIENCE);
        is_said
    }

    /// Says something in pieces of `size` bytes, with a pause between them.
    pub(crate) fn say_in_pieces(&mut self, bytes: impl AsRef<[u8]>, size: usize) {
        for piece in bytes.as_ref().chunks(size) {
            self.say(piece);
            pause(1);
        }
    }

    /// Ends the connection without a goodbye, when the script returns.
    pub(crate) fn cut(&mut self) {
        self.connection.stream().is_cut = true;
    }

    /// What TLS has agreed on.
    pub(crate) fn session(&mut self) -> &ServerConnection {
        self.connection.stream().tls.as_ref().expect("it speaks TLS")
    }

    /// Ends the connection with a reset, when the script returns.
    pub(crate) fn reset(&mut self) {
        self.cut();
        socket2::SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO)).expect("an option can be set");
    }
}
