//! A client of HTTP/2 that can send any bytes, and reads what comes strictly.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::PATIENCE;

use super::answer::Answer;
use super::frame::*;
use super::hpack::{Decoder, block};
use super::windows::Windows;

/// A connection to a server under test. Whatever a test is about, what the server sends is held against the RFC: frames
/// in bounds, header blocks in one piece, and never a byte of DATA more than the windows allow.
pub(crate) struct Client {
    pub(super) stream: TcpStream,
    /// Read, and used up to `at`.
    pub(super) buffer: Vec<u8>,
    pub(super) at: usize,
    pub(super) decoder: Decoder,
    /// A header block that is not complete: its stream, the flags of its HEADERS.
    pub(super) open_block: Option<(u32, u8, Vec<u8>)>,
    /// Settings of ours that were not acknowledged.
    pub(super) pending: VecDeque<Vec<(u16, u32)>>,
    /// What the server may send, and what we may.
    pub(super) granted: Windows,
    pub(super) room: Windows,
    /// The most that a frame of the server's may carry.
    pub(super) frame_size: u32,
    /// The windows are opened again as DATA comes.
    pub(crate) refills: bool,
    pub(super) next_stream: u32,
    pub(crate) heard: Heard,
}

/// What the server has said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) answers: BTreeMap<u32, Answer>,
    /// Every setting that came, in its order.
    pub(crate) settings: Vec<(u16, u32)>,
    pub(crate) settings_frames: usize,
    pub(crate) settings_acks: usize,
    /// Acknowledged PINGs.
    pub(crate) pongs: Vec<[u8; 8]>,
    /// The last stream and the code of each GOAWAY.
    pub(crate) goaways: Vec<(u32, u32)>,
    /// Bytes of DATA that the windows were opened by: for the connection, and for each stream.
    pub(crate) window_updates: BTreeMap<u32, u64>,
    /// The connection is at its end.
    pub(crate) is_closed: bool,
}

