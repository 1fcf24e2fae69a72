//! What one core knows of the upstreams: its pool, its turn among the endpoints of each group, the names.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;

use crate::driver::{Core, Stream};
use crate::error::{Kind, Result};
use crate::telemetry::Journal;

use super::connect;
use super::group::Group;
use super::guard::Guard;
use super::member::Pick;
use super::origin::Place;
use super::pool::Pool;
use super::registry::{GroupNumber, Registry};
use super::resolve::Resolver;
use super::supervisor;
use super::view::{Ask, Choice, Tried, View};

/// The upstreams as one core sees them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    core: Rc<Core>,
    pub(crate) pool: Rc<Pool>,
    views: Vec<RefCell<View>>,
    resolver: Resolver,
    /// Groups are used for as long as there is somebody who has this.
    _registry: Arc<Registry>,
}

impl Upstreams {
    pub(crate) fn new(core: &Rc<Core>, registry: &Arc<Registry>) -> Self {
        let pool = Rc::new(Pool::new(registry.shelves.len()));
        let view = |(number, (group, named)): (usize, &(Group, bool))| {
            let seed = core.seed().wrapping_add(number as u64);
            RefCell::new(View::new(group.inner(), &pool, *named, seed))
        };
        Self {
            core: core.clone(),
            views: registry.groups.iter().enumerate().map(view).collect(),
            pool,
            resolver: Resolver::new(core.clone()),
            _registry: registry.clone(),
        }
    }

    /// Chooses an endpoint of a group that was not tried.
    pub(crate) fn choose(&self, group: GroupNumber, ask: &Ask, tried: &Tried) -> Choice {
        self.views[group as usize].borrow_mut().choose(self.core.now(), ask, tried, false)
    }

    /// Chooses an endpoint of a group that has no room at the moment, as soon as one has; `waits` is called where that has to
    /// be waited for.
    ///
    /// # Errors
    ///
    /// `Overloaded` where requests do not wait, `QueueFull`, `QueueTimeout`; `NoEndpoint`.
    pub(crate) async fn admit(
        &self,
        group: GroupNumber,
        ask: &Ask,
        waits: impl FnOnce(),
    ) -> Result<Pick, Kind> {
        let view = &self.views[group as usize];
        let (inner, settings) = {
            let view = view.borrow();
            (view.group.clone(), view.settings().clone())
        };
        let Some((most, patience)) = settings.queue else { return Err(Kind::Overloaded) };
        let Some(ticket) = inner.line.enter(most) else { return Err(Kind::QueueFull) };
        waits();
        let called = async {
            loop {
                self.core.among(ticket.called()).await;
                let choice = view.borrow_mut().choose(self.core.now(), ask, &Tried::default(), true);
                match choice {
                    Choice::One(pick) => return Ok(pick),
                    Choice::Nobody => return Err(Kind::NoEndpoint),
                    // It was room with an endpoint that this one is not for.
                    Choice::Full if settings.subset.is_some() => ticket.pass_on(),
                    Choice::Full => {}
                }
            }
        };
        let late = async {
            self.core.sleep(patience).await;
            Err(Kind::QueueTimeout)
        };
        future::or(called, late).await
    }

    /// Whether the budget of a group allows another request to be sent again.
    pub(crate) fn may_repeat(&self, group: GroupNumber) -> bool {
        self.views[group as usize].borrow().may_repeat(self.core.now())
    }

    /// Begins to look after all groups.
    pub(crate) fn supervise(self: &Rc<Self>, journal: &Journal) {
        for (number, view) in self.views.iter().enumerate() {
            let group = view.borrow().group.clone();
            let upstreams = self.clone();
            let keep_up = move || upstreams.views[number].borrow_mut().keep_up(upstreams.core.now());
            self.core.spawn(supervisor::run(self.clone(), group, journal.clone(), keep_up));
        }
    }

    pub(super) fn core(&self) -> &Rc<Core> {
        &self.core
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
