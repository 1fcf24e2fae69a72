//! Readiness of sockets, and their deadlines.
//!
//! Sockets are registered once, edge-triggered, for both directions. A direction stays *ready* until the kernel says
//! `WouldBlock` or fills a read only in part; [`Side::clear`] is the only place where readiness ends. So the system
//! call is always tried first, and waiting costs no system call at all.
//!
//! ```text
//!   a direction:   ready ──clear──▶ waiting ──event──▶ ready
//!                                      │
//!                                   deadline ──▶ expired   (until a new deadline is set)
//! ```

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use mio::event::Source as EventSource;
use mio::{Events, Interest, Token};
use slab::Slab;

use super::among::TaskKey;
use super::batch::Batch;
use super::clock::Clock;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::sealed::Wire;
use super::socket::{Socket, on_socket};
use super::source::{Clear, Direction, Layer, Parting, Source, Waiter, tell};
use super::timer::{Claim, NEVER, Wheel};

/// What a parked socket's event asks its owner to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// There is something to read: data, the end, or an error.
    Readable(u32),
    /// Its read deadline passed.
    Expired(u32),
}

/// The sockets and deadlines of one core.
#[derive(Debug)]
pub(crate) struct Reactor {
    poll: RefCell<mio::Poll>,
    events: RefCell<Events>,
    registry: mio::Registry,
    pub(super) sources: RefCell<Slab<Source>>,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) batch: RefCell<Batch>,
    pub(super) wire: Wire,
    /// Who is to be told of what happened between streams of this core.
    pub(super) told: RefCell<Vec<(u32, Wakeup)>>,
    wheel: RefCell<Wheel>,
    next_serial: Cell<u32>,
    clock: Clock,
    /// Reused by every turn: claims that came due, and wakers to call once nothing is borrowed.
    due: RefCell<Vec<Claim>>,
    wakers: RefCell<Vec<Waker>>,
}

/// The token of the wake-up from other threads; keys of sources stay far below.
pub(super) const WAKE: Token = Token(usize::MAX);

/// How long the last bytes of a stream are offered to the kernel after its owner has gone.
const PARTING: Duration = Duration::from_secs(10);

/// Events taken from the kernel in one turn.
const EVENTS: usize = 256;

