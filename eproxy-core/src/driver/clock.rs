//! The clock of a core: read once a turn, and nowhere else.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::timer::{TICK, Tick};

/// The time of this turn, as an instant, as a tick, and on the wall.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    now: Cell<Instant>,
    tick: Cell<Tick>,
    /// The wall clock's second and when it was read; read again once a second.
    wall: Cell<(Instant, u64)>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given the time from"
)]
impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { start: now, now: Cell::new(now), tick: Cell::new(0), wall: Cell::new((now, wall_seconds())) }
    }

    pub(super) fn turn(&self) {
        let now = Instant::now();
        self.now.set(now);
        self.tick.set(ticks(now - self.start));
        // A quarter of a second keeps a Date header within its second without a call per turn.
        if now - self.wall.get().0 >= Duration::from_millis(250) {
            self.wall.set((now, wall_seconds()));
        }
    }

    /// The time at which this turn began.
    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    /// The tick in which this turn began.
    pub(super) fn tick(&self) -> Tick {
        self.tick.get()
    }

    pub(super) fn unix_seconds(&self) -> u64 {
        self.wall.get().1
    }

    /// The first tick that begins no earlier than `after` from now.
    pub(super) fn tick_after(&self, after: Duration) -> Tick {
        let at = (self.now.get() - self.start).saturating_add(after);
        ticks(at) + 1
    }

    /// How long it is from the beginning of this turn to the beginning of `tick`.
    pub(super) fn until(&self, tick: Tick) -> Duration {
        // Nanoseconds in 64 bits last for five centuries.
        let at = Duration::from_nanos(tick.saturating_mul(TICK.as_nanos() as u64));
        at.saturating_sub(self.now.get() - self.start)
    }
}

/// The tick that a time falls into; in 64-bit arithmetic, because it is asked for in every turn.
fn ticks(since_start: Duration) -> Tick {
    const PER_SECOND: u64 = 1_000_000_000 / TICK.as_nanos() as u64;
    since_start.as_secs() * PER_SECOND + u64::from(since_start.subsec_nanos()) / TICK.as_nanos() as u64
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given the time from"
)]
fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_times_agree_even_after_years() {
        let clock = Clock::new();
        let hour = Duration::from_secs(3600);
        for days in [0, 1, 400, 20_000] {
            let now = clock.start + days * 24 * hour;
            clock.now.set(now);
            let until = clock.until(clock.tick_after(hour));
            assert!(until >= hour && until <= hour + TICK, "after {days} days: {until:?}");
        }
    }
}
