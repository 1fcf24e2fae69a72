//! How long an endpoint takes, and how that is weighed against the requests under way there.
//!
//! [`PeakEwma`] is in the manner of Finagle's: a longer time is believed at once, a shorter one by and by. What was
//! believed decays with a time constant of [`DECAY`], and decays on while nothing is observed: an endpoint that was slow
//! once is asked again some time. What is read is the larger of the last observation and what is left of those before
//! it, which doesn't depend on how often anybody reads.
//!
//! Other than there, an estimate is not believed for ever: after [`MEMORY`] without an observation nothing is known. A
//! leftover of a leftover would make an endpoint look faster than all others, and draw everything to it.

use std::time::{Duration, Instant};

/// In this time an estimate falls to 1/e, about 37 %.
const DECAY: Duration = Duration::from_secs(10);

/// An observation is forgotten after this time: about 5 % of it is left then.
const MEMORY: Duration = Duration::from_secs(30);

/// What is shorter counts as this long, in seconds; 0 stands for "nothing is known".
const SHORTEST: f64 = 1e-6;

/// The score of an endpoint that has a request under way and was never heard of: worse than any that was, so it gets
/// one request, and the next when that is answered.
const UNHEARD: f64 = 1e9;

/// An estimate of an endpoint's latency.
///
/// It should be told of requests that ended in a timeout, too, lest an endpoint that answers nothing seems faster and
/// faster.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::upstream) struct PeakEwma {
    /// The estimate in seconds, as it was when something was observed.
    seconds: f64,
    /// When that was.
    since: Option<Instant>,
}

impl PeakEwma {
    /// Nothing is known yet.
    pub(in crate::upstream) const fn new() -> Self {
        Self { seconds: 0.0, since: None }
    }

    /// Takes an observation into account.
    pub(in crate::upstream) fn observe(&mut self, took: Duration, now: Instant) {
        self.seconds = self.read(now).max(took.as_secs_f64()).max(SHORTEST);
        self.since = Some(now);
    }

    /// The estimate in seconds; 0 if nothing is known.
    pub(in crate::upstream) fn read(&self, now: Instant) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let age = now.saturating_duration_since(since);
        match age {
            Duration::ZERO => self.seconds,
            _ if age > MEMORY => 0.0,
            _ => self.seconds * (-age.as_secs_f64() / DECAY.as_secs_f64()).exp(),
        }
    }
}

/// How good a choice an endpoint is: lower is better.
///
/// Idle ones are compared by latency alone. Requests under way count as if they had to be answered first, fewer of them
/// where the weight is larger: `share` is the endpoint's weight divided by the mean of all. One that nothing is known of
/// is the best while it is idle and the worst while it is not, so that a new one is tried but not run down.
pub(in crate::upstream) fn score(latency: f64, active: u32, share: f64) -> f64 {
    let queue = f64::from(active) / share.max(f64::MIN_POSITIVE);
    match latency {
        0.0 if active > 0 => UNHEARD * (1.0 + queue),
        _ => latency * (1.0 + queue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn near(seen: f64, expected: f64) -> bool {
        (seen - expected).abs() < 1e-9
    }

    #[test]
    fn nothing_is_read_where_nothing_was_observed() {
        assert_eq!(PeakEwma::new().read(start()), 0.0);
    }

    #[test]
    fn a_longer_time_is_believed_at_once() {
        let now = start();
        let mut latency = PeakEwma::new();
        for ms in [5, 7, 400] {
            latency.observe(ms * MS, now);
            assert!(near(latency.read(now), f64::from(ms) / 1000.0));
        }
    }

    #[test]
    fn a_shorter_time_is_believed_by_and_by() {
        let now = start();
        let mut latency = PeakEwma::new();
        latency.observe(1000 * MS, now);
        latency.observe(10 * MS, now);
        assert!(near(latency.read(now), 1.0));
        let mut before = 1.0;
        for second in 1..=60 {
            let at = now + Duration::from_secs(second);
            latency.observe(10 * MS, at);
            let seen = latency.read(at);
            assert!(near(seen, (-(second as f64) / 10.0).exp().max(0.01)), "{second}: {seen}");
            assert!(seen <= before);
            before = seen;
        }
        assert!(near(before, 0.01));
    }

    #[test]
    fn an_estimate_decays_while_nothing_is_observed_and_is_forgotten_in_the_end() {
        let now = start();
        let mut latency = PeakEwma::new();
        latency.observe(1000 * MS, now);
        assert!(near(latency.read(now + DECAY), (-1.0_f64).exp()));
        assert!(near(latency.read(now + MEMORY), (-3.0_f64).exp()));
        assert_eq!(latency.read(now + MEMORY + MS), 0.0);
    }

    #[test]
    fn how_often_the_estimate_is_renewed_makes_no_difference() {
        let now = start();
        let (mut often, mut seldom) = (PeakEwma::new(), PeakEwma::new());
        often.observe(1000 * MS, now);
        seldom.observe(1000 * MS, now);
        (1..=100).for_each(|tick| often.observe(MS, now + tick * 100 * MS));
        seldom.observe(MS, now + DECAY);
        assert!(near(often.read(now + DECAY), seldom.read(now + DECAY)));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_does_no_harm() {
        let now = start() + DECAY;
        let mut latency = PeakEwma::new();
        latency.observe(Duration::ZERO, now);
        assert!(latency.read(now) > 0.0, "it was observed, if not for long");
        latency.observe(MS, now - MS);
        assert!(near(latency.read(now - DECAY), 0.001));
    }

    #[test]
    fn idle_endpoints_are_compared_by_latency_and_busy_ones_by_what_they_can_take() {
        assert!(score(0.010, 0, 0.1) < score(0.011, 0, 10.0));
        assert!(score(0.010, 1, 1.0) > score(0.015, 0, 1.0));
        assert!(near(score(0.010, 6, 2.0), score(0.010, 3, 1.0)));
        assert!(score(0.010, 3, 0.0) > 1e9, "who has no share is the last choice");
    }

    #[test]
    fn an_unheard_of_endpoint_is_tried_while_it_is_idle_and_spared_while_it_is_not() {
        let slow_and_busy = score(20.0, 1000, 1.0);
        assert!(score(0.0, 0, 1.0) < score(SHORTEST, 0, 1.0));
        assert!(score(0.0, 1, 1.0) > slow_and_busy);
        assert!(score(0.0, 1, 1.0) < score(0.0, 2, 1.0), "among themselves they are compared by requests");
    }
}
