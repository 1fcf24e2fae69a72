//! TLS as the driver takes it: bytes in, bytes out.
//!
//! Nothing is kept here of what passes, with one exception: a message of the handshake that comes in several records is put
//! together by rustls where it lies, so it must lie still until it is whole.

use std::fmt;
use std::io::{self, IoSlice};
use std::rc::Rc;

use rustls::CommonState;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus, WriteTraffic};

use crate::driver::{Cipher, Opened, Sink, Then};

use super::asked;
use super::records::{AROUND, begins_with_a_record, encode, grow, seal};
use super::session::Session;
use super::side::Side;
use super::words::{TOO_LONG, broken, words};

/// The bytes of a handshake's message in several records, with what is around each, that are kept until it is whole. The
/// longest that rustls takes has 64 KiB; whoever cuts one into crumbs gets no more for them.
const MAX_HELD: usize = 80 * 1024;

/// TLS over one connection.
///
/// ```text
/// Shaking ──▶ Talking ──▶ Ended (the peer says no more; we may)
///    └────────────┴──────────┴───▶ Failed
/// ```
pub(super) struct TlsCipher<S> {
    side: S,
    stage: Stage,
    /// Our side has said that it was all.
    is_closed: bool,
    /// The records of a message of the handshake that is not whole yet, and what follows them.
    held: Vec<u8>,
    /// The name that the client asks for.
    name: Option<Box<str>>,
    /// There is no certificate for that.
    is_refused: bool,
    session: Rc<Session>,
}

#[derive(Debug)]
enum Stage {
    Shaking,
    Talking,
    Ended,
    Failed(Box<str>),
}

/// What came of bytes that rustls was given.
enum Turn {
    /// There may be more in them.
    On,
    /// There is nothing whole left in them.
    Wait,
    /// The peer says no more.
    End,
    Broken(Box<str>),
}

impl<S: Side> TlsCipher<S> {
    pub(super) fn new(side: S, name: Option<Box<str>>, session: Rc<Session>) -> Self {
        Self {
            side,
            stage: Stage::Shaking,
            is_closed: false,
            held: Vec::new(),
            name,
            is_refused: false,
            session,
        }
    }

    /// Goes through the whole records at the front of `came`; says how many bytes are done with.
    fn go_through(&mut self, came: &mut [u8], plain: &mut Sink<'_>, out: &mut Vec<u8>) -> (usize, Turn) {
        let mut taken = 0;
        // Each turn but the last has taken or sent something. That is rustls's promise; a loop must not depend on it.
        for _ in 0..came.len() + MOST_TURNS {
            let (discard, turn) = turn(&mut self.side, &mut came[taken..], plain, out);
            taken += discard;
            self.look();
            if !matches!(turn, Turn::On) {
                return (taken, turn);
            }
        }
        (taken, Turn::Broken("no end of records".into()))
    }

    /// Notes what the last records have brought about.
    fn look(&mut self) {
        if !matches!(self.stage, Stage::Shaking) {
            return;
        }
        if S::IS_SERVER
            && let Some(asked) = asked::take()
        {
            (self.name, self.is_refused) = (asked.name, asked.is_refused);
        }
        let state: &CommonState = self.side.connection();
        if !state.is_handshaking() {
            self.session.begin(state, self.name.take(), S::IS_SERVER);
            self.stage = Stage::Talking;
        }
    }

    /// The same for what is held and what follows it.
    fn go_through_held(&mut self, came: &[u8], plain: &mut Sink<'_>, out: &mut Vec<u8>) -> (usize, Turn) {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(came);
        let (taken, turn) = self.go_through(&mut held, plain, out);
        held.drain(..taken);
        if held.len() <= came.len() && !begins_with_a_record(&held) {
            // Nothing is put together any more: what is left is as it came.
            return (came.len() - held.len(), turn);
        }
        self.held = held;
        (came.len(), turn)
    }

    /// Ends it, with the alert that rustls has for it behind `out`.
    fn fail(&mut self, mut what: Box<str>, out: &mut Vec<u8>) -> io::Error {
        // It gives what it has to send before it looks at any bytes.
        while self.side.connection().wants_write() {
            match self.side.process(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
                _ => break,
            }
        }
        if self.is_refused {
            what = refuse(self.name.as_deref(), out);
        }
        let error = broken(&what);
        self.held = Vec::new();
        self.stage = Stage::Failed(what);
        error
    }

