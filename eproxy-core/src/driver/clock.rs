//! The clock of a core: read once a turn, and nowhere else; or moved by hand.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::timer::{TICK, Tick};

/// The time of this turn, as an instant, as a tick, and on the wall.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    now: Cell<Instant>,
    /// Nanoseconds from `start` to `now`; 64 bits of them last for five centuries.
    elapsed: Cell<u64>,
    /// The wall clock's nanoseconds since 1970 and when they were read; read again every now and then.
    wall: Cell<(Instant, u64)>,
    /// It stands still unless it is moved.
    by_hand: bool,
}

/// The second since 1970 at which a clock that is moved by hand begins: the beginning of the year 2000.
const BEGINNING: u64 = 946_684_800;

const SECOND: u64 = 1_000_000_000;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given the time from"
)]
impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now: Cell::new(now),
            elapsed: Cell::new(0),
            wall: Cell::new((now, wall())),
            by_hand: false,
        }
    }

    /// A clock that stands still until it is moved.
    pub(super) fn by_hand() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now: Cell::new(now),
            elapsed: Cell::new(0),
            wall: Cell::new((now, BEGINNING * SECOND)),
            by_hand: true,
        }
    }

    /// Moves a clock that stands still.
    pub(super) fn advance(&self, by: Duration) {
        debug_assert!(self.by_hand, "the system's clock goes by itself");
        let now = self.now.get() + by;
        self.set(now);
        self.wall.set((now, BEGINNING * SECOND + self.elapsed.get()));
    }

    /// The time from the clock's beginning to this turn.
    pub(super) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed.get())
    }

    pub(super) fn turn(&self) {
        if self.by_hand {
            return;
        }
        let now = Instant::now();
        self.set(now);
        // A quarter of a second keeps a Date header within its second without a call per turn.
        if now - self.wall.get().0 >= Duration::from_millis(250) {
            self.wall.set((now, wall()));
        }
    }

    fn set(&self, now: Instant) {
        self.now.set(now);
        self.elapsed.set(nanoseconds(now - self.start));
    }

    /// The time at which this turn began.
    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    /// The tick in which this turn began.
    pub(super) fn tick(&self) -> Tick {
        self.elapsed.get() / TICK_NANOSECONDS
    }

    pub(super) fn unix_seconds(&self) -> u64 {
        self.wall.get().1 / SECOND
    }

    /// Nanoseconds since 1970, as the wall clock had them when it was read last, and what has passed since then.
    pub(super) fn unix_nanoseconds(&self) -> u64 {
        let (read, wall) = self.wall.get();
        wall + nanoseconds(self.now.get() - read)
    }

    /// Nanoseconds from the clock's beginning to this turn.
    pub(super) fn elapsed_nanoseconds(&self) -> u64 {
        self.elapsed.get()
    }

    /// The first tick that begins no earlier than `after` from now.
    pub(super) fn tick_after(&self, after: Duration) -> Tick {
        self.elapsed.get().saturating_add(nanoseconds(after)) / TICK_NANOSECONDS + 1
    }

    /// How long it is from the beginning of this turn to the beginning of `tick`.
    pub(super) fn until(&self, tick: Tick) -> Duration {
        Duration::from_nanos(tick.saturating_mul(TICK_NANOSECONDS).saturating_sub(self.elapsed.get()))
    }
}

const TICK_NANOSECONDS: u64 = TICK.as_nanos() as u64;

/// In 64-bit arithmetic, because deadlines are moved on every request.
fn nanoseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(time.subsec_nanos()))
}

/// The time in seconds since 1970, for those that are on no core.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given the time from"
)]
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanoseconds)
}

/// The time in seconds since 1970, for those that are on no core.
pub(crate) fn wall_seconds() -> u64 {
    wall() / SECOND
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
            clock.set(now);
            let until = clock.until(clock.tick_after(hour));
            assert!(until >= hour && until <= hour + TICK, "after {days} days: {until:?}");
        }
    }

    #[test]
    fn a_clock_that_is_moved_by_hand_stands_still_between() {
        let clock = Clock::by_hand();
        let begin = clock.now();
        clock.turn();
        assert_eq!((clock.now(), clock.elapsed(), clock.unix_seconds()), (begin, Duration::ZERO, BEGINNING));
        clock.advance(Duration::from_millis(1500));
        clock.turn();
        assert_eq!(clock.now() - begin, Duration::from_millis(1500));
        assert_eq!((clock.tick(), clock.unix_seconds()), (187, BEGINNING + 1));
    }
}
