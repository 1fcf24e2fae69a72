//! Requests that wait for their turn: first come, first served, up to a number, each up to its deadline.
//!
//! A decider: it does no I/O, and is told the time. Whoever waits is known to it by a number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The number of one that waits.
pub(in crate::upstream) type WaiterId = u64;

/// The longest time that a client is told to stay away, in seconds: what is known of the queue does not reach further.
const LONGEST_RETRY: u64 = 60;

/// How much of its weight the newest gap between two turns has in their mean.
const NEWEST: f64 = 0.1;

/// Those that wait.
#[derive(Debug)]
pub(in crate::upstream) struct Queue {
    waiting: VecDeque<Waiter>,
    /// Those that may wait at once.
    most: usize,
    /// When somebody last had a turn, if others have waited ever since.
    last_turn: Option<Instant>,
    /// The mean time between two turns while somebody waited, in seconds.
    gap: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    id: WaiterId,
    deadline: Instant,
}

/// Whether one may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Entrance {
    Waits,
    Refused,
}

impl Queue {
    /// A queue for `most` at once; with 0, nobody waits.
    pub(in crate::upstream) fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), most, last_turn: None, gap: None }
    }

    pub(in crate::upstream) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds one at the end, unless the queue is full. The caller lets those go whose deadlines have passed before that.
    pub(in crate::upstream) fn push(&mut self, id: WaiterId, deadline: Instant) -> Entrance {
        if self.waiting.len() >= self.most {
            return Entrance::Refused;
        }
        self.waiting.push_back(Waiter { id, deadline });
        Entrance::Waits
    }

    /// Whose turn it is: the one that has waited longest, if its deadline has not passed. Those that are late are left
    /// for [`expire`](Self::expire).
    pub(in crate::upstream) fn pop(&mut self, now: Instant) -> Option<WaiterId> {
        let first = self.waiting.iter().position(|waiter| now < waiter.deadline)?;
        let waiter = self.waiting.remove(first)?;
        if let Some(last) = self.last_turn {
            let gap = now.saturating_duration_since(last).as_secs_f64();
            self.gap = Some(self.gap.map_or(gap, |mean| mean + (gap - mean) * NEWEST));
        }
        self.last_turn = (!self.waiting.is_empty()).then_some(now);
        Some(waiter.id)
    }

    /// Takes out all whose deadlines have passed, in their order.
    pub(in crate::upstream) fn expire(&mut self, now: Instant) -> Vec<WaiterId> {
        let mut late = Vec::new();
        self.waiting.retain(|waiter| {
            let waits = now < waiter.deadline;
            if !waits {
                late.push(waiter.id);
            }
            waits
        });
        self.settle();
        late
    }

    /// Takes out one that no longer wants to wait; says whether it did.
    pub(in crate::upstream) fn remove(&mut self, id: WaiterId) -> bool {
        let Some(at) = self.waiting.iter().position(|waiter| waiter.id == id) else { return false };
        self.waiting.remove(at);
        self.settle();
        true
    }

    /// The next deadline: when [`expire`](Self::expire) has something to do.
    pub(in crate::upstream) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiter| waiter.deadline).min()
    }

    /// In how many seconds it is worth asking again (RFC 9110 §10.2.3): when all that wait now will have had their
    /// turns, at the pace of late. A queue that has come to a halt counts as no faster than that. From 1 to
    /// [`LONGEST_RETRY`].
    pub(in crate::upstream) fn retry_after(&self, now: Instant) -> u64 {
        let halt = self.last_turn.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let gap = self.gap.unwrap_or(0.0).max(halt.as_secs_f64());
        let seconds = (gap * self.waiting.len() as f64).ceil();
        (seconds as u64).clamp(1, LONGEST_RETRY)
    }

    /// An empty queue measures no gaps: the next turn is late because nobody came.
    fn settle(&mut self) {
        if self.waiting.is_empty() {
            self.last_turn = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_comes_first_is_served_first() {
        let (now, mut queue) = (start(), Queue::new(3));
        for id in [7, 3, 5] {
            assert_eq!(queue.push(id, now + ms(100)), Entrance::Waits);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(order, [7, 3, 5]);
    }

    #[test]
    fn a_full_queue_refuses_until_somebody_has_left() {
        let (now, mut queue) = (start(), Queue::new(1));
        assert_eq!(queue.push(1, now + ms(100)), Entrance::Waits);
        assert_eq!(queue.push(2, now + ms(100)), Entrance::Refused);
        assert!(queue.remove(1));
        assert_eq!(queue.push(2, now + ms(100)), Entrance::Waits);
        assert_eq!(Queue::new(0).push(1, now + ms(100)), Entrance::Refused);
    }

    #[test]
    fn who_is_late_gets_no_turn_and_is_told_once() {
        let (now, mut queue) = (start(), Queue::new(4));
        for (id, after) in [(1, 50), (2, 20), (3, 80)] {
            queue.push(id, now + ms(after));
        }
        assert_eq!(queue.next_deadline(), Some(now + ms(20)));
        assert_eq!(queue.pop(now + ms(50)), Some(3));
        assert_eq!(queue.expire(now + ms(50)), [1, 2]);
        assert_eq!(queue.expire(now + ms(50)), [0; 0]);
        assert_eq!((queue.len(), queue.next_deadline(), queue.pop(now)), (0, None, None));
    }

    #[test]
    fn who_leaves_is_skipped_and_a_stranger_changes_nothing() {
        let (now, mut queue) = (start(), Queue::new(4));
        (1..=3).for_each(|id| assert_eq!(queue.push(id, now + ms(100)), Entrance::Waits));
        assert!(queue.remove(2) && !queue.remove(2) && !queue.remove(9));
        assert_eq!((queue.pop(now), queue.pop(now), queue.pop(now)), (Some(1), Some(3), None));
    }

    #[test]
    fn the_time_to_stay_away_follows_the_pace_of_the_queue() {
        let (now, mut queue) = (start(), Queue::new(100));
        assert_eq!(queue.retry_after(now), 1, "nothing is known");
        let late = now + Duration::from_secs(3600);
        (0..40).for_each(|id| assert_eq!(queue.push(id, late), Entrance::Waits));
        // A turn every half second, with 20 left.
        let mut at = now;
        for _ in 0..20 {
            assert!(queue.pop(at).is_some());
            at += ms(500);
        }
        assert_eq!(queue.retry_after(at), 10);
        assert_eq!(queue.retry_after(at + Duration::from_secs(1)), 30, "it has halted since");
        assert_eq!(queue.retry_after(at + Duration::from_secs(900)), LONGEST_RETRY);
    }

    #[test]
    fn a_time_in_which_nobody_waits_is_no_pace() {
        let (now, mut queue) = (start(), Queue::new(100));
        for at in [now, now + Duration::from_secs(600)] {
            queue.push(1, at + ms(100));
            assert_eq!(queue.pop(at), Some(1));
        }
        assert_eq!(queue.retry_after(now + Duration::from_secs(601)), 1);
    }
}
