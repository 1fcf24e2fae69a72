//! How many requests may be tried again: a share of all requests, so that trouble is not multiplied.
//!
//! A decider: it does no I/O, and is told the time. One budget serves all cores; requests that are not retried never
//! touch it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};

/// How many requests may be sent again when an attempt has failed, so that an upstream in trouble is not given several
/// times the load that it could not bear. The last five to ten seconds are looked at: an endpoint that goes away takes the
/// requests of a moment with it, and these may all be sent again; a trouble that lasts is not multiplied.
///
/// ```
/// use eproxy_core::RetryBudget;
///
/// // One retry for every ten requests, but one a second in any case.
/// let budget = RetryBudget { share: 0.1, least_per_second: 1 };
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    /// Retries for each request, from 0 to 10. Default 0.2: 100 requests, 20 retries at most.
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

/// What was spent of a [`RetryBudget`] of late.
#[derive(Debug)]
pub(in crate::upstream) struct Budget {
    options: RetryBudget,
    /// A packed [`Window`].
    window: AtomicU64,
}

/// The account of the last seconds, in one word.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// The second with which it begins; 22 bits of them last for seven weeks.
    begin: u64,
    /// Retries that were allowed since; 18 bits.
    used: u64,
    /// The number of requests when it began; its last 24 bits, which tell up to a million requests a second apart. Beyond
    /// that, too few retries are allowed rather than too many.
    start: u64,
}

const BEGIN_BITS: u32 = 22;
const USED_BITS: u32 = 18;
const START_BITS: u32 = 24;

/// A window that is as long is cut to [`KEPT`] seconds, of which it is believed that they were like the rest.
const LONGEST: u64 = 10;
const KEPT: u64 = 5;

/// Cores read their clocks at different times: one that is so far behind must not bring old seconds back.
const BEHIND: u64 = 60;

const fn low(value: u64, bits: u32) -> u64 {
    value & ((1 << bits) - 1)
}

impl Window {
    fn unpack(word: u64) -> Self {
        Self {
            begin: word >> (USED_BITS + START_BITS),
            used: low(word >> START_BITS, USED_BITS),
            start: low(word, START_BITS),
        }
    }

    fn pack(self) -> u64 {
        self.begin << (USED_BITS + START_BITS) | self.used << START_BITS | self.start
    }

    /// Seconds from its beginning to this one.
    fn age(self, second: u64) -> u64 {
        let age = low(second.wrapping_sub(self.begin), BEGIN_BITS);
        if age >= (1 << BEGIN_BITS) - BEHIND { 0 } else { age }
    }

    /// Forgets what is too long ago.
    fn cut(self, second: u64, requests: u64) -> Self {
        let age = self.age(second);
        if age < LONGEST {
            return self;
        }
        let part = |number: u64| number.saturating_mul(KEPT) / age;
        let since = low(requests.wrapping_sub(self.start), START_BITS);
        Self {
            begin: low(second.wrapping_sub(KEPT), BEGIN_BITS),
            used: part(self.used),
            start: low(requests.wrapping_sub(part(since)), START_BITS),
        }
    }
}

impl Budget {
    pub(in crate::upstream) fn new(options: RetryBudget) -> Self {
        Self { options, window: AtomicU64::new(0) }
    }

    /// Asks for one retry. `requests_so_far` is how many requests there have been on all cores since the start, retries
    /// not among them.
    pub(in crate::upstream) fn allow(&self, now_ms: u64, requests_so_far: u64) -> bool {
        let second = now_ms / 1000;
        let spend = |word| {
            let window = Window::unpack(word).cut(second, requests_so_far);
            let requests = low(requests_so_far.wrapping_sub(window.start), START_BITS);
            let share = (requests as f64 * self.options.share) as u64;
            let least = (window.age(second) + 1) * u64::from(self.options.least_per_second);
            let most = share.max(least).min((1 << USED_BITS) - 1);
            (window.used < most).then(|| Window { used: window.used + 1, ..window }.pack())
        };
        self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has `rate` requests come every second for a minute, each of which is retried until it is refused; gives the retries
    /// of each second.
    fn retries(rate: u64) -> Vec<u64> {
        let budget = Budget::new(RetryBudget::default());
        let mut seconds = vec![0; 60];
        for request in 0..rate * 60 {
            let now = request * 1000 / rate;
            while budget.allow(now, request + 1) {
                seconds[(now / 1000) as usize] += 1;
            }
        }
        seconds
    }

    #[test]
    fn retries_without_end_cost_a_fifth_of_the_requests() {
        for rate in [16, 20, 100, 1000, 20_000] {
            let per_second = retries(rate);
            let attempts = 1.0 + per_second.iter().sum::<u64>() as f64 / (rate * 60) as f64;
            assert!((1.15..=1.2).contains(&attempts), "{rate} a second: {attempts} attempts each");
        }
    }

    #[test]
    fn three_a_second_are_allowed_however_few_requests_there_are() {
        for rate in [1, 2, 5, 14] {
            let per_second = retries(rate);
            assert_eq!(per_second.iter().sum::<u64>(), 180, "{rate} a second: {per_second:?}");
        }
    }

    #[test]
    fn those_of_a_moment_may_all_be_sent_again_but_hours_without_trouble_are_not_saved_up() {
        let budget = Budget::new(RetryBudget::default());
        assert!(budget.allow(0, 0));
        // 100 a second for an hour, and then everything fails.
        let allowed = (0..10_000).filter(|_| budget.allow(3_600_000, 360_000)).count();
        assert_eq!(allowed, 100);
    }

    #[test]
    fn a_core_whose_clock_is_behind_brings_no_old_second_back() {
        let budget = Budget::new(RetryBudget::default());
        let allowed = (0..100).filter(|turn| budget.allow(100_000 - turn % 2 * 2000, 5)).count();
        assert!((3..=18).contains(&allowed), "{allowed}");
        assert!(budget.allow(101_000, 5));
    }

    #[test]
    fn cores_share_one_budget() {
        let budget = Budget::new(RetryBudget { share: 0.2, least_per_second: 500 });
        let core = || (0..1000).filter(|_| budget.allow(0, 0)).count();
        let total: usize = std::thread::scope(|scope| {
            let cores: Vec<_> = (0..4).map(|_| scope.spawn(core)).collect();
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(total, 500);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing_and_a_wrong_one_is_told() {
        let budget = Budget::new(RetryBudget { share: 0.0, least_per_second: 0 });
        assert!(!budget.allow(0, 0) && !budget.allow(1999, 1_000_000));
        assert!(RetryBudget::default().check().is_ok());
        for wrong in [-0.1, 10.5, f64::NAN] {
            let error = RetryBudget { share: wrong, ..RetryBudget::default() }.check().unwrap_err();
            assert!(error.to_string().contains("share"), "{error}");
        }
        assert!(RetryBudget { least_per_second: 10_001, ..RetryBudget::default() }.check().is_err());
    }
}
