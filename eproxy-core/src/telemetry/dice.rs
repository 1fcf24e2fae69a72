//! Numbers by chance, for identifiers and samples: a core's own, without a system call.

use std::cell::RefCell;

use fastrand::Rng;

/// The dice of one core.
#[derive(Debug)]
pub(crate) struct Dice {
    rng: RefCell<Rng>,
    /// Mixed into every throw: the generators of all cores go through the same numbers in the same order, from places of
    /// their own, and two that come to the same place must not go on alike.
    salt: [u64; 2],
}

impl Dice {
    /// Dice that begin with `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let salt = [rng.u64(..).rotate_left(32) ^ seed, rng.u64(..) ^ seed.rotate_left(17)];
        Self { rng: RefCell::new(rng), salt }
    }

    /// 128 bits.
    pub(super) fn throw(&self) -> [u64; 2] {
        let mut rng = self.rng.borrow_mut();
        self.salt.map(|salt| rng.u64(..) ^ salt)
    }

    /// 64 bits, not all of them zero.
    pub(super) fn throw_one(&self) -> u64 {
        (self.rng.borrow_mut().u64(..) ^ self.salt[0]).max(1)
    }

    /// Says yes in such a part of all cases.
    pub(super) fn says_yes(&self, part: f64) -> bool {
        part >= 1.0 || part > 0.0 && self.rng.borrow_mut().f64() < part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_say_yes_as_often_as_they_are_meant_to() {
        let dice = Dice::new(1);
        let often = |part: f64| (0..10_000).filter(|_| dice.says_yes(part)).count();
        assert_eq!((often(0.0), often(1.0)), (0, 10_000));
        assert!((800..1200).contains(&often(0.1)));
    }
}
