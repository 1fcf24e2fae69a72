//! Tasks that wait for what other tasks do.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use slab::Slab;

/// What tells the wakers of one task from those of another.
pub(super) type TaskKey = *const ();

/// The tasks of a core that wait for others.
pub(super) type Waiting = Rc<RefCell<Slab<TaskKey>>>;

/// Says, as long as it is there, that a task waits for another.
struct Note {
    number: usize,
    waiting: Waiting,
}

impl Note {
    fn new(waker: &Waker, waiting: &Waiting) -> Self {
        let number = waiting.borrow_mut().insert(waker.data());
        Self { number, waiting: waiting.clone() }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        self.waiting.borrow_mut().try_remove(self.number);
    }
}

/// Waits for `future`, which another task brings about.
pub(super) async fn among<F: Future>(waiting: &Waiting, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut note = None;
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        match polled {
            Poll::Pending if note.is_none() => note = Some(Note::new(cx.waker(), waiting)),
            Poll::Pending => {}
            Poll::Ready(_) => note = None,
        }
        polled
    })
    .await
}
