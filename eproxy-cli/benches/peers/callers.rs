//! The load of the TLS modes: connections of ours that shake hands, ask, and compare the answer. One thread holds all of
//! them. What a handshake was, full or resumed, is looked at every time.

use std::io::{BufRead, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::HandshakeKind;
use rustls::client::{ClientConfig, ClientConnection, Resumption};

use crate::identity::{Identity, NAME};
use crate::pages::Expected;
use crate::story::Calls;
use crate::talkers::percentile;
use crate::{Outcome, clock, probe, secure, websocket};

/// What one run saw.
pub(crate) struct Run {
    pub(crate) answers: f64,
    /// Of their bodies.
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
    pub(crate) p99_us: f64,
}

/// Clients of one server.
pub(crate) struct Callers<'a> {
    calls: Calls,
    port: u16,
    expected: &'a Expected,
    poll: Poll,
    callers: Vec<Caller>,
    /// What comes from a socket at once.
    buffer: Vec<u8>,
}

/// One that has a connection after the other, or the same one all the time.
struct Caller {
    /// Its own where it resumes sessions: tickets are of the caller that they were given to.
    config: Arc<ClientConfig>,
    line: Option<Line>,
    since: Instant,
}

struct Line {
    stream: TcpStream,
    tls: ClientConnection,
    hearing: Hearing,
}

enum Heard {
    Answer,
    NotYet,
}

impl<'a> Callers<'a> {
    /// Each has asked once when this returns, by a full handshake: connections are there, or tickets.
    pub(crate) fn open(
        calls: Calls,
        count: usize,
        port: u16,
        identity: &Identity,
        expected: &'a Expected,
    ) -> Outcome<Self> {
        let common = secure::quick(&identity.der, Resumption::disabled())?;
        let caller = |_| {
            let config = match calls {
                Calls::Resumed => secure::quick(&identity.der, Resumption::in_memory_sessions(TICKETS))?,
                Calls::Full | Calls::Requests | Calls::Bytes => Arc::clone(&common),
            };
            Ok(Caller { config, line: None, since: clock::now() })
        };
        let callers = (0..count).map(caller).collect::<Outcome<Vec<_>>>()?;
        let poll = Poll::new().map_err(|err| format!("a poll can't be made: {err}"))?;
        let mut callers = Self { calls, port, expected, poll, callers, buffer: vec![0; BUFFER] };
        callers.talk(clock::now(), HandshakeKind::Full)?;
        Ok(callers)
    }

    /// Asks for so many seconds. A wrong answer, none, or a handshake of the wrong kind is an error.
    pub(crate) fn run(mut self, seconds: u64) -> Outcome<Run> {
        let kind = match self.calls {
            Calls::Resumed => HandshakeKind::Resumed,
            Calls::Full | Calls::Requests | Calls::Bytes => HandshakeKind::Full,
        };
        let start = clock::now();
        let waits = self.talk(start + Duration::from_secs(seconds), kind)?;
        let seconds = (clock::now() - start).as_secs_f64();
        let answers = waits.len() as f64;
        let bytes = answers * self.expected.body.len() as f64;
        Ok(Run { answers, bytes, seconds, p99_us: percentile(waits, 0.99) })
    }

    /// Each caller asks at least once. Returns how long every answer took, its handshake included, in microseconds, when the
    /// last one has come after the end.
    fn talk(&mut self, end: Instant, kind: HandshakeKind) -> Outcome<Vec<u32>> {
        let mut waits = Vec::new();
        let mut events = Events::with_capacity(self.callers.len());
        for number in 0..self.callers.len() {
            self.ask(number)?;
        }
        let mut talking = self.callers.len();
        while talking > 0 {
            match self.poll.poll(&mut events, Some(probe::PATIENCE)) {
                Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                Err(err) => return Err(format!("sockets can't be waited for: {err}")),
                Ok(()) if events.is_empty() => {
                    let seconds = probe::PATIENCE.as_secs();
                    return Err(format!("{talking} answers did not come within {seconds} s"));
                }
                Ok(()) => {}
            }
            for event in &events {
                let Token(number) = event.token();
                let caller = &mut self.callers[number];
                let Some(line) = &mut caller.line else { continue };
                if let Heard::NotYet = line.hear(&mut self.buffer, self.expected)? {
                    continue;
                }
                if line.tls.handshake_kind() != Some(kind) {
                    return Err(format!("a handshake was {:?}, not {kind:?}", line.tls.handshake_kind()));
                }
                let now = clock::now();
                waits.push((now - caller.since).as_micros() as u32);
                if matches!(self.calls, Calls::Full | Calls::Resumed) {
                    caller.hang_up()?;
                }
                match now < end {
                    true => self.ask(number)?,
                    false => talking -= 1,
                }
            }
        }
        Ok(waits)
    }

