//! What clients may send, and how long they may take.

use std::time::Duration;

/// Limits on what clients may send. What exceeds one is refused and counted under the limit's name.
///
/// ```
/// use eproxy_core::{Limits, Server};
///
/// let server = Server::builder().limits(Limits { body: 64 << 20, ..Limits::default() });
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request head; longer ones get 431. Default 32 KiB, at least 512 bytes. A slow client can make a
    /// connection hold this much.
    pub head: usize,
    /// Bytes of a request target; longer ones get 414. Default 8 KiB (RFC 9112 §3 asks for 8,000 bytes).
    pub target: usize,
    /// Header lines of a request; more get 431. Default 100.
    pub headers: usize,
    /// Bytes of a request body, unless its route says otherwise; longer ones get 413. Default 16 MiB; `u64::MAX` means
    /// no limit. Memory is held only for what a handler reads.
    pub body: u64,
    /// Bytes of a body that its handler did not read which are read and thrown away to save the connection; a longer
    /// rest closes it. Default 256 KiB.
    pub drain: u64,
    /// Open connections over all workers; further ones wait to be accepted. Default 100,000. Each worker has its share.
    pub connections: usize,
    /// TLS handshakes that may go on at once over all workers; further connections are closed, `tls_handshake_limit`.
    /// Default 10,000. Each worker has its share.
    pub handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 32 * 1024,
            target: 8 * 1024,
            headers: 100,
            body: 16 * 1024 * 1024,
            drain: 256 * 1024,
            connections: 100_000,
            handshakes: 10_000,
        }
    }
}

/// How long clients may take. Deadlines come up to 8 ms late, never early.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::{Server, Timeouts};
///
/// let server = Server::builder()
///     .timeouts(Timeouts { head: Duration::from_secs(5), ..Timeouts::default() });
/// ```
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the first byte of a request head to its last, and from accepting a connection to its first byte: 408, or
    /// nothing where nothing came. Default 30 s.
    pub head: Duration,
    /// From accepting a connection to the end of its TLS handshake: it is closed, `tls_handshake_timeout`. Default 10 s.
    pub handshake: Duration,
    /// How long a connection is kept open between requests. Default 75 s.
    pub keep_alive: Duration,
    /// How long a request body may bring no byte while its handler waits for one: 408. Default 60 s.
    pub body_idle: Duration,
    /// Bytes a second that a request body must bring on average, after a first [`body_idle`](Self::body_idle) or 10 s,
    /// whichever is shorter; only time in which its handler waits for bytes counts, and nothing of a call of gRPC that is
    /// passed on, whose messages come when there is something to say. Default 100; 0 switches it off.
    pub body_rate: u64,
    /// How long a client may take no byte of its answer: the connection is closed. Default 60 s.
    pub write_idle: Duration,
    /// How long an upgraded connection may carry no byte in either direction before it is closed; noticed after at most
    /// twice that time. Default 10 min.
    pub tunnel_idle: Duration,
    /// How long a connection on which nothing is under way stays open once the server drains: a request that is on its way
    /// is answered, with `Connection: close`, instead of being lost (RFC 9112 §9.5 leaves it to the client to send it
    /// again, which it can't do with all). Default 1 s: far longer than the way of a request and the pauses of a client
    /// that is at work, and no long wait for the end of a server. Zero closes them at once, and those with them that wait to
    /// be accepted.
    pub drain_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_idle: Duration::from_secs(60),
            body_rate: 100,
            write_idle: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(600),
            drain_idle: Duration::from_secs(1),
        }
    }
}
