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
use std::time::{Duration, Instant};

use slab::Slab;

use crate::driver::{Core, Direction, Peer, Stream, TaskId, Wakeup};
use crate::error::Kind;
use crate::telemetry::{Counters, Journal};

use super::at_once;
use super::desk::Desk;
use super::door::{self, Entrance, Stage};
use super::downstream::{Connection, Place};
use super::edition::{Edition, Share};
use super::exchange::After;
use super::flight::{self, Flight};
use super::life::{Life, Phase};
use super::multiplex::Begun;
use super::orders::{self, Entrances, Orders};
use super::owner::Owner;
use super::plan::Plan;
use super::refuse;
use super::seat::{Job, SPARE_SEATS, Seat};
use super::tunnels;
use super::who::Who;

/// What a worker is given beside what it serves.
pub(super) struct Common {
    pub(super) counters: Arc<Counters>,
    pub(super) journal: Journal,
    pub(super) life: Arc<Life>,
    pub(super) orders: Arc<Orders>,
    pub(super) share: Share,
}

/// A worker; it never leaves its thread.
pub(super) struct Worker {
    pub(super) core: Rc<Core>,
    pub(super) counters: Arc<Counters>,
    pub(super) journal: Journal,
    pub(super) life: Arc<Life>,
    orders: Arc<Orders>,
    pub(super) share: Share,
    /// What is served, and how.
    pub(super) edition: RefCell<Rc<Edition>>,
    /// The server finishes what runs and takes nothing new.
    draining: Rc<Cell<bool>>,
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
    /// The listeners with their accept loops, which end when the server drains or wait for connections to close.
    pub(super) entrances: RefCell<Entrances>,
    accept_waits: Cell<bool>,
    /// The number of accept loops that go on.
    accepting: Rc<Cell<usize>>,
    /// Until when idle connections stay open while the server drains.
    grace: Cell<Option<Instant>>,
}

