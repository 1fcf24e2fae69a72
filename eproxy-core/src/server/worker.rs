//! A worker: a core, and the connections on it.
//!
//! A connection that waits for its next request, or for an upstream's answer, holds a slot and nothing else. What comes on
//! it is served from the event that announces it, as far as nothing has to be waited for; only then is it given a *seat*,
//! a task with a desk of buffers. So the memory of a server follows the requests that are being worked on, not the
//! connections that are open.
//!
//! ```text
//!   accepted ──▶ parked ──readable──▶ at once ──answered──▶ parked
//!                  │                     ├──sent on──▶ flight ──answered──▶ parked
//!                  │                     │                └──more to it──▶ seat
//!                  │                     └──something to wait for──▶ seat ──between requests──▶ parked
//!                  └──expired──▶ closed                                └──last request, error──▶ closed
//! ```

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use slab::Slab;

use crate::driver::{Direction, Peer, Stream, TaskId, Wakeup};
use crate::error::Kind;
use crate::message::Limits;
use crate::proxy::Site;
use crate::router::{RouteNumber, Table};

use super::at_once;
use super::desk::Desk;
use super::door::{self, Door, Stage};
use super::flight::{self, Flight};
use super::multiplex::Begun;
use super::owner::Owner;
use super::refuse;
use super::seat::{Job, SPARE_SEATS, Seat};
use super::trust::Trusted;
use super::tunnels;
use super::who::Who;

/// What is fixed when a server starts.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) limits: Limits,
    /// This worker's shares of [`Limits::connections`] and [`Limits::handshakes`].
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    pub(super) trusted: Trusted,
    /// The header field of requests that ask what becomes of them.
    pub(super) explain: Option<Arc<str>>,
}

/// The phases of a server's life; they only ever advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Running,
    /// No new connections; the exchanges that run are finished.
    Draining,
    /// Everything ends now.
    Stopped,
}

/// The phase of a server, set by its handle and looked at by its workers.
#[derive(Debug)]
pub(super) struct Life(AtomicU8);

impl Life {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(Phase::Running as u8))
    }

    pub(super) fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }
}

/// A worker; it never leaves its thread.
pub(super) struct Worker {
    pub(super) site: Rc<Site>,
    pub(super) table: Arc<Table>,
    pub(super) options: Options,
    life: Arc<Life>,
    /// Connections between requests.
    parked: RefCell<Slab<Connection>>,
    /// Connections whose request is with an upstream.
    pub(super) flights: RefCell<Slab<(Connection, Flight)>>,
    pub(super) tunnels: RefCell<Slab<tunnels::Entry>>,
    /// Tunnels that have more to move and gave others their turn.
    later: RefCell<Vec<u32>>,
    /// For what is done at once.
    desk: RefCell<Box<Desk>>,
    /// Seats that nobody sits on.
    seats: RefCell<Vec<Rc<Seat>>>,
    /// The tasks of connections that speak HTTP/2.
    pub(super) multiplexed: RefCell<HashSet<TaskId>>,
    /// A head on its way into the words of HTTP/1.1, and streams whose exchanges are still to be begun; empty in between.
    pub(super) head: RefCell<Vec<u8>>,
    pub(super) begun: RefCell<Vec<Begun>>,
    /// The number of connections, and of the streams of some.
    open: Rc<Cell<usize>>,
    streams: Rc<Cell<usize>>,
    /// The number of handshakes that go on.
    shaking: Rc<Cell<usize>>,
    /// The accept loops, which end when the server drains or wait for connections to close.
    acceptors: RefCell<Vec<TaskId>>,
    accept_waits: Cell<bool>,
}

/// A downstream connection; it holds its place in the worker's count.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) who: Who,
    pub(super) stage: Stage,
    /// At least one request was served on it.
    pub(super) served: bool,
    place: Place,
}

impl Connection {
    /// The stream, and its place in the worker's count.
    pub(super) fn into_parts(self) -> (Stream, Place) {
        (self.stream, self.place)
    }
}

/// A place in the worker's count.
pub(super) struct Place(Rc<Cell<usize>>);

