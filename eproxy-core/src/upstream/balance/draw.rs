//! Drawing positions at random, in proportion to their weights, in the same short time however many there are.
//!
//! Each position has a slot of equal size. What a weight exceeds or falls short of that size is put where there is room
//! or taken from where there is plenty, so that a slot has at most two owners (Vose's alias method): one throw chooses
//! the slot, another one of its owners. Where all weights are equal there is no table.

use fastrand::Rng;

/// Draws before all positions are looked at.
const TRIES: usize = 16;

/// Positions with weights, ready to be drawn from.
#[derive(Clone, Debug, Default)]
pub(in crate::upstream) struct Draw {
    /// How many positions there are.
    count: usize,
    /// A slot for each; none where all weights are equal.
    slots: Box<[Slot]>,
}

/// One slot: its owner, who has it for a part, and another one.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The owner's part, from 0 to 1.
    part: f64,
    /// The position that has the rest.
    other: u32,
    /// The owner's weight, the mean of all being 1.
    weight: f32,
}

impl Draw {
    /// Prepares for drawing. A weight that is not above 0 is never drawn, unless none is above 0.
    pub(in crate::upstream) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.map(|weight| if weight > 0.0 { weight } else { 0.0 }).collect();
        let count = weights.len();
        let sum: f64 = weights.iter().sum();
        if weights.windows(2).all(|two| two[0] == two[1]) || !sum.is_finite() {
            return Self { count, slots: Box::default() };
        }
        let slot = |(at, weight): (usize, &f64)| {
            let part = weight * count as f64 / sum;
            Slot { part, other: at as u32, weight: part as f32 }
        };
        let mut slots: Box<[Slot]> = weights.iter().enumerate().map(slot).collect();
        level(&mut slots);
        Self { count, slots }
    }

    /// How many positions there are.
    pub(in crate::upstream) fn count(&self) -> usize {
        self.count
    }

    /// Whether all positions are drawn alike.
    pub(in crate::upstream) fn is_even(&self) -> bool {
        self.slots.is_empty()
    }

    /// Draws a position.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub(in crate::upstream) fn draw(&self, rng: &mut Rng) -> usize {
        let at = rng.usize(..self.count);
        match self.slots.get(at) {
            Some(slot) if rng.f64() >= slot.part => slot.other as usize,
            _ => at,
        }
    }

    /// Draws a position among those that may be taken; none only if none may.
    pub(in crate::upstream) fn choose(&self, rng: &mut Rng, may: impl Fn(usize) -> bool) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let drawn = (0..TRIES).map(|_| self.draw(rng)).find(|at| may(*at));
        drawn.or_else(|| self.search(rng, may))
    }

    /// Looks at all positions: the next one takes the place of the one before with the likelihood that its weight has
    /// among those seen so far, so in the end each has been chosen with its own.
    fn search(&self, rng: &mut Rng, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut found = None;
        let mut seen = 0.0;
        for at in (0..self.count).filter(|at| may(*at)) {
            let weight = self.slots.get(at).map_or(1.0, |slot| f64::from(slot.weight));
            seen += weight;
            if found.is_none() || rng.f64() * seen < weight {
                found = Some(at);
            }
        }
        found
    }
}

/// Gives the excess of large parts to slots of small ones, until none is above 1.
fn level(slots: &mut [Slot]) {
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..slots.len()).partition(|at| slots[*at].part < 1.0);
    while let (Some(from), Some(to)) = (large.last().copied(), small.pop()) {
        slots[to].other = from as u32;
        slots[from].part -= 1.0 - slots[to].part;
        if slots[from].part < 1.0 {
            large.pop();
            small.push(from);
        }
    }
    // What is left is 1 but for what was lost in rounding.
    small.into_iter().chain(large).for_each(|at| slots[at].part = 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(draw: &Draw, may: impl Fn(usize) -> bool) -> Vec<f64> {
        const DRAWS: usize = 400_000;
        let mut rng = Rng::with_seed(7);
        let mut counts = vec![0.0; draw.count()];
        (0..DRAWS).for_each(|_| counts[draw.choose(&mut rng, &may).unwrap()] += 1.0 / DRAWS as f64);
        counts
    }

    #[test]
    fn positions_are_drawn_in_proportion_to_their_weights() {
        for weights in
            [&[1.0, 2.0, 3.0, 4.0][..], &[5.0, 1.0, 1.0], &[1.0; 6], &[0.1, 1.0, 0.5], &[100.0, 1.0]]
        {
            let sum: f64 = weights.iter().sum();
            for (share, weight) in shares(&Draw::new(weights.iter().copied()), |_| true).iter().zip(weights) {
                let expected = weight / sum;
                assert!(
                    (share - expected).abs() < 0.02 * expected.max(0.1),
                    "{share} of {expected}: {weights:?}"
                );
            }
        }
    }

    #[test]
    fn the_table_adds_up_to_the_weights() {
        let mut rng = Rng::with_seed(1);
        let weights: Vec<f64> = (0..1000).map(|_| f64::from(rng.u32(1..1000))).collect();
        let sum: f64 = weights.iter().sum();
        let draw = Draw::new(weights.iter().copied());
        let mut parts = vec![0.0; weights.len()];
        for (at, slot) in draw.slots.iter().enumerate() {
            assert!((0.0..=1.0).contains(&slot.part));
            parts[at] += slot.part;
            parts[slot.other as usize] += 1.0 - slot.part;
        }
        for (part, weight) in parts.iter().zip(&weights) {
            assert!((part / 1000.0 - weight / sum).abs() < 1e-9);
        }
    }

    #[test]
    fn equal_weights_take_no_table() {
        assert!(Draw::new([3.0; 10_000].into_iter()).is_even());
        assert!(!Draw::new([3.0, 1.0].into_iter()).is_even());
    }

    #[test]
    fn a_weight_of_nothing_is_never_drawn_unless_all_weigh_nothing() {
        let draw = Draw::new([0.0, 1.0, -1.0, f64::NAN].into_iter());
        assert!((shares(&draw, |_| true)[1] - 1.0).abs() < 1e-6);
        let draw = Draw::new([0.0, 0.0].into_iter());
        assert!((shares(&draw, |_| true)[1] - 0.5).abs() < 0.01);
    }

    #[test]
    fn those_that_may_be_taken_keep_their_proportions() {
        let draw = Draw::new([1000.0, 1.0, 3.0].into_iter());
        let shares = shares(&draw, |at| at != 0);
        assert_eq!(shares[0], 0.0);
        assert!((shares[1] - 0.25).abs() < 0.01, "{shares:?}");
    }

    #[test]
    fn none_is_drawn_only_where_none_may_be() {
        let mut rng = Rng::with_seed(3);
        let draw = Draw::new([1.0; 5000].into_iter());
        for only in [0, 2500, 4999] {
            assert_eq!(draw.choose(&mut rng, |at| at == only), Some(only));
        }
        assert_eq!(draw.choose(&mut rng, |_| false), None);
        assert_eq!(Draw::default().choose(&mut rng, |_| true), None);
    }
}