impl Client {
    /// Connects and says nothing.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("an option can be set");
        Self {
            stream,
            buffer: Vec::new(),
            at: 0,
            decoder: Decoder::new(),
            open_block: None,
            pending: VecDeque::new(),
            granted: Windows::new(),
            room: Windows::new(),
            frame_size: 16_384,
            refills: true,
            next_stream: 1,
            heard: Heard::default(),
        }
    }

    /// Connects, with the prefaces of both sides exchanged and acknowledged.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::with(address, &[])
    }

    /// The same with settings of the client's.
    pub(crate) fn with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(address);
        client.send(PREFACE);
        client.set(settings);
        client.until("the settings are acknowledged", |heard| {
            heard.settings_acks > 0 && heard.settings_frames > 0
        });
        client
    }

    /// Sends bytes. What can't be sent to a server that has ended the connection is lost; what the server has said tells.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _cut = self.try_send(bytes);
    }

    /// Sends bytes; says whether all were taken.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends settings, which hold when they are acknowledged.
    pub(crate) fn set(&mut self, values: &[(u16, u32)]) {
        self.expect_ack(values);
        self.send(settings(values));
    }

    /// Expects that settings are acknowledged which are sent by hand.
    pub(crate) fn expect_ack(&mut self, values: &[(u16, u32)]) {
        self.pending.push_back(values.to_vec());
    }

    /// Opens the window of a stream, or of the connection for stream 0.
    pub(crate) fn open_window(&mut self, stream: u32, more: u32) {
        self.granted.open(stream, more);
        self.send(window_update(stream, more));
    }

    /// Opens the window of the connection again as far as it was at first.
    pub(crate) fn reopen(&mut self) {
        if let Ok(more @ 1..) = u32::try_from(65_535 - self.granted.connection) {
            self.open_window(0, more);
        }
    }

    /// Begins a request on the next stream, which it gives back.
    pub(crate) fn request(&mut self, fields: &[(&str, &str)], is_last: bool) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let end = if is_last { END } else { END_HEADERS };
        self.send(headers(stream, end, &block(fields)));
        stream
    }

    /// Sends a GET on the next stream, which it gives back.
    pub(crate) fn get(&mut self, path: &str) -> u32 {
        self.request(&head("GET", path), true)
    }

    /// Sends a GET and reads the answer.
    pub(crate) fn ask(&mut self, path: &str) -> Answer {
        let stream = self.get(path);
        self.answer(stream)
    }

    /// Sends a part of a body as the server's windows allow it; says whether all of it could be sent.
    pub(crate) fn body(&mut self, stream: u32, mut bytes: &[u8], is_last: bool) -> bool {
        loop {
            let room = (*self.room.stream(stream)).min(self.room.connection).clamp(0, 16_384);
            let (now, rest) = bytes.split_at(bytes.len().min(usize::try_from(room).expect("not negative")));
            if now.is_empty() && !bytes.is_empty() {
                let is_over = self.heard.answers.get(&stream).is_some_and(|answer| answer.reset.is_some());
                if is_over || !self.step() {
                    return false;
                }
                continue;
            }
            let flags = if is_last && rest.is_empty() { END_STREAM } else { 0 };
            if !self.try_send(data(stream, flags, now)) {
                return false;
            }
            self.room.use_up(stream, now.len());
            bytes = rest;
            if bytes.is_empty() {
                return true;
            }
        }
    }

    /// Sends a byte of a body with padding, when the server's windows allow it.
    pub(crate) fn padded(&mut self, stream: u32, byte: u8, padding: u8) {
        let payload = [&[padding, byte][..], &vec![0; padding.into()]].concat();
        let length = i64::try_from(payload.len()).expect("a length");
        while self.room(stream) < length {
            assert!(self.step(), "the connection ended: {:?}", self.heard.goaways);
        }
        self.send(frame(DATA, PADDED, stream, &payload));
        self.room.use_up(stream, payload.len());
    }

    /// Sends a byte of a body, whatever the windows say.
    pub(crate) fn overrun(&mut self, stream: u32) {
        self.send(data(stream, 0, "x"));
        self.room.use_up(stream, 1);
    }

    /// Bytes that the server lets us send on a stream now.
    pub(crate) fn room(&mut self, stream: u32) -> i64 {
        (*self.room.stream(stream)).min(self.room.connection)
    }

    /// Reads until a stream has come to its end, and gives back what was said on it. The connection may end first.
    pub(crate) fn answer(&mut self, stream: u32) -> Answer {
        while !self.heard.answers.get(&stream).is_some_and(Answer::is_over) && self.step() {}
        self.heard.answers.get(&stream).cloned().unwrap_or_default()
    }

    /// Reads until something was heard, which has to come before the connection ends.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Heard) -> bool) {
        while !is_so(&self.heard) {
            assert!(self.step(), "the connection ended before this: {what}; {:?}", self.heard);
        }
    }

    /// Sends a PING and reads until its echo; says no where the connection ends first. What came before the PING has then
    /// been seen by the server.
    pub(crate) fn is_alive(&mut self) -> bool {
        let opaque = u64::try_from(self.heard.pongs.len()).expect("a number").to_be_bytes();
        self.send(ping(opaque));
        while self.heard.pongs.last() != Some(&opaque) {
            if !self.step() {
                return false;
            }
        }
        true
    }

    /// Reads to the end of the connection.
    pub(crate) fn read_to_end(&mut self) {
        while self.step() {}
    }

    /// Reads what comes within some milliseconds.
    pub(crate) fn listen(&mut self, milliseconds: u64) {
        let patience = |stream: &TcpStream, patience| {
            stream.set_read_timeout(Some(patience)).expect("a timeout can be set");
        };
        patience(&self.stream, Duration::from_millis(milliseconds));
        loop {
            while self.has_frame() {
                self.step();
            }
            match self.fill() {
                Some(1..) => {}
                Some(0) => break self.heard.is_closed = true,
                None => break,
            }
        }
        patience(&self.stream, PATIENCE);
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("the socket has an address")
    }

    /// Asserts from now on that the table of the server's encoder is told to be no larger than this.
    pub(crate) fn limit_table(&mut self, size: usize) {
        self.decoder.limit_to(size);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Takes as little from the network as the system lets it.
    pub(crate) fn narrow(&self) {
        socket2::SockRef::from(&self.stream).set_recv_buffer_size(4096).expect("an option can be set");
    }

    /// How long a write may wait.
    pub(crate) fn set_write_patience(&self, patience: Duration) {
        self.stream.set_write_timeout(Some(patience)).expect("a timeout can be set");
    }

    /// Bytes as they come, for a test that does not expect frames; none at the end.
    pub(crate) fn raw_rest(&mut self) -> Vec<u8> {
        while self.fill().expect("the connection ends in time") > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// The most that a frame to the server may carry.
    pub(crate) fn frame_size(&self) -> usize {
        self.frame_size.try_into().expect("three bytes")
    }

    /// The last value of a setting of the server's.
    pub(crate) fn setting(&self, id: u16) -> Option<u32> {
        self.heard.settings.iter().rev().find(|(known, _)| *known == id).map(|(_, value)| *value)
    }
}

/// The pseudo-header fields of a request (§8.3.1).
pub(crate) fn head<'f>(method: &'f str, path: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)]
}
