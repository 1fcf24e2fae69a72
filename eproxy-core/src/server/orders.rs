//! What workers are told while they run.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_std::channel::Sender;

use crate::driver::{Listener, TaskId};

use super::accept;
use super::door::{Door, Entrance};
use super::plan::Plan;
use super::worker::Worker;

/// The number of a listener.
pub(super) type ListenerNumber = u32;

/// The listeners of a worker: each with the accept loops of its sockets.
pub(super) type Entrances = HashMap<ListenerNumber, Vec<(TaskId, Rc<Entrance>)>>;

/// Another description of the server, to take the place of what a worker has.
pub(super) struct Replacement {
    pub(super) plan: Plan,
    /// Listeners that come.
    pub(super) opened: Vec<(ListenerNumber, socket2::Socket, Entrance)>,
    /// What those that stay ask of connections from now on.
    pub(super) kept: Vec<(ListenerNumber, Door)>,
    /// Listeners that go.
    pub(super) closed: Vec<ListenerNumber>,
    /// Dropped when it has taken its place.
    pub(super) done: Sender<Infallible>,
}

/// Where a worker's orders wait until its turn.
#[derive(Default)]
pub(super) struct Orders {
    /// How many wait: looking whether any does costs one load.
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    orders: Vec<Replacement>,
    /// The worker has ended: what it would be told now, sockets among it, is dropped.
    is_closed: bool,
}

impl Orders {
    pub(super) fn give(&self, order: Replacement) {
        let mut waiting = self.waiting();
        if !waiting.is_closed {
            waiting.orders.push(order);
            self.count.store(waiting.orders.len(), Ordering::Release);
        }
    }

    pub(super) fn take(&self) -> Vec<Replacement> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut waiting = self.waiting();
        self.count.store(0, Ordering::Release);
        std::mem::take(&mut waiting.orders)
    }

    /// Nobody takes orders any more.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_closed = true;
        let late = std::mem::take(&mut waiting.orders);
        drop((waiting, late));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections in at a listener.
///
/// # Errors
///
/// The system's poll takes no more sockets.
pub(super) fn open(
    worker: &Rc<Worker>,
    number: ListenerNumber,
    socket: socket2::Socket,
    entrance: Entrance,
) -> io::Result<()> {
    let listener = Listener::new(&worker.core, socket)?;
    let entrance = Rc::new(entrance);
    let task = worker.core.spawn(accept::run(worker.clone(), listener, entrance.clone()));
    worker.entrances.borrow_mut().entry(number).or_default().push((task, entrance));
    Ok(())
}

/// Puts another description of the server in the place of this one.
pub(super) fn replace(worker: &Rc<Worker>, replacement: Replacement) {
    let Replacement { plan, opened, kept, closed, done } = replacement;
    let next = worker.edition().next(&plan, worker.share);
    let before = worker.edition.replace(Rc::new(next));
    for (number, door) in kept {
        for (_, entrance) in worker.entrances.borrow().get(&number).into_iter().flatten() {
            entrance.door.replace(door.clone());
        }
    }
    for number in closed {
        for (task, entrance) in worker.entrances.borrow_mut().remove(&number).into_iter().flatten() {
            entrance.is_closed.set(true);
            worker.core.wake(task);
        }
    }
    for (number, socket, entrance) in opened {
        if let Err(error) = open(worker, number, socket, entrance) {
            worker.journal.note(log::Level::Error, || format!("a listener can't be used: {error}"));
        }
    }
    // There may be room for more connections now.
    worker.wake_acceptors();
    drop(before);
    worker.counters.routes.forget();
    drop(done);
}
