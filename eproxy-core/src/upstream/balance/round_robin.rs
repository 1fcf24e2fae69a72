//! Taking turns in proportion to weights, in time that grows with the logarithm of how many there are.
//!
//! Each position has its next turn on a line of virtual time; the earliest is taken, and the position's next one is
//! 1/weight later. First turns are spread over that distance among those of one weight, so turns of heavy positions don't
//! come in a row, and those of light ones don't meet.
//!
//! A position that may not be taken is passed over. It keeps its turn for a few more picks, which is enough for a request
//! that must go elsewhere; after that its turn goes by. Coming back, it has its turn at once and the next ones at its usual
//! distance: what was missed is not made up for.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// How often a position may be passed over before its turn goes by. Without that, each pick would have to look past all
/// that may not be taken for long.
const PATIENCE: u8 = 4;

/// The least weight that is reckoned with.
const LIGHTEST: f64 = 1e-6;

/// Virtual time begins anew here, before what it is told apart by gets lost in rounding.
const LATE: f64 = 1e6;

/// Positions that take turns.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct RoundRobin {
    count: usize,
    /// Where in the round it begins, from 0 to 1.
    begin: f64,
    /// The next turn of each position, the earliest on top; empty before the first pick.
    turns: BinaryHeap<Reverse<Turn>>,
    /// Those that are passed over during a pick.
    passed: Vec<Turn>,
    /// The latest turn that was taken.
    now: f64,
}

/// The next turn of a position.
#[derive(Clone, Copy, Debug)]
struct Turn {
    at: f64,
    position: u32,
    /// How often it was passed over since it was last taken.
    passed: u8,
}

impl RoundRobin {
    /// Positions `0..count`, from the beginning of the round.
    pub(in crate::upstream) fn new(count: usize) -> Self {
        Self { count, begin: 0.0, turns: BinaryHeap::new(), passed: Vec::new(), now: 0.0 }
    }

    /// Begins at another place of the round, from 0 to 1, so that not all who take turns among the same endpoints begin
    /// with the same one.
    pub(in crate::upstream) fn beginning_at(mut self, part: f64) -> Self {
        self.begin = part.clamp(0.0, 1.0);
        self
    }

    /// Whose turn it is among those that may be taken. A new weight counts from the position's next turn.
    pub(in crate::upstream) fn choose(
        &mut self,
        weight: impl Fn(usize) -> f64,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let distance = |position: u32| weight(position as usize).max(LIGHTEST).recip();
        if self.turns.is_empty() {
            self.begin(distance);
        }
        let chosen = loop {
            match self.turns.pop() {
                Some(Reverse(turn)) if may(turn.position as usize) => break Some(turn),
                Some(Reverse(turn)) => self.passed.push(turn),
                None => break None,
            }
        };
        let Some(chosen) = chosen else {
            self.turns.extend(self.passed.drain(..).map(Reverse));
            return None;
        };
        self.now = self.now.max(chosen.at);
        for mut turn in self.passed.drain(..) {
            turn.passed = turn.passed.saturating_add(1);
            if turn.passed > PATIENCE {
                turn.at = self.now + distance(turn.position);
            }
            self.turns.push(Reverse(turn));
        }
        // A turn that is late does not make the next one late, unless that would be over already.
        let distance = distance(chosen.position);
        let next = if chosen.at + distance > self.now { chosen.at } else { self.now } + distance;
        self.turns.push(Reverse(Turn { at: next, passed: 0, ..chosen }));
        if self.now > LATE {
            self.rebase();
        }
        Some(chosen.position as usize)
    }