impl Worker {
    /// Makes the worker of a core.
    pub(super) fn new(core: &Rc<Core>, plan: &Plan, job: Common) -> Rc<Self> {
        let Common { counters, journal, life, orders, share } = job;
        let edition = Edition::first(plan, core, counters.clone(), journal.clone(), share);
        Rc::new(Self {
            core: core.clone(),
            counters,
            journal,
            life,
            orders,
            share,
            draining: edition.site.draining.clone(),
            edition: RefCell::new(Rc::new(edition)),
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
            entrances: RefCell::default(),
            accept_waits: Cell::new(false),
            accepting: Rc::default(),
            grace: Cell::new(None),
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
        let end = self.core.run(|wakeup| self.on_wakeup(wakeup), || self.on_turn());
        self.close();
        end
    }

    /// Takes a turn of a core that is taken through them by hand; says whether anything happened in it.
    ///
    /// # Errors
    ///
    /// The system's poll failed.
    pub(super) fn step(self: &Rc<Self>, most: Duration) -> std::io::Result<bool> {
        self.core.step(most, |wakeup| self.on_wakeup(wakeup), || self.on_turn())
    }

    /// Closes all connections that no task holds.
    pub(super) fn close(&self) {
        self.orders.close();
        drop(self.parked.take());
        drop((self.flights.take(), self.tunnels.take()));
        self.edition().site.upstreams.pool.clear();
        self.seats.borrow_mut().clear();
        self.counters.open.set(self.open.get() as u64);
    }

    /// What is served at the moment, and how.
    pub(super) fn edition(&self) -> Rc<Edition> {
        self.edition.borrow().clone()
    }

    /// A place among the accept loops, for as long as one goes on.
    pub(super) fn acceptor(&self) -> Place {
        Place::new(&self.accepting)
    }

    /// Whether the server finishes what runs and takes nothing new.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether another connection may be accepted; if not, the accept loop is woken when one may.
    pub(super) fn has_room(&self) -> bool {
        let room = self.open.get() < self.edition.borrow().connections;
        self.accept_waits.set(!room);
        room
    }

    /// Takes a connection in; it is served as soon as it can be read, and was done with what its door asks of it.
    pub(super) fn admit(self: &Rc<Self>, stream: Stream, peer: Peer, entrance: &Entrance) {
        let door = &*entrance.door.borrow();
        self.counters.accepted.add();
        let who = Who::new(peer, self.edition.borrow().trusted.believes(peer));
        if door.introduces && !who.is_trusted {
            return refuse::fail(self, peer, "", &Kind::BadProxyProtocol.into());
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
        self.counters.accepted.add();
        let who = Who::new(peer, self.edition.borrow().trusted.believes(peer));
        self.park(self.connection(stream, Who { local: Some(Rc::new(local)), ..who }));
    }

    fn connection(&self, stream: Stream, who: Who) -> Connection {
        let place = Place::new(&self.open);
        Connection { stream, who, stage: Stage::Ready, served: false, place }
    }

    /// Whether another connection may shake hands.
    pub(super) fn has_hands(&self) -> bool {
        self.shaking.get() < self.edition.borrow().handshakes
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

    /// How long a connection may say nothing that has so long otherwise: while the server drains, no longer than others.
    pub(super) fn patience(&self, otherwise: Duration) -> Duration {
        match self.grace.get() {
            Some(end) => otherwise.min(end.saturating_duration_since(self.core.now())),
            None => otherwise,
        }
    }

    /// Leaves a connection without a task until it can be read; it is closed when the server drains, idle connections have
    /// had their time, and nothing is on its way to it.
    pub(super) fn park(self: &Rc<Self>, connection: Connection) {
        let usual = {
            let edition = self.edition.borrow();
            let timeouts = edition.timeouts();
            if connection.served { timeouts.keep_alive } else { timeouts.head }
        };
        let patience = match self.patience(usual) {
            Duration::ZERO if !connection.stream.is_sending() => return,
            Duration::ZERO => usual,
            patience => patience,
        };
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
        if self.edition.borrow().site.upstreams.pool.on_wakeup(number) {
            return;
        }
        // A panic of the engine costs one connection.
        self.core.contain(|| {
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
            (_, true) if self.is_draining() => {
                if connection.stream.is_sending() {
                    self.give_seat(connection, Job::End(After::Close), desk);
                }
            }
            (Stage::Shakes { .. }, true) => door::fail(self, &connection, &Kind::TlsTimeout.into()),
            (_, true) if !connection.served => self.counters.failure(Kind::HeadTimeout),
            (_, true) => {}
        }
    }

    /// Goes on with a tunnel in the next turn.
    pub(super) fn later(&self, tunnel: u32) {
        self.later.borrow_mut().push(tunnel);
        self.core.hurry();
    }

    /// Gives a connection a seat, with the desk that holds what belongs to it; it is served later in this turn.
    pub(super) fn give_seat(self: &Rc<Self>, connection: Connection, job: Job, desk: &mut Box<Desk>) {
        let spare = self.seats.borrow_mut().pop();
        let seat = spare.unwrap_or_else(|| Seat::new(self));
        seat.take(connection, job, desk);
        self.core.wake(seat.task());
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

    pub(super) fn wake_acceptors(&self) {
        self.entrances.borrow().values().flatten().for_each(|(task, _)| self.core.wake(*task));
    }

    /// Begins to end: nobody is let in any more, and connections on which nothing is under way have a little time in which a
    /// request that was sent to them may come.
    fn drain(&self) {
        let grace = self.edition().timeouts().drain_idle;
        self.grace.set(Some(self.core.now() + grace));
        self.wake_acceptors();
        if grace.is_zero() {
            // Those on which an answer is on its way are closed when it has left.
            self.parked.borrow_mut().retain(|_, connection| connection.stream.is_sending());
        } else {
            for (_, connection) in &*self.parked.borrow() {
                connection.stream.set_deadline(Direction::Read, Some(grace));
            }
        }
        self.multiplexed.borrow().iter().for_each(|task| self.core.wake(*task));
    }

    fn on_turn(self: &Rc<Self>) {
        let later = std::mem::take(&mut *self.later.borrow_mut());
        for tunnel in later {
            self.core.contain(|| tunnels::advance(self, tunnel, &mut self.desk.borrow_mut().input));
        }
        self.orders.take().into_iter().for_each(|replacement| orders::replace(self, replacement));
        self.counters.task_panics.set(self.core.panics());
        if self.accept_waits.get() && self.has_room() {
            self.wake_acceptors();
        }
        let phase = self.life.phase();
        if phase >= Phase::Draining && !self.draining.replace(true) {
            self.drain();
        }
        self.counters.open.set(self.open.get() as u64);
        self.counters.http2_open_streams.set(self.streams.get() as u64);
        let is_over = self.is_draining() && self.open.get() == 0 && self.accepting.get() == 0;
        if phase == Phase::Stopped || is_over {
            self.core.stop();
        }
    }

    /// The line of the Date header.
    pub(super) fn date_line(&self) -> Rc<str> {
        self.edition.borrow().site.date.at(self.core.unix_seconds())
    }
}
