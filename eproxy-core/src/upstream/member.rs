//! An endpoint as one core has it, and the requests of this core that are with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::destination::Destination;
use super::group::Inner;
use super::node::{Mode, Node};
use super::pool::Pool;
use super::registry::ShelfNumber;
use super::tally::Tally;

/// An endpoint as one core has it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) node: Arc<Node>,
    group: Arc<Inner>,
    pub(super) destination: Destination,
    shelf: ShelfNumber,
    pool: Rc<Pool>,
    /// This core's requests that are with it.
    active: Cell<u32>,
    tally: Arc<Tally>,
}

impl Member {
    pub(super) fn new(group: &Arc<Inner>, node: &Arc<Node>, pool: &Rc<Pool>, named: bool) -> Rc<Self> {
        let shelf = pool.hold(&node.origin.place, named);
        Rc::new(Self {
            node: node.clone(),
            group: group.clone(),
            destination: Destination::held(node.origin.clone(), node.name.clone(), shelf),
            shelf,
            pool: pool.clone(),
            active: Cell::new(0),
            tally: node.join(),
        })
    }

    /// Takes a request on.
    pub(super) fn take(self: &Rc<Self>, now: Instant) -> Pick {
        self.count(1);
        self.tally.attempts.add();
        Pick { member: self.clone(), began: now }
    }

    fn count(&self, change: i32) {
        self.active.set(self.active.get().saturating_add_signed(change));
        self.tally.active.set(u64::from(self.active.get()));
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.pool.release(self.shelf);
    }
}

/// An endpoint that was chosen for a request; it counts as being with it until this is dropped.
#[derive(Debug)]
pub(crate) struct Pick {
    member: Rc<Member>,
    began: Instant,
}

impl Pick {
    /// What tells it from the others of its group.
    pub(crate) fn id(&self) -> u32 {
        self.member.node.id
    }

    /// How long ago it was chosen.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.member.destination
    }

    /// It took a connection, or did not.
    pub(crate) fn reached(&self, now: Instant, is_reached: bool) {
        let Member { group, node, tally, .. } = &*self.member;
        match is_reached {
            true if !node.standing.reached() => {}
            true => group.roster.touch(),
            false => {
                tally.unreached.add();
                node.standing.unreached(group.roster.milliseconds(now));
                group.roster.touch();
            }
        }
    }

    /// The head of its answer has come.
    pub(crate) fn answered(&self, now: Instant, status: u16) {
        let tally = &self.member.tally;
        tally.answers.add();
        if status >= 500 {
            tally.server_errors.add();
        }
    }

    /// Another endpoint has answered in its place: it would have taken longer than that.
    pub(crate) fn overtaken(&self, now: Instant) {
        let _later = self.age(now);
    }

    /// It was sent the request, and there is no answer.
    pub(crate) fn unanswered(&self, now: Instant) {
        self.member.tally.unanswered.add();
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.member.count(-1);
    }
}