    /// Gives everyone a first turn.
    fn begin(&mut self, distance: impl Fn(u32) -> f64) {
        let mut all: Vec<_> = (0..self.count as u32).map(|position| (distance(position), position)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        // The longest distance is the length of the round.
        let begin = all.last().map_or(0.0, |(longest, _)| self.begin * longest);
        for alike in all.chunk_by(|a, b| a.0 == b.0) {
            for (number, (distance, position)) in alike.iter().enumerate() {
                let first = (number as f64 + 0.5) / alike.len() as f64 * distance;
                let missed = ((begin - first) / distance).ceil().max(0.0);
                let at = first + missed * distance;
                self.turns.push(Reverse(Turn { at, position: *position, passed: 0 }));
            }
        }
    }

    /// Sets virtual time back to 0.
    fn rebase(&mut self) {
        let earlier = |Reverse(turn): Reverse<Turn>| Reverse(Turn { at: turn.at - self.now, ..turn });
        self.turns = std::mem::take(&mut self.turns).into_iter().map(earlier).collect();
        self.now = 0.0;
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.position.cmp(&other.position))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(turns: &mut RoundRobin, weights: &[f64], count: usize) -> Vec<usize> {
        (0..count).map(|_| turns.choose(|at| weights[at], |_| true).unwrap()).collect()
    }

    fn counts(picks: &[usize], positions: usize) -> Vec<usize> {
        (0..positions).map(|position| picks.iter().filter(|pick| **pick == position).count()).collect()
    }

    #[test]
    fn positions_of_one_weight_take_turns_in_their_order() {
        let mut turns = RoundRobin::new(4);
        assert_eq!(picks(&mut turns, &[3.0; 4], 9), [0, 1, 2, 3, 0, 1, 2, 3, 0]);
    }

    #[test]
    fn each_round_has_exactly_the_proportions_of_the_weights() {
        for weights in [&[5, 1, 1][..], &[1, 2, 3, 4], &[7, 7, 2], &[1000, 1], &[3, 1, 3, 1, 9, 1]] {
            let round: usize = weights.iter().sum();
            let reckoned: Vec<f64> = weights.iter().map(|weight| *weight as f64).collect();
            for begin in [0.0, 0.3, 0.99] {
                let mut turns = RoundRobin::new(weights.len()).beginning_at(begin);
                for _ in 0..50 {
                    let picks = picks(&mut turns, &reckoned, round);
                    assert_eq!(counts(&picks, weights.len()), weights, "{begin}");
                }
            }
        }
    }

    #[test]
    fn turns_of_a_heavy_position_do_not_come_in_a_row() {
        let picks = picks(&mut RoundRobin::new(3), &[5.0, 1.0, 1.0], 700);
        let longest = picks.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert_eq!(longest, Some(3), "two of seven turns belong to others, and three come between them");
    }

    #[test]
    fn not_everyone_begins_with_the_same_position() {
        let first = |begin| picks(&mut RoundRobin::new(4).beginning_at(begin), &[1.0; 4], 1)[0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(first), [0, 1, 2, 3, 0]);
    }

    #[test]
    fn who_is_passed_over_for_one_request_has_its_turn_with_the_next() {
        let mut turns = RoundRobin::new(3);
        assert_eq!(turns.choose(|_| 1.0, |at| at != 0), Some(1));
        assert_eq!(picks(&mut turns, &[1.0; 3], 5), [0, 2, 0, 1, 2], "and has lost none");
    }

    #[test]
    fn who_was_away_for_long_comes_back_without_a_burst() {
        for weights in [[1.0, 1.0, 1.0], [1.0, 1.0, 1000.0], [1000.0, 1.0, 1.0], [1.0, 0.001, 1.0]] {
            for away in 0..3 {
                let mut turns = RoundRobin::new(3);
                for _ in 0..10_000 {
                    assert_ne!(turns.choose(|at| weights[at], |at| at != away), Some(away));
                }
                let after = counts(&picks(&mut turns, &weights, 2000), 3)[away];
                let fair = 2000.0 * weights[away] / weights.iter().sum::<f64>();
                let most = fair.ceil() as usize + 2;
                assert!(after <= most, "{after} of {fair}: {weights:?} without {away}");
                assert!(after as f64 >= 0.9 * fair.floor() - 1.0, "{after} of {fair}");
            }
        }
    }

    #[test]
    fn the_rest_keep_their_proportions_while_somebody_is_away() {
        let weights = [10.0, 3.0, 1.0];
        let mut turns = RoundRobin::new(3);
        let picks: Vec<_> =
            (0..4000).map(|_| turns.choose(|at| weights[at], |at| at != 0).unwrap()).collect();
        let counts = counts(&picks, 3);
        assert!(counts[1].abs_diff(3000) <= 2, "{counts:?}");
    }

    #[test]
    fn a_weight_that_changes_counts_from_the_next_turn_on() {
        let mut turns = RoundRobin::new(2);
        picks(&mut turns, &[1.0, 1.0], 10);
        let after = counts(&picks(&mut turns, &[3.0, 1.0], 400), 2);
        assert!(after[0].abs_diff(300) <= 2, "{after:?}");
    }

    #[test]
    fn rounds_stay_exact_when_virtual_time_begins_anew() {
        let mut turns = RoundRobin::new(3);
        let weights = [2e-5, 1e-5, 1e-5];
        for _ in 0..100 {
            assert_eq!(counts(&picks(&mut turns, &weights, 4), 3), [2, 1, 1]);
        }
        assert!(turns.now <= LATE);
    }

    #[test]
    fn where_none_may_be_taken_none_is_and_no_turn_is_lost() {
        let mut turns = RoundRobin::new(3);
        assert_eq!(picks(&mut turns, &[1.0; 3], 1), [0]);
        (0..100).for_each(|_| assert_eq!(turns.choose(|_| 1.0, |_| false), None));
        assert_eq!(picks(&mut turns, &[1.0; 3], 3), [1, 2, 0]);
        assert_eq!(RoundRobin::new(0).choose(|_| 1.0, |_| true), None);
    }

    #[test]
    fn a_weight_of_nothing_does_no_harm() {
        let mut turns = RoundRobin::new(3);
        let picks = picks(&mut turns, &[1.0, 0.0, f64::NAN], 1000);
        assert!(counts(&picks, 3)[0] >= 998);
    }
}
