//! What one core knows of the upstreams: its pool, its turn among the endpoints of each group, the names.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::future;

use crate::driver::{Core, Stream};
use crate::error::{Kind, Result};
use crate::telemetry::Journal;

use super::destination::Destination;
use super::dial::{self, Dial, Dialled};
use super::group::Group;
use super::member::Pick;
use super::pool::Pool;
use super::registry::{GroupNumber, Registry};
use super::resolve::Resolver;
use super::supervisor;
use super::transport::Target;
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

    /// Makes a new connection to a destination.
    ///
    /// # Errors
    ///
    /// `Resolve`, `Lookups`, `Destination`, `Connect`, `ConnectTimeout`; `TlsHandshake`.
    pub(crate) async fn connect(&self, destination: &Destination, dial: Dial<'_>) -> Result<Stream> {
        dial::dial_for(&self.core, &self.resolver, &self.pool, destination, dial).await
    }

    /// Makes a new connection to a target that nobody else uses.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub(crate) async fn connect_alone(&self, target: &Target, wanted: Dial<'_>) -> Result<Stream> {
        match dial::dial(&self.core, &self.resolver, target, wanted).await? {
            Dialled::Http1(stream) => Ok(stream),
            Dialled::Http2(multiplexed) => dial::open(&self.core, &multiplexed, wanted).await,
        }
    }
}
