//! What workers are told while they run.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use async_std::channel::Sender;

use super::door::{Door, Entrance};
use super::plan::Plan;

/// The number of a listener.
pub(super) type ListenerNumber = u32;

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
    waiting: Mutex<Vec<Replacement>>,
}

impl Orders {
    pub(super) fn give(&self, order: Replacement) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(order);
        self.count.store(waiting.len(), Ordering::Release);
    }

    pub(super) fn take(&self) -> Vec<Replacement> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.count.store(0, Ordering::Release);
        std::mem::take(&mut waiting)
    }
}
