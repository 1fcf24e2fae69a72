//! The upstream of the WebSocket modes: one thread of this program that sends every message back. A request
//! that asks for no WebSocket is answered too, so that a proxy can be waited for and checked as in the other
//! modes.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::Outcome;
use crate::pages::READY;
use crate::websocket::{self, KEY, Masked};

/// The running upstream. Dropping it ends its thread and its connections.
pub(crate) struct Echo {
    port: u16,
    bell: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start() -> Outcome<Self> {
        Self::spawn().map_err(|err| format!("the echo upstream can't be started: {err}"))
    }

    fn spawn() -> io::Result<Self> {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let port = listener.local_addr()?.port();
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let bell = Arc::new(Waker::new(poll.registry(), BELL)?);
        let room = Room { poll, listener, guests: HashMap::new(), arrived: 0 };
        let thread = thread::Builder::new().name("echo".to_owned()).spawn(move || {
            if let Err(err) = room.serve() {
                eprintln!("peers: the echo upstream ended: {err}");
            }
        })?;
        Ok(Self { port, bell, thread: Some(thread) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // A thread that can't be woken has ended with an error.
        if self.bell.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _panicked = thread.join();
        }
    }
}

/// What the thread works with.
struct Room {
    poll: Poll,
    listener: TcpListener,
    guests: HashMap<Token, Guest>,
    arrived: usize,
}

struct Guest {
    stream: TcpStream,
    /// What has come and is not yet a whole head or frame.
    input: Vec<u8>,
    has_switched: bool,
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    Ends,
}

impl Room {
    fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(err) if err.kind() != ErrorKind::Interrupted => return Err(err),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.admit()?,
                    BELL => return Ok(()),
                    token => {
                        let Some(guest) = self.guests.get_mut(&token) else { continue };
                        let fate = guest.listen(&mut buffer);
                        // The end of a stream may have been told together with its last bytes.
                        if fate == Fate::Ends || event.is_read_closed() {
                            self.guests.remove(&token);
                        }
                    }
                }
            }
        }
    }

    fn admit(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Of a connection that was given up before it was taken.
                Err(err) if err.kind() == ErrorKind::ConnectionAborted => continue,
                Err(err) => return Err(err),
            };
            stream.set_nodelay(true)?;
            let token = Token(FIRST_GUEST + self.arrived);
            self.arrived += 1;
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            self.guests.insert(token, Guest { stream, input: Vec::new(), has_switched: false });
        }
    }
}

impl Guest {
    /// Reads what there is, and answers it.
    fn listen(&mut self, buffer: &mut [u8]) -> Fate {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Fate::Ends,
                Ok(length) => {
                    self.input.extend_from_slice(&buffer[..length]);
                    if self.answer() == Fate::Ends {
                        return Fate::Ends;
                    }
                    // There was no more; what comes later is told anew.
                    if length < buffer.len() {
                        return Fate::Stays;
                    }
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Fate::Stays,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Fate::Ends,
            }
        }
    }

    /// Answers all heads and frames that are whole.
    fn answer(&mut self) -> Fate {
        let mut out = Vec::new();
        let mut done = 0;
        loop {
            let input = &self.input[done..];
            if self.has_switched {
                let Some(frame) = input.first_chunk::<{ size_of::<Masked>() }>() else { break };
                let Some(message) = websocket::decode_masked(frame) else { return Fate::Ends };
                out.extend_from_slice(&websocket::encode_plain(&message));
                done += frame.len();
            } else {
                let Some(length) = websocket::head_length(input) else { break };
                let Ok(head) = std::str::from_utf8(&input[..length]) else { return Fate::Ends };
                self.has_switched = websocket::field(head, "Upgrade").is_some();
                match websocket::field(head, "Sec-WebSocket-Key") {
                    Some(KEY) => out.extend_from_slice(websocket::encode_switch().as_bytes()),
                    Some(_) => return Fate::Ends,
                    None if self.has_switched => return Fate::Ends,
                    None => out.extend_from_slice(encode_ready().as_bytes()),
                }
                done += length;
            }
        }
        self.input.drain(..done);
        if out.is_empty() { Fate::Stays } else { self.write(&out) }
    }

    /// Our clients wait for one echo before they send the next message: a socket that does not take all of
    /// one is not theirs.
    fn write(&mut self, out: &[u8]) -> Fate {
        match self.stream.write(out) {
            Ok(length) if length == out.len() => Fate::Stays,
            _ => Fate::Ends,
        }
    }
}

fn encode_ready() -> String {
    let (content_type, text) = (READY.content_type, READY.text());
    let length = text.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{text}")
}

const LISTENER: Token = Token(0);
const BELL: Token = Token(1);
const FIRST_GUEST: usize = 2;
