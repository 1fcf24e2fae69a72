//! Wakers that a core keeps itself: those of tasks that wait for each other.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

use slab::Slab;

/// What tells the wakers of one task from those of another.
pub(super) type TaskKey = *const ();

/// The tasks of all wakers that a core keeps.
pub(super) type AllKept = Rc<RefCell<Slab<TaskKey>>>;

/// A waker in a list of this core, of those who wait for something that another task of it does. A core whose clock is moved
/// by hand must know it from one that was given to somebody outside.
#[derive(Debug)]
pub(crate) struct Kept {
    waker: Waker,
    number: usize,
    all: AllKept,
}

impl Kept {
    pub(super) fn new(waker: &Waker, all: &AllKept) -> Self {
        let number = all.borrow_mut().insert(waker.data());
        Self { waker: waker.clone(), number, all: all.clone() }
    }

    /// Wakes the task.
    pub(crate) fn wake(self) {
        self.waker.wake_by_ref();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.all.borrow_mut().try_remove(self.number);
    }
}

/// Says of a waker that is in a list which other threads reach, too, that who waits there waits for a task of this core as
/// well: for as long as this is there.
#[derive(Debug)]
pub(crate) struct Known {
    number: usize,
    all: AllKept,
}

impl Known {
    pub(super) fn new(waker: &Waker, all: &AllKept) -> Self {
        Self { number: all.borrow_mut().insert(waker.data()), all: all.clone() }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.all.borrow_mut().try_remove(self.number);
    }
}
