//! The one with the fewest requests under way for its weight.

use fastrand::Rng;

/// In larger groups than this, as many are drawn, and the least of those is taken.
const ASKED: usize = 32;

/// Chooses the least `load` (requests under way by weight) among the positions `0..count` that may be taken. Those of the
/// same load are drawn by `weight`, so that the weights count as well where all are idle. None only if none may be taken.
pub(in crate::upstream) fn choose(
    rng: &mut Rng,
    count: usize,
    may: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> f64,
    weight: impl Fn(usize) -> f64,
) -> Option<usize> {
    if count > ASKED {
        let mut least = Least::default();
        for _ in 0..ASKED {
            let at = rng.usize(..count);
            if may(at) {
                least.offer(rng, at, load(at), &weight);
            }
        }
        if least.position.is_some() {
            return least.position;
        }
    }
    let mut least = Least::default();
    for at in (0..count).filter(|at| may(*at)) {
        least.offer(rng, at, load(at), &weight);
    }
    least.position
}

/// The least of what was offered so far.
#[derive(Default)]
struct Least {
    position: Option<usize>,
    load: f64,
    /// The weight of all that had this load.
    weight: f64,
}

impl Least {
    /// Takes a position if its load is less, or, with the likelihood of its weight among all like it, if it is the same.
    fn offer(&mut self, rng: &mut Rng, position: usize, load: f64, weight: impl Fn(usize) -> f64) {
        if self.position.is_none() || load < self.load {
            *self = Self { position: Some(position), load, weight: weight(position) };
        } else if load == self.load {
            let weight = weight(position);
            self.weight += weight;
            if rng.f64() * self.weight < weight {
                self.position = Some(position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: usize = 20;
    const LARGE: usize = 2000;

    #[test]
    fn the_least_of_all_is_chosen_in_a_small_group() {
        let mut rng = Rng::with_seed(5);
        for least in 0..ASKED {
            let load = |at: usize| at.abs_diff(least) as f64;
            assert_eq!(choose(&mut rng, ASKED, |_| true, load, |_| 1.0), Some(least));
        }
    }

    #[test]
    fn one_of_the_least_is_chosen_in_a_large_group() {
        let mut rng = Rng::with_seed(5);
        let ranks: usize =
            (0..1000).filter_map(|_| choose(&mut rng, LARGE, |_| true, |at| at as f64, |_| 1.0)).sum();
        let mean = ranks as f64 / 1000.0;
        assert!(mean < LARGE as f64 / 33.0 * 1.2, "the least of 32 is at 1/33 on average: {mean}");
    }

    #[test]
    fn among_equals_the_weights_decide() {
        let mut rng = Rng::with_seed(5);
        for (count, weight) in [(SMALL, 1.0), (SMALL, 5.0), (LARGE, 1.0), (LARGE, 5.0)] {
            let mut heavy = 0.0;
            for _ in 0..20_000 {
                let weight = |at: usize| if at.is_multiple_of(2) { weight } else { 1.0 };
                let chosen = choose(&mut rng, count, |_| true, |_| 0.5, weight).unwrap();
                heavy += f64::from(u8::from(chosen % 2 == 0)) / 20_000.0;
            }
            assert!((heavy - weight / (weight + 1.0)).abs() < 0.02, "{heavy}: {weight}");
        }
    }

    #[test]
    fn none_is_chosen_only_where_none_may_be() {
        let mut rng = Rng::with_seed(5);
        for count in [1, SMALL, LARGE] {
            for only in [0, count / 2, count - 1] {
                assert_eq!(choose(&mut rng, count, |at| at == only, |_| 9.0, |_| 1.0), Some(only));
            }
            assert_eq!(choose(&mut rng, count, |_| false, |_| 0.0, |_| 1.0), None);
        }
        assert_eq!(choose(&mut rng, 0, |_| true, |_| 0.0, |_| 1.0), None);
    }
}
