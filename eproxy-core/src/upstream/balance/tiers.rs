//! Which tier of endpoints is used: the first one that is well enough.

/// Chooses a tier from each one's count of healthy endpoints and of all, the most preferred first.
///
/// It is the first that has a healthy endpoint and whose healthy share is not under `below` (0: any healthy endpoint will
/// do). If all are under, it is the one with the highest share, the first of several. None if nobody is healthy.
pub(in crate::upstream) fn tier(counts: impl Iterator<Item = (usize, usize)>, below: f64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (tier, (healthy, all)) in counts.enumerate() {
        if healthy == 0 {
            continue;
        }
        let share = healthy as f64 / all.max(healthy) as f64;
        if share >= below {
            return Some(tier);
        }
        if best.is_none_or(|(_, highest)| share > highest) {
            best = Some((tier, share));
        }
    }
    best.map(|(tier, _)| tier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tier_serves_while_anybody_there_is_healthy() {
        assert_eq!(tier([(1, 10), (5, 5)].into_iter(), 0.0), Some(0));
        assert_eq!(tier([(0, 10), (0, 0), (1, 5)].into_iter(), 0.0), Some(2));
    }

    #[test]
    fn a_tier_that_is_not_well_enough_is_passed_over() {
        assert_eq!(tier([(4, 10), (5, 5)].into_iter(), 0.5), Some(1));
        assert_eq!(tier([(5, 10), (5, 5)].into_iter(), 0.5), Some(0));
    }

    #[test]
    fn if_no_tier_is_well_enough_the_best_of_them_serves() {
        assert_eq!(tier([(1, 10), (3, 10), (3, 10)].into_iter(), 0.5), Some(1));
        assert_eq!(tier([(0, 10), (1, 10), (0, 3)].into_iter(), 1.0), Some(1));
    }

    #[test]
    fn there_is_no_tier_where_nobody_is_healthy() {
        assert_eq!(tier([(0, 10), (0, 3)].into_iter(), 0.0), None);
        assert_eq!(tier([].into_iter(), 0.0), None);
    }
}
