//! How fast a request body must come.

use std::time::{Duration, Instant};

use super::options::Timeouts;

/// How fast a body must come. Pure arithmetic on the times that it is told.
#[derive(Debug)]
pub(crate) struct Pace {
    idle: Duration,
    rate: u64,
    received: u64,
    /// How long it has been waited for bytes, up to the last that came.
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Pace {
    /// The time in which the rate is not looked at.
    const GRACE: Duration = Duration::from_secs(10);

    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        let (idle, rate) = (timeouts.body_idle, timeouts.body_rate);
        Self { idle, rate, received: 0, waited: Duration::ZERO, waits_since: None }
    }

    /// For a body of messages, which come when there is something to say: only how long none comes counts.
    pub(crate) fn of_messages(timeouts: &Timeouts) -> Self {
        Self { rate: 0, ..Self::new(timeouts) }
    }

    /// Says that it is waited for bytes now; how long they may take, unless that was said before.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        if self.waits_since.is_some() {
            return None;
        }
        self.waits_since = Some(now);
        let Some(earned) = self.received.checked_div(self.rate) else { return Some(self.idle) };
        let allowed = Self::GRACE.min(self.idle) + Duration::from_secs(earned);
        Some(self.idle.min(allowed.saturating_sub(self.waited)))
    }

    /// Says that `n` bytes have come.
    pub(crate) fn got(&mut self, now: Instant, n: usize) {
        self.received += n as u64;
        if let Some(since) = self.waits_since.take() {
            self.waited += now.saturating_duration_since(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn a_body_that_drips_runs_out_of_time_and_one_that_flows_does_not() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut drip = Pace::new(&Timeouts { body_rate: 100, ..Timeouts::default() });
        let mut flow = Pace::new(&Timeouts { body_rate: 100, ..Timeouts::default() });
        for n in 0..9 {
            let now = start + second * n;
            assert_eq!(drip.wait(now), Some(Pace::GRACE - second * n));
            drip.got(now + second, 1);
        }
        for n in 0..100 {
            let now = start + second * n;
            assert!(flow.wait(now) >= Some(second));
            flow.got(now + second, 200);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn without_a_rate_only_idleness_counts() {
        let without = Pace::new(&Timeouts { body_rate: 0, ..Timeouts::default() });
        for mut pace in [without, Pace::of_messages(&Timeouts::default())] {
            assert_eq!(pace.wait(Instant::now()), Some(Duration::from_secs(60)));
        }
    }
}
