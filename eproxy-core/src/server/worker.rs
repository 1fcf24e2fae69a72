//! A worker: a core, the connections on it, and the seats that serve them.
//!
//! A connection that waits for its next request holds a slot and nothing else. When it can be read, it is given a
//! *seat*: a task with a desk of buffers, which serves one connection after another and is never rebuilt. So the memory
//! of a server follows the requests that are being served, not the connections that are open, and a request allocates
//! no task.
//!
//! ```text
//!   accepted ──▶ parked ──readable──▶ seated ──between requests──▶ parked
//!                  └──expired──▶ closed  └──last request, error──▶ closed
//! ```

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use slab::Slab;

use crate::driver::{Core, Direction, Peer, Stream, TaskId, Wakeup};
use crate::error::Kind;
use crate::handler::{Reply, Word};
use crate::message::{Buffer, Field};
use crate::router::Table;
use crate::telemetry::{Counters, Journal};

use super::connection;
use super::options::{Limits, Timeouts};

/// Seats that are kept while nobody needs them; more are made when more connections are busy at once.
const SPARE_SEATS: usize = 256;

/// What is fixed when a server starts.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    /// This worker's share of [`Limits::connections`].
    pub(super) connections: usize,
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
pub(super) struct Stage(AtomicU8);

impl Stage {
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
    pub(super) core: Rc<Core>,
    pub(super) table: Arc<Table>,
    pub(super) options: Options,
    pub(super) counters: Arc<Counters>,
    pub(super) journal: Journal,
    stage: Arc<Stage>,
    /// Connections between requests.
    parked: RefCell<Slab<Connection>>,
    /// Seats that nobody sits on.
    seats: RefCell<Vec<Rc<Seat>>>,
    /// Connections, parked and seated.
    open: Cell<usize>,
    /// The accept loops, which end when the server drains or wait for connections to close.
    acceptors: RefCell<Vec<TaskId>>,
    accept_waits: Cell<bool>,
    date: RefCell<(u64, Rc<str>)>,
    draining: Cell<bool>,
}

/// A downstream connection; it holds its place in the worker's count.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    /// At least one request was served on it.
    pub(super) served: bool,
}

/// A task that serves connections, and the place where the next one is put.
struct Seat {
    task: Cell<TaskId>,
    next: Cell<Option<Connection>>,
}

/// The buffers of a seat, reused by every request that it serves.
pub(super) struct Desk {
    pub(super) input: Buffer,
    pub(super) out: Vec<u8>,
    pub(super) fields: Vec<Field>,
    pub(super) reply: Arc<Reply>,
    /// What the handler has said already.
    pub(super) word: Option<Word>,
}

impl Desk {
    /// Output that is kept allocated between connections.
    const OUT: usize = 16 * 1024;

    fn new() -> Self {
        Self { input: Buffer::new(), out: Vec::new(), fields: Vec::new(), reply: Arc::default(), word: None }
    }

    fn clear(&mut self) {
        self.input.clear();
        self.input.shrink(crate::http1::INPUT);
        self.out.clear();
        self.out.shrink_to(Self::OUT);
    }
}

impl Worker {
    pub(super) fn new(
        core: Rc<Core>,
        table: Arc<Table>,
        options: Options,
        counters: Arc<Counters>,
        journal: Journal,
        stage: Arc<Stage>,
    ) -> Rc<Self> {
        Rc::new(Self {
            core,
            table,
            options,
            counters,
            journal,
            stage,
            parked: RefCell::new(Slab::new()),
            seats: RefCell::new(Vec::new()),
            open: Cell::new(0),
            acceptors: RefCell::new(Vec::new()),
            accept_waits: Cell::new(false),
            date: RefCell::new((u64::MAX, Rc::from(""))),
            draining: Cell::new(false),
        })
    }

    /// Takes turns until the server has stopped.
    ///
    /// # Errors
    ///
    /// The system's poll failed.
    pub(super) fn run(self: &Rc<Self>) -> std::io::Result<()> {
        crate::handler::keep_requests_of_this_thread(SPARE_SEATS);
        let end = self.core.run(|wakeup| self.on_wakeup(wakeup), || self.on_turn());
        let parked = std::mem::take(&mut *self.parked.borrow_mut());
        drop(parked);
        self.seats.borrow_mut().clear();
        end
    }

    pub(super) fn add_acceptor(&self, task: TaskId) {
        self.acceptors.borrow_mut().push(task);
    }

    /// Whether the server finishes what runs and takes nothing new.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether another connection may be accepted; if not, the accept loop is woken when one may.
    pub(super) fn has_room(&self) -> bool {
        let room = self.open.get() < self.options.connections;
        self.accept_waits.set(!room);
        room
    }