impl Reactor {
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            poll: RefCell::new(poll),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            registry,
            sources: RefCell::new(Slab::new()),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            batch: RefCell::default(),
            wire: Wire::default(),
            told: RefCell::default(),
            wheel: RefCell::new(Wheel::new()),
            next_serial: Cell::new(0),
            clock,
            due: RefCell::new(Vec::new()),
            wakers: RefCell::new(Vec::new()),
        })
    }

    pub(super) fn registry(&self) -> &mio::Registry {
        &self.registry
    }

    /// Registers a socket. It is taken for writable from the start, and for readable once the kernel says so, which it
    /// does in the next turn if there is something to read already.
    pub(super) fn register(&self, socket: &mut impl EventSource) -> io::Result<u32> {
        let key = self.insert();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(socket, Token(key as usize), interest) {
            self.remove(key);
            return Err(error);
        }
        Ok(key)
    }

    /// Adds a source without a socket: a timer, or a socket to be registered by the caller.
    pub(super) fn insert(&self) -> u32 {
        let serial = self.next_serial.get();
        self.next_serial.set(serial.wrapping_add(1));
        let key = self.sources.borrow_mut().insert(Source::new(serial));
        u32::try_from(key).expect("a core holds fewer than four thousand million sockets")
    }

    /// What tells a source from all that had its key before, or will.
    pub(super) fn claim(&self, key: u32) -> Option<Claim> {
        let serial = self.sources.borrow().get(key as usize)?.serial;
        Some(Claim { key, serial })
    }

    /// Counts the wakers that wait here, by their tasks.
    pub(super) fn count_wakers(&self, by_task: &mut HashMap<TaskKey, usize>) {
        for (_, source) in &*self.sources.borrow() {
            for side in [&source.read, &source.write] {
                if let Waiter::Task(waker) = &side.waiter {
                    *by_task.entry(waker.data()).or_default() += 1;
                }
            }
        }
    }

    /// Registers the socket of a stream, and keeps it.
    pub(super) fn take_in(&self, mut socket: Socket) -> io::Result<u32> {
        let key = on_socket!(&mut socket, socket => self.register(socket))?;
        self.sources.borrow_mut()[key as usize].socket = Some(socket);
        Ok(key)
    }

    /// Does something with the socket of a stream.
    pub(super) fn with_socket<R>(&self, key: u32, act: impl FnOnce(&Socket) -> R) -> R {
        act(self.sources.borrow()[key as usize].socket.as_ref().expect("streams have one"))
    }

    /// The same for a stream whose bytes are those of its socket; none for others.
    pub(super) fn with_plain<R>(&self, key: u32, act: impl FnOnce(&Socket) -> R) -> Option<R> {
        let source = &self.sources.borrow()[key as usize];
        match (&source.layer, &source.socket) {
            (Layer::Nothing, Some(socket)) => Some(act(socket)),
            _ => None,
        }
    }

    /// Forgets a source; its socket is deregistered by being closed. What was posted to it is sent before; what the kernel does
    /// not take at once is still sent, for a while.
    pub(super) fn remove(&self, key: u32) {
        self.part(key);
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key as usize) else { return };
        if !source.sending.is_something() || source.broken || source.parting == Parting::Resets {
            sources.remove(key as usize);
            return;
        }
        source.parting = Parting::Leaves;
        (source.read.waiter, source.write.waiter) = (Waiter::Nobody, Waiter::Nobody);
        drop(sources);
        self.set_deadline(key, Direction::Read, None);
        self.set_deadline(key, Direction::Write, Some(PARTING));
    }

    /// Makes the end of a stream a reset.
    pub(super) fn resets(&self, key: u32) {
        let source = &mut self.sources.borrow_mut()[key as usize];
        source.parting = Parting::Resets;
        source.socket.as_ref().into_iter().for_each(Socket::reset_on_drop);
    }

    /// Ready when a system call in this direction may get somewhere.
    ///
    /// # Errors
    ///
    /// `TimedOut` once the direction's deadline has passed, until a new one is set.
    pub(super) fn poll_ready(
        &self,
        key: u32,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if direction == Direction::Write {
            self.send_before(key);
        }
        let mut sources = self.sources.borrow_mut();
        let source = &mut sources[key as usize];
        let is_received = direction == Direction::Read && source.holds_bytes();
        let side = source.side(direction);
        if side.expired {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if side.ready || is_received {
            return Poll::Ready(Ok(()));
        }
        match &side.waiter {
            Waiter::Task(waker) if waker.will_wake(cx.waker()) => {}
            _ => side.waiter = Waiter::Task(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Ends readiness of a direction.
    pub(super) fn clear(&self, key: u32, direction: Direction, why: Clear) {
        self.sources.borrow_mut()[key as usize].side(direction).clear(why);
    }

    /// Ready once the connection is known to be reset or hung up. Shares the read direction's waiter.
    pub(super) fn poll_broken(&self, key: u32, cx: &mut Context<'_>) -> Poll<()> {
        let mut sources = self.sources.borrow_mut();
        let source = &mut sources[key as usize];
        if source.broken {
            return Poll::Ready(());
        }
        source.read.waiter = Waiter::Task(cx.waker().clone());
        Poll::Pending
    }

    /// Sets, moves or (with `None`) removes the deadline of a direction, counted from this turn.
    pub(super) fn set_deadline(&self, key: u32, direction: Direction, after: Option<Duration>) {
        let at = after.map_or(NEVER, |after| self.clock.tick_after(after));
        let mut sources = self.sources.borrow_mut();
        let source = &mut sources[key as usize];
        let side = source.side(direction);
        side.deadline = at;
        side.expired = false;
        if at < source.claimed {
            source.claimed = self.wheel.borrow_mut().insert(at, Claim { key, serial: source.serial });
        }
    }

    /// Leaves the socket without a task: `number` comes back in a [`Wakeup`] when it can be read or expires.
    pub(super) fn park(&self, key: u32, number: u32) {
        let mut sources = self.sources.borrow_mut();
        let source = &mut sources[key as usize];
        source.read.waiter = Waiter::Parked(number);
        source.write.waiter = Waiter::Nobody;
    }

    /// Has the owner told, under `number`, when the socket can be written to.
    pub(super) fn watch_write(&self, key: u32, number: u32) {
        self.sources.borrow_mut()[key as usize].write.waiter = Waiter::Parked(number);
    }

    /// Forgets whom to tell of the read direction.
    pub(super) fn unwatch(&self, key: u32) {
        self.sources.borrow_mut()[key as usize].read.waiter = Waiter::Nobody;
    }

    /// Forgets whom to tell of the read direction, and its deadline.
    pub(super) fn unpark(&self, key: u32) {
        let side = &mut self.sources.borrow_mut()[key as usize].read;
        (side.waiter, side.deadline, side.expired) = (Waiter::Nobody, NEVER, false);
    }

    /// Whether the peer has ended its side.
    pub(super) fn is_closed(&self, key: u32) -> bool {
        self.sources.borrow()[key as usize].read.closed
    }

    /// Whether the deadline of a direction has passed.
    pub(super) fn has_expired(&self, key: u32, direction: Direction) -> bool {
        self.sources.borrow_mut()[key as usize].side(direction).expired
    }

    /// Whether the read direction is ready and has not expired.
    pub(super) fn is_readable(&self, key: u32) -> bool {
        self.sources.borrow()[key as usize].is_readable()
    }

    /// Whether the write direction is ready and has not expired.
    pub(super) fn is_writable(&self, key: u32) -> bool {
        self.send_before(key);
        let side = &self.sources.borrow()[key as usize].write;
        side.ready && !side.expired
    }

    /// One turn: asks the kernel once, marks what became ready and what expired, and tells everybody. Says whether there was
    /// anything.
    pub(super) fn turn(&self, limit: Option<Duration>, parked: &mut Vec<(u32, Wakeup)>) -> io::Result<bool> {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, limit) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.clock.turn();
        let mut wakers = self.wakers.borrow_mut();
        self.mark_ready(&events, parked, &mut wakers);
        let is_due = self.mark_expired(parked, &mut wakers);
        for waker in wakers.drain(..) {
            waker.wake();
        }
        Ok(is_due || !events.is_empty())
    }

    fn mark_ready(&self, events: &Events, parked: &mut Vec<(u32, Wakeup)>, wakers: &mut Vec<Waker>) {
        let mut sources = self.sources.borrow_mut();
        for event in events {
            let Some(source) = sources.get_mut(event.token().0) else { continue };
            let key = event.token().0 as u32;
            if event.is_error() || event.is_write_closed() {
                source.broken = true;
            }
            let mut is_sent = false;
            if event.is_writable() || source.broken {
                is_sent = source.sending.is_something();
                if source.send_rest() {
                    if source.parting == Parting::Leaves {
                        sources.remove(key as usize);
                        continue;
                    }
                    source.write.ready = true;
                    tell(&mut source.write.waiter, |number| (key, Wakeup::Readable(number)), parked, wakers);
                }
            }
            if event.is_readable() || event.is_read_closed() || source.broken {
                source.read.ready = true;
                source.read.closed |= event.is_read_closed() || source.broken;
            }
            // Whoever waits to close a connection is told that all was sent.
            if event.is_readable() || event.is_read_closed() || source.broken || is_sent {
                tell(&mut source.read.waiter, |number| (key, Wakeup::Readable(number)), parked, wakers);
            }
        }
    }

    /// Says whether anything had to be looked at.
    fn mark_expired(&self, parked: &mut Vec<(u32, Wakeup)>, wakers: &mut Vec<Waker>) -> bool {
        let mut due = self.due.borrow_mut();
        let mut wheel = self.wheel.borrow_mut();
        let now = self.clock.tick();
        wheel.expire(now, &mut due);
        let is_due = !due.is_empty();
        let mut sources = self.sources.borrow_mut();
        for claim in due.drain(..) {
            let Some(source) = sources.get_mut(claim.key as usize) else { continue };
            // A deadline was brought forward since this claim: a later one of the same source is on the wheel.
            if source.serial != claim.serial || source.claimed > now {
                continue;
            }
            if source.parting == Parting::Leaves && source.write.deadline <= now {
                sources.remove(claim.key as usize);
                continue;
            }
            for side in [&mut source.read, &mut source.write] {
                if side.deadline <= now {
                    (side.expired, side.deadline) = (true, NEVER);
                    tell(&mut side.waiter, |number| (claim.key, Wakeup::Expired(number)), parked, wakers);
                }
            }
            let next = source.read.deadline.min(source.write.deadline);
            source.claimed = if next == NEVER { NEVER } else { wheel.insert(next, claim) };
        }
        is_due
    }

    /// How long the next turn may sleep.
    pub(super) fn patience(&self) -> Option<Duration> {
        let next = self.wheel.borrow().next()?;
        Some(self.clock.until(next))
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time at which this turn began.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Seconds since 1970 at which this turn began, as of the system's wall clock.
    pub(super) fn unix_seconds(&self) -> u64 {
        self.clock.unix_seconds()
    }
}
