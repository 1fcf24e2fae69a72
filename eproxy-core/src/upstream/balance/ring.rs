//! Consistent hashing: a key leads to the same endpoint, and to another one only if it has to.
//!
//! Each endpoint has points on a ring, as many as its weight says; a key goes to the endpoint of the next point. Where
//! points are depends on the endpoint's name alone, so every process comes to the same ring, in whatever order endpoints
//! are listed, and who comes or goes moves its own keys only.
//!
//! Loads are bounded (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, 2016): an endpoint that has
//! more than its share of the requests under way, by a factor, is passed over, and the key goes to the next one on the ring.

use smallvec::SmallVec;

use super::hash::{hash, nth};

/// Points of an endpoint of mean weight: most in small groups, where shares come within a tenth of the weights.
const MOST: usize = 1024;
/// The fewest, in large groups.
const FEWEST: usize = 64;
/// From `MOST` endpoints on with the most points, there are about this many in all.
const PLENTY: usize = 1 << 17;
/// There are never more, not counting that each endpoint has one.
const LIMIT: usize = 1 << 20;

/// Endpoints seen on a walk are searched one by one up to here.
const FEW: usize = 16;

/// Endpoints on a ring.
#[derive(Clone, Debug, Default)]
pub(in crate::upstream) struct Ring {
    /// Where the points are, rising, and whose they are. The upper half of a hash is enough for that: a large ring is
    /// mostly somewhere else in memory, so what counts is how little of it is read.
    points: Box<[(u32, u32)]>,
    /// For each stretch of the ring, all of one length: the first point that is not before it.
    stretches: Box<[u32]>,
    /// A position shifted right by this is the number of its stretch.
    shift: u32,
    /// Each endpoint's part of the weight of all.
    parts: Box<[f64]>,
}

/// How much more than its share an endpoint may have.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Bound {
    /// At 1.25, a quarter more; below 1 counts as 1, and infinity means that there is no bound.
    pub(in crate::upstream) factor: f64,
    /// The requests under way at all endpoints that may be taken.
    pub(in crate::upstream) total: u32,
    /// The part that endpoints which may be taken have of the weight of all: 1 if all may.
    pub(in crate::upstream) open: f64,
}

impl Bound {
    /// How much more is usual.
    pub(in crate::upstream) const FACTOR: f64 = 1.25;
    /// No bound.
    #[cfg(test)]
    pub(in crate::upstream) const NONE: Self = Self { factor: f64::INFINITY, total: 0, open: 1.0 };

    /// The most requests that an endpoint may have, the one that is being placed included. These add up to more than
    /// there are, so there is always one that has fewer.
    fn most(self, part: f64) -> u32 {
        let share = (f64::from(self.total) + 1.0) * part / self.open.max(f64::MIN_POSITIVE);
        (self.factor.max(1.0) * share).ceil() as u32
    }
}

impl Ring {
    /// A ring of endpoints, each with a name of its own and a weight.
    pub(in crate::upstream) fn new<'a>(endpoints: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let endpoints: Vec<_> =
            endpoints.map(|(name, weight)| (hash(name.as_bytes()), f64::from(weight))).collect();
        let sum: f64 = endpoints.iter().map(|(_, weight)| weight).sum();
        let per_weight = points_per_weight(endpoints.len(), sum);
        let mut points = Vec::new();
        for (number, (name, weight)) in endpoints.iter().enumerate() {
            let count = ((weight * per_weight).round() as u64).max(1);
            points.extend((0..count).map(|point| (place(nth(*name, point)), number as u32)));
        }
        points.sort_unstable_by_key(|(at, number)| (*at, endpoints[*number as usize].0));
        let (stretches, shift) = stretches(&points);
        let parts = endpoints.iter().map(|(_, weight)| weight / sum.max(1.0)).collect();
        Self { points: points.into(), stretches, shift, parts }
    }

    /// All endpoints, each once, as they come on the ring from a key on. A key is a hash.
    pub(in crate::upstream) fn walk(&self, key: u64) -> impl Iterator<Item = usize> {
        let (before, from) = self.points.split_at(self.first(key));
        let mut seen = Seen::default();
        let owners = from.iter().chain(before).map(|(_, number)| *number as usize);
        owners.filter(move |number| seen.is_new(*number, self.parts.len())).take(self.parts.len())
    }

    /// Chooses the first endpoint on the ring that may be taken and has room. None only if none may be taken: if those
    /// that may are all full, which takes a bound that does not fit them, it is the first of them.
    pub(in crate::upstream) fn choose(
        &self,
        key: u64,
        may: impl Fn(usize) -> bool,
        load: impl Fn(usize) -> u32,
        bound: Bound,
    ) -> Option<usize> {
        let mut full = None;
        for number in self.walk(key).filter(|number| may(*number)) {
            if load(number) < bound.most(self.parts[number]) {
                return Some(number);
            }
            full = full.or(Some(number));
        }
        full
    }

    /// The first point that is not before a key. Behind the last one the ring goes on with the first.
    fn first(&self, key: u64) -> usize {
        let key = place(key);
        let Some(from) = self.stretches.get((key >> self.shift) as usize) else { return 0 };
        let from = *from as usize;
        from + self.points[from..].iter().take_while(|(at, _)| *at < key).count()
    }
}

