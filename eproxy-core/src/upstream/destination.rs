//! Where requests are sent, as one core has it: an origin, and the shelf with the unused connections to it.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::Stream;
use crate::tls::Connector;

use super::origin::Origin;
use super::pool::{Identity, Pool};
use super::registry::{Registry, ShelfNumber};
use super::transport::Target;

/// Where requests are sent.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) origin: Origin,
    pub(crate) target: Target,
    /// What it is called in logs and by hooks.
    pub(crate) name: Arc<str>,
    shelf: Shelf,
}

/// Where its unused connections are.
#[derive(Clone, Copy, Debug)]
enum Shelf {
    Numbered(ShelfNumber),
    /// Wherever the pool has put those to this place.
    Passing,
}

impl Destination {
    /// One that is known when a server starts.
    pub(crate) fn fixed(origin: Origin, connector: Option<&Connector>, registry: &mut Registry) -> Self {
        let target = origin.target(connector);
        let shelf = registry.shelf(&target);
        Self { name: origin.place.to_string().into(), origin, target, shelf: Shelf::Numbered(shelf) }
    }

    /// One that a request has named.
    pub(crate) fn passing(origin: Origin) -> Self {
        let target = origin.target(None);
        Self { name: origin.place.to_string().into(), origin, target, shelf: Shelf::Passing }
    }

    /// One whose shelf is held.
    pub(super) fn held(origin: Origin, target: Target, name: Arc<str>, shelf: ShelfNumber) -> Self {
        Self { origin, target, name, shelf: Shelf::Numbered(shelf) }
    }

    /// Takes a connection to it that was used before; one that can carry WebSockets if that is wanted.
    pub(crate) fn take(&self, pool: &Pool, identity: &Identity, for_websocket: bool) -> Option<Stream> {
        let shelf = match self.shelf {
            Shelf::Numbered(shelf) => shelf,
            Shelf::Passing => pool.find(&self.target)?,
        };
        pool.take(shelf, identity, for_websocket)
    }

    /// The shelf with the connections to it.
    pub(super) fn shelf(&self, pool: &Pool) -> ShelfNumber {
        match self.shelf {
            Shelf::Numbered(shelf) => shelf,
            Shelf::Passing => pool.shelf(&self.target),
        }
    }

    /// Puts a connection to it back.
    pub(crate) fn put(&self, pool: &Pool, identity: Identity, stream: Stream, keep: Duration, most: usize) {
        // The connection of a duct is where it was.
        if !stream.is_duct() {
            pool.put(self.shelf(pool), identity, stream, keep, most);
        }
    }
}
