//! What an exchange that is passed on has to work with: the client's side, as the server lends it, and buffers for the
//! upstream's.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::driver::{Core, Peer, Stream};
use crate::error::{Error, Kind};
use crate::http1::{DateLine, Lines, Outbound, RequestFacts};
use crate::message::{Answer, Buffer, Field, RequestLine, Span, Timeouts, Version};
use crate::telemetry::{Account, Attempt, Counters, FailureLine, Journal};
use crate::tls::Session;
use crate::tunnel::TwoEnds;
use crate::upstream::{Ask, Pick, Reach, Registry, Upstreams};

use super::collect::Collected;
use super::hooked::Hooked;
use super::pump::Pump;
use super::upgrade::Upgrade;

/// What all exchanges of a core have in common, as long as the server is described as it is.
pub(crate) struct Site {
    pub(crate) core: Rc<Core>,
    pub(crate) upstreams: Upstreams,
    pub(crate) counters: Arc<Counters>,
    pub(crate) journal: Journal,
    pub(crate) timeouts: Timeouts,
    pub(crate) date: Rc<DateLine>,
    /// The server finishes what runs and takes nothing new.
    pub(crate) draining: Rc<Cell<bool>>,
    /// Copies of requests that are on their way.
    pub(super) copies: Rc<Cell<usize>>,
}

impl Site {
    pub(crate) fn new(
        core: &Rc<Core>,
        registry: &Arc<Registry>,
        counters: Arc<Counters>,
        journal: Journal,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            core: core.clone(),
            upstreams: Upstreams::new(&Reach::new(core), registry, None, &journal),
            counters,
            journal,
            timeouts,
            date: Rc::new(DateLine::new()),
            draining: Rc::default(),
            copies: Rc::default(),
        }
    }

    /// The same core with other groups and timeouts.
    pub(crate) fn renewed(&self, registry: &Arc<Registry>, timeouts: Timeouts) -> Self {
        let Self { core, upstreams, counters, journal, date, draining, copies, .. } = self;
        Self {
            core: core.clone(),
            upstreams: Upstreams::new(&upstreams.reach, registry, Some(upstreams), journal),
            counters: counters.clone(),
            journal: journal.clone(),
            timeouts,
            date: date.clone(),
            draining: draining.clone(),
            copies: copies.clone(),
        }
    }
}

/// An exchange that is being passed on.
pub(crate) struct Relay<'a> {
    pub(crate) site: &'a Rc<Site>,
    /// The route's pattern, for the log; empty for none.
    pub(crate) pattern: &'a str,
    pub(crate) client: Client<'a>,
    pub(crate) head: Head,
    /// The client's side: what was read and not yet used, with the head at its front until `is_taken`; what is to be
    /// written.
    pub(crate) input: &'a mut Buffer,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) fields: &'a mut Vec<Field>,
    /// The head was taken off the input.
    pub(crate) is_taken: bool,
    pub(crate) desk: &'a mut Desk,
    /// What hooks have made of it, if the proxy has any.
    pub(crate) hooked: &'a mut Option<Box<Hooked>>,
    /// What is kept of it for whoever counts and logs.
    pub(crate) account: &'a mut Account,
}

/// The client's connection.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) peer: Peer,
    /// Where the client thinks it is connected to, if a trusted proxy in between has said so.
    pub(crate) local: Option<SocketAddr>,
    /// What it says about where requests come from is believed.
    pub(crate) is_trusted: bool,
    /// What was agreed on with it, if it speaks TLS.
    pub(crate) session: Option<&'a Session>,
}

impl Client<'_> {
    /// What its URLs begin with.
    pub(super) fn scheme(&self) -> &'static str {
        if self.session.is_some() { "https" } else { "http" }
    }
}

/// What the head of a request says; its spans are places in the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Bytes of the head at the front of the input.
    pub(crate) length: usize,
    pub(crate) line: RequestLine,
    pub(crate) method: Method,
    pub(crate) facts: RequestFacts,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    /// The host and port of an absolute target, or of CONNECT.
    pub(crate) authority: Option<Span>,
    /// Bytes that the body may have.
    pub(crate) body_limit: u64,
}

