//! Who is told of a parked connection: the meaning of the numbers that a core gives back in its wake-ups.
//!
//! The pool of upstream connections has the numbers with the highest bit set.

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A connection between requests.
    Parked(u32),
    /// The client's side of a request that is with an upstream.
    FlightClient(u32),
    /// Its upstream's side.
    FlightUpstream(u32),
    /// Either side of a tunnel.
    Tunnel(u32),
}

const KIND: u32 = 28;
const INDEX: u32 = (1 << KIND) - 1;

impl Owner {
    /// The number.
    pub(super) fn number(self) -> u32 {
        let (kind, index) = match self {
            Self::Parked(index) => (0, index),
            Self::FlightClient(index) => (1, index),
            Self::FlightUpstream(index) => (2, index),
            Self::Tunnel(index) => (3, index),
        };
        debug_assert!(index <= INDEX, "a core holds fewer connections");
        kind << KIND | index
    }

    /// What the number stands for.
    pub(super) fn of(number: u32) -> Self {
        let index = number & INDEX;
        match number >> KIND {
            0 => Self::Parked(index),
            1 => Self::FlightClient(index),
            2 => Self::FlightUpstream(index),
            _ => Self::Tunnel(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_what_they_stand_for() {
        for index in [0, 1, 77_777, INDEX] {
            for owner in [
                Owner::Parked(index),
                Owner::FlightClient(index),
                Owner::FlightUpstream(index),
                Owner::Tunnel(index),
            ] {
                assert_eq!(Owner::of(owner.number()), owner);
            }
        }
    }
}
