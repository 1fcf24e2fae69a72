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
use super::supervisor::{self, Among};
use super::transport::Target;
use super::view::{Ask, Choice, Tried, View};

/// The upstreams of an edition of a server, as one core sees them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    pub(crate) reach: Rc<Reach>,
    pub(crate) pool: Rc<Pool>,
    views: Vec<Rc<RefCell<View>>>,
    /// Groups are used for as long as there is somebody who has this.
    registry: Arc<Registry>,
}

/// What one core reaches upstreams with, in whatever edition.
#[derive(Debug)]
pub(crate) struct Reach {
    core: Rc<Core>,
    pool: Rc<Pool>,
    resolver: Resolver,
}

impl Reach {
    pub(crate) fn new(core: &Rc<Core>) -> Rc<Self> {
        Rc::new(Self {
            core: core.clone(),
            pool: Rc::new(Pool::new()),
            resolver: Resolver::new(core.clone()),
        })
    }

    pub(super) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    /// Makes a new connection to a target that nobody else uses.
    ///
    /// # Errors
    ///
    /// As for [`Upstreams::connect`].
    pub(crate) async fn connect_alone(&self, target: &Target, wanted: Dial<'_>) -> Result<Stream> {
        match dial::dial(&self.core, &self.resolver, target, wanted).await? {
            Dialled::Http1(stream) => Ok(stream),
            Dialled::Http2(multiplexed) => dial::open(&self.core, &multiplexed, wanted).await,
        }
    }
}

impl Upstreams {
    /// The upstreams of an edition. What is known of the groups that the edition before has had as well goes on.
    pub(crate) fn new(
        reach: &Rc<Reach>,
        registry: &Arc<Registry>,
        before: Option<&Self>,
        journal: &Journal,
    ) -> Self {
        let view = |(number, (group, named)): (usize, &(Group, bool))| {
            let known =
                before.and_then(|before| Some(before.views[before.registry.find(group, *named)?].clone()));
            known.unwrap_or_else(|| {
                let seed = reach.core.seed().wrapping_add(number as u64);
                let view = View::new(group.inner(), &reach.pool, *named, seed);
                let view = Rc::new(RefCell::new(view));
                supervise(reach, &view, journal);
                view
            })
        };
        Self {
            reach: reach.clone(),
            pool: reach.pool.clone(),
            views: registry.groups.iter().enumerate().map(view).collect(),
            registry: registry.clone(),
        }
    }

    /// Chooses an endpoint of a group that was not tried.
    pub(crate) fn choose(&self, group: GroupNumber, ask: &Ask, tried: &Tried) -> Choice {
        self.views[group as usize].borrow_mut().choose(self.reach.core.now(), ask, tried, false)
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
                self.reach.core.among(ticket.called()).await;
                let choice = view.borrow_mut().choose(self.reach.core.now(), ask, &Tried::default(), true);
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
            self.reach.core.sleep(patience).await;
            Err(Kind::QueueTimeout)
        };
        future::or(called, late).await
    }

    /// Whether the budget of a group allows another request to be sent again.
    pub(crate) fn may_repeat(&self, group: GroupNumber) -> bool {
        self.views[group as usize].borrow().may_repeat(self.reach.core.now())
    }

    /// Makes a new connection to a destination.
    ///
    /// # Errors
    ///
    /// `Resolve`, `Lookups`, `Destination`, `Connect`, `ConnectTimeout`; `TlsHandshake`.
    pub(crate) async fn connect(&self, destination: &Destination, dial: Dial<'_>) -> Result<Stream> {
        let reach = &self.reach;
        dial::dial_for(&reach.core, &reach.resolver, &self.pool, destination, dial).await
    }
}

/// Begins to look after a group, for as long as it is among those of the core.
fn supervise(reach: &Rc<Reach>, view: &Rc<RefCell<View>>, journal: &Journal) {
    let group = view.borrow().group.clone();
    let (core, view) = (reach.core.clone(), Rc::downgrade(view));
    let keep_up = move || match view.upgrade() {
        Some(view) => {
            view.borrow_mut().keep_up(core.now());
            Among::Stays
        }
        None => Among::Left,
    };
    reach.core.spawn(supervisor::run(reach.clone(), group, journal.clone(), keep_up));
}
