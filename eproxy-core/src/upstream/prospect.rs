//! Who would come into question for a request, told without choosing anybody: for whoever wants to know beforehand.

use std::sync::PoisonError;

use crate::error::{Error, Kind, Result};

use super::balance::ring::Ring;
use super::group::Group;
use super::node::{Fit, Mode, Node};
use super::origin::Origin;
use super::settings::{Balance, HashKey, Settings, Wishes};
use super::snapshot::{EndpointSnapshot, Health};
use super::view::Ask;

/// An endpoint that may come into question.
#[derive(Debug)]
pub(crate) struct Prospect {
    pub(crate) known: EndpointSnapshot,
    pub(crate) origin: Origin,
}

/// Where a request leads for a reason of its own, whatever the policy is.
#[derive(Debug)]
pub(crate) enum Lead {
    /// To the endpoint of this name, by its key.
    Key(String),
    /// To the one that has answered its client before.
    Cookie(String),
}

impl Group {
    /// Its endpoints as they are now.
    pub(crate) fn prospects(&self) -> Vec<Prospect> {
        let nodes = &self.inner().roster.published().nodes;
        let known = self.snapshot().endpoints;
        // One that has come or gone in between is left out.
        let origin =
            |url: &str| nodes.iter().find(|node| node.endpoint.url == url).map(|node| node.origin.clone());
        known.into_iter().filter_map(|known| Some(Prospect { origin: origin(&known.url)?, known })).collect()
    }

    /// How endpoints are chosen, in words.
    pub(crate) fn policy(&self) -> String {
        let settings = self.as_said();
        let mut words = match &settings.balance {
            Balance::PeakEwma => "the better of two by latency and load".to_owned(),
            Balance::LeastRequests => "fewest requests".to_owned(),
            Balance::RoundRobin => "by turns".to_owned(),
            Balance::Random => "by chance".to_owned(),
            Balance::Hash(key) => match key {
                HashKey::Header(name) => format!("by the hash of header {name}"),
                HashKey::Cookie(name) => format!("by the hash of cookie {name}"),
                HashKey::Query(name) => format!("by the hash of query parameter {name}"),
                HashKey::Path => "by the hash of the path".to_owned(),
                HashKey::Client => "by the hash of the client's address".to_owned(),
            },
        };
        if settings.sticky.is_some() {
            words.push_str(", sticky");
        }
        if let Some(subset) = &settings.subset {
            words.push_str(&format!(", those whose {} is the header {}", subset.label, subset.header));
        }
        if let Some((zone, _)) = &settings.zone {
            words.push_str(&format!(", zone {zone} before others"));
        }
        words
    }

    /// What it wants to know of requests; unlike [`wishes`](Self::wishes), this fixes nothing.
    pub(crate) fn wishes_as_said(&self) -> Option<Wishes> {
        self.as_said().wishes()
    }

    /// Where a request leads for a reason of its own. Where subsets, zones or loads have a say it may be another one: of
    /// groups with the first two nothing is told.
    pub(crate) fn lead(&self, ask: &Ask) -> Option<Lead> {
        let (settings, roster) = (self.as_said(), &self.inner().roster);
        let (published, now) = (roster.published(), roster.latest());
        let nodes = &published.nodes;
        let is_fit = |node: &Node| node.fit(now) == Fit::Yes;
        let stays = |node: &Node| matches!(node.mode(), Mode::Active | Mode::Draining) && is_fit(node);
        if let Some(known) = nodes.iter().find(|node| Some(node.token) == ask.token && stays(node)) {
            return Some(Lead::Cookie(known.name.to_string()));
        }
        if settings.subset.is_some()
            || settings.zone.is_some()
            || !matches!(settings.balance, Balance::Hash(_))
        {
            return None;
        }
        let may = |node: &Node| node.mode() == Mode::Active && is_fit(node);
        let tier = nodes.iter().filter(|node| may(node)).map(|node| node.endpoint.priority).min()?;
        let made;
        let ring = match &published.ring {
            Some(ring) => ring,
            // No server has started with it yet.
            None => {
                made = Ring::new(nodes.iter().map(|node| (node.endpoint.url.as_str(), node.weight())));
                &made
            }
        };
        let is_meant = |at: &usize| may(&nodes[*at]) && nodes[*at].endpoint.priority == tier;
        let first = ring.walk(ask.key?).find(is_meant);
        first.map(|at| Lead::Key(nodes[at].name.to_string()))
    }

    /// Whether it can be used as it was described; unlike [`build`](Self::build), this fixes nothing, and reads no files.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn check_as_said(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        let plan = self.inner().plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = &plan.wrong {
            return wrong(what.clone());
        }
        plan.settings.check()?;
        plan.settings.sticky.as_ref().map_or(Ok(()), |sticky| sticky.build().map(drop))?;
        match self.inner().roster.published().nodes.is_empty() && self.inner().searches.is_empty() {
            true => wrong("a proxy without an upstream".into()),
            false => Ok(()),
        }
    }

    /// What was said of it: what is fixed, or what will be.
    fn as_said(&self) -> Settings {
        if let Some(settings) = self.inner().settings.get() {
            return Settings::clone(settings);
        }
        let plan = self.inner().plan.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings = plan.settings.clone();
        // What is wrong with it is told when the server starts.
        settings.cookie = settings.sticky.as_ref().and_then(|sticky| sticky.build().ok());
        settings
    }
}

impl Prospect {
    /// Whether it may be sent new requests, as far as that is known.
    pub(crate) fn is_open(&self) -> bool {
        self.known.mode == Mode::Active && self.known.health == Health::Fit
    }
}
