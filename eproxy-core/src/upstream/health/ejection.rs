//! Which endpoints rest because of how they treated the requests that they got.
//!
//! A decider: it does no I/O, and is told the time. What it knows of an endpoint is shared by all cores without a lock; a
//! request that succeeds costs one load, as long as none has failed before it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::ejection_options::Ejection;
use super::millis::millis;
use super::outliers::{Tally, outliers};

/// A way in which an endpoint let a request down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Failure {
    /// It took no connection.
    Connect,
    /// It got the request, and no head of an answer came.
    NoAnswer,
    /// It answered with a status from 500 on.
    ServerError,
}

/// How one endpoint stands.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Standing {
    /// Failures in a row, packed [`Counts`].
    counts: AtomicU64,
    /// Until when it rests because it could not be reached or did not answer, in milliseconds.
    silent_until: AtomicU64,
    /// Until when it rests for what it has answered.
    answers_until: AtomicU64,
    /// How often it was an outlier of late.
    times: AtomicU32,
}

/// Failures in a row, by kind. They stay at the largest number, rather than begin anew.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connect: u16,
    no_answer: u16,
    server_error: u16,
}

impl Counts {
    fn unpack(word: u64) -> Self {
        Self { connect: word as u16, no_answer: (word >> 16) as u16, server_error: (word >> 32) as u16 }
    }

    fn pack(self) -> u64 {
        u64::from(self.server_error) << 32 | u64::from(self.no_answer) << 16 | u64::from(self.connect)
    }

    fn add(self, failure: Failure) -> Self {
        match failure {
            Failure::Connect => Self { connect: self.connect.saturating_add(1), ..self },
            Failure::NoAnswer => Self { no_answer: self.no_answer.saturating_add(1), ..self },
            // A bad answer is an answer.
            Failure::ServerError => {
                Self { server_error: self.server_error.saturating_add(1), ..Self::default() }
            }
        }
    }

    fn of(self, failure: Failure) -> u16 {
        match failure {
            Failure::Connect => self.connect,
            Failure::NoAnswer => self.no_answer,
            Failure::ServerError => self.server_error,
        }
    }
}

impl Standing {
    /// Whether it gets no requests now.
    pub(in crate::upstream) fn is_ejected(&self, now_ms: u64) -> bool {
        self.ejected_until(now_ms).is_some()
    }

    /// When it gets requests again; none if it does now.
    pub(in crate::upstream) fn ejected_until(&self, now_ms: u64) -> Option<u64> {
        let until = self.silent_until.load(Ordering::Relaxed).max(self.answers_until.load(Ordering::Relaxed));
        (now_ms < until).then_some(until)
    }

    /// Whether it has rested because it could not be reached or did not answer, and nothing has gone well since.
    pub(in crate::upstream) fn is_on_trial(&self) -> bool {
        self.silent_until.load(Ordering::Relaxed) != 0
    }

    fn is_ejected_for_answers(&self, now_ms: u64) -> bool {
        now_ms < self.answers_until.load(Ordering::Relaxed)
    }

    /// Says that it did what it was asked to. Gives whether that ended a rest.
    pub(in crate::upstream) fn succeeded(&self) -> bool {
        if self.counts.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.counts.store(0, Ordering::Relaxed);
        self.silent_until.swap(0, Ordering::Relaxed) != 0
    }

    /// Says that it let a request down. `group` are all endpoints, this one among them: only so many of them may rest for
    /// what they have answered. Cores that find two out at the same moment may exceed that by one each. Gives until when it
    /// rests, if this was one failure too many.
    pub(in crate::upstream) fn failed<'a>(
        &self,
        failure: Failure,
        now_ms: u64,
        options: &Ejection,
        group: impl Iterator<Item = &'a Self>,
    ) -> Option<u64> {
        let threshold = match failure {
            Failure::Connect => options.connect_errors,
            Failure::NoAnswer => options.no_answers,
            // Not counted: then it is an answer like any other.
            Failure::ServerError if options.server_errors == 0 => {
                self.succeeded();
                return None;
            }
            Failure::ServerError => options.server_errors,
        };
        let add = |word| Some(Counts::unpack(word).add(failure).pack());
        let before = self.counts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
        let failures = Counts::unpack(before).add(failure).of(failure);
        if failure == Failure::ServerError {
            self.silent_until.store(0, Ordering::Relaxed);
        }
        if threshold == 0 || failures < threshold {
            return None;
        }
        let until = now_ms.saturating_add(rest(options, failures - threshold));
        match failure {
            Failure::Connect | Failure::NoAnswer => {
                self.silent_until.fetch_max(until, Ordering::Relaxed);
            }
            Failure::ServerError => {
                if !self.is_ejected_for_answers(now_ms) && is_enough(options, now_ms, group) {
                    return None;
                }
                self.answers_until.fetch_max(until, Ordering::Relaxed);
            }
        }
        Some(until)
    }

    /// Has it rest as an outlier.
    fn eject(&self, now_ms: u64, options: &Ejection) {
        let times = self.times.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let rest = millis(options.outlier_rest).saturating_mul(u64::from(times));
        let until = now_ms.saturating_add(rest.min(millis(options.outlier_longest)));
        self.answers_until.fetch_max(until, Ordering::Relaxed);
    }

    /// An interval in which it was none, and did not rest, counts one time less.
    fn forgive(&self) {
        let less = |times: u32| times.checked_sub(1);
        // None to take off.
        let _ = self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// How long the rest is, in milliseconds, after so many failures past the first that led to one.
fn rest(options: &Ejection, further: u16) -> u64 {
    let doubled = 1_u64 << further.min(40);
    millis(options.shortest).saturating_mul(doubled).min(millis(options.longest))
}

/// Whether as many endpoints of a group rest for their answers as may.
fn is_enough<'a>(options: &Ejection, now_ms: u64, group: impl Iterator<Item = &'a Standing>) -> bool {
    let (mut endpoints, mut resting) = (0, 0);
    for standing in group {
        endpoints += 1;
        resting += usize::from(standing.is_ejected_for_answers(now_ms));
    }
    resting >= options.most(endpoints)
}