/// The methods that are treated in ways of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Connect,
    Trace,
    Options,
    /// Another that may be repeated without a further effect (RFC 9110 §9.2.2).
    Idempotent,
    Other,
}

impl Method {
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"GET" | b"PUT" | b"DELETE" => Self::Idempotent,
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// Whether a second request has the effect of one.
    pub(super) fn is_idempotent(self) -> bool {
        !matches!(self, Self::Connect | Self::Other)
    }

    /// As far as it matters to what an answer looks like.
    pub(super) fn for_answers(self) -> &'static [u8] {
        if self == Self::Head { b"HEAD" } else { b"" }
    }
}

/// Buffers for the upstream's side of an exchange; they are kept from one to the next.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) input: Buffer,
    pub(super) out: Vec<u8>,
    /// The length of the body is in `out` already.
    pub(super) has_length: bool,
    pub(super) fields: Vec<Field>,
    /// The body of the request on its way, where it did not come with the head.
    pub(super) upload: Option<Pump>,
    /// What was read of the body before the request was passed on, and the head that stood in front of it.
    pub(super) collected: Option<Collected>,
    head: Vec<u8>,
    /// The host that the client asked for, where answers are rewritten by it.
    pub(super) host: Vec<u8>,
    /// The protocols that the client asks to switch to.
    pub(super) upgrade: Option<Box<Upgrade>>,
    /// What the group wants to know of the request.
    pub(super) ask: Ask,
    /// The try that failed last.
    pub(super) failed: Option<Box<Attempt>>,
    /// Tries that were made.
    pub(super) tries: u32,
}

impl Desk {
    /// Output that is kept allocated between exchanges.
    const OUT: usize = 16 * 1024;

    pub(crate) const fn new() -> Self {
        Self {
            input: Buffer::new(),
            out: Vec::new(),
            has_length: false,
            fields: Vec::new(),
            upload: None,
            collected: None,
            head: Vec::new(),
            host: Vec::new(),
            upgrade: None,
            ask: Ask { key: None, value: None, token: None },
            failed: None,
            tries: 0,
        }
    }

    /// Takes what was read of the upstream's connection.
    pub(crate) fn take_input(&mut self) -> Buffer {
        std::mem::replace(&mut self.input, Buffer::new())
    }

    pub(crate) fn clear(&mut self) {
        self.input.clear();
        self.out.clear();
        self.host.clear();
        self.out.shrink_to(Self::OUT);
        (self.upload, self.upgrade, self.collected, self.failed) = (None, None, None, None);
    }
}

/// What becomes of an exchange that was passed on.
pub(crate) enum Outcome {
    /// It was answered, and the answer's end is in `out`; the connection takes the next request.
    Keep,
    /// It was answered, or broken off: the connection ends.
    Close,
    /// The same, but the client is still sending.
    Linger,
    /// It was broken off in a way that only a reset tells from its end.
    Reset,
    /// Nothing was answered so far: this is the answer.
    Answer(Box<Answer>, Rest),
    /// The connection has become a tunnel to this upstream, which is busy with it if it is of a group; what is to go to the client first is in `out`.
    Tunnel(Stream, Option<Pick>),
}

/// What is left of a request's body on the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// All of it: it is where it was.
    Untouched,
    /// A part, or what was read of it can't be told from what follows: the connection ends.
    Begun,
    /// Nothing.
    Read,
}

