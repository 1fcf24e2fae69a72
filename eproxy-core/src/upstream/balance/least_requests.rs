//! The one with the fewest requests under way for its weight.

use fastrand::Rng;

use super::draw::Draw;

/// Larger groups are not looked through.
const LOOKED_THROUGH: usize = 32;

/// Of those, so many are drawn, and the least of them is taken. Each is somewhere else in memory, so more would cost more than
/// they are worth: of eight, the least is among the best ninth on average.
const DRAWN: usize = 8;

/// Chooses the least `load` (requests under way by weight) among the positions that may be taken, which are drawn by weight.
/// So the weights count as well where all are idle. None only if none may be taken.
pub(in crate::upstream) fn choose(
    rng: &mut Rng,
    draw: &Draw,
    may: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> f64,
    weight: impl Fn(usize) -> f64,
) -> Option<usize> {
    let count = draw.count();
    if count > LOOKED_THROUGH {
        let mut least: Option<(usize, f64)> = None;
        for at in (0..DRAWN).map(|_| draw.draw(rng)).filter(|at| may(*at)) {
            let load = load(at);
            // Of equals, the one that was drawn first.
            if least.is_none_or(|(_, least)| load < least) {
                least = Some((at, load));
            }
        }
        if let Some((at, _)) = least {
            return Some(at);
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

    fn even(count: usize) -> Draw {
        Draw::new(std::iter::repeat_n(1.0, count))
    }

    const SMALL: usize = 20;
    const LARGE: usize = 2000;

    #[test]
    fn the_least_of_all_is_chosen_in_a_small_group() {
        let mut rng = Rng::with_seed(5);
        for least in 0..LOOKED_THROUGH {
            let load = |at: usize| at.abs_diff(least) as f64;
            assert_eq!(choose(&mut rng, &even(LOOKED_THROUGH), |_| true, load, |_| 1.0), Some(least));
        }
    }

    #[test]
    fn one_of_the_least_is_chosen_in_a_large_group() {
        let mut rng = Rng::with_seed(5);
        let draw = even(LARGE);
        let ranks: usize =
            (0..1000).filter_map(|_| choose(&mut rng, &draw, |_| true, |at| at as f64, |_| 1.0)).sum();
        let mean = ranks as f64 / 1000.0;
        assert!(mean < LARGE as f64 / 9.0 * 1.2, "the least of 8 is at 1/9 on average: {mean}");
    }

    #[test]
    fn among_equals_the_weights_decide() {
        let mut rng = Rng::with_seed(5);
        for (count, weight) in [(SMALL, 1.0), (SMALL, 5.0), (LARGE, 1.0), (LARGE, 5.0)] {
            let mut heavy = 0.0;
            let of = |at: usize| if at.is_multiple_of(2) { weight } else { 1.0 };
            let draw = Draw::new((0..count).map(of));
            for _ in 0..20_000 {
                let chosen = choose(&mut rng, &draw, |_| true, |_| 0.5, of).unwrap();
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
                assert_eq!(choose(&mut rng, &even(count), |at| at == only, |_| 9.0, |_| 1.0), Some(only));
            }
            assert_eq!(choose(&mut rng, &even(count), |_| false, |_| 0.0, |_| 1.0), None);
        }
        assert_eq!(choose(&mut rng, &even(0), |_| true, |_| 0.0, |_| 1.0), None);
    }
}
