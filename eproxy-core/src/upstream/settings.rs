//! What a group is told when it is described: fixed when the first server starts with it.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::tls::{Connector, UpstreamTls};

use super::balance::sticky::{Cookie, Sticky};
use super::balance::zone;
use super::health::{AdaptiveLimit, Breaker, Ejection, Probe, RetryBudget};

/// How the endpoint of a request is chosen among those that are fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// Of two drawn at random by weight, the one that promises the quicker answer: by its latency, of which a peak is
    /// believed at once and forgotten within seconds, and by the requests that it is busy with. This is the default: slow
    /// and overloaded endpoints are relieved by themselves.
    #[default]
    PeakEwma,
    /// The one with the fewest requests for its weight, of this core's. In groups of more than 32, the one of 8 drawn at
    /// random.
    LeastRequests,
    /// By turns, in proportion to the weights, heavy ones not in a row.
    RoundRobin,
    /// By chance, in proportion to the weights.
    Random,
    /// The same one for the same key, as long as it is fit and not overloaded: consistent hashing with bounded loads. When
    /// an endpoint leaves only its own keys move, about one in n. Replicas of this proxy agree. A request without a key is
    /// sent by chance.
    Hash(HashKey),
}

/// What requests are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashKey {
    /// The value of a header field.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// The value of a query parameter, as it is written in the target.
    Query(String),
    /// The path, as it is written in the target.
    Path,
    /// The client's IP address: that of the connection, or what a PROXY protocol header says.
    Client,
}

/// What a group wants to know of each request.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    pub(crate) key: Option<HashKey>,
    /// The header that says which endpoints it is for.
    pub(crate) header: Option<String>,
    pub(crate) cookie: Option<Cookie>,
}

/// What is fixed of a group.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// What the group is called, if something was said.
    pub(super) name: Option<String>,
    pub(super) balance: Balance,
    pub(super) sticky: Option<Sticky>,
    /// Made of that.
    pub(super) cookie: Option<Cookie>,
    /// A new endpoint takes so long to get all of its share.
    pub(super) slow_start: Duration,
    /// The zone that is preferred, and the part of its weight that must be fit for that.
    pub(super) zone: Option<(String, f64)>,
    /// How requests say which endpoints they are for.
    pub(super) subset: Option<Subset>,
    /// A tier of which less than this part is fit is left for one that is better off.
    pub(super) tier_below: f64,
    /// With less than this part fit, everybody counts as fit.
    pub(super) panic_below: f64,
    pub(super) probe: Option<Probe>,
    pub(super) ejection: Ejection,
    pub(super) breaker: Option<Breaker>,
    /// The requests that one endpoint is given at once, from all cores together.
    pub(super) most: Option<u32>,
    pub(super) adaptive: Option<AdaptiveLimit>,
    /// How many requests wait for room, and how long.
    pub(super) queue: Option<(usize, Duration)>,
    pub(super) budget: RetryBudget,
    /// How `https` endpoints are spoken to, if not as usual; and what is made of that.
    pub(super) tls: Option<UpstreamTls>,
    pub(super) connector: Option<Connector>,
}

/// How requests say which endpoints they are for.
#[derive(Clone, Debug)]
pub(super) struct Subset {
    pub(super) header: String,
    pub(super) label: String,
    /// Where no endpoint has the label, nobody else will do.
    pub(super) is_strict: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            balance: Balance::default(),
            sticky: None,
            cookie: None,
            slow_start: Duration::ZERO,
            zone: None,
            subset: None,
            tier_below: 0.0,
            panic_below: 0.0,
            probe: None,
            ejection: Ejection::default(),
            breaker: None,
            most: None,
            adaptive: None,
            queue: None,
            budget: RetryBudget::default(),
            tls: None,
            connector: None,
        }
    }
}

impl Settings {
    /// Makes it what cores work with.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(super) fn build(mut self) -> Result<Self> {
        self.check()?;
        self.cookie = self.sticky.as_ref().map(Sticky::build).transpose()?;
        self.connector = self.tls.as_ref().map(UpstreamTls::connector).transpose()?;
        Ok(self)
    }

    pub(super) fn check(&self) -> Result<()> {
        self.ejection.check()?;
        self.budget.check()?;
        self.probe.as_ref().map_or(Ok(()), Probe::check)?;
        self.breaker.as_ref().map_or(Ok(()), Breaker::check)?;
        self.adaptive.as_ref().map_or(Ok(()), AdaptiveLimit::check)?;
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        let enough = self.zone.as_ref().map_or(zone::ENOUGH, |(_, enough)| *enough);
        for (what, part) in [("zone", enough), ("tier", self.tier_below), ("panic", self.panic_below)] {
            if !(0.0..=1.0).contains(&part) {
                return wrong(format!("a {what} threshold of {part}, expected 0 to 1"));
            }
        }
        match (self.most, self.queue) {
            (Some(0), _) => wrong("a limit of no requests to an endpoint".into()),
            (None, Some(_)) if self.adaptive.is_none() => {
                wrong("a queue for a group whose endpoints have no limit: see max_requests".into())
            }
            (_, Some((0, _))) => wrong("a queue of no requests".into()),
            _ => Ok(()),
        }
    }

    /// What is wanted of requests, if anything is.
    pub(super) fn wishes(&self) -> Option<Wishes> {
        let key = match &self.balance {
            Balance::Hash(key) => Some(key.clone()),
            _ => None,
        };
        let header = self.subset.as_ref().map(|subset| subset.header.clone());
        let wishes = Wishes { key, header, cookie: self.cookie.clone() };
        let any = wishes.key.is_some() || wishes.header.is_some() || wishes.cookie.is_some();
        any.then_some(wishes)
    }

    /// Whether endpoints can have all that they may be given.
    pub(super) fn has_limits(&self) -> bool {
        self.most.is_some() || self.adaptive.is_some()
    }
}