    /// Has `write` make records, after what rustls has to send before.
    fn write<T>(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(WriteTraffic<'_, S::Data>, &mut Vec<u8>) -> io::Result<T>,
    ) -> io::Result<T> {
        // What is held was gone through: there is nothing in it to be taken, but rustls may look at it.
        for _ in 0..MOST_TURNS {
            match self.side.process(&mut self.held).state {
                Ok(ConnectionState::WriteTraffic(traffic)) => return write(traffic, out),
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => break,
            }
        }
        Err(too_late())
    }
}

impl<S: Side> Cipher for TlsCipher<S> {
    fn open(&mut self, came: &mut [u8], plain: &mut Sink<'_>, out: &mut Vec<u8>) -> Opened {
        match &self.stage {
            Stage::Failed(what) => return Opened { taken: came.len(), then: Err(broken(what)) },
            // What comes behind the end is ignored (RFC 8446 §6.1).
            Stage::Ended => return Opened { taken: came.len(), then: Ok(Then::End) },
            Stage::Shaking | Stage::Talking => {}
        }
        let (mut taken, turn) = match self.held.is_empty() {
            true => self.go_through(came, plain, out),
            false => self.go_through_held(came, plain, out),
        };
        let then = match turn {
            Turn::Broken(what) => Err(self.fail(what, out)),
            Turn::End => {
                self.held = Vec::new();
                self.stage = Stage::Ended;
                Ok(Then::End)
            }
            Turn::On | Turn::Wait => {
                if self.held.is_empty() && begins_with_a_record(&came[taken..]) {
                    self.held = came[taken..].to_vec();
                    taken = came.len();
                }
                match self.held.len() > MAX_HELD {
                    true => Err(self.fail(TOO_LONG.into(), out)),
                    false => Ok(Then::More),
                }
            }
        };
        match then {
            Ok(Then::More) => Opened { taken, then },
            then => Opened { taken: came.len(), then },
        }
    }

    fn seal(&mut self, plain: &[IoSlice<'_>], most: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        if self.is_closed || matches!(self.stage, Stage::Shaking | Stage::Failed(_)) {
            return Err(too_late());
        }
        self.write(out, |traffic, out| seal(traffic, plain, most, out))
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.is_closed || matches!(self.stage, Stage::Shaking | Stage::Failed(_)) {
            return;
        }
        self.is_closed = true;
        // Keys that are used up can't even say this; the peer then takes it for cut off, which it is.
        let _said = self.write(out, |mut traffic, out| {
            grow(out, AROUND + 2, |space| traffic.queue_close_notify(space)).map(drop)
        });
    }

    fn is_shaking(&self) -> bool {
        matches!(self.stage, Stage::Shaking)
    }
}

impl<S> fmt::Debug for TlsCipher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCipher")
            .field("stage", &self.stage)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// More turns than one flight of a handshake has records, and a record can begin.
const MOST_TURNS: usize = 256;

/// Gives rustls bytes once; says how many of them are done with.
fn turn<S: Side>(side: &mut S, came: &mut [u8], plain: &mut Sink<'_>, out: &mut Vec<u8>) -> (usize, Turn) {
    let UnbufferedStatus { mut discard, state, .. } = side.process(came);
    let turn = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut turn = Turn::On;
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        plain.put(record.payload);
                    }
                    Err(error) => turn = Turn::Broken(words(&error, S::IS_SERVER).into()),
                }
            }
            turn
        }
        Ok(ConnectionState::EncodeTlsData(data)) => {
            encode(data, out);
            Turn::On
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Turn::On
        }
        Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => Turn::Wait,
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Turn::End,
        // Early data is never offered and never taken.
        Ok(_) => Turn::Broken("data before the handshake".into()),
        Err(error) => Turn::Broken(words(&error, S::IS_SERVER).into()),
    };
    (discard, turn)
}

/// What is said of a name without a certificate. Rustls has one alert for whatever a resolver's reasons are, `access_denied`;
/// the standard has one for this: `unrecognized_name` (RFC 6066 §3), or `missing_extension` where there is no name
/// (RFC 8446 §9.2). Nothing is encrypted yet.
fn refuse(name: Option<&str>, out: &mut [u8]) -> Box<str> {
    if let [.., 21, 3, _, 0, 2, 2, alert @ 49] = out {
        *alert = if name.is_some() { 112 } else { 109 };
    }
    match name {
        Some(name) => format!("no certificate for name {name:?}").into(),
        None => "no certificate for a client that names no server".into(),
    }
}

fn too_late() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "tls: nothing can be sent, before the handshake or after the end",
    )
}