impl Place {
    fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Worker {
    pub(super) fn new(site: Site, table: Arc<Table>, options: Options, life: Arc<Life>) -> Rc<Self> {
        Rc::new(Self {
            site: Rc::new(site),
            table,
            options,
            life,
            parked: RefCell::default(),
            flights: RefCell::default(),
            tunnels: RefCell::default(),
            later: RefCell::default(),
            desk: RefCell::new(Desk::new()),
            seats: RefCell::default(),
            multiplexed: RefCell::default(),
            head: RefCell::default(),
            begun: RefCell::default(),
            open: Rc::default(),
            streams: Rc::default(),
            shaking: Rc::default(),
            acceptors: RefCell::default(),
            accept_waits: Cell::new(false),
        })
    }

    /// Takes turns until the server has stopped.
    ///
    /// # Errors
    ///
    /// The system's poll failed.
    pub(super) fn run(self: &Rc<Self>) -> std::io::Result<()> {
        crate::handler::keep_requests_of_this_thread(SPARE_SEATS);
        crate::message::keep_buffers_of_this_thread(SPARE_SEATS);
        let end = self.site.core.run(|wakeup| self.on_wakeup(wakeup), || self.on_turn());
        self.close();
        end
    }

    /// Takes a turn of a core that is taken through them by hand; says whether anything happened in it.
    ///
    /// # Errors
    ///
    /// The system's poll failed.
    pub(super) fn step(self: &Rc<Self>, most: Duration) -> std::io::Result<bool> {
        self.site.core.step(most, |wakeup| self.on_wakeup(wakeup), || self.on_turn())
    }

    /// Closes all connections that no task holds.
    pub(super) fn close(&self) {
        let parked = std::mem::take(&mut *self.parked.borrow_mut());
        drop(parked);
        let flights = std::mem::take(&mut *self.flights.borrow_mut());
        let tunnels = std::mem::take(&mut *self.tunnels.borrow_mut());
        drop((flights, tunnels));
        self.site.upstreams.pool.clear();
        self.seats.borrow_mut().clear();
        self.site.counters.open.set(self.open.get() as u64);
    }

    pub(super) fn add_acceptor(&self, task: TaskId) {
        self.acceptors.borrow_mut().push(task);
    }

    /// Whether the server finishes what runs and takes nothing new.
    pub(super) fn is_draining(&self) -> bool {
        self.site.draining.get()
    }

    /// Whether another connection may be accepted; if not, the accept loop is woken when one may.
    pub(super) fn has_room(&self) -> bool {
        let room = self.open.get() < self.options.connections;
        self.accept_waits.set(!room);
        room
    }

    /// Takes a connection in; it is served as soon as it can be read, and was done with what its door asks of it.
    pub(super) fn admit(self: &Rc<Self>, stream: Stream, peer: Peer, door: &Door) {
        self.site.counters.accepted.add();
        let who = Who::new(peer, self.options.trusted.believes(peer));
        if door.introduces && !who.is_trusted {
            return refuse::fail(self, peer, RouteNumber::NONE, &Kind::BadProxyProtocol.into());
        }
        let connection = self.connection(stream, who);
        match &door.tls {
            tls if door.introduces => {
                self.park(Connection { stage: Stage::Introduces(tls.clone()), ..connection });
            }
            Some(tls) => {
                let shaking = door::shake(self, connection, tls, &mut []);
                shaking.into_iter().for_each(|connection| self.park(connection));
            }
            None => self.park(connection),
        }
    }

    /// Takes a connection in that was made to `local`, which its stream does not tell.
    pub(super) fn admit_at(self: &Rc<Self>, stream: Stream, peer: Peer, local: SocketAddr) {
        self.site.counters.accepted.add();
        let who = Who::new(peer, self.options.trusted.believes(peer));
        self.park(self.connection(stream, Who { local: Some(Rc::new(local)), ..who }));
    }

    fn connection(&self, stream: Stream, who: Who) -> Connection {
        let place = Place::new(&self.open);
        Connection { stream, who, stage: Stage::Ready, served: false, place }
    }

    /// Whether another connection may shake hands.
    pub(super) fn has_hands(&self) -> bool {
        self.shaking.get() < self.options.handshakes
    }

    /// A place among those that do.
    pub(super) fn hand(&self) -> Place {
        Place::new(&self.shaking)
    }

    /// The engine's end of a stream of a connection, which has its own place.
    pub(super) fn stream_of(&self, stream: Stream, who: &Who) -> Connection {
        let place = Place::new(&self.streams);
        Connection { stream, who: who.clone(), stage: Stage::Ready, served: false, place }
    }

    /// The desk for what is done at once; nobody else of this core has it.
    pub(super) fn desk(&self) -> RefMut<'_, Box<Desk>> {
        self.desk.borrow_mut()
    }

