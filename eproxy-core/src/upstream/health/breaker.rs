//! The circuit breaker of one endpoint: whether a request may be sent to it.
//!
//! A decider: it does no I/O, and is told the time. All cores share it without a lock: while it is closed, a request is one
//! load, and its success another.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::breaker_options::Breaker;
use super::breaker_state::{Closed, HalfOpen, State};
use super::millis::millis;

/// What a request may do. It is given back with what became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Admission {
    /// Go ahead.
    Yes,
    /// Go ahead, as one of those that decide whether it closes: whoever gets this says what became of it.
    Trial(Round),
    /// Go elsewhere.
    No,
}

/// The opening that a trial follows, so that one of an earlier opening decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Round(u8);

/// A circuit breaker.
#[derive(Debug)]
pub(in crate::upstream) struct Circuit {
    options: Breaker,
    /// A packed [`State`].
    state: AtomicU64,
    /// Failures in a row while it is closed.
    in_a_row: AtomicU32,
    /// The packed counts of this window, if the share is looked at.
    window: AtomicU64,
}

impl Circuit {
    pub(in crate::upstream) fn new(options: Breaker) -> Self {
        let state = AtomicU64::new(State::Closed(Closed { round: 0 }).pack());
        Self { options, state, in_a_row: AtomicU32::new(0), window: AtomicU64::new(0) }
    }

    /// Whether a request would be let through now.
    pub(in crate::upstream) fn has_room(&self, now_ms: u64) -> bool {
        match self.state() {
            State::Closed(_) => true,
            State::Open(open) => now_ms >= open.until,
            State::HalfOpen(half) => {
                let Breaker { trials, trials_at_once, .. } = self.options;
                now_ms >= half.until || half.begin_trial(trials, trials_at_once).is_some()
            }
        }
    }

    /// Asks whether a request may be sent.
    pub(in crate::upstream) fn allows(&self, now_ms: u64) -> Admission {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let trying = match State::unpack(word) {
                State::Closed(_) => return Admission::Yes,
                State::Open(open) if now_ms < open.until => return Admission::No,
                State::Open(open) => open.try_out(self.trial_end(now_ms, open.doublings)),
                State::HalfOpen(half) if now_ms >= half.until => {
                    half.forget_trials(self.trial_end(now_ms, half.doublings))
                }
                State::HalfOpen(half) => half,
            };
            let Some(next) = trying.begin_trial(self.options.trials, self.options.trials_at_once) else {
                return Admission::No;
            };
            match self.swap(word, State::HalfOpen(next)) {
                Ok(()) => return Admission::Trial(Round(next.round)),
                Err(changed) => word = changed,
            }
        }
    }

    /// Says that a request succeeded.
    pub(in crate::upstream) fn succeeded(&self, admission: Admission, now_ms: u64) {
        match admission {
            Admission::Yes => {
                if self.in_a_row.load(Ordering::Relaxed) != 0 {
                    self.in_a_row.store(0, Ordering::Relaxed);
                }
                self.count(false, now_ms);
            }
            Admission::Trial(round) => {
                self.trial_ends(round, |half| half.succeed(self.options.trials));
            }
            Admission::No => {}
        }
    }

    /// Says that a request failed.
    pub(in crate::upstream) fn failed(&self, admission: Admission, now_ms: u64) {
        match admission {
            Admission::Yes => {
                let State::Closed(closed) = self.state() else { return };
                let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                let are_many = self.options.failures > 0 && in_a_row >= self.options.failures;
                if (self.count(true, now_ms) || are_many)
                    && self.swap(State::Closed(closed).pack(), self.open(closed, now_ms)).is_ok()
                {
                    // What was counted has had its effect.
                    self.in_a_row.store(0, Ordering::Relaxed);
                    self.window.store(0, Ordering::Relaxed);
                }
            }
            Admission::Trial(round) => self.trial_ends(round, |half| {
                let doublings = half.doublings.saturating_add(1);
                State::Open(half.fail(now_ms.saturating_add(self.time_open(doublings))))
            }),
            Admission::No => {}
        }
    }

    /// Says that nothing will be known of a request: a trial gives its turn back.
    pub(in crate::upstream) fn withdrawn(&self, admission: Admission) {
        if let Admission::Trial(round) = admission {
            self.trial_ends(round, |half| State::HalfOpen(half.withdraw()));
        }
    }

    /// Until when nothing is sent, if it is open; some request tries it out then.
    pub(in crate::upstream) fn open_until(&self, now_ms: u64) -> Option<u64> {
        match self.state() {
            State::Open(open) if now_ms < open.until => Some(open.until),
            _ => None,
        }
    }

    /// Whether requests go through as if there were no breaker.
    pub(in crate::upstream) fn is_closed(&self) -> bool {
        matches!(self.state(), State::Closed(_))
    }

    fn state(&self) -> State {
        State::unpack(self.state.load(Ordering::Acquire))
    }

    /// Changes the state, unless another thread has: gives what that has made of it.
    fn swap(&self, from: u64, to: State) -> Result<(), u64> {
        self.state.compare_exchange(from, to.pack(), Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }

    /// Applies the end of a trial, if it is one of those that are waited for.
    fn trial_ends(&self, round: Round, end: impl Fn(HalfOpen) -> State) {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            match State::unpack(word) {
                State::HalfOpen(half) if Round(half.round) == round => match self.swap(word, end(half)) {
                    Ok(()) => return,
                    Err(changed) => word = changed,
                },
                _ => return,
            }
        }
    }

    fn open(&self, closed: Closed, now_ms: u64) -> State {
        State::Open(closed.trip(now_ms.saturating_add(self.time_open(0))))
    }

    /// How long it is open, in milliseconds, after so many failed trials.
    fn time_open(&self, doublings: u8) -> u64 {
        let longest = millis(self.options.longest);
        millis(self.options.open).saturating_mul(1 << doublings.min(32)).min(longest)
    }

    /// Trials of which nothing was heard by then are forgotten, or they would keep it half open for good.
    fn trial_end(&self, now_ms: u64, doublings: u8) -> u64 {
        now_ms.saturating_add(self.time_open(doublings))
    }

    /// Counts a request of this window; says whether the share of failures is too large.
    fn count(&self, failed: bool, now_ms: u64) -> bool {
        if self.options.share == 0.0 {
            return false;
        }
        let number = now_ms / millis(self.options.window).max(1);
        let add = |word| {
            let mut counts = Counts::unpack(word);
            if counts.number != number & Counts::NUMBER {
                counts = Counts { number: number & Counts::NUMBER, requests: 0, failures: 0 };
            }
            // Full counts stay as they are: their share is known well enough.
            if counts.requests < Counts::MOST {
                counts.requests += 1;
                counts.failures += u64::from(failed);
            }
            Some(counts.pack())
        };
        let before = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        let Some(after) = before.ok().and_then(add).map(Counts::unpack) else { return false };
        after.requests >= u64::from(self.options.least_requests)
            && after.failures as f64 >= self.options.share * after.requests as f64
    }
}

