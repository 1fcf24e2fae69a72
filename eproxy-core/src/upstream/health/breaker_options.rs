//! What the circuit breaker of an endpoint can be told.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// When requests to an endpoint are broken off for a while, and how it gets them back: a circuit breaker.
///
/// An endpoint that fails is left alone for [`open`](Self::open). Then a few requests try it out; it is back when
/// [`trials`](Self::trials) of them have succeeded, and left alone for twice as long when one fails. No connection, no
/// answer, and answers with a status from 500 on are failures.
///
/// Unlike [`Ejection`](crate::Ejection) it is strict: while those of all endpoints are open, requests are refused with 503
/// (`overloaded`), or wait if the group has them [wait](crate::Group::queue).
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::Breaker;
///
/// // Half of at least 50 requests within ten seconds, or five in a row.
/// let breaker = Breaker { share: 0.5, least_requests: 50, window: Duration::from_secs(10), ..Breaker::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Breaker {
    /// Failures in a row that open it. Default 5; 0 does not count them.
    pub failures: u32,
    /// The share of failures in a window that opens it, up to 1. Default 0, which does not look at it; looking costs each
    /// request a write that all cores share.
    pub share: f64,
    /// Requests that a window must have had before their share counts, from 1 to 1,000,000. Default 20.
    pub least_requests: u32,
    /// How long a window is, from 1 s to an hour. Default 10 s.
    pub window: Duration,
    /// How long it is open the first time, from 1 ms to a day. Default 5 s.
    pub open: Duration,
    /// How long it is open at most, however often trials have failed; up to a day. Default 1 min.
    pub longest: Duration,
    /// Trials that have to succeed before it closes, from 1 to 31. Default 1.
    pub trials: u32,
    /// Trials that are under way at once, from 1 to 31. Default 1.
    pub trials_at_once: u32,
}

/// Trials that fit into the breaker's word.
pub(super) const MOST_TRIALS: u32 = 31;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 5,
            share: 0.0,
            least_requests: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            trials: 1,
            trials_at_once: 1,
        }
    }
}

impl Breaker {
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(in crate::upstream) fn check(&self) -> Result<()> {
        let wrong =
            |what: String| Err(Error::new(Kind::BadOption).detail(format!("a circuit breaker {what}")));
        if !(0.0..=1.0).contains(&self.share) {
            return wrong(format!("for a share of {}, expected 0 to 1", self.share));
        }
        if self.failures == 0 && self.share == 0.0 {
            return wrong("that counts neither failures in a row nor their share".into());
        }
        if !(1..=1_000_000).contains(&self.least_requests) {
            let least = self.least_requests;
            return wrong(format!("for a share of at least {least} requests, expected 1 to 1,000,000"));
        }
        if !(Duration::from_secs(1)..=DAY / 24).contains(&self.window) {
            return wrong(format!("with a window of {:?}, expected 1 s to an hour", self.window));
        }
        if self.open < Duration::from_millis(1) || self.longest < self.open || self.longest > DAY {
            let (open, longest) = (self.open, self.longest);
            return wrong(format!("that is open for {open:?}, at most {longest:?}, expected 1 ms to a day"));
        }
        for (what, number) in [("with", self.trials), ("at once with", self.trials_at_once)] {
            if !(1..=MOST_TRIALS).contains(&number) {
                return wrong(format!("{what} {number} trials, expected 1 to {MOST_TRIALS}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_breaker_is_said() {
        let default = Breaker::default;
        assert!(default().check().is_ok());
        assert!(Breaker { failures: 0, share: 0.5, ..default() }.check().is_ok());
        for (breaker, what) in [
            (Breaker { share: f64::NAN, ..default() }, "share"),
            (Breaker { share: 1.5, ..default() }, "share"),
            (Breaker { failures: 0, ..default() }, "neither"),
            (Breaker { least_requests: 0, ..default() }, "at least 0"),
            (Breaker { window: Duration::ZERO, ..default() }, "window"),
            (Breaker { open: Duration::ZERO, ..default() }, "open for"),
            (Breaker { open: Duration::from_secs(61), ..default() }, "open for"),
            (Breaker { trials: 0, ..default() }, "with 0 trials"),
            (Breaker { trials_at_once: 32, ..default() }, "at once with 32"),
        ] {
            let error = breaker.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