impl Relay<'_> {
    /// The bytes of the request's head: while it is there, and behind that if it was kept.
    pub(super) fn head_bytes(&self) -> &[u8] {
        match self.is_taken {
            false => &self.input.data()[..self.head.length],
            true => &self.desk.head,
        }
    }

    /// Takes the head off the input and keeps it.
    pub(super) fn keep_head(&mut self) {
        if !self.is_taken {
            self.desk.head = self.head_bytes().to_vec();
            self.take_head(0);
        }
    }

    pub(super) fn is_http10(&self) -> bool {
        self.head.line.version == Version::Http10
    }

    /// The fields of the request as they came.
    pub(super) fn raw_lines(&self) -> Lines<'_> {
        Lines::of_head(self.head_bytes(), self.fields)
    }

    /// The fields of the request as they are to be passed on.
    pub(super) fn lines(&self) -> Lines<'_> {
        self.hooked.as_ref().map_or_else(|| self.raw_lines(), |hooked| hooked.lines())
    }

    /// The host and port of an absolute target, which override the Host field; hooks have them there.
    pub(super) fn authority(&self) -> Option<&[u8]> {
        self.head.authority.filter(|_| self.hooked.is_none()).map(|authority| authority.of(self.head_bytes()))
    }

    /// What the client says about where the request comes from is believed: because of who it is, or because only hooks
    /// can have said it.
    pub(super) fn is_trusted(&self) -> bool {
        self.client.is_trusted || self.hooked.is_some()
    }

    /// The two ends of the client's connection; a unix-domain socket has none.
    pub(super) fn ends(&self) -> Option<TwoEnds> {
        let Peer::Tcp(peer) = self.client.peer else { return None };
        let local = self.client.local.or_else(|| self.client.stream.local_addr())?;
        Some((peer, local))
    }

    /// Takes the head, and so many bytes behind it, off the input.
    pub(super) fn take_head(&mut self, behind: usize) {
        if !std::mem::replace(&mut self.is_taken, true) {
            self.input.consume(self.head.length + behind);
        }
    }

    /// Writes what is waiting for the client.
    ///
    /// # Errors
    ///
    /// `DownstreamGone`.
    pub(super) async fn flush(&mut self) -> Result<(), Kind> {
        let Self { site, client, out, .. } = self;
        Outbound { stream: client.stream, out, patience: site.timeouts.write_idle }.flush().await
    }

    /// Counts and logs the failure that ends the exchange.
    pub(super) fn fail(&mut self, error: &Error, upstream: Option<&str>) {
        self.account.failure = Some(error.kind());
        if let Some(hooked) = self.hooked {
            hooked.record.failure = Some(error.kind());
        }
        self.note(error, upstream);
    }

    /// Counts and logs a failure; that of the try which was made last is told together with how far it came.
    pub(super) fn note(&self, error: &Error, upstream: Option<&str>) {
        self.site.counters.failure(error.kind());
        let (route, peer) = (self.pattern, self.client.peer);
        let attempt = self.desk.failed.as_deref().filter(|attempt| attempt.end == Err(error.kind()));
        let upstream = upstream.or(attempt.map(|attempt| attempt.upstream()));
        self.site.journal.note_failure(&FailureLine { error, route, upstream, attempt, peer });
    }
}

/// The answer that tells a client of a failure: a status, a line, and what kind of failure it was (RFC 9209).
pub(super) fn answer_for(error: &Error) -> Answer {
    let row = error.kind().row();
    let mut answer = Answer::plain(row.status);
    if !row.proxy_status.is_empty() {
        let value = format!("{NAME}; error={}", row.proxy_status);
        // Tokens make a valid value.
        let _valid = answer.headers_mut().insert("Proxy-Status", value);
    }
    if error.kind() == Kind::WebSocketVersion {
        // RFC 6455 §4.4, RFC 9110 §15.5.22.
        let _valid = answer.headers_mut().insert("Sec-WebSocket-Version", "13");
        let _valid = answer.headers_mut().insert("Upgrade", "websocket");
    }
    if matches!(error.kind(), Kind::Overloaded | Kind::QueueFull | Kind::QueueTimeout) {
        // There may be room in a moment (RFC 9110 §10.2.3).
        let _valid = answer.headers_mut().insert("Retry-After", "1");
    }
    answer
}

/// What this proxy calls itself in Via and Proxy-Status.
pub(super) const NAME: &str = "eproxy";