/// How the requests of a window ended.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// The last bits of the window's number: one that is mistaken for another is thousands of windows old.
    number: u64,
    requests: u64,
    failures: u64,
}

impl Counts {
    const BITS: u32 = 24;
    const MOST: u64 = (1 << Self::BITS) - 1;
    const NUMBER: u64 = (1 << (64 - 2 * Self::BITS)) - 1;

    fn unpack(word: u64) -> Self {
        let (requests, failures) = (word >> Self::BITS & Self::MOST, word & Self::MOST);
        Self { number: word >> (2 * Self::BITS), requests, failures }
    }

    fn pack(self) -> u64 {
        self.number << (2 * Self::BITS) | self.requests << Self::BITS | self.failures
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    fn circuit(change: impl FnOnce(&mut Breaker)) -> Circuit {
        let mut options = Breaker { failures: 3, ..Breaker::default() };
        change(&mut options);
        options.check().unwrap();
        Circuit::new(options)
    }

    /// One that has just been opened, at 0 ms, by failures in a row.
    fn opened(change: impl FnOnce(&mut Breaker)) -> Circuit {
        let circuit = circuit(change);
        (0..3).for_each(|_| circuit.failed(circuit.allows(0), 0));
        assert_eq!(circuit.allows(0), Admission::No);
        circuit
    }

    fn is_trial(admission: Admission) -> bool {
        matches!(admission, Admission::Trial(_))
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_in_between_does_not() {
        let circuit = circuit(|_| {});
        for result in [false, false, true, false, false] {
            let admission = circuit.allows(0);
            assert_eq!(admission, Admission::Yes);
            match result {
                true => circuit.succeeded(admission, 0),
                false => circuit.failed(admission, 0),
            }
        }
        assert!(circuit.is_closed());
        circuit.failed(Admission::Yes, 0);
        assert_eq!((circuit.allows(4999), circuit.open_until(0)), (Admission::No, Some(5000)));
    }

    #[test]
    fn after_the_open_time_one_at_a_time_tries_it_out_and_a_success_closes_it() {
        let circuit = opened(|_| {});
        let trial = circuit.allows(5000);
        assert!(is_trial(trial));
        assert_eq!(circuit.allows(5000), Admission::No);
        circuit.succeeded(trial, 5010);
        assert_eq!((circuit.allows(5010), circuit.is_closed()), (Admission::Yes, true));
    }

    #[test]
    fn a_failed_trial_opens_it_for_twice_as_long_up_to_the_longest() {
        let circuit = opened(|_| {});
        let mut now = 5000;
        for open in [10_000, 20_000, 40_000, 60_000, 60_000] {
            let trial = circuit.allows(now);
            assert!(is_trial(trial));
            circuit.failed(trial, now);
            assert_eq!(circuit.open_until(now), Some(now + open));
            now += open;
        }
        // Once it was closed it begins anew.
        circuit.succeeded(circuit.allows(now), now);
        (0..3).for_each(|_| circuit.failed(Admission::Yes, now));
        assert_eq!(circuit.open_until(now), Some(now + 5000));
    }

    #[test]
    fn several_trials_have_to_succeed_where_that_was_asked_for() {
        let circuit = opened(|options| (options.trials, options.trials_at_once) = (3, 2));
        let (one, two) = (circuit.allows(5000), circuit.allows(5000));
        assert!(is_trial(one) && is_trial(two));
        assert_eq!(circuit.allows(5000), Admission::No, "two are under way");
        circuit.succeeded(one, 5001);
        let three = circuit.allows(5001);
        assert!(is_trial(three));
        circuit.succeeded(two, 5002);
        assert_eq!(circuit.allows(5002), Admission::No, "the last one that is needed is under way");
        circuit.succeeded(three, 5003);
        assert!(circuit.is_closed());
    }

    #[test]
    fn what_was_sent_before_it_opened_decides_nothing_about_its_trials() {
        let circuit = opened(|_| {});
        circuit.succeeded(Admission::Yes, 5000);
        assert!(!circuit.is_closed());
        let trial = circuit.allows(5000);
        circuit.failed(Admission::Yes, 5000);
        circuit.succeeded(Admission::Yes, 5000);
        assert_eq!((circuit.allows(5000), circuit.is_closed()), (Admission::No, false));
        circuit.failed(trial, 5000);
        let second = circuit.allows(15_000);
        // That of the first round comes late.
        circuit.succeeded(trial, 15_000);
        assert!(!circuit.is_closed());
        circuit.succeeded(second, 15_000);
        assert!(circuit.is_closed());
    }

    #[test]
    fn a_trial_that_is_withdrawn_or_lost_makes_way_for_another() {
        let circuit = opened(|_| {});
        let first = circuit.allows(5000);
        circuit.withdrawn(first);
        assert!(is_trial(circuit.allows(5001)));
        assert_eq!(circuit.allows(9999), Admission::No, "it is waited for");
        assert!(is_trial(circuit.allows(10_001)), "it is not waited for any longer");
    }

    #[test]
    fn a_trial_that_is_heard_of_after_it_was_given_up_decides_nothing() {
        let circuit = opened(|_| {});
        let lost = circuit.allows(5000);
        let next = circuit.allows(10_000);
        assert!(is_trial(lost) && is_trial(next));
        circuit.succeeded(lost, 10_001);
        assert!(!circuit.is_closed());
        circuit.failed(lost, 10_001);
        assert_eq!(circuit.open_until(10_001), None);
        circuit.succeeded(next, 10_001);
        assert!(circuit.is_closed());
    }

    #[test]
    fn a_share_of_failures_opens_it_once_there_were_enough_requests() {
        let by_share = || circuit(|options| (options.failures, options.share) = (0, 0.5));
        let fail_every_other = |circuit: &Circuit, requests: u64, now| {
            for request in 0..requests {
                match request % 2 {
                    0 => circuit.succeeded(Admission::Yes, now),
                    _ => circuit.failed(Admission::Yes, now),
                }
            }
        };
        let circuit = by_share();
        fail_every_other(&circuit, 19, 0);
        assert!(circuit.is_closed(), "too few");
        circuit.failed(Admission::Yes, 0);
        assert!(!circuit.is_closed());
        let circuit = by_share();
        fail_every_other(&circuit, 18, 0);
        fail_every_other(&circuit, 18, 10_000);
        assert!(circuit.is_closed(), "they were of two windows");
        let circuit = by_share();
        for _ in 0..1000 {
            circuit.succeeded(Admission::Yes, 0);
            circuit.succeeded(Admission::Yes, 0);
            circuit.failed(Admission::Yes, 0);
        }
        assert!(circuit.is_closed(), "a third is not a half");
    }

    #[test]
    fn of_many_threads_one_gets_the_trial() {
        let circuit = opened(|_| {});
        let trials = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        trials.fetch_add(usize::from(is_trial(circuit.allows(6000))), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(trials.into_inner(), 1);
    }

    #[test]
    fn it_never_lets_more_trials_through_at_once_than_it_was_told() {
        let circuit = opened(|options| {
            (options.trials, options.trials_at_once) = (31, 2);
            options.open = Duration::from_secs(3600);
            options.longest = Duration::from_secs(3600);
        });
        let (now, mut under_way) = (3_600_000, Vec::new());
        let mut rng = fastrand::Rng::with_seed(3);
        while !circuit.is_closed() {
            match circuit.allows(now) {
                trial @ Admission::Trial(_) => under_way.push(trial),
                other => assert_eq!(other, Admission::No),
            }
            assert!(under_way.len() <= 2);
            if rng.bool() && !under_way.is_empty() {
                circuit.succeeded(under_way.swap_remove(0), now);
            }
        }
    }
}
