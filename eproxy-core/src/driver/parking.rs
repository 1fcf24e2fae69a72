//! Streams that nobody reads: who is told when something comes, and how long that may take.

use std::time::Duration;

use super::source::Direction;
use super::stream::Stream;

impl Stream {
    /// Sets, moves or removes the deadline of a direction, counted from the beginning of this turn.
    pub(crate) fn set_deadline(&self, direction: Direction, after: Option<Duration>) {
        self.reactor().set_deadline(self.key(), direction, after);
    }

    /// Whether the deadline of a direction has passed.
    pub(crate) fn has_expired(&self, direction: Direction) -> bool {
        self.reactor().has_expired(self.key(), direction)
    }

    /// Leaves the connection without a task until it can be read or its read deadline passes; `number` then comes back
    /// to the owner in a [`Wakeup`](super::Wakeup). Says no where it can be read right now.
    pub(crate) fn park(&self, number: u32) -> bool {
        if self.reactor().is_readable(self.key()) {
            return false;
        }
        self.reactor().park(self.key(), number);
        true
    }

    /// Has the owner told when more can be read or the read deadline passes, whether or not something can be read now.
    pub(crate) fn watch(&self, number: u32) {
        self.reactor().park(self.key(), number);
    }

    /// Has the owner told, once, when more can be written.
    pub(crate) fn watch_write(&self, number: u32) {
        self.reactor().watch_write(self.key(), number);
    }

    /// Ends [`watch`](Self::watch).
    pub(crate) fn unwatch(&self) {
        self.reactor().unwatch(self.key());
    }

    /// Takes the connection back from where it was parked: nobody is told of it any more.
    pub(crate) fn unpark(&self) {
        self.reactor().unpark(self.key());
    }
}
