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
use crate::telemetry::{Counters, Journal};

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
        Self {
            site: Rc::new(site),
            table: plan.table.clone(),
            connections: share.part(plan.limits.connections),
            handshakes: share.part(plan.limits.handshakes),
            limits: plan.limits.clone(),
            trusted: plan.trusted.clone(),
        }
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.site.timeouts
    }

    /// The pattern of a route, for the log; empty for none.
    pub(super) fn pattern(&self, route: RouteNumber) -> &str {
        self.table.pattern(route)
    }
}
