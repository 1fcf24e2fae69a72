//! Which endpoint takes the next request: by turns, in proportion to the weights, past those that rest.
//!
//! A decider: it does no I/O, and is told the time.
//!
//! An endpoint that can't be connected to rests for a while, twice as long each time, up to [`LONGEST`]; the first
//! connection that it takes ends that. When all of them rest they are tried all the same: a proxy that guesses wrong must
//! not be the reason why nobody is served.

use std::time::{Duration, Instant};

/// The rest after the first failure, and the longest.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Endpoints that one request has tried already; those past the first 128 of a group are not remembered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried(u128);

impl Tried {
    pub(crate) fn add(&mut self, number: usize) {
        self.0 |= 1_u128.checked_shl(number as u32).unwrap_or(0);
    }

    fn has(self, number: usize) -> bool {
        number < 128 && self.0 >> number & 1 == 1
    }
}

/// The endpoints of a group as one core sees them.
#[derive(Debug)]
pub(crate) struct Rotation(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    weight: i64,
    /// What it is owed: the smooth weighted round robin of nginx, in which heavy endpoints do not take their requests in
    /// a row.
    credit: i64,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Rotation {
    pub(crate) fn new(weights: impl Iterator<Item = u32>) -> Self {
        let entry = |weight| Entry { weight: i64::from(weight), credit: 0, failures: 0, rests_until: None };
        Self(weights.map(entry).collect())
    }

    /// Chooses an endpoint that was not tried; none when all were.
    pub(crate) fn choose(&mut self, now: Instant, tried: Tried) -> Option<usize> {
        if let [_] = self.0[..] {
            return (!tried.has(0)).then_some(0);
        }
        self.turn(tried, |entry| entry.rests_until.is_none_or(|until| until <= now))
            .or_else(|| self.turn(tried, |_| true))
    }

    fn turn(&mut self, tried: Tried, may: impl Fn(&Entry) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for number in 0..self.0.len() {
            if tried.has(number) || !may(&self.0[number]) {
                continue;
            }
            let entry = &mut self.0[number];
            entry.credit += entry.weight;
            total += entry.weight;
            if best.is_none_or(|best| self.0[number].credit > self.0[best].credit) {
                best = Some(number);
            }
        }
        if let Some(best) = best {
            self.0[best].credit -= total;
        }
        best
    }

    /// Says that an endpoint did not take a connection.
    pub(crate) fn failed(&mut self, number: usize, now: Instant) {
        let entry = &mut self.0[number];
        let rest = SHORTEST.saturating_mul(1 << entry.failures.min(10)).min(LONGEST);
        entry.failures += 1;
        entry.rests_until = Some(now + rest);
    }

    /// Says that an endpoint took a connection.
    pub(crate) fn worked(&mut self, number: usize) {
        (self.0[number].failures, self.0[number].rests_until) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn requests_are_shared_out_by_weight_and_not_in_a_row() {
        let mut rotation = Rotation::new([5, 1, 1].into_iter());
        let chosen: Vec<_> = (0..7).map(|_| rotation.choose(start(), Tried::default()).unwrap()).collect();
        assert_eq!(chosen, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn who_failed_rests_twice_as_long_each_time_and_is_back_when_it_works() {
        let now = start();
        let mut rotation = Rotation::new([1, 1].into_iter());
        rotation.failed(0, now);
        for after in [0, 50, 99] {
            let at = now + Duration::from_millis(after);
            assert_eq!(rotation.choose(at, Tried::default()), Some(1), "{after} ms later");
        }
        let later = now + SHORTEST;
        let both: Vec<_> = (0..2).map(|_| rotation.choose(later, Tried::default()).unwrap()).collect();
        assert!(both.contains(&0));
        rotation.failed(0, later);
        assert_eq!(rotation.choose(later + SHORTEST, Tried::default()), Some(1));
        rotation.worked(0);
        let both: Vec<_> = (0..2).map(|_| rotation.choose(later, Tried::default()).unwrap()).collect();
        assert!(both.contains(&0) && both.contains(&1));
    }

    #[test]
    fn all_that_rest_are_tried_once_each() {
        let now = start();
        let mut rotation = Rotation::new([1, 1, 1].into_iter());
        (0..3).for_each(|number| rotation.failed(number, now));
        let mut tried = Tried::default();
        let mut order = Vec::new();
        while let Some(number) = rotation.choose(now, tried) {
            tried.add(number);
            order.push(number);
        }
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
        let mut alone = Rotation::new([1].into_iter());
        assert_eq!(alone.choose(now, Tried::default()), Some(0));
    }
}
