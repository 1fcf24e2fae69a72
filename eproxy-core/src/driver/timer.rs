//! A wheel of coarse deadlines.
//!
//! The wheel holds claims, not timers: «look at source 7 at tick 900». Whoever owns the source compares its real
//! deadline when the claim comes due and claims again if the deadline has moved. So moving a deadline further away,
//! which happens on every request, costs one store and never touches the wheel.

use std::time::Duration;

/// A point in time, in [`TICK`]s since the core started.
pub(super) type Tick = u64;

/// A deadline that never comes.
pub(super) const NEVER: Tick = Tick::MAX;

/// The resolution of all deadlines: they come at most this late, never early. Coarse enough that a busy core looks at
/// the wheel in few of its turns, fine enough for limits of tens of milliseconds.
pub(super) const TICK: Duration = Duration::from_millis(8);

/// Slots of the wheel, a power of two: claims further away than 8 s wait in the last slot and are claimed again.
const SLOTS: usize = 1024;

/// A source to look at; the serial number tells it from a later source with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Claim {
    pub(super) key: u32,
    pub(super) serial: u32,
}

/// Claims in slots by tick.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<Claim>>,
    /// One bit a slot: whether it holds claims.
    occupied: [u64; SLOTS / 64],
    /// The last tick that has been expired.
    now: Tick,
    /// The earliest tick at which a claim comes due; found anew when it has.
    next: Tick,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; SLOTS / 64],
            now: 0,
            next: NEVER,
        }
    }

    /// Asks for `claim` to come due at `at`, or as far towards it as the wheel reaches. Returns the tick at which it
    /// will come due.
    pub(super) fn insert(&mut self, at: Tick, claim: Claim) -> Tick {
        let at = at.clamp(self.now + 1, self.now + SLOTS as Tick - 1);
        let slot = at as usize % SLOTS;
        self.slots[slot].push(claim);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.next = self.next.min(at);
        at
    }

    /// The earliest tick at which a claim comes due.
    pub(super) fn next(&self) -> Option<Tick> {
        (self.next != NEVER).then_some(self.next)
    }

    /// Looks for the first slot behind `now` that holds claims.
    fn search(&self) -> Tick {
        let start = (self.now + 1) as usize % SLOTS;
        let (word, bit) = (start / 64, start % 64);
        let words = self.occupied.len();
        for step in 0..=words {
            let at = (word + step) % words;
            let mask = match step {
                0 => !0 << bit,
                last if last == words => !(!0 << bit),
                _ => !0,
            };
            let found = self.occupied[at] & mask;
            if found != 0 {
                let slot = at * 64 + found.trailing_zeros() as usize;
                return self.now + 1 + ((slot + SLOTS - start) % SLOTS) as Tick;
            }
        }
        NEVER
    }

    /// Moves to the tick `now` and appends all claims that came due to `due`.
    pub(super) fn expire(&mut self, now: Tick, due: &mut Vec<Claim>) {
        while self.next <= now {
            self.now = self.next;
            let slot = self.next as usize % SLOTS;
            due.append(&mut self.slots[slot]);
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            self.next = self.search();
        }
        self.now = self.now.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(key: u32) -> Claim {
        Claim { key, serial: 0 }
    }

    #[test]
    fn claims_come_due_at_their_tick_and_never_before() {
        let mut wheel = Wheel::new();
        let mut due = Vec::new();
        for at in [5, 6, 700, 1023] {
            assert_eq!(wheel.insert(at, claim(at as u32)), at);
        }
        for now in 1..1100 {
            wheel.expire(now, &mut due);
            let expected = [5, 6, 700, 1023].iter().filter(|at| **at <= now).count();
            assert_eq!(due.len(), expected, "at tick {now}");
        }
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_far_claim_comes_due_early_so_that_its_owner_can_claim_again() {
        let mut wheel = Wheel::new();
        let mut due = Vec::new();
        let at = wheel.insert(1_000_000, claim(1));
        assert!(at < SLOTS as Tick);
        assert_eq!(wheel.next(), Some(at));
        wheel.expire(at, &mut due);
        assert_eq!(due, [claim(1)]);
    }

    #[test]
    fn the_next_tick_is_found_from_every_position() {
        let mut due = Vec::new();
        for start in 0..2 * SLOTS as Tick {
            for distance in [1, 2, 63, 64, 65, 900, SLOTS as Tick - 1] {
                let mut wheel = Wheel::new();
                wheel.expire(start, &mut due);
                wheel.insert(start + distance, claim(0));
                assert_eq!(wheel.next(), Some(start + distance), "from {start}");
            }
        }
    }

    #[test]
    fn a_long_sleep_expires_everything_once() {
        let mut wheel = Wheel::new();
        let mut due = Vec::new();
        for at in 1..200 {
            wheel.insert(at, claim(at as u32));
        }
        wheel.expire(50_000, &mut due);
        assert_eq!(due.len(), 199);
        assert_eq!(wheel.insert(10, claim(1)), 50_001);
    }
}
