//! The last failures of a server, kept for whoever looks at it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::driver::Peer;
use crate::error::Side;

use super::failure::FailureLine;

/// Failures that are kept of clients' faults, and of all others: whoever probes a server for holes does not push out what
/// goes wrong behind it. Likewise the most that are taken in one second: a flood costs no more than that.
const KEPT: usize = 50;

/// A failure that a server has met, as [`Handle::recent_failures`](crate::Handle::recent_failures) tells it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// Which of the server's failures it is: later ones have higher numbers.
    pub number: u64,
    /// When it happened.
    pub at: SystemTime,
    /// The [name](crate::Error::name) under which it is counted.
    pub name: &'static str,
    /// On which side it happened.
    pub side: Side,
    /// The status that a client is given for it.
    pub status: u16,
    /// What happened, in a line.
    pub text: String,
    /// The pattern of the route; empty where there is none.
    pub route: String,
    /// What the upstream is called, if one has to do with it.
    pub upstream: Option<String>,
    /// The address of the client; none where it came over a unix-domain socket.
    pub peer: Option<IpAddr>,
    /// How far the try came that it was.
    pub attempt: Option<String>,
}

/// The last failures, shared by all workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    number: u64,
    of_clients: Ring,
    of_others: Ring,
}

#[derive(Debug, Default)]
struct Ring {
    failures: VecDeque<Failure>,
    /// The second in which the last came, and how many have come in it.
    second: u64,
    in_second: usize,
}

impl Recent {
    /// Keeps a failure. A core never waits for that: where another is at it, or too many come at once, it is left out; it
    /// was counted.
    pub(crate) fn note(&self, line: &FailureLine<'_>) {
        #[expect(
            clippy::disallowed_methods,
            reason = "when it happened, for people; nothing is decided by it"
        )]
        let now = SystemTime::now();
        let mut kept = match self.0.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let Kept { number, of_clients, of_others } = &mut *kept;
        let ring = if line.error.side() == Side::Downstream { of_clients } else { of_others };
        if ring.make_room(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()) {
            *number += 1;
            ring.failures.push_back(Failure::of(line, *number, now));
        }
    }

    /// The last failures, the newest first.
    pub(crate) fn latest(&self) -> Vec<Failure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            kept.of_clients.failures.iter().chain(&kept.of_others.failures).cloned().collect();
        all.sort_unstable_by_key(|failure| std::cmp::Reverse(failure.number));
        all
    }
}

impl Ring {
    /// Makes room for another, at the cost of the oldest; says no where enough have come in this second.
    fn make_room(&mut self, second: u64) -> bool {
        if self.second != second {
            (self.second, self.in_second) = (second, 0);
        }
        self.in_second += 1;
        if self.failures.len() == KEPT && self.in_second <= KEPT {
            self.failures.pop_front();
        }
        self.in_second <= KEPT
    }
}

impl Failure {
    fn of(line: &FailureLine<'_>, number: u64, at: SystemTime) -> Self {
        Self {
            number,
            at,
            name: line.error.name(),
            side: line.error.side(),
            status: line.error.status(),
            text: line.error.to_string(),
            route: line.route.to_owned(),
            upstream: line.upstream.map(str::to_owned),
            peer: match line.peer {
                Peer::Tcp(address) => Some(address.ip()),
                Peer::Unix => None,
            },
            attempt: line.attempt.map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::{Error, Kind};

    use super::*;

    fn note(recent: &Recent, kind: Kind) {
        let error = Error::new(kind);
        recent.note(&FailureLine {
            error: &error,
            route: "/a",
            upstream: None,
            attempt: None,
            peer: Peer::Unix,
        });
    }

    #[test]
    fn faults_of_clients_do_not_push_out_what_goes_wrong_behind() {
        let recent = Recent::default();
        note(&recent, Kind::Connect);
        (0..300).for_each(|_| note(&recent, Kind::BadTarget));
        let latest = recent.latest();
        assert_eq!(latest.last().map(|failure| (failure.number, failure.name)), Some((1, "connect")));
        assert!(latest.len() <= 2 * KEPT && latest.is_sorted_by_key(|one| std::cmp::Reverse(one.number)));
    }

    #[test]
    fn a_flood_is_not_taken_in() {
        let mut ring = Ring::default();
        let taken = |ring: &mut Ring, second| (0..1000).filter(|_| ring.make_room(second)).count();
        assert_eq!(taken(&mut ring, 7), KEPT);
        assert_eq!(taken(&mut ring, 8), KEPT);
    }
}
