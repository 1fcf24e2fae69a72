//! Which requests are sent again: the one policy for it. A decider: it does no I/O.
//!
//! | what a try came to | who may take the request next |
//! |---|---|
//! | no connection | another endpoint, whatever the request is: nobody has seen it |
//! | the upstream has said that it did not look at it | another endpoint, or the same over a new connection, whatever the request is |
//! | a connection that had been used ended before a byte of the answer | another endpoint, or the same over a new connection, if it may be repeated |
//! | a new connection ended so, or there was no answer in time | another endpoint, if it may be repeated |
//! | an answer that counts as a failure | another endpoint, if it may be repeated |
//! | anything else: a part of an answer, the client's fault, a hook's answer | nobody |

use std::time::Duration;

/// The policy of a proxy.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    /// Tries after the first that an upstream may have seen.
    pub(super) repeats: u32,
    /// Statuses of answers that are as good as none.
    pub(super) statuses: Vec<u16>,
    /// How long a try may take, from choosing the endpoint to the head of its answer.
    pub(super) patience: Option<Duration>,
    /// Requests that carry a key by which upstreams tell repetitions may be repeated whatever their method is.
    pub(super) keys: bool,
    /// After so long without an answer another endpoint is asked as well.
    pub(super) hedge: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { repeats: 1, statuses: Vec::new(), patience: None, keys: false, hedge: None }
    }
}

/// Tries of one request in all, those included that nobody has seen.
pub(super) const MOST_TRIES: u32 = 8;

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// There was no connection.
    Unreached,
    /// The connection ended before a byte of the answer; with `was_reused`, perhaps before the request arrived.
    Unanswered {
        was_reused: bool,
    },
    /// It was sent, and the upstream did not look at it; it is there as a whole.
    Refused,
    /// There was no answer in time.
    Late,
    Answered(u16),
    /// Something else, after which there is nothing to try.
    Spoilt,
}

/// Who may take the request next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nobody,
    /// Another endpoint; nothing of the request was seen.
    Other,
    /// The same, or the same endpoint over a new connection if there is no other.
    OtherOrSame,
    /// Another endpoint, and that counts as a repetition.
    Repeat,
    /// Another endpoint, or the same over a new connection. It counts as no repetition: a connection is new but once.
    RepeatOrSame,
}

/// How often a request was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SoFar {
    pub(super) tries: u32,
    pub(super) repeats: u32,
}

impl Retry {
    /// Decides after a try; `may_repeat` says that the request is there as a whole and does no more the second time than
    /// it did the first.
    pub(super) fn next(&self, came: Came, so_far: SoFar, may_repeat: bool) -> Next {
        let may = may_repeat && so_far.repeats < self.repeats;
        match came {
            _ if so_far.tries >= MOST_TRIES => Next::Nobody,
            Came::Unreached => Next::Other,
            Came::Refused => Next::OtherOrSame,
            Came::Unanswered { was_reused: true } if may => Next::RepeatOrSame,
            Came::Unanswered { was_reused: false } | Came::Late if may => Next::Repeat,
            Came::Answered(status) if may && self.statuses.contains(&status) => Next::Repeat,
            _ => Next::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SoFar = SoFar { tries: 1, repeats: 0 };

    #[test]
    fn what_nobody_has_seen_goes_to_another_whatever_it_is_but_not_for_ever() {
        let retry = Retry { repeats: 0, ..Retry::default() };
        assert_eq!(retry.next(Came::Unreached, FIRST, false), Next::Other);
        assert_eq!(retry.next(Came::Refused, FIRST, false), Next::OtherOrSame);
        let often = SoFar { tries: MOST_TRIES, repeats: 0 };
        assert_eq!(retry.next(Came::Unreached, often, true), Next::Nobody);
    }

    #[test]
    fn what_may_have_been_seen_is_repeated_only_if_it_may_and_so_often() {
        let retry = Retry { statuses: vec![503], ..Retry::default() };
        let again = SoFar { tries: 2, repeats: 1 };
        for (came, next) in [
            (Came::Unanswered { was_reused: true }, Next::RepeatOrSame),
            (Came::Unanswered { was_reused: false }, Next::Repeat),
            (Came::Late, Next::Repeat),
            (Came::Answered(503), Next::Repeat),
            (Came::Answered(500), Next::Nobody),
            (Came::Spoilt, Next::Nobody),
        ] {
            assert_eq!(retry.next(came, FIRST, true), next, "{came:?}");
            assert_eq!(retry.next(came, FIRST, false), Next::Nobody, "{came:?}, and it may not");
            assert_eq!(retry.next(came, again, true), Next::Nobody, "{came:?}, and it was");
        }
    }
}
