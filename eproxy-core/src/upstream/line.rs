//! Requests that wait for an endpoint to have room: a bounded line, first come, first served, for all cores together.
//!
//! ```text
//!   enter ──▶ waits ──call──▶ called ──has room──▶ leaves
//!     │         ▲                └─ it is not room for this one: the next is called
//!     └ full    └────────────────┘
//! ```
//!
//! No call is lost: room that comes while somebody joins is looked for by the one who joins, and whoever leaves without having
//! followed a call hands it on.
//!
//! There is a lock, and only those take it who find no room, or give room while somebody waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
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

    /// Joins the line unless there are `most` in it already. Who has nobody waiting before is called at once: there may have
    /// been room since it found none.
    pub(super) fn enter(&self, most: usize) -> Option<Ticket<'_>> {
        let mut places = self.places();
        if places.len() >= most {
            return None;
        }
        let is_called = places.iter().all(|place| place.state().is_called);
        let place = Arc::new(Place(Mutex::new(State { is_called, waker: None })));
        places.push_back(place.clone());
        self.length.store(places.len(), Ordering::Relaxed);
        // Either who joins sees the room, or who gives it sees the one who has joined.
        fence(Ordering::SeqCst);
        Some(Ticket { line: self, place })
    }

    /// Calls the first who was not called yet: there is room.
    pub(super) fn call(&self) {
        fence(Ordering::SeqCst);
        if self.length() == 0 {
            return;
        }
        let waker = call_first(self.places().iter());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls the first of these who was not called yet; gives what wakes it.
fn call_first<'a>(mut places: impl Iterator<Item = &'a Arc<Place>>) -> Option<Waker> {
    let call = |place: &Arc<Place>| {
        let mut state = place.state();
        (!std::mem::replace(&mut state.is_called, true)).then(|| state.waker.take())
    };
    places.find_map(call).flatten()
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
            if std::mem::take(&mut state.is_called) {
                // From now on, another call is one to come back for.
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The room was none for this one: whoever comes next is called, and this one waits on.
    pub(super) fn pass_on(&self) {
        let waker = {
            let places = self.line.places();
            let own = places.iter().position(|place| Arc::ptr_eq(place, &self.place));
            call_first(places.iter().skip(own.map_or(0, |own| own + 1)))
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut places = self.line.places();
        places.retain(|place| !Arc::ptr_eq(place, &self.place));
        self.line.length.store(places.len(), Ordering::Relaxed);
        drop(places);
        if self.place.state().is_called {
            // It leaves without having followed that call.
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

    /// A line in which so many wait, none of whom has been called since.
    fn waiting(line: &Line, number: usize) -> Vec<Ticket<'_>> {
        let tickets: Vec<_> = (0..number).map(|_| line.enter(number).unwrap()).collect();
        assert!(is_called(&tickets[0]), "there may be room");
        tickets[0].pass_on();
        tickets[1..].iter().for_each(|ticket| {
            is_called(ticket);
        });
        tickets
    }

    #[test]
    fn the_first_is_called_first_and_the_line_is_bounded() {
        let line = Line::default();
        let mut tickets = waiting(&line, 2);
        assert!(line.enter(2).is_none());
        line.call();
        assert!(is_called(&tickets[0]) && !is_called(&tickets[1]));
        drop(tickets.remove(0));
        assert_eq!(line.length(), 1);
        line.call();
        assert!(is_called(&tickets[0]));
    }

    #[test]
    fn who_cannot_use_the_room_lets_the_next_have_it() {
        let line = Line::default();
        let tickets = waiting(&line, 3);
        line.call();
        assert!(is_called(&tickets[0]));
        tickets[0].pass_on();
        assert!(!is_called(&tickets[0]) && is_called(&tickets[1]) && !is_called(&tickets[2]));
    }

    #[test]
    fn who_joins_looks_for_room_once_more_if_nobody_waits_before() {
        let line = Line::default();
        let first = line.enter(9).unwrap();
        assert!(is_called(&first) && !is_called(&first));
        let second = line.enter(9).unwrap();
        assert!(!is_called(&second), "the first comes first");
    }

    #[test]
    fn a_call_is_not_lost_with_the_one_who_was_called() {
        let line = Line::default();
        let mut tickets = waiting(&line, 2);
        line.call();
        drop(tickets.remove(0));
        assert!(is_called(&tickets[0]));
    }

    #[test]
    fn a_call_that_comes_while_one_looks_for_room_has_it_look_again() {
        let line = Line::default();
        let tickets = waiting(&line, 1);
        line.call();
        assert!(is_called(&tickets[0]));
        line.call();
        tickets[0].pass_on();
        assert!(is_called(&tickets[0]));
    }
}