    /// The request goes with the last message of the handshake, where there is one.
    fn ask(&mut self, number: usize) -> Outcome<()> {
        let caller = &mut self.callers[number];
        caller.since = clock::now();
        let line = match &mut caller.line {
            Some(line) => line,
            None => {
                let line = Line::open(self.port, &caller.config, &self.poll, Token(number))?;
                caller.line.insert(line)
            }
        };
        let request = format!("GET {} HTTP/1.1\r\nHost: {NAME}\r\n\r\n", self.expected.path);
        let written = std::io::Write::write_all(&mut line.tls.writer(), request.as_bytes());
        written.map_err(|err| format!("a request can't be sealed: {err}"))?;
        line.send()
    }
}

impl Caller {
    fn hang_up(&mut self) -> Outcome<()> {
        let Some(mut line) = self.line.take() else { return Ok(()) };
        line.tls.send_close_notify();
        line.send()
    }
}

impl Line {
    fn open(port: u16, config: &Arc<ClientConfig>, poll: &Poll, token: Token) -> Outcome<Self> {
        let stream = probe::connect(port).and_then(|stream| {
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, token, Interest::READABLE)?;
            Ok(stream)
        });
        let stream = stream.map_err(|err| format!("no connection: {err}"))?;
        Ok(Self { stream, tls: secure::connection(config)?, hearing: Hearing::default() })
    }

    /// So little is under way on a socket that it takes all.
    fn send(&mut self) -> Outcome<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream).map_err(|err| format!("nothing can be sent: {err}"))?;
        }
        Ok(())
    }

    fn hear(&mut self, buffer: &mut [u8], expected: &Expected) -> Outcome<Heard> {
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => return Err("a connection was closed in place of an answer".to_owned()),
                Ok(length) => length,
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(Heard::NotYet),
                Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                Err(err) => return Err(format!("an answer can't be read: {err}")),
            };
            let heard = self.take(&buffer[..length], expected)?;
            self.send()?;
            // There was no more; what comes later is told anew.
            if matches!(heard, Heard::Answer) || length < buffer.len() {
                return Ok(heard);
            }
        }
    }

    fn take(&mut self, mut came: &[u8], expected: &Expected) -> Outcome<Heard> {
        let mut heard = Heard::NotYet;
        while !came.is_empty() {
            self.tls.read_tls(&mut came).map_err(|err| format!("TLS takes no bytes: {err}"))?;
            let state = self.tls.process_new_packets().map_err(|err| format!("TLS: {err}"))?;
            let mut left = state.plaintext_bytes_to_read();
            let mut reader = self.tls.reader();
            while left > 0 {
                let plain = reader.fill_buf().map_err(|err| format!("TLS: {err}"))?;
                let length = plain.len();
                if self.hearing.take(plain, expected)? {
                    heard = Heard::Answer;
                }
                reader.consume(length);
                left -= length;
            }
        }
        Ok(heard)
    }
}

/// An answer that is compared as it comes.
#[derive(Default)]
struct Hearing {
    head: Vec<u8>,
    /// Bytes of the body that have come and were right; none before the end of the head.
    compared: Option<usize>,
}

impl Hearing {
    /// Whether that was all of it; then the next one may begin.
    fn take(&mut self, bytes: &[u8], expected: &Expected) -> Outcome<bool> {
        let mut body = bytes;
        if self.compared.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(length) = websocket::head_length(&self.head) else { return Ok(false) };
            let head = String::from_utf8_lossy(&self.head[..length]);
            let announced = websocket::field(&head, "Content-Length").and_then(|length| length.parse().ok());
            if !head.starts_with("HTTP/1.1 200 ") || announced != Some(expected.body.len()) {
                return Err(format!("the answer begins with {head:?}"));
            }
            self.head.clear();
            self.compared = Some(0);
            body = &bytes[length - before..];
        }
        let from = self.compared.unwrap_or_default();
        if expected.body.get(from..from + body.len()) != Some(body) {
            return Err(format!("the body is wrong behind byte {from}"));
        }
        let is_whole = from + body.len() == expected.body.len();
        self.compared = (!is_whole).then_some(from + body.len());
        Ok(is_whole)
    }
}

/// Servers give two for a full handshake, and a new one for each that is used.
const TICKETS: usize = 8;

const BUFFER: usize = 64 * 1024;
