//! What a server is described as at the moment, as one worker has it.
//!
//! Another edition takes the place of this one between two turns of a core; what was begun goes on with the one that it was
//! begun with, which is gone with the last of that.

use std::rc::Rc;
use std::sync::Arc;

use crate::driver::Core;
use crate::message::{Limits, Timeouts};
use crate::proxy::Site;
use crate::router::{RouteNumber, Table};
use crate::telemetry::{Counters, Journal, RouteTally, Watch};

use super::account::Slot;
use super::plan::Plan;
use super::trust::Trusted;

/// What a worker serves, and how.
pub(super) struct Edition {
    pub(super) site: Rc<Site>,
    pub(super) table: Arc<Table>,
    pub(super) limits: Limits,
    /// This worker's shares of [`Limits::connections`] and [`Limits::handshakes`].
    pub(super) connections: usize,
    pub(super) handshakes: usize,
    pub(super) trusted: Trusted,
    /// The header field of requests that ask what becomes of them.
    pub(super) explain: Option<Arc<str>>,
    /// What this core counts, by slot; nothing where that is off.
    pub(super) tallies: Vec<Arc<RouteTally>>,
    /// What it tells of exchanges beside numbers.
    pub(super) watch: Watch,
}

/// Which of the workers one is, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) number: usize,
    pub(super) of: usize,
}

impl Share {
    /// What falls to it of something that is for all of them together; not nothing.
    fn part(self, all: usize) -> usize {
        (all / self.of + usize::from(self.number < all % self.of)).max(1)
    }
}

impl Edition {
    /// The first of a worker.
    pub(super) fn first(
        plan: &Plan,
        core: &Rc<Core>,
        counters: Arc<Counters>,
        journal: Journal,
        share: Share,
    ) -> Self {
        Self::of(plan, Site::new(core, &plan.registry, counters, journal, plan.timeouts.clone()), share)
    }

    /// The one that takes the place of this.
    pub(super) fn next(&self, plan: &Plan, share: Share) -> Self {
        Self::of(plan, self.site.renewed(&plan.registry, plan.timeouts.clone()), share)
    }

    fn of(plan: &Plan, site: Site, share: Share) -> Self {
        let slots =
            Slot::NAMES.into_iter().chain(plan.table.numbers().map(|number| plan.table.label(number)));
        let slots = slots.filter(|_| plan.counts);
        Self {
            tallies: slots.map(|name| site.counters.routes.tally(name)).collect(),
            watch: plan.watch.watch(&site.core, site.core.seed()),
            site: Rc::new(site),
            table: plan.table.clone(),
            connections: share.part(plan.limits.connections),
            handshakes: share.part(plan.limits.handshakes),
            limits: plan.limits.clone(),
            trusted: plan.trusted.clone(),
            explain: plan.explain.clone(),
        }
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.site.timeouts
    }

    /// What a route is called, for the log; empty for none.
    pub(super) fn label(&self, route: RouteNumber) -> &str {
        self.table.label(route)
    }

    /// What a slot is called in logs; empty where it is that of no route.
    pub(super) fn slot_name(&self, slot: Slot) -> &str {
        match slot {
            Slot::NONE => "",
            Slot::FORWARD => Slot::NAMES[1],
            Slot(number) => self.table.label(RouteNumber::at(number - Slot::NAMES.len() as u32)),
        }
    }
}
