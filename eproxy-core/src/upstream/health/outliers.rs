//! Which endpoints answer clearly worse than the others. A plain function on numbers.

use super::ejection_options::Ejection;

/// What an endpoint has answered in an interval, all cores together.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::upstream) struct Tally {
    pub(in crate::upstream) requests: u64,
    pub(in crate::upstream) failures: u64,
}

/// The least distance from the mean: among endpoints that hardly ever fail, one failure is many deviations.
const LEAST_GAP: f64 = 0.05;

/// How much of the largest distance that is possible is asked for where `deviations` is out of reach.
const REACH: f64 = 0.95;

/// The positions of the endpoints whose share of good answers is too far below the mean, the worst first. Those with too
/// few requests are not compared.
pub(super) fn outliers(tallies: impl Iterator<Item = Tally>, options: &Ejection) -> Vec<usize> {
    let least = u64::from(options.least_requests.max(1));
    let rate = |tally: &Tally| 1.0 - tally.failures.min(tally.requests) as f64 / tally.requests as f64;
    let rates: Vec<(usize, f64)> = tallies
        .enumerate()
        .filter(|(_, tally)| tally.requests >= least)
        .map(|(position, tally)| (position, rate(&tally)))
        .collect();
    if rates.len() < options.least_hosts as usize {
        return Vec::new();
    }
    let hosts = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / hosts;
    let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / hosts;
    // Of n values, none is farther from their mean than √(n − 1) deviations.
    let deviations = options.deviations.min(REACH * (hosts - 1.0).sqrt());
    let gap = (deviations * variance.sqrt()).max(LEAST_GAP);
    let mut found: Vec<_> = rates.into_iter().filter(|(_, rate)| *rate < mean - gap).collect();
    found.sort_by(|one, other| one.1.total_cmp(&other.1));
    found.into_iter().map(|(position, _)| position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outliers among endpoints with 1,000 requests each, so many of them failed.
    fn found(failures: &[u64]) -> Vec<usize> {
        let tally = |failures: &u64| Tally { requests: 1000, failures: *failures };
        outliers(failures.iter().map(tally), &Ejection::default())
    }

    #[test]
    fn who_fails_far_more_often_than_the_others_is_found() {
        assert_eq!(found(&[10, 0, 5, 400, 20, 0]), [3]);
        assert_eq!(found(&[5, 5, 900, 5, 5, 5, 5, 5, 5, 5, 5, 800]), [2, 11], "the worst first");
    }

    #[test]
    fn in_small_groups_too() {
        assert_eq!(found(&[0, 500, 10]), [1]);
        assert_eq!(found(&[0, 500, 10, 10]), [1]);
        assert_eq!(found(&[0, 500]), [0; 0], "of two, who is the odd one?");
    }

    #[test]
    fn where_all_fail_alike_nobody_is() {
        assert_eq!(found(&[500; 6]), [0; 0]);
        assert_eq!(found(&[0; 6]), [0; 0]);
        assert_eq!(found(&[0, 100, 200]), [0; 0], "a slope has no outlier");
    }

    #[test]
    fn one_failure_among_thousands_of_good_answers_is_nothing() {
        assert_eq!(found(&[0, 0, 0, 0, 1, 0]), [0; 0]);
        assert_eq!(found(&[0, 0, 0, 0, 40, 0]), [0; 0]);
    }

    #[test]
    fn who_had_few_requests_is_not_compared() {
        let busy = Tally { requests: 50, failures: 0 };
        let idle = Tally { requests: 49, failures: 49 };
        assert_eq!(outliers([busy, busy, busy, idle].into_iter(), &Ejection::default()), [0; 0]);
        let bad = Tally { requests: 50, failures: 49 };
        assert_eq!(outliers([busy, busy, busy, bad].into_iter(), &Ejection::default()), [3]);
        assert_eq!(outliers([busy, bad, idle, idle].into_iter(), &Ejection::default()), [0; 0]);
    }
}