    /// Takes a connection in; it is served as soon as it can be read.
    pub(super) fn admit(self: &Rc<Self>, stream: Stream, peer: Peer) {
        self.open.set(self.open.get() + 1);
        self.counters.accepted.add();
        self.counters.open.set(self.open.get() as u64);
        self.park(Connection { stream, peer, served: false });
    }

    /// Leaves a connection without a task until it can be read.
    fn park(self: &Rc<Self>, connection: Connection) {
        let timeouts = &self.options.timeouts;
        let patience = if connection.served { timeouts.keep_alive } else { timeouts.head };
        connection.stream.set_deadline(Direction::Read, Some(patience));
        let number = {
            let mut parked = self.parked.borrow_mut();
            let entry = parked.vacant_entry();
            let number = entry.key() as u32;
            if connection.stream.park(number) {
                entry.insert(connection);
                return;
            }
            number
        };
        // It became readable in the meantime.
        debug_assert!(!self.parked.borrow().contains(number as usize));
        let task = self.seat(connection);
        self.core.wake(task);
    }

    fn on_wakeup(self: &Rc<Self>, wakeup: Wakeup) {
        match wakeup {
            Wakeup::Readable(number) => {
                let connection = self.parked.borrow_mut().try_remove(number as usize);
                if let Some(connection) = connection {
                    // Now, so that the same seat, warm in the caches, is there for the next one.
                    let task = self.seat(connection);
                    self.core.poll_now(task);
                }
            }
            Wakeup::Expired(number) => {
                let connection = self.parked.borrow_mut().try_remove(number as usize);
                if let Some(connection) = connection {
                    if !connection.served {
                        self.counters.failure(Kind::HeadTimeout);
                    }
                    self.close(connection);
                }
            }
        }
    }

    /// Gives a connection to a seat, whose task is then to be run.
    fn seat(self: &Rc<Self>, connection: Connection) -> TaskId {
        let spare = self.seats.borrow_mut().pop();
        let seat = spare.unwrap_or_else(|| {
            let seat = Rc::new(Seat { task: Cell::new(0), next: Cell::new(None) });
            seat.task.set(self.core.spawn(occupy(self.clone(), seat.clone())));
            seat
        });
        seat.next.set(Some(connection));
        seat.task.get()
    }

    fn close(&self, connection: Connection) {
        drop(connection);
        self.left();
    }

    /// A connection is gone.
    fn left(&self) {
        self.open.set(self.open.get() - 1);
        self.counters.open.set(self.open.get() as u64);
        if self.accept_waits.get() {
            self.wake_acceptors();
        }
    }

    fn wake_acceptors(&self) {
        self.acceptors.borrow().iter().for_each(|task| self.core.wake(*task));
    }

    fn on_turn(&self) {
        self.counters.task_panics.set(self.core.panics());
        let phase = self.stage.phase();
        if phase >= Phase::Draining && !self.draining.replace(true) {
            self.wake_acceptors();
            let parked = std::mem::take(&mut *self.parked.borrow_mut());
            parked.into_iter().for_each(|(_, connection)| self.close(connection));
        }
        if phase == Phase::Stopped || (self.draining.get() && self.open.get() == 0) {
            self.core.stop();
        }
    }

    /// The line of the Date header (RFC 9110 §6.6.1), written once a second.
    pub(super) fn date_line(&self) -> Rc<str> {
        let seconds = self.core.unix_seconds();
        let mut date = self.date.borrow_mut();
        if date.0 != seconds {
            let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            *date = (seconds, format!("Date: {}\r\n", httpdate::fmt_http_date(time)).into());
        }
        date.1.clone()
    }
}

/// A seat: serves one connection after another.
async fn occupy(worker: Rc<Worker>, seat: Rc<Seat>) {
    let mut desk = Desk::new();
    loop {
        let mut connection = poll_fn(|_| match seat.next.take() {
            Some(connection) => Poll::Ready(connection),
            None => Poll::Pending,
        })
        .await;
        // However it ends, by a panic too, the connection's place is given back.
        let place = Place(&worker);
        let end = connection::serve(&worker, &mut connection, &mut desk).await;
        desk.clear();
        match end {
            connection::End::Park if !worker.is_draining() => {
                place.keep();
                worker.park(connection);
            }
            _ => {
                drop(connection);
                drop(place);
            }
        }
        let mut seats = worker.seats.borrow_mut();
        if seats.len() >= SPARE_SEATS {
            return;
        }
        seats.push(seat.clone());
    }
}

/// A connection's place in the worker's count.
struct Place<'a>(&'a Worker);

impl Place<'_> {
    /// The connection stays.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.left();
    }
}
