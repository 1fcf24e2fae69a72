//! What the results of active probes say of an endpoint, and when the next one is due.
//!
//! A decider: it does no I/O, and randomness is given to it.

use std::time::Duration;

use fastrand::Rng;

/// What is held of an endpoint that is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Verdict {
    Up,
    Down,
}

/// The verdict on one endpoint, which several results in a row have to contradict before it changes.
///
/// Nothing is known at first, and an endpoint that nothing is known of takes requests: a start refuses nobody. The first
/// result decides by itself: a start does not send to what is dead for longer than one probe takes.
#[derive(Debug)]
pub(in crate::upstream) struct RiseFall {
    /// Good results in a row that bring it up.
    rise: u32,
    /// Bad results in a row that take it down.
    fall: u32,
    /// None before the first result.
    verdict: Option<Verdict>,
    /// Results in a row that contradict the verdict.
    against: u32,
}

impl RiseFall {
    pub(in crate::upstream) fn new(rise: u32, fall: u32) -> Self {
        Self { rise, fall, verdict: None, against: 0 }
    }

    #[cfg(test)]
    fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Takes in a result; gives the verdict if it is a new one.
    pub(in crate::upstream) fn observe(&mut self, ok: bool) -> Option<Verdict> {
        let said = if ok { Verdict::Up } else { Verdict::Down };
        if self.verdict == Some(said) {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = match (self.verdict, said) {
            (None, _) => 1,
            (_, Verdict::Up) => self.rise,
            (_, Verdict::Down) => self.fall,
        };
        if self.against < needed {
            return None;
        }
        (self.verdict, self.against) = (Some(said), 0);
        Some(said)
    }
}

/// The first probes are over within this time, however long the interval is.
const SOON: Duration = Duration::from_secs(1);

/// How long to wait before the first probe. Those of many endpoints are spread over the interval, or over the first
/// second of it if it is longer.
pub(in crate::upstream) fn first_probe(interval: Duration, rng: &mut Rng) -> Duration {
    interval.min(SOON).mul_f64(rng.f64())
}

/// How long to wait between one probe and the next: the interval, give or take a tenth, so that probes which have come
/// to coincide part again.
pub(in crate::upstream) fn next_probe(interval: Duration, rng: &mut Rng) -> Duration {
    let tenth = interval / 10;
    (interval - tenth).saturating_add((tenth * 2).mul_f64(rng.f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds results, `+` for good ones, and writes down the verdicts: `U`, `D`, or `.` where there is no new one.
    fn told(rise: u32, fall: u32, results: &str) -> String {
        let mut decider = RiseFall::new(rise, fall);
        let mut one = |result| match decider.observe(result == '+') {
            Some(Verdict::Up) => 'U',
            Some(Verdict::Down) => 'D',
            None => '.',
        };
        results.chars().map(&mut one).collect()
    }

    #[test]
    fn the_first_result_decides() {
        assert_eq!(RiseFall::new(2, 3).verdict(), None);
        assert_eq!(told(2, 3, "+"), "U");
        assert_eq!(told(2, 3, "-"), "D");
    }

    #[test]
    fn a_verdict_changes_after_enough_results_in_a_row() {
        assert_eq!(told(2, 3, "+---"), "U..D");
        assert_eq!(told(2, 3, "-++"), "D.U");
        assert_eq!(told(1, 1, "+-+-"), "UDUD");
    }

    #[test]
    fn a_result_in_between_begins_the_count_anew() {
        assert_eq!(told(2, 3, "+--+--+---"), "U........D");
        assert_eq!(told(2, 3, "-+-+-++"), "D.....U");
    }

    #[test]
    fn a_verdict_is_told_once_and_kept() {
        let mut decider = RiseFall::new(2, 2);
        for _ in 0..5 {
            decider.observe(false);
        }
        assert_eq!((decider.verdict(), decider.observe(false)), (Some(Verdict::Down), None));
    }

    #[test]
    fn probes_come_a_tenth_early_or_late_and_never_all_at_once() {
        let mut rng = Rng::with_seed(7);
        let interval = Duration::from_secs(5);
        let waits: Vec<_> = (0..1000).map(|_| next_probe(interval, &mut rng).as_millis()).collect();
        assert!(waits.iter().all(|wait| (4500..=5500).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 4600) && waits.iter().any(|wait| *wait > 5400));
    }

    #[test]
    fn first_probes_are_spread_but_all_soon() {
        let mut rng = Rng::with_seed(7);
        let mut latest = |interval| (0..1000).map(|_| first_probe(interval, &mut rng)).max().unwrap();
        let minute = latest(Duration::from_secs(60));
        assert!(minute < SOON && minute > SOON / 2, "{minute:?}");
        assert!(latest(Duration::from_millis(100)) < Duration::from_millis(100));
        assert_eq!(latest(Duration::ZERO), Duration::ZERO);
    }
}