/// How many points an endpoint has for each unit of its weight.
///
/// What the mean weight counts as is a power of two, so that it seldom changes when one of several endpoints comes or goes:
/// with it the points of all others would.
fn points_per_weight(count: usize, sum: f64) -> f64 {
    let each = (PLENTY / count.max(1)).clamp(FEWEST, MOST) as f64;
    let mean = sum.max(1.0) / count.max(1) as f64;
    let per_weight = each / mean.log2().round().exp2();
    per_weight.min(LIMIT as f64 / sum.max(1.0))
}

/// Where a hash is on the ring.
const fn place(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Cuts the ring in stretches, one for every four to eight points: these stand in one or two lines of a cache.
fn stretches(points: &[(u32, u32)]) -> (Box<[u32]>, u32) {
    let bits = points.len().max(8).ilog2() - 2;
    let shift = u32::BITS - bits;
    let mut next = 0;
    let first = |stretch: u32| {
        while points.get(next).is_some_and(|(at, _)| *at < stretch << shift) {
            next += 1;
        }
        next as u32
    };
    ((0..1 << bits).map(first).collect(), shift)
}

/// The endpoints that a walk has come to.
#[derive(Default)]
struct Seen {
    few: SmallVec<[u32; FEW]>,
    /// All endpoints, once there are more than few.
    many: Vec<bool>,
}

impl Seen {
    fn is_new(&mut self, number: usize, count: usize) -> bool {
        if !self.many.is_empty() {
            return !std::mem::replace(&mut self.many[number], true);
        }
        if self.few.contains(&(number as u32)) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(number as u32);
            return true;
        }
        self.many = vec![false; count];
        self.few.iter().for_each(|seen| self.many[*seen as usize] = true);
        self.many[number] = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const KEYS: u64 = 100_000;

    fn keys() -> impl Iterator<Item = u64> {
        (0..KEYS).map(|number| hash(format!("user-{number}").as_bytes()))
    }

    fn names(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
        numbers
            .into_iter()
            .map(|number| format!("http://10.0.{}.{}:3000", number / 256, number % 256))
            .collect()
    }

    fn ring(names: &[String]) -> Ring {
        Ring::new(names.iter().map(|name| (name.as_str(), 1)))
    }

    fn owner<'a>(ring: &Ring, names: &'a [String], key: u64) -> &'a str {
        &names[ring.choose(key, |_| true, |_| 0, Bound::NONE).unwrap()]
    }

    fn shares(ring: &Ring) -> Vec<f64> {
        let mut counts = vec![0.0; ring.parts.len()];
        keys().for_each(|key| counts[ring.walk(key).next().unwrap()] += 1.0 / KEYS as f64);
        counts
    }

    #[test]
    fn shares_come_within_a_tenth_of_the_weights() {
        for count in [2, 3, 10, 30] {
            let names = names(0..count);
            for share in shares(&ring(&names)) {
                assert!((share * count as f64 - 1.0).abs() < 0.1, "{share} of 1/{count}");
            }
        }
        for weights in [&[5, 1, 1][..], &[1, 2, 3, 4], &[100, 100, 50]] {
            let names = names(0..weights.len());
            let ring = Ring::new(names.iter().map(String::as_str).zip(weights.iter().copied()));
            for (share, part) in shares(&ring).iter().zip(&ring.parts) {
                assert!((share / part - 1.0).abs() < 0.1, "{share} of {part}");
            }
        }
    }

    #[test]
    fn when_one_leaves_only_its_keys_move() {
        for count in [3, 10, 100] {
            let before = names(0..count);
            let after = names((0..count).filter(|number| *number != count / 2));
            let (ring_before, ring_after) = (ring(&before), ring(&after));
            let mut moved = 0;
            for key in keys() {
                let was = owner(&ring_before, &before, key);
                if was == before[count / 2] {
                    moved += 1;
                } else {
                    assert_eq!(owner(&ring_after, &after, key), was);
                }
            }
            let share = moved as f64 / KEYS as f64 * count as f64;
            assert!((0.5..=1.1).contains(&share), "{moved} of {KEYS} keys: {share} of 1/{count}");
        }
    }

    #[test]
    fn who_joins_takes_keys_for_itself_only() {
        for count in [2, 10, 100] {
            let (before, after) = (names(0..count), names(0..count + 1));
            let (ring_before, ring_after) = (ring(&before), ring(&after));
            for key in keys() {
                let is = owner(&ring_after, &after, key);
                assert!(is == after[count] || is == owner(&ring_before, &before, key));
            }
        }
    }

    #[test]
    fn a_heavier_endpoint_takes_keys_from_others_and_they_none_from_each_other() {
        let names = names(0..10);
        let weigh = |weight| {
            let weight_of = move |number| if number == 3 { weight } else { 1 };
            Ring::new(names.iter().enumerate().map(move |(number, name)| (name.as_str(), weight_of(number))))
        };
        let (before, after) = (weigh(1), weigh(4));
        for key in keys() {
            let is = owner(&after, &names, key);
            assert!(is == names[3] || is == owner(&before, &names, key));
        }
    }

    #[test]
    fn the_order_in_which_endpoints_are_listed_makes_no_difference() {
        let there = names(0..50);
        let back = names((0..50).rev());
        let (ring_there, ring_back) = (ring(&there), ring(&back));
        for key in keys().take(10_000) {
            assert_eq!(owner(&ring_there, &there, key), owner(&ring_back, &back, key));
        }
    }

    #[test]
    fn the_ring_is_the_same_in_every_version() {
        let names = names(0..10);
        let ring = ring(&names);
        let walks: Vec<Vec<usize>> =
            ["", "a", "b"].map(|key| ring.walk(hash(key.as_bytes())).take(4).collect()).into();
        assert_eq!(walks, [[6, 1, 0, 8], [5, 1, 0, 6], [4, 0, 1, 3]]);
    }

    #[test]
    fn a_walk_comes_to_everyone_once() {
        for count in [0, 1, FEW, FEW + 1, 300] {
            let ring = ring(&names(0..count));
            for key in [0, 1 << 63, u64::MAX] {
                let walk: Vec<_> = ring.walk(key).collect();
                assert_eq!(walk.len(), count);
                assert_eq!(walk.iter().collect::<HashSet<_>>().len(), count);
            }
        }
    }

    #[test]
    fn the_next_point_is_found_wherever_a_key_is() {
        for count in [1, 2, 700] {
            let ring = ring(&names(0..count));
            let around = ring.points.iter().flat_map(|(at, _)| [at.wrapping_sub(1), *at, at.wrapping_add(1)]);
            for key in around.step_by(7).chain([0, u32::MAX]) {
                assert_eq!(
                    ring.first(u64::from(key) << 32),
                    ring.points.partition_point(|(at, _)| *at < key)
                );
            }
        }
    }

    #[test]
    fn who_may_not_be_taken_is_passed_over_for_the_next_on_the_ring() {
        let ring = ring(&names(0..10));
        for key in keys().take(1000) {
            let walk: Vec<_> = ring.walk(key).collect();
            let but = |number| number != walk[0] && number != walk[1];
            assert_eq!(ring.choose(key, but, |_| 0, Bound::NONE), Some(walk[2]));
            assert_eq!(ring.choose(key, |_| false, |_| 0, Bound::NONE), None);
        }
    }

    #[test]
    fn nobody_ever_has_more_than_its_bound() {
        for weights in [[1; 8], [5, 1, 1, 2, 1, 9, 1, 1]] {
            let names = names(0..8);
            let ring = Ring::new(names.iter().map(String::as_str).zip(weights));
            for closed in [None, Some(2)] {
                let may = |number| Some(number) != closed;
                let open: f64 = (0..8).filter(|number| may(*number)).map(|number| ring.parts[number]).sum();
                let mut loads = [0_u32; 8];
                // A key of which everybody wants something, and others.
                for (total, key) in keys().take(4000).enumerate() {
                    let key = if total.is_multiple_of(2) { 42 } else { key };
                    let bound = Bound { factor: Bound::FACTOR, total: total as u32, open };
                    let number = ring.choose(key, may, |number| loads[number], bound).unwrap();
                    loads[number] += 1;
                    assert!(may(number));
                    let most = Bound::FACTOR * (total + 1) as f64 * ring.parts[number] / open;
                    assert!(f64::from(loads[number]) <= most.ceil(), "{loads:?}, {number}");
                }
            }
        }
    }

    #[test]
    fn a_bound_that_does_not_fit_turns_nobody_away() {
        let ring = ring(&names(0..4));
        let bound = Bound { factor: 0.0, total: 0, open: 1.0 };
        let first = ring.walk(7).next();
        assert_eq!(ring.choose(7, |_| true, |_| 1000, bound), first);
    }

    #[test]
    fn a_ring_does_not_grow_without_limit() {
        for (count, most) in [(1, MOST), (128, PLENTY), (1000, PLENTY)] {
            let ring = ring(&names(0..count));
            assert!((count..=most).contains(&ring.points.len()), "{count}: {}", ring.points.len());
        }
        for (count, weight, most) in [(10_000, 1.0, 640_000), (40_000, 1.0, LIMIT), (1_000_000, 7.0, LIMIT)] {
            let sum = count as f64 * weight;
            assert!(points_per_weight(count, sum) * sum <= most as f64 * 1.000_001, "{count}");
        }
        let names = names(0..2);
        let lopsided = Ring::new(names.iter().map(String::as_str).zip([1000, 1]));
        assert!(lopsided.points.len() <= 4 * MOST);
    }
}
