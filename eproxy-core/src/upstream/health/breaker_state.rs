//! The states of a circuit breaker, and the ways from one to the next: plain values that fit into one word.

/// What a circuit breaker is in. Each state has the ways that lead out of it, and no others.
///
/// ```text
///            trip                    try_out
///   Closed ────────▶ Open ──────────────────────────▶ HalfOpen ──┐ begin_trial, withdraw,
///     ▲               ▲                                │  │  ▲   │ forget_trials, succeed (not the last)
///     │               └───────── fail: longer ─────────┘  │  └───┘
///     └───────────────────── succeed (the last) ──────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed(Closed),
    Open(Open),
    HalfOpen(HalfOpen),
}

/// Everything goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// Counts the openings, round and round.
    pub(super) round: u8,
}

/// Nothing goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) round: u8,
    /// How often in a row a trial has failed.
    pub(super) doublings: u8,
    /// When it may be tried out, in milliseconds.
    pub(super) until: u64,
}

/// Trials go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HalfOpen {
    pub(super) round: u8,
    pub(super) doublings: u8,
    under_way: u8,
    succeeded: u8,
    /// When trials that are still under way are forgotten, in milliseconds.
    pub(super) until: u64,
}

impl Closed {
    pub(super) fn trip(self, until: u64) -> Open {
        Open { round: self.round.wrapping_add(1), doublings: 0, until }
    }
}

impl Open {
    pub(super) fn try_out(self, until: u64) -> HalfOpen {
        HalfOpen { round: self.round, doublings: self.doublings, under_way: 0, succeeded: 0, until }
    }
}

impl HalfOpen {
    /// One more trial, if one is needed and not too many are under way.
    pub(super) fn begin_trial(self, needed: u32, at_once: u32) -> Option<Self> {
        let (under_way, succeeded) = (u32::from(self.under_way), u32::from(self.succeeded));
        (under_way < at_once && under_way + succeeded < needed)
            .then(|| Self { under_way: self.under_way + 1, ..self })
    }

    pub(super) fn withdraw(self) -> Self {
        Self { under_way: self.under_way.saturating_sub(1), ..self }
    }

    /// Trials under way count no more; they are of an earlier round now.
    pub(super) fn forget_trials(self, until: u64) -> Self {
        Self { round: self.round.wrapping_add(1), under_way: 0, until, ..self }
    }

    pub(super) fn succeed(self, needed: u32) -> State {
        let succeeded = self.succeeded.saturating_add(1);
        match u32::from(succeeded) >= needed {
            true => State::Closed(Closed { round: self.round }),
            false => State::HalfOpen(Self { succeeded, ..self.withdraw() }),
        }
    }

    pub(super) fn fail(self, until: u64) -> Open {
        let doublings = self.doublings.saturating_add(1).min(MOST_DOUBLINGS);
        Open { round: self.round.wrapping_add(1), doublings, until }
    }
}

/// An open time of a millisecond is longer than a day by then.
const MOST_DOUBLINGS: u8 = 31;

/// The word, from the top: 2 bits that name the state, 8 of the round, 5 of the doublings, 5 of the trials under way, 5 of
/// those that succeeded, 39 of the time. That many milliseconds are 17 years.
const UNTIL_BITS: u32 = 39;
const UNTIL: u64 = (1 << UNTIL_BITS) - 1;

impl State {
    pub(super) fn pack(self) -> u64 {
        let word = |name: u64, round: u8, doublings: u8, under_way: u8, succeeded: u8, until: u64| {
            name << 62
                | u64::from(round) << 54
                | u64::from(doublings) << 49
                | u64::from(under_way) << 44
                | u64::from(succeeded) << UNTIL_BITS
                | until.min(UNTIL)
        };
        match self {
            Self::Closed(Closed { round }) => word(0, round, 0, 0, 0, 0),
            Self::Open(Open { round, doublings, until }) => word(1, round, doublings, 0, 0, until),
            Self::HalfOpen(HalfOpen { round, doublings, under_way, succeeded, until }) => {
                word(2, round, doublings, under_way, succeeded, until)
            }
        }
    }

    pub(super) fn unpack(word: u64) -> Self {
        let bits = |from: u32, bits: u32| (word >> from & ((1 << bits) - 1)) as u8;
        let (round, doublings, until) = (bits(54, 8), bits(49, 5), word & UNTIL);
        match word >> 62 {
            0 => Self::Closed(Closed { round }),
            1 => Self::Open(Open { round, doublings, until }),
            _ => {
                let (under_way, succeeded) = (bits(44, 5), bits(UNTIL_BITS, 5));
                Self::HalfOpen(HalfOpen { round, doublings, under_way, succeeded, until })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_being_packed() {
        let half = HalfOpen { round: 255, doublings: 31, under_way: 31, succeeded: 31, until: UNTIL };
        for state in [
            State::Closed(Closed { round: 0 }),
            State::Closed(Closed { round: 255 }),
            State::Open(Open { round: 255, doublings: 31, until: UNTIL }),
            State::HalfOpen(half),
            State::HalfOpen(HalfOpen { round: 1, doublings: 2, under_way: 3, succeeded: 4, until: 5 }),
        ] {
            assert_eq!(State::unpack(state.pack()), state);
        }
    }

    #[test]
    fn a_time_past_the_word_is_its_last() {
        let open = |until| State::Open(Open { round: 1, doublings: 0, until });
        assert_eq!(State::unpack(open(u64::MAX).pack()), open(UNTIL));
    }
}
