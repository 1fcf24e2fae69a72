//! A source of events: a socket, or a timer without one.

use std::task::Waker;

use super::duct::Duct;
use super::inbox::Received;
use super::outbox::Sending;
use super::reactor::Wakeup;
use super::sealed::Sealed;
use super::socket::Socket;
use super::timer::{NEVER, Tick};

/// A direction of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// Why readiness of a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clear {
    /// The kernel said `WouldBlock`.
    WouldBlock,
    /// A read came back with less than was asked for: the socket's buffer is empty. Not believed once the peer has
    /// closed, because no further event announces the end of the stream.
    ShortRead,
}

/// Who is told of an event.
#[derive(Debug)]
pub(super) enum Waiter {
    Nobody,
    Task(Waker),
    /// No task: the owner finds the parked connection by this number.
    Parked(u32),
}

/// One direction of a source.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) ready: bool,
    /// The peer has ended this direction; see [`Clear::ShortRead`].
    pub(super) closed: bool,
    pub(super) expired: bool,
    pub(super) waiter: Waiter,
    pub(super) deadline: Tick,
}

impl Side {
    pub(super) fn new(ready: bool) -> Self {
        Self { ready, closed: false, expired: false, waiter: Waiter::Nobody, deadline: NEVER }
    }

    pub(super) fn clear(&mut self, why: Clear) {
        if why == Clear::WouldBlock || !self.closed {
            self.ready = false;
        }
    }
}

/// What is between the owner of a stream and its socket.
#[derive(Debug)]
pub(super) enum Layer {
    Nothing,
    /// A cipher.
    Sealed(Box<Sealed>),
    /// There is no socket: the other end is a stream of the same core.
    Duct(Box<Duct>),
}

/// How a stream ends whose last bytes the kernel has not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    Stays,
    /// Nothing follows them.
    Finishes,
    /// Nobody has the stream any more: it goes when they have left.
    Leaves,
    /// It goes at once, with a reset.
    Resets,
    /// The same; what was sent was not looked at. Only a duct can tell.
    Refuses,
}

/// A registered socket, or a timer without one.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) read: Side,
    pub(super) write: Side,
    /// The connection was reset, or its peer takes no more bytes.
    pub(super) broken: bool,
    /// The socket of a stream, what was read of it ahead, and what is still to be written to it.
    pub(super) socket: Option<Socket>,
    pub(super) received: Received,
    pub(super) sending: Sending,
    pub(super) layer: Layer,
    pub(super) parting: Parting,
    /// Tells this source's claims from those of a former holder of its key.
    pub(super) serial: u32,
    /// When the earliest claim on the wheel comes due; `NEVER` without one.
    pub(super) claimed: Tick,
}

impl Source {
    pub(super) fn new(serial: u32) -> Self {
        Self {
            read: Side::new(false),
            write: Side::new(true),
            broken: false,
            socket: None,
            received: Received::Nothing,
            sending: Sending::Nothing,
            layer: Layer::Nothing,
            parting: Parting::Stays,
            serial,
            claimed: NEVER,
        }
    }

    /// Whether bytes are there for a reader that no event will announce.
    pub(super) fn holds_bytes(&self) -> bool {
        let is_unsealed = matches!(&self.layer, Layer::Sealed(sealed) if sealed.has_news());
        self.received.is_something() || is_unsealed
    }

    /// Whether the read direction is ready and has not expired.
    pub(super) fn is_readable(&self) -> bool {
        (self.read.ready || self.holds_bytes()) && !self.read.expired
    }

    /// Whether something may come of the socket.
    pub(super) fn may_receive(&self) -> bool {
        (self.read.ready || self.received.is_something()) && !self.read.expired
    }

    pub(super) fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }
}

/// Tells whoever waits, once.
pub(super) fn tell(
    waiter: &mut Waiter,
    wakeup: impl FnOnce(u32) -> (u32, Wakeup),
    parked: &mut Vec<(u32, Wakeup)>,
    wakers: &mut Vec<Waker>,
) {
    match std::mem::replace(waiter, Waiter::Nobody) {
        Waiter::Nobody => {}
        Waiter::Task(waker) => wakers.push(waker),
        Waiter::Parked(number) => parked.push(wakeup(number)),
    }
}