/// Compares the endpoints of a group by what they have answered since the last time, and has the outliers rest, the worst
/// first, as many as may. Gives their positions. One task does that, every [`Ejection::interval`].
pub(in crate::upstream) fn sweep(
    endpoints: &[(&Standing, Tally)],
    now_ms: u64,
    options: &Ejection,
) -> Vec<usize> {
    let resting: Vec<_> =
        endpoints.iter().map(|(standing, _)| standing.is_ejected_for_answers(now_ms)).collect();
    let left = options.most(endpoints.len()).saturating_sub(resting.iter().filter(|rests| **rests).count());
    let mut found = outliers(endpoints.iter().map(|(_, tally)| *tally), options);
    found.retain(|position| !resting[*position]);
    for (position, (standing, _)) in endpoints.iter().enumerate() {
        if !resting[position] && !found.contains(&position) {
            standing.forgive();
        }
    }
    found.truncate(left);
    found.iter().for_each(|position| endpoints[*position].0.eject(now_ms, options));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of so many endpoints.
    fn group<const N: usize>() -> [Standing; N] {
        std::array::from_fn(|_| Standing::default())
    }

    fn with_server_errors() -> Ejection {
        Ejection { server_errors: 5, ..Ejection::default() }
    }

    #[test]
    fn who_takes_no_connection_rests_twice_as_long_each_time_and_is_back_when_it_works() {
        let (options, [one]) = (Ejection::default(), group());
        let mut now = 1000;
        for rest in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            let until = one.failed(Failure::Connect, now, &options, [&one].into_iter());
            assert_eq!(until, Some(now + rest));
            assert!(one.is_ejected(now + rest - 1) && !one.is_ejected(now + rest));
            now += rest;
        }
        one.failed(Failure::Connect, now, &options, [&one].into_iter());
        assert!(one.succeeded() && !one.is_ejected(now));
        assert!(!one.succeeded(), "nothing has failed since");
        let until = one.failed(Failure::Connect, now, &options, [&one].into_iter());
        assert_eq!(until, Some(now + 100));
    }

    #[test]
    fn who_does_not_answer_three_times_in_a_row_rests() {
        let (options, [one]) = (Ejection::default(), group());
        let fail = |now| one.failed(Failure::NoAnswer, now, &options, [&one].into_iter());
        assert_eq!((fail(0), fail(0)), (None, None));
        one.succeeded();
        assert_eq!((fail(0), fail(0), fail(0), fail(0)), (None, None, Some(100), Some(200)));
        one.succeeded();
        assert!(!one.is_ejected(0));
    }

    #[test]
    fn kinds_are_counted_apart_and_a_bad_answer_is_an_answer() {
        let (options, [one]) = (with_server_errors(), group());
        let fail = |failure| one.failed(failure, 0, &options, [&one].into_iter());
        assert_eq!((fail(Failure::NoAnswer), fail(Failure::NoAnswer)), (None, None));
        assert_eq!(fail(Failure::Connect), Some(100), "the first connect error");
        assert!(one.is_ejected(0));
        assert_eq!(fail(Failure::ServerError), None);
        assert!(!one.is_ejected(0), "it can be reached");
        assert_eq!((fail(Failure::NoAnswer), fail(Failure::NoAnswer)), (None, None), "counted anew");
    }

    #[test]
    fn server_errors_count_only_where_that_was_asked_for() {
        let (options, [one]) = (Ejection::default(), group());
        for _ in 0..100 {
            assert_eq!(one.failed(Failure::ServerError, 0, &options, [&one].into_iter()), None);
        }
        let options = with_server_errors();
        let told: Vec<_> =
            (0..6).map(|_| one.failed(Failure::ServerError, 0, &options, [&one].into_iter())).collect();
        assert_eq!(told, [None, None, None, None, Some(100), Some(200)]);
    }

    #[test]
    fn where_server_errors_are_not_counted_one_ends_a_rest_as_any_answer_does() {
        let (options, [one]) = (Ejection::default(), group());
        one.failed(Failure::Connect, 0, &options, [&one].into_iter());
        one.failed(Failure::ServerError, 0, &options, [&one].into_iter());
        assert!(!one.is_ejected(0));
    }

    #[test]
    fn a_rest_for_bad_answers_is_not_ended_by_a_good_one() {
        let (options, [one]) = (with_server_errors(), group());
        (0..5).for_each(|_| _ = one.failed(Failure::ServerError, 0, &options, [&one].into_iter()));
        one.succeeded();
        assert_eq!((one.ejected_until(99), one.ejected_until(100)), (Some(100), None));
    }

    #[test]
    fn only_a_share_of_the_group_rests_for_bad_answers_but_all_of_it_if_it_can_not_be_reached() {
        let (options, all) = (with_server_errors(), group::<4>());
        for one in &all {
            (0..9).for_each(|_| _ = one.failed(Failure::ServerError, 0, &options, all.iter()));
        }
        let resting = || all.iter().filter(|one| one.is_ejected(0)).count();
        assert_eq!(resting(), 2);
        all.iter().for_each(|one| _ = one.failed(Failure::Connect, 0, &options, all.iter()));
        assert_eq!(resting(), 4);
    }

    #[test]
    fn who_rests_already_may_rest_longer_although_no_other_may() {
        let (options, all) = (with_server_errors(), group::<2>());
        let fail = || all[0].failed(Failure::ServerError, 0, &options, all.iter());
        (0..4).for_each(|_| assert_eq!(fail(), None));
        assert_eq!((fail(), fail()), (Some(100), Some(200)));
    }

    #[test]
    fn failures_without_end_do_not_overflow() {
        let (options, [one]) = (Ejection::default(), group());
        (0..70_000).for_each(|_| _ = one.failed(Failure::Connect, 0, &options, [&one].into_iter()));
        assert_eq!(one.failed(Failure::NoAnswer, 0, &options, [&one].into_iter()), None);
        assert_eq!(one.ejected_until(0), Some(10_000));
    }

    #[test]
    fn failures_of_all_cores_are_counted_together() {
        let (options, [one]) = (Ejection { no_answers: 400, ..Ejection::default() }, group());
        let core = || {
            let fail = |_: &i32| one.failed(Failure::NoAnswer, 0, &options, [&one].into_iter()).is_some();
            (0..100).filter(fail).count()
        };
        let told: usize = std::thread::scope(|scope| {
            let cores: Vec<_> = (0..4).map(|_| scope.spawn(core)).collect();
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(told, 1, "the 400th");
    }

    /// A sweep over endpoints that had 100 requests each, so many of them good.
    fn swept(all: &[Standing], good: &[u64], now: u64) -> Vec<usize> {
        let options = Ejection { outliers: true, ..Ejection::default() };
        let tally = |good: &u64| Tally { requests: 100, failures: 100 - good };
        let endpoints: Vec<_> = all.iter().zip(good.iter().map(tally)).collect();
        sweep(&endpoints, now, &options)
    }

    #[test]
    fn an_outlier_rests_longer_each_time_and_less_after_good_times() {
        let all = group::<5>();
        let bad = [100, 100, 20, 100, 100];
        assert_eq!(swept(&all, &bad, 0), [2]);
        assert_eq!(all[2].ejected_until(0), Some(30_000));
        assert_eq!(swept(&all, &bad, 10_000), [0; 0], "it rests already");
        assert_eq!(swept(&all, &bad, 30_000), [2]);
        assert_eq!(all[2].ejected_until(30_000), Some(90_000));
        (0..2).for_each(|_| assert_eq!(swept(&all, &[100; 5], 90_000), [0; 0]));
        assert_eq!(swept(&all, &bad, 100_000), [2]);
        assert_eq!(all[2].ejected_until(100_000), Some(130_000));
    }

    #[test]
    fn a_success_does_not_bring_an_outlier_back() {
        let all = group::<5>();
        swept(&all, &[100, 100, 20, 100, 100], 0);
        all[2].succeeded();
        assert!(all[2].is_ejected(0));
    }

    #[test]
    fn outliers_past_the_share_stay_the_worst_goes() {
        let all = group::<20>();
        let mut good = [100; 20];
        (good[3], good[4]) = (10, 0);
        let options = Ejection { max_share: 0.05, ..Ejection::default() };
        let tally = |good: &u64| Tally { requests: 100, failures: 100 - good };
        let endpoints: Vec<_> = all.iter().zip(good.iter().map(tally)).collect();
        assert_eq!(sweep(&endpoints, 0, &options), [4]);
        assert_eq!(sweep(&endpoints, 0, &options), [0; 0], "as many rest as may");
    }
}