    /// Leaves a connection without a task until it can be read; it is closed when the server drains and nothing is on its
    /// way to it.
    pub(super) fn park(self: &Rc<Self>, connection: Connection) {
        if self.is_draining() && !connection.stream.is_sending() {
            return;
        }
        let timeouts = &self.site.timeouts;
        let patience = if connection.served { timeouts.keep_alive } else { timeouts.head };
        // The time of a handshake is that of all of it.
        if !matches!(connection.stage, Stage::Shakes { .. }) {
            connection.stream.set_deadline(Direction::Read, Some(patience));
        }
        {
            let mut parked = self.parked.borrow_mut();
            let entry = parked.vacant_entry();
            if connection.stream.park(Owner::Parked(entry.key() as u32).number()) {
                entry.insert(connection);
                return;
            }
        }
        // It became readable in the meantime.
        match connection.stage {
            Stage::Shakes { .. } => door::on_shaking(self, connection, &mut Desk::new()),
            _ => self.give_seat(connection, Job::Serve, &mut Desk::new()),
        }
    }

    fn on_wakeup(self: &Rc<Self>, wakeup: Wakeup) {
        let (Wakeup::Readable(number) | Wakeup::Expired(number)) = wakeup;
        if self.site.upstreams.pool.on_wakeup(number) {
            return;
        }
        // A panic of the engine costs one connection.
        self.site.core.contain(|| {
            let desk = &mut *self.desk.borrow_mut();
            let is_late = matches!(wakeup, Wakeup::Expired(_));
            match Owner::of(number) {
                Owner::Parked(index) => self.on_parked(index, is_late, desk),
                Owner::FlightUpstream(index) => flight::on_upstream(self, index, is_late, desk),
                Owner::FlightClient(index) => flight::on_client(self, index, desk),
                Owner::Tunnel(index) => tunnels::advance(self, index, &mut desk.input),
            }
        });
    }

    fn on_parked(self: &Rc<Self>, index: u32, is_late: bool, desk: &mut Box<Desk>) {
        let Some(connection) = self.parked.borrow_mut().try_remove(index as usize) else { return };
        match (&connection.stage, is_late) {
            (Stage::Ready, false) => at_once::serve(self, connection, desk),
            (Stage::Shakes { .. }, false) => door::on_shaking(self, connection, desk),
            (Stage::Introduces(_), false) => self.give_seat(connection, Job::Serve, desk),
            (Stage::Shakes { .. }, true) => door::fail(self, &connection, &Kind::TlsTimeout.into()),
            (_, true) if !connection.served => self.site.counters.failure(Kind::HeadTimeout),
            (_, true) => {}
        }
    }

    /// Goes on with a tunnel in the next turn.
    pub(super) fn later(&self, tunnel: u32) {
        self.later.borrow_mut().push(tunnel);
        self.site.core.hurry();
    }

    /// Gives a connection a seat, with the desk that holds what belongs to it; it is served later in this turn.
    pub(super) fn give_seat(self: &Rc<Self>, connection: Connection, job: Job, desk: &mut Box<Desk>) {
        let spare = self.seats.borrow_mut().pop();
        let seat = spare.unwrap_or_else(|| Seat::new(self));
        seat.take(connection, job, desk);
        self.site.core.wake(seat.task());
    }

    /// Takes a seat back that nobody sits on; says no where there are enough.
    pub(super) fn leave_seat(&self, seat: &Rc<Seat>) -> bool {
        let mut seats = self.seats.borrow_mut();
        let is_wanted = seats.len() < SPARE_SEATS;
        if is_wanted {
            seats.push(seat.clone());
        }
        is_wanted
    }

    fn wake_acceptors(&self) {
        self.acceptors.borrow().iter().for_each(|task| self.site.core.wake(*task));
    }

    fn on_turn(self: &Rc<Self>) {
        let later = std::mem::take(&mut *self.later.borrow_mut());
        for tunnel in later {
            self.site.core.contain(|| tunnels::advance(self, tunnel, &mut self.desk.borrow_mut().input));
        }

        self.site.counters.task_panics.set(self.site.core.panics());
        if self.accept_waits.get() && self.has_room() {
            self.wake_acceptors();
        }
        let phase = self.life.phase();
        if phase >= Phase::Draining && !self.site.draining.replace(true) {
            self.wake_acceptors();
            // Those on which an answer is on its way are closed when it has left.
            self.parked.borrow_mut().retain(|_, connection| connection.stream.is_sending());
            self.multiplexed.borrow().iter().for_each(|task| self.site.core.wake(*task));
        }
        self.site.counters.open.set(self.open.get() as u64);
        self.site.counters.http2_open_streams.set(self.streams.get() as u64);
        if phase == Phase::Stopped || (self.is_draining() && self.open.get() == 0) {
            self.site.core.stop();
        }
    }

    /// The line of the Date header.
    pub(super) fn date_line(&self) -> Rc<str> {
        self.site.date.at(self.site.core.unix_seconds())
    }
}
