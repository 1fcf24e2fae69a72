//! What one core knows of the upstreams: its pool, its turn among the endpoints of each group, the names.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::driver::{Core, Stream};
use crate::error::Result;

use super::connect;
use super::group::Group;
use super::guard::Guard;
use super::origin::Place;
use super::pool::Pool;
use super::registry::{GroupNumber, Registry};
use super::resolve::Resolver;
use super::view::{Choice, Tried, View};

/// The upstreams as one core sees them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    core: Rc<Core>,
    pub(crate) pool: Rc<Pool>,
    views: Vec<RefCell<View>>,
    resolver: Resolver,
}

impl Upstreams {
    pub(crate) fn new(core: &Rc<Core>, registry: &Registry) -> Self {
        let pool = Rc::new(Pool::new(registry.shelves.len()));
        let view = |(group, named): &(Group, bool)| RefCell::new(View::new(group.inner(), &pool, *named));
        Self {
            core: core.clone(),
            views: registry.groups.iter().map(view).collect(),
            pool,
            resolver: Resolver::new(core.clone()),
        }
    }

    /// Chooses an endpoint of a group that was not tried.
    pub(crate) fn choose(&self, group: GroupNumber, tried: &Tried) -> Choice {
        self.views[group as usize].borrow_mut().choose(self.core.now(), tried)
    }

    /// Whether another request may be sent again.
    pub(crate) fn may_repeat(&self, group: GroupNumber) -> bool {
        self.views[group as usize].borrow().may_repeat(self.core.now())
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
