//! The power of two choices: two positions are drawn, the better one is taken.
//!
//! That is nearly as good as asking all for the best, takes as long with ten thousand as with ten, and keeps many that
//! choose at the same time from all choosing the same one.

use fastrand::Rng;

use super::draw::Draw;

/// Draws for the two, together. A position so heavy that nothing else is drawn in this many is taken by itself: its
/// weight says so.
const TRIES: usize = 16;

/// A score is better than another one if it is less than this part of it. Estimates of those who are alike differ a little,
/// if only by their age, and whoever was asked least would be preferred for that, whatever the weights say.
const CLEARLY: f64 = 0.9;

/// Chooses the better of two different positions, drawn by weight, that may be taken. A lower score is better; where it
/// is about the same the first one drawn is taken, so that the weights decide. None only if none may be taken.
pub(in crate::upstream) fn choose(
    rng: &mut Rng,
    draw: &Draw,
    may: impl Fn(usize) -> bool,
    score: impl Fn(usize) -> f64,
) -> Option<usize> {
    match draw.count() {
        0 => return None,
        1 => return may(0).then_some(0),
        _ => {}
    }
    let (mut first, mut may_not) = (None, false);
    for _ in 0..TRIES {
        let drawn = match first {
            Some(first) if draw.is_even() => another(rng, draw.count(), first),
            _ => draw.draw(rng),
        };
        match first {
            _ if !may(drawn) => may_not = true,
            None => first = Some(drawn),
            Some(first) if first == drawn => {}
            Some(first) => return Some(if score(drawn) < score(first) * CLEARLY { drawn } else { first }),
        }
    }
    if may_not { best(rng, draw.count(), may, score) } else { first }
}

/// Any position but one.
fn another(rng: &mut Rng, count: usize, but: usize) -> usize {
    let drawn = rng.usize(..count - 1);
    drawn + usize::from(drawn >= but)
}

/// The best of all that may be taken. It is looked for from anywhere, so that no position is preferred.
fn best(
    rng: &mut Rng,
    count: usize,
    may: impl Fn(usize) -> bool,
    score: impl Fn(usize) -> f64,
) -> Option<usize> {
    let start = rng.usize(..count);
    let mut best: Option<(usize, f64)> = None;
    for at in (start..count).chain(0..start).filter(|at| may(*at)) {
        let score = score(at);
        if best.is_none_or(|(_, least)| score < least) {
            best = Some((at, score));
        }
    }
    best.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[f64], may: impl Fn(usize) -> bool, score: impl Fn(usize) -> f64) -> Vec<f64> {
        const PICKS: usize = 200_000;
        let mut rng = Rng::with_seed(11);
        let draw = Draw::new(weights.iter().copied());
        let mut counts = vec![0.0; weights.len()];
        (0..PICKS).for_each(|_| counts[choose(&mut rng, &draw, &may, &score).unwrap()] += 1.0 / PICKS as f64);
        counts
    }

    #[test]
    fn where_all_score_alike_the_weights_decide() {
        for weights in [&[1.0; 8][..], &[5.0, 1.0, 1.0], &[1.0, 2.0, 3.0, 4.0]] {
            let sum: f64 = weights.iter().sum();
            for (share, weight) in shares(weights, |_| true, |_| 0.01).iter().zip(weights) {
                assert!((share - weight / sum).abs() < 0.02 * (weight / sum), "{share}: {weights:?}");
            }
        }
    }

    #[test]
    fn the_worst_of_all_is_never_chosen_where_weights_are_equal() {
        let shares = shares(&[1.0; 5], |_| true, |at| if at == 2 { 1.0 } else { 0.1 });
        assert_eq!(shares[2], 0.0);
        assert!(shares.iter().filter(|share| **share > 0.2).count() == 4);
    }

    #[test]
    fn of_two_the_better_one_is_taken_though_it_weighs_half() {
        let shares = shares(&[2.0, 1.0], |_| true, |at| if at == 0 { 1.0 } else { 0.1 });
        assert!(shares[0] < 0.01, "{shares:?}");
    }

    #[test]
    fn a_feather_against_a_rock_does_not_get_it_all_by_being_faster() {
        let shares = shares(&[999.0, 1.0], |_| true, |at| if at == 0 { 1.0 } else { 0.1 });
        assert!(shares[1] < 0.05, "{shares:?}");
    }

    #[test]
    fn those_that_may_not_are_never_chosen() {
        let shares = shares(&[1000.0, 1.0, 1.0, 1.0], |at| at % 2 == 1, |at| at as f64);
        assert_eq!((shares[0], shares[2]), (0.0, 0.0));
        assert!(shares[1] > shares[3]);
    }

    #[test]
    fn none_is_chosen_only_where_none_may_be() {
        let mut rng = Rng::with_seed(2);
        for count in [1, 2, 3, 40, 5000] {
            let draw = Draw::new((0..count).map(|_| 1.0));
            for only in [0, count / 2, count - 1] {
                assert_eq!(choose(&mut rng, &draw, |at| at == only, |_| 0.0), Some(only));
            }
            assert_eq!(choose(&mut rng, &draw, |_| false, |_| 0.0), None);
        }
        assert_eq!(choose(&mut rng, &Draw::default(), |_| true, |_| 0.0), None);
    }
}
