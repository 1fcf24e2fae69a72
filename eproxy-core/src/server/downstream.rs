//! Connections of clients, and how many there are.

use std::cell::Cell;
use std::rc::Rc;

use crate::driver::Stream;

use super::door::Stage;
use super::who::Who;

/// A downstream connection; it holds its place in the worker's count.
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) who: Who,
    pub(super) stage: Stage,
    /// At least one request was served on it.
    pub(super) served: bool,
    pub(super) place: Place,
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
    pub(super) fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
