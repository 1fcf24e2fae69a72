//! What is kept of an exchange from its head to its end. When it is dropped, the exchange is over, however that came, and is
//! counted, logged and traced: once.

use std::rc::Rc;

use crate::driver::Peer;
use crate::message::{Field, RequestLine};
use crate::telemetry::{Account, Came, Ended};

use super::edition::Edition;
use super::who::Who;
use super::worker::Worker;

/// An exchange that is not over.
pub(super) struct Kept {
    /// What the server was described as when the request came.
    pub(super) edition: Rc<Edition>,
    pub(super) account: Account,
    /// Where it is counted.
    pub(super) slot: Slot,
    /// When its head was there, in nanoseconds of the core's time.
    began: u64,
}

/// A place among those where exchanges are counted: by route, and two for what has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u32);

impl Slot {
    /// No route is for it, or it could not be understood.
    pub(super) const NONE: Self = Self(0);
    /// It went through the forward proxy.
    pub(super) const FORWARD: Self = Self(1);
    /// What those are called.
    pub(super) const NAMES: [&str; 2] = ["none", "forward"];

    /// That of a route.
    pub(super) fn of_route(number: u32) -> Self {
        Self(number + Self::NAMES.len() as u32)
    }
}

impl Kept {
    /// Begins with a head that was read.
    pub(super) fn begin(
        worker: &Worker,
        who: &Who,
        head: &[u8],
        fields: &[Field],
        line: RequestLine,
    ) -> Self {
        let edition = worker.edition();
        let mut account = Account::default();
        if edition.watch.is_on() {
            let session = who.session.as_deref().and_then(|session| session.agreed());
            account.story = edition.watch.begin(Came {
                peer: who.peer,
                is_trusted: who.is_trusted,
                tls: session.map(|agreed| agreed.version().number()),
                head,
                fields,
                line,
                now: worker.core.nanoseconds(),
                unix: worker.core.unix_nanoseconds(),
            });
        }
        Self { edition, account, slot: Slot::NONE, began: worker.core.nanoseconds() }
    }

    /// Begins with what is no head.
    pub(super) fn begin_without(worker: &Worker, peer: Peer) -> Self {
        Self::begin(worker, &Who::new(peer, false), &[], &[], RequestLine::default())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Self { edition, account, slot, began } = self;
        let duration = edition.site.core.nanoseconds() - *began;
        let bytes = (account.bytes_in, account.bytes_out);
        if let Some(tally) = edition.tallies.get(slot.0 as usize) {
            tally.record(account.status, bytes, duration);
        }
        if let Some(story) = account.story.take() {
            let ended = Ended {
                route: edition.slot_name(*slot),
                status: account.status,
                bytes_in: bytes.0,
                bytes_out: bytes.1,
                duration,
                failure: account.failure,
            };
            edition.watch.end(story, &ended);
        }
    }
}
