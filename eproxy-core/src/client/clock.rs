//! Deadlines of all requests of a client, by one coarse ticker.
//!
//! A timer of its own for every request would cost a lock and a wake-up of the reactor's thread each time. Here a
//! deadline is a number in a table, and one task looks at the table ten times a second, as long as there is something
//! in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

/// How often the table is looked at.
const TICK: Duration = Duration::from_millis(100);

/// The table of deadlines.
#[derive(Debug, Default)]
pub(super) struct Clock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Ticks so far, while there was something to time.
    now: u64,
    ticking: bool,
    deadlines: Slab<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    expired: bool,
    waker: Option<Waker>,
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deadline `after` from now.
    pub(super) fn deadline(self: &Arc<Self>, after: Duration) -> Deadline {
        let mut state = self.lock();
        let at = state.after(after);
        let key = state.deadlines.insert(Entry { at, expired: false, waker: None });
        if !std::mem::replace(&mut state.ticking, true) {
            async_std::task::spawn(tick(Arc::downgrade(self)));
        }
        drop(state);
        Deadline { clock: self.clone(), key }
    }

    /// Moves on by a tick and wakes who is late; says whether there is more to time.
    fn advance(&self) -> bool {
        let mut late = Vec::new();
        let mut state = self.lock();
        state.now += 1;
        let now = state.now;
        for (_, entry) in &mut state.deadlines {
            if !entry.expired && entry.at <= now {
                entry.expired = true;
                late.extend(entry.waker.take());
            }
        }
        state.ticking = !state.deadlines.is_empty();
        let more = state.ticking;
        drop(state);
        late.into_iter().for_each(Waker::wake);
        more
    }
}

impl State {
    /// The tick that is at least `after` away: the current one may be nearly over.
    fn after(&self, after: Duration) -> u64 {
        let ticks = u64::try_from(after.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX);
        self.now.saturating_add(ticks).saturating_add(1)
    }
}

async fn tick(clock: Weak<Clock>) {
    loop {
        async_std::task::sleep(TICK).await;
        let Some(clock) = clock.upgrade() else { return };
        if !clock.advance() {
            return;
        }
    }
}

/// A deadline; dropping it forgets it.
#[derive(Debug)]
pub(super) struct Deadline {
    clock: Arc<Clock>,
    key: usize,
}

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Late;

impl Deadline {
    /// Moves the deadline to `after` from now.
    pub(super) fn reset(&self, after: Duration) {
        let mut state = self.clock.lock();
        let at = state.after(after);
        let entry = &mut state.deadlines[self.key];
        (entry.at, entry.expired) = (at, false);
    }

    /// Ready when it has passed.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Late> {
        let mut state = self.clock.lock();
        let entry = &mut state.deadlines[self.key];
        if entry.expired {
            return Poll::Ready(Late);
        }
        match &entry.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => entry.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// What the future gives, unless the deadline comes first.
    pub(super) async fn limit<T>(&self, future: impl Future<Output = T>) -> Result<T, Late> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll(cx).map(Err),
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let entry = self.clock.lock().deadlines.try_remove(self.key);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, pending};

    use super::*;

    #[test]
    fn a_deadline_comes_and_the_ticker_ends_with_the_last_one() {
        let clock = Arc::new(Clock::default());
        block_on(async {
            let deadline = clock.deadline(Duration::from_millis(150));
            assert_eq!(deadline.limit(async { 5 }).await, Ok(5));
            assert_eq!(deadline.limit(pending::<()>()).await, Err(Late));
            deadline.reset(Duration::from_secs(100));
            assert!(futures_lite::future::poll_once(deadline.limit(pending::<()>())).await.is_none());
        });
        for _ in 0..2 {
            clock.advance();
        }
        assert!(!clock.lock().ticking);
    }
}
