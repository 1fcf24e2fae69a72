//! What one core knows of the upstreams: its pool, its turn among the endpoints of each group, the names.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::driver::{Core, Stream};
use crate::error::Result;

use super::connect;
use super::group::{GroupNumber, Registry};
use super::guard::Guard;
use super::origin::Place;
use super::pool::Pool;
use super::resolve::Resolver;
use super::rotation::{Rotation, Tried};

/// The upstreams as one core sees them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    core: Rc<Core>,
    pub(crate) pool: Pool,
    rotations: RefCell<Vec<Rotation>>,
    resolver: Resolver,
}

impl Upstreams {
    pub(crate) fn new(core: &Rc<Core>, registry: &Registry) -> Self {
        let rotation = |weights: &Vec<u32>| Rotation::new(weights.iter().copied());
        Self {
            core: core.clone(),
            pool: Pool::new(registry.shelves.len()),
            rotations: RefCell::new(registry.groups.iter().map(rotation).collect()),
            resolver: Resolver::new(core.clone()),
        }
    }

    /// Chooses an endpoint of a group that was not tried; none when all were.
    pub(crate) fn choose(&self, group: GroupNumber, tried: Tried) -> Option<usize> {
        self.rotations.borrow_mut()[group as usize].choose(self.core.now(), tried)
    }

    /// Says whether an endpoint took a connection.
    pub(crate) fn report(&self, group: GroupNumber, endpoint: usize, took_it: bool) {
        let rotation = &mut self.rotations.borrow_mut()[group as usize];
        match took_it {
            true => rotation.worked(endpoint),
            false => rotation.failed(endpoint, self.core.now()),
        }
    }

    /// Makes a new connection; a guard judges the address that is dialled.
    ///
    /// # Errors
    ///
    /// `Resolve`, `Lookups`, `Destination`, `Connect`, `ConnectTimeout`.
    pub(crate) async fn connect(
        &self,
        place: &Place,
        guard: Option<&Guard>,
        patience: Duration,
    ) -> Result<Stream> {
        connect::connect(&self.core, &self.resolver, place, guard, patience).await
    }
}
