//! Where requests are sent, as one core has it: an origin, and the shelf with the unused connections to it.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::Stream;

use super::origin::Origin;
use super::pool::{Identity, Pool};
use super::registry::{Registry, ShelfNumber};

/// Where requests are sent.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) origin: Origin,
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
    pub(crate) fn fixed(origin: Origin, registry: &mut Registry) -> Self {
        let shelf = registry.shelf(&origin.place);
        Self { name: origin.place.to_string().into(), origin, shelf: Shelf::Numbered(shelf) }
    }

    /// One that a request has named.
    pub(crate) fn passing(origin: Origin) -> Self {
        Self { name: origin.place.to_string().into(), origin, shelf: Shelf::Passing }
    }

    /// One whose shelf is held.
    pub(super) fn held(origin: Origin, name: Arc<str>, shelf: ShelfNumber) -> Self {
        Self { origin, name, shelf: Shelf::Numbered(shelf) }
    }

    /// Takes an unused connection to it.
    pub(crate) fn take(&self, pool: &Pool, identity: &Identity) -> Option<Stream> {
        let shelf = match self.shelf {
            Shelf::Numbered(shelf) => shelf,
            Shelf::Passing => pool.find(&self.origin.place)?,
        };
        pool.take(shelf, identity)
    }

    /// Puts a connection to it back.
    pub(crate) fn put(&self, pool: &Pool, identity: Identity, stream: Stream, keep: Duration, most: usize) {
        let shelf = match self.shelf {
            Shelf::Numbered(shelf) => shelf,
            Shelf::Passing => pool.shelf(&self.origin.place),
        };
        pool.put(shelf, identity, stream, keep, most);
    }
}
