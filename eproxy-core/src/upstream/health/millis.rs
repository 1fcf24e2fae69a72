//! Times that fit into an atomic.

use std::time::{Duration, Instant};

/// An instant from which others are counted in milliseconds: 64 bits of them can be shared without a lock.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Base(Instant);

impl Base {
    pub(in crate::upstream) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Milliseconds from the base to `now`; 0 for what came before it.
    pub(in crate::upstream) fn millis(self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.0))
    }

    /// The instant that `millis` stand for.
    pub(in crate::upstream) fn instant(self, millis: u64) -> Instant {
        self.0 + Duration::from_millis(millis)
    }
}

/// A time in whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn instants_become_milliseconds_and_come_back() {
        let start = Instant::now();
        let base = Base::new(start);
        let later = start + Duration::from_millis(1500);
        assert_eq!((base.millis(start), base.millis(later), base.instant(1500)), (0, 1500, later));
        assert_eq!(Base::new(later).millis(start), 0);
    }
}
