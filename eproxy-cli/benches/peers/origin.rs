//! The upstream of the group modes: this program once more, as a process that takes its time for each answer, notes
//! which POSTs it has seen, and can be told to be slower or to leave.
//!
//! | asked for | it |
//! |---|---|
//! | `/delay/N` | takes N ms for each answer from now on |
//! | `/leave` | takes no more connections, closes those that rest, answers the others, and ends |
//! | anything else | gives the page `SMALL` and says in `X-From` which port it has |

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::pages::SMALL;
use crate::{Outcome, clock, websocket};

/// The first argument of this program when it is to be that upstream; then come a port, milliseconds and a file.
pub(crate) const NAME: &str = "origin";

/// Serves until it is told to leave, or killed.
pub(crate) fn serve(port: &str, delay_ms: &str, seen: &str) -> Outcome<()> {
    let numbers = (port.parse(), delay_ms.parse());
    let (Ok(port), Ok(delay)) = numbers else { return Err("an origin needs a port and milliseconds".into()) };
    let room = Room::open(port, Duration::from_millis(delay), seen);
    room.and_then(Room::serve).map_err(|err| format!("the origin at {port} ended: {err}"))
}

struct Room {
    poll: Poll,
    /// None: it is leaving.
    listener: Option<TcpListener>,
    port: u16,
    delay: Duration,
    guests: HashMap<Token, Guest>,
    arrived: usize,
    /// Who is answered when.
    due: BinaryHeap<Reverse<(Instant, Token)>>,
    /// The targets of POSTs, a line each: written before anything else is done with them, so they outlive a kill.
    seen: File,
}

struct Guest {
    stream: TcpStream,
    input: Vec<u8>,
    /// It has asked, and waits.
    waits: bool,
}

impl Room {
    fn open(port: u16, delay: Duration, seen: &str) -> io::Result<Self> {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let seen = OpenOptions::new().create(true).append(true).open(seen)?;
        let (listener, guests, due) = (Some(listener), HashMap::new(), BinaryHeap::new());
        Ok(Self { poll, listener, port, delay, guests, arrived: 0, due, seen })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while self.listener.is_some() || self.guests.values().any(|guest| guest.waits) {
            let next = self.due.peek().map(|Reverse((at, _))| at.saturating_duration_since(clock::now()));
            match self.poll.poll(&mut events, next) {
                Err(err) if err.kind() != ErrorKind::Interrupted => return Err(err),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.admit()?,
                    token => self.listen(token)?,
                }
            }
            self.answer_those_due()?;
        }
        Ok(())
    }

    fn admit(&mut self) -> io::Result<()> {
        while let Some(listener) = &self.listener {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == ErrorKind::ConnectionAborted => continue,
                Err(err) => return Err(err),
            };
            stream.set_nodelay(true)?;
            let token = Token(FIRST_GUEST + self.arrived);
            self.arrived += 1;
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            self.guests.insert(token, Guest { stream, input: Vec::new(), waits: false });
        }
        Ok(())
    }

    fn listen(&mut self, token: Token) -> io::Result<()> {
        let Some(guest) = self.guests.get_mut(&token) else { return Ok(()) };
        let mut buffer = [0; 4096];
        loop {
            match guest.stream.read(&mut buffer) {
                Ok(length @ 1..) => guest.input.extend_from_slice(&buffer[..length]),
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    self.guests.remove(&token);
                    return Ok(());
                }
            }
        }
        let Some(head) = websocket::head_length(&guest.input) else { return Ok(()) };
        let text = String::from_utf8_lossy(&guest.input[..head]).into_owned();
        let body =
            websocket::field(&text, "Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if guest.waits || guest.input.len() < head + body {
            return Ok(());
        }
        guest.input.drain(..head + body);
        guest.waits = true;
        let mut words = text.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if method == "POST" {
            self.seen.write_all(format!("{target}\n").as_bytes())?;
        }
        let mut at = clock::now() + self.delay;
        if let Some(delay) = target.strip_prefix(DELAY) {
            self.delay = Duration::from_millis(delay.parse().unwrap_or_default());
            at = clock::now();
        }
        if target == LEAVE {
            self.listener = None;
            self.guests.retain(|_, guest| guest.waits);
            at = clock::now();
        }
        self.due.push(Reverse((at, token)));
        Ok(())
    }

    fn answer_those_due(&mut self) -> io::Result<()> {
        let now = clock::now();
        while self.due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((_, token))) = self.due.pop() else { break };
            let Some(guest) = self.guests.get_mut(&token) else { continue };
            guest.waits = false;
            let leaves = self.listener.is_none();
            let written = guest.stream.write(encode(self.port, leaves).as_bytes());
            if written.is_err() || leaves {
                self.guests.remove(&token);
            }
        }
        Ok(())
    }
}

fn encode(port: u16, leaves: bool) -> String {
    let (content_type, text) = (SMALL.content_type, SMALL.text());
    let connection = if leaves { "Connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nX-From: {port}\r\n{connection}Content-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

pub(crate) const DELAY: &str = "/delay/";
pub(crate) const LEAVE: &str = "/leave";

const LISTENER: Token = Token(0);
const FIRST_GUEST: usize = 1;
