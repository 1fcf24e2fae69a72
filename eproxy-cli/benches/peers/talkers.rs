//! The load of the echo mode: WebSockets that each send a message, wait for its echo and send the next. One
//! thread holds all of them, and compares every echo.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::tunnel::{self, PATIENCE, Tunnel, Words};
use crate::websocket::Plain;
use crate::{Outcome, clock};

/// What one run saw.
pub(crate) struct Run {
    pub(crate) messages: f64,
    pub(crate) seconds: f64,
    pub(crate) p99_us: f64,
}

/// Opens WebSockets through the proxy at `port` and lets them talk. Any echo that is wrong or does not come
/// is an error.
pub(crate) fn run(port: u16, connections: usize, seconds: u64) -> Outcome<Run> {
    let mut talkers =
        (0..connections).map(|number| Talker::open(port, number)).collect::<Outcome<Vec<_>>>()?;
    let poll = Poll::new().map_err(|err| format!("a poll can't be made: {err}"))?;
    for (number, talker) in talkers.iter_mut().enumerate() {
        let registered = poll.registry().register(&mut talker.stream, Token(number), Interest::READABLE);
        registered.map_err(|err| format!("a socket can't be waited for: {err}"))?;
    }
    let start = clock::now();
    let waits = talk(poll, &mut talkers, start + Duration::from_secs(seconds))?;
    let seconds = (clock::now() - start).as_secs_f64();
    Ok(Run { messages: waits.len() as f64, seconds, p99_us: percentile(waits, 0.99) })
}

/// Returns how long every echo took, in microseconds, when the last one has come after the end.
fn talk(mut poll: Poll, talkers: &mut [Talker], end: Instant) -> Outcome<Vec<u32>> {
    let mut waits = Vec::new();
    let mut events = Events::with_capacity(talkers.len());
    for talker in talkers.iter_mut() {
        talker.say()?;
    }
    let mut talking = talkers.len();
    while talking > 0 {
        match poll.poll(&mut events, Some(PATIENCE)) {
            Err(err) if err.kind() == ErrorKind::Interrupted => continue,
            Err(err) => return Err(format!("sockets can't be waited for: {err}")),
            Ok(()) if events.is_empty() => {
                return Err(format!("{talking} echoes did not come within {} s", PATIENCE.as_secs()));
            }
            Ok(()) => {}
        }
        for event in &events {
            let talker = &mut talkers[event.token().0];
            if let Heard::Echo { since } = talker.hear()? {
                let now = clock::now();
                waits.push((now - since).as_micros() as u32);
                match now < end {
                    true => talker.say()?,
                    false => talking -= 1,
                }
            }
        }
    }
    Ok(waits)
}

struct Talker {
    stream: TcpStream,
    words: Words,
    expected: Plain,
    heard: Plain,
    /// Bytes of `heard` that have come.
    length: usize,
    /// When the message was sent whose echo is waited for.
    since: Option<Instant>,
}

enum Heard {
    /// The whole echo, and it is right.
    Echo {
        since: Instant,
    },
    NotYet,
}

impl Talker {
    fn open(port: u16, number: usize) -> Outcome<Self> {
        let (stream, words) = Tunnel::open(port, number)?.into_parts();
        stream.set_nonblocking(true).map_err(|err| format!("a socket can't be made to not block: {err}"))?;
        let [expected, heard] = [[0; size_of::<Plain>()]; 2];
        let stream = TcpStream::from_std(stream);
        Ok(Self { stream, words, expected, heard, length: 0, since: None })
    }

    fn say(&mut self) -> Outcome<()> {
        let (said, expected) = self.words.next();
        (self.expected, self.length, self.since) = (expected, 0, Some(clock::now()));
        match self.stream.write(&said) {
            Ok(length) if length == said.len() => Ok(()),
            // Nothing else is under way on this socket.
            Ok(length) => Err(format!("a socket took only {length} bytes of a message")),
            Err(err) => Err(format!("a message can't be sent: {err}")),
        }
    }

    fn hear(&mut self) -> Outcome<Heard> {
        // Whoever waits for nothing may still be told of its end.
        let Some(since) = self.since else { return Ok(Heard::NotYet) };
        while self.length < self.heard.len() {
            match self.stream.read(&mut self.heard[self.length..]) {
                Ok(0) => return Err("a WebSocket was closed in place of an echo".to_owned()),
                Ok(length) => self.length += length,
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(Heard::NotYet),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(format!("an echo can't be read: {err}")),
            }
        }
        tunnel::compare(&self.heard, &self.expected)?;
        self.since = None;
        Ok(Heard::Echo { since })
    }
}

pub(crate) fn percentile(mut values: Vec<u32>, share: f64) -> f64 {
    values.sort_unstable();
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).map_or(f64::NAN, |&value| f64::from(value))
}
