//! Where requests are sent, as one core has it: an origin, and the shelf with the unused connections to it.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::Stream;
use crate::tls::Connector;

use super::origin::Origin;
use super::pool::{Identity, Key, Pool, ShelfNumber};
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
#[derive(Debug)]
enum Shelf {
    Numbered(ShelfNumber),
    /// Wherever the pool has put those to this place.
    Loose(Key),
}

impl Destination {
    /// One that the program has named.
    pub(crate) fn known(origin: Origin, connector: Option<&Connector>) -> Self {
        let target = origin.target(connector);
        let shelf = Shelf::Loose(Key::Known(target.clone()));
        Self { name: origin.place.to_string().into(), origin, target, shelf }
    }

    /// One that a request has named.
    pub(crate) fn passing(origin: Origin) -> Self {
        let target = origin.target(None);
        let shelf = Shelf::Loose(Key::Passing(target.clone()));
        Self { name: origin.place.to_string().into(), origin, target, shelf }
    }

    /// One whose shelf is held.
    pub(super) fn held(origin: Origin, target: Target, name: Arc<str>, shelf: ShelfNumber) -> Self {
        Self { origin, target, name, shelf: Shelf::Numbered(shelf) }
    }

    /// Takes a connection to it that was used before; one that can carry WebSockets if that is wanted.
    pub(crate) fn take(&self, pool: &Pool, identity: &Identity, for_websocket: bool) -> Option<Stream> {
        let shelf = match &self.shelf {
            Shelf::Numbered(shelf) => *shelf,
            Shelf::Loose(key) => pool.find(key)?,
        };
        pool.take(shelf, identity, for_websocket)
    }

    /// The shelf with the connections to it.
    pub(super) fn shelf(&self, pool: &Pool) -> ShelfNumber {
        match &self.shelf {
            Shelf::Numbered(shelf) => *shelf,
            Shelf::Loose(key) => pool.shelf_of(key.clone()),
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
