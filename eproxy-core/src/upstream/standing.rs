//! How an endpoint fares, as far as anybody has found out.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The rest after the first failure, and the longest.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// How an endpoint fares.
#[derive(Debug, Default)]
pub(super) struct Standing {
    probed: AtomicU8,
    failures: AtomicU32,
    rests_until: AtomicU64,
}

/// Whether an endpoint should be sent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    /// It has failed, and is left alone up to then.
    Rests(u64),
    /// Probes say that it is down.
    Down,
}

impl Standing {
    pub(super) fn fit(&self, now: u64) -> Fit {
        match (self.probed.load(Ordering::Relaxed), self.rests_until.load(Ordering::Relaxed)) {
            (2, _) => Fit::Down,
            (_, until) if until > now => Fit::Rests(until),
            _ => Fit::Yes,
        }
    }

    /// It took a connection; says whether that is news.
    pub(super) fn reached(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.rests_until.swap(0, Ordering::Relaxed) != 0
    }

    /// It took none; it rests.
    pub(super) fn unreached(&self, now: u64) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        let rest = SHORTEST.saturating_mul(1 << failures.min(10)).min(LONGEST);
        self.rests_until.store(now + rest.as_millis() as u64, Ordering::Relaxed);
    }
}
