//! Requests that wait for an endpoint to have room: a bounded line, first come, first served, for all cores together.
//!
//! ```text
//!   enter ──▶ waits ──call──▶ called ──has room──▶ leaves
//!     │         ▲                └─ it is not room for this one: the next is called
//!     └ full    └────────────────┘
//! ```
//!
//! There is a lock, and only those take it who find no room, or give room while somebody waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Line {
    length: AtomicUsize,
    places: Mutex<VecDeque<Arc<Place>>>,
}

/// A place in the line.
#[derive(Debug, Default)]
struct Place(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_called: bool,
    /// It has made use of the room that it was called for.
    is_served: bool,
    waker: Option<Waker>,
}

/// One who waits; who goes away leaves the line by dropping it.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    line: &'a Line,
    place: Arc<Place>,
}

impl Line {
    pub(super) fn length(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Joins the line unless there are `most` in it already.
    pub(super) fn enter(&self, most: usize) -> Option<Ticket<'_>> {
        let mut places = self.places();
        if places.len() >= most {
            return None;
        }
        let place = Arc::new(Place::default());
        places.push_back(place.clone());
        self.length.store(places.len(), Ordering::Relaxed);
        Some(Ticket { line: self, place })
    }

    /// Calls the first who was not called yet: there is room.
    pub(super) fn call(&self) {
        if self.length() == 0 {
            return;
        }
        let waker = self.places().iter().find_map(|place| {
            let mut state = place.state();
            (!std::mem::replace(&mut state.is_called, true)).then(|| state.waker.take())
        });
        if let Some(waker) = waker.flatten() {
            waker.wake();
        }
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Waits to be called.
    pub(super) async fn called(&self) {
        poll_fn(|cx| {
            let mut state = self.place.state();
            if state.is_called {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The room was used.
    pub(super) fn served(&self) {
        self.place.state().is_served = true;
    }

    /// The room is gone: this one waits on.
    pub(super) fn again(&self) {
        self.place.state().is_called = false;
    }

    /// The room is none for this one: whoever comes next is called, and this one waits on.
    pub(super) fn pass_on(&self) {
        self.line.call();
        self.again();
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut places = self.line.places();
        places.retain(|place| !Arc::ptr_eq(place, &self.place));
        self.line.length.store(places.len(), Ordering::Relaxed);
        drop(places);
        let State { is_called, is_served, .. } = *self.place.state();
        if is_called && !is_served {
            // It went away with the room that it was called for.
            self.line.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn is_called(ticket: &Ticket<'_>) -> bool {
        pin!(ticket.called()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_first_is_called_first_and_the_line_is_bounded() {
        let line = Line::default();
        let (first, second) = (line.enter(2).unwrap(), line.enter(2).unwrap());
        assert!(line.enter(2).is_none());
        line.call();
        assert!(is_called(&first) && !is_called(&second));
        drop(first);
        assert_eq!(line.length(), 1);
        line.call();
        assert!(is_called(&second));
    }

    #[test]
    fn who_goes_away_called_leaves_the_room_to_the_next() {
        let line = Line::default();
        let (first, second) = (line.enter(9).unwrap(), line.enter(9).unwrap());
        line.call();
        drop(first);
        assert!(is_called(&second));
        second.served();
        let third = line.enter(9).unwrap();
        drop(second);
        assert!(!is_called(&third));
    }

    #[test]
    fn who_cannot_use_the_room_lets_the_next_have_it() {
        let line = Line::default();
        let (first, second) = (line.enter(9).unwrap(), line.enter(9).unwrap());
        line.call();
        first.pass_on();
        assert!(!is_called(&first) && is_called(&second));
    }
}
