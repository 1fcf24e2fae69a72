//! How many requests may be tried again: a share of all requests, so that trouble is not multiplied.
//!
//! A decider: it does no I/O, and is told the time. One budget serves all cores; requests that are not retried never
//! touch it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};

/// How many requests may be sent again when an attempt has failed, so that an upstream in trouble is not given several
/// times the load that it could not bear. Counted by the second; what is not used in one is not saved for the next.
///
/// ```
/// use eproxy_core::RetryBudget;
///
/// // One retry for every ten requests, but one a second in any case.
/// let budget = RetryBudget { share: 0.1, least_per_second: 1 };
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    /// Retries for each request of the same second, from 0 to 10. Default 0.2: 100 requests, 20 retries at most.
    pub share: f64,
    /// Retries in a second that are allowed however few requests there are, up to 10,000. Default 3.
    pub least_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { share: 0.2, least_per_second: 3 }
    }
}

impl RetryBudget {
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(in crate::upstream) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        if !(0.0..=10.0).contains(&self.share) {
            return wrong(format!("a retry budget with a share of {}, expected 0 to 10", self.share));
        }
        if self.least_per_second > 10_000 {
            let least = self.least_per_second;
            return wrong(format!("a retry budget of at least {least} a second, expected 10,000 at most"));
        }
        Ok(())
    }
}

/// What is left of a [`RetryBudget`] in this second.
#[derive(Debug)]
pub(in crate::upstream) struct Budget {
    options: RetryBudget,
    /// A packed [`Window`].
    window: AtomicU64,
}

/// One second's account.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Which second it is; 28 bits of them last for eight years, and only their order is used.
    second: u64,
    /// Retries that were allowed in it; 16 bits.
    used: u64,
    /// The number of requests when it began; its last 20 bits, which tell up to a million requests a second apart. Beyond
    /// that, too few retries are allowed rather than too many.
    start: u64,
}

const SECOND_BITS: u32 = 28;
const USED_BITS: u32 = 16;
const START_BITS: u32 = 20;

const fn low(value: u64, bits: u32) -> u64 {
    value & ((1 << bits) - 1)
}

impl Window {
    fn unpack(word: u64) -> Self {
        Self {
            second: word >> (USED_BITS + START_BITS),
            used: low(word >> START_BITS, USED_BITS),
            start: low(word, START_BITS),
        }
    }

    fn pack(self) -> u64 {
        self.second << (USED_BITS + START_BITS) | self.used << START_BITS | self.start
    }

    /// Whether `second` comes after this one. Cores read their clocks at different times: one that is a little behind
    /// must not bring an old second back.
    fn is_before(self, second: u64) -> bool {
        let ahead = low(second.wrapping_sub(self.second), SECOND_BITS);
        ahead != 0 && ahead < 1 << (SECOND_BITS - 1)
    }
}

impl Budget {
    pub(in crate::upstream) fn new(options: RetryBudget) -> Self {
        Self { options, window: AtomicU64::new(0) }
    }

    /// Asks for one retry. `requests_so_far` is how many requests there have been on all cores since the start, retries
    /// not among them.
    pub(in crate::upstream) fn allow(&self, now_ms: u64, requests_so_far: u64) -> bool {
        let second = low(now_ms / 1000, SECOND_BITS);
        let spend = |word| {
            let mut window = Window::unpack(word);
            if window.is_before(second) {
                window = Window { second, used: 0, start: low(requests_so_far, START_BITS) };
            }
            let requests = low(requests_so_far.wrapping_sub(window.start), START_BITS);
            let share = (requests as f64 * self.options.share) as u64;
            let most = share.max(u64::from(self.options.least_per_second)).min((1 << USED_BITS) - 1);
            (window.used < most).then(|| Window { used: window.used + 1, ..window }.pack())
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has `rate` requests come every second for ten seconds, each of which is retried until it is refused; gives the
    /// retries of each second.
    fn retries(rate: u64) -> Vec<u64> {
        let budget = Budget::new(RetryBudget::default());
        let mut seconds = vec![0; 10];
        for request in 0..rate * 10 {
            let now = 5000 + request * 1000 / rate;
            while budget.allow(now, request + 1) {
                seconds[(now / 1000 - 5) as usize] += 1;
            }
        }
        seconds
    }

    #[test]
    fn retries_without_end_cost_a_fifth_of_the_requests() {
        for rate in [16, 20, 100, 1000, 20_000] {
            let per_second = retries(rate);
            let attempts = 1.0 + per_second.iter().sum::<u64>() as f64 / (rate * 10) as f64;
            assert!((1.1..=1.2).contains(&attempts), "{rate} a second: {attempts} attempts each");
        }
    }

    #[test]
    fn three_a_second_are_allowed_however_few_requests_there_are() {
        for rate in [1, 2, 5, 14] {
            assert_eq!(retries(rate), [3; 10], "{rate} a second");
        }
    }

    #[test]
    fn what_was_not_used_is_not_saved() {
        let budget = Budget::new(RetryBudget::default());
        assert!(budget.allow(0, 0));
        let allowed = (0..100).filter(|_| budget.allow(60_000, 1_000_000)).count();
        assert_eq!(allowed, 3);
    }

    #[test]
    fn a_core_whose_clock_is_behind_brings_no_old_second_back() {
        let budget = Budget::new(RetryBudget::default());
        let allowed = (0..100).filter(|turn| budget.allow(8000 - turn % 2 * 10, 5)).count();
        assert_eq!(allowed, 3);
        assert!(budget.allow(9000, 5));
    }

    #[test]
    fn cores_share_one_budget() {
        let budget = Budget::new(RetryBudget { share: 0.2, least_per_second: 500 });
        let core = || (0..1000).filter(|_| budget.allow(1000, 0)).count();
        let total: usize = std::thread::scope(|scope| {
            let cores: Vec<_> = (0..4).map(|_| scope.spawn(core)).collect();
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(total, 500);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing_and_a_wrong_one_is_told() {
        let budget = Budget::new(RetryBudget { share: 0.0, least_per_second: 0 });
        assert!(!budget.allow(1000, 0) && !budget.allow(1999, 1_000_000));
        assert!(RetryBudget::default().check().is_ok());
        for wrong in [-0.1, 10.5, f64::NAN] {
            let error = RetryBudget { share: wrong, ..RetryBudget::default() }.check().unwrap_err();
            assert!(error.to_string().contains("share"), "{error}");
        }
        assert!(RetryBudget { least_per_second: 10_001, ..RetryBudget::default() }.check().is_err());
    }
}
