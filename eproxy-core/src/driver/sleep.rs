//! Waiting for nothing but the time.

use std::task::{Context, Poll};
use std::time::Duration;

use super::reactor::Reactor;
use super::source::Direction;

impl Reactor {
    /// Ready when `after`, counted from the first poll, is over.
    pub(super) fn sleep(&self, after: Duration) -> Sleep<'_> {
        let key = self.insert();
        self.set_deadline(key, Direction::Read, Some(after));
        Sleep { reactor: self, key }
    }
}

/// The future of [`Reactor::sleep`].
#[derive(Debug)]
pub(crate) struct Sleep<'a> {
    reactor: &'a Reactor,
    key: u32,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.reactor.poll_ready(self.key, Direction::Read, cx).map(|_| ())
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.reactor.remove(self.key);
    }
}
