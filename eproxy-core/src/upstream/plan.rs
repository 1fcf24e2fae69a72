//! How a group is described, before a server has started with it.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::tls::UpstreamTls;

use super::balance::sticky::Sticky;
use super::discovery::Discovery;
use super::endpoint::Endpoint;
use super::group::Group;
use super::health::{AdaptiveLimit, Breaker, Ejection, Probe, RetryBudget};
use super::roster::NAMED;
use super::settings::{Balance, Settings, Subset};

/// What is said of a group before a server has started with it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// The first thing that is wrong with the description; told when a server starts.
    pub(super) wrong: Option<String>,
}

/// Describing a group. What is fixed when the first server starts with it is everything but the endpoints: settings that
/// are made after that have no effect.
impl Group {
    /// A group without endpoints; a proxy needs at least one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint that takes its share of the requests: `weight` from 1 to 1,000. What is wrong with it is said
    /// when the server starts.
    pub fn endpoint(self, url: impl Into<String>, weight: u32) -> Self {
        self.with(Endpoint::new(url).weight(weight))
    }

    /// Adds an endpoint. What is wrong with it is said when the server starts.
    pub fn with(self, endpoint: Endpoint) -> Self {
        let added = self.inner().roster.add(endpoint);
        self.noting(added)
    }

    /// A group of these endpoints.
    pub(super) fn named(endpoints: Vec<Endpoint>) -> Self {
        let group = Self::new();
        let set = group.inner().roster.set(NAMED, endpoints);
        group.noting(set)
    }

    fn noting(self, said: Result<()>) -> Self {
        if let Err(error) = said {
            self.plan().wrong.get_or_insert_with(|| error.into_detail());
        }
        self
    }

    /// Sets what it is called in metrics, logs and traces; the endpoint that is named first gives it its name unless set.
    /// Groups of one name are counted as one.
    ///
    /// ```
    /// use eproxy_core::Group;
    ///
    /// let api = Group::from(["http://10.0.0.7:3000", "http://10.0.0.8:3000"]).name("api");
    /// ```
    pub fn name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.set(|settings| settings.name = Some(name))
    }

    /// Has endpoints be found while servers run, beside those that are named: by the records of a name
    /// ([`Dns`](crate::Dns), [`Srv`](crate::Srv)), from a file ([`EndpointsFile`](crate::EndpointsFile)), or by something of
    /// your own. It runs on async-std for as long as a server uses the group. May be called several times. What can't be
    /// found at the moment takes no endpoint away: [`GroupSnapshot::troubles`](crate::GroupSnapshot::troubles) says so.
    ///
    /// ```
    /// use eproxy_core::{Dns, EndpointsFile, Group};
    ///
    /// let group = Group::new().discover(Dns::new("http://app.internal:3000"));
    /// let group = Group::new().discover(EndpointsFile::new("/etc/eproxy/endpoints"));
    /// ```
    pub fn discover(self, discovery: impl Discovery) -> Self {
        let discoveries = &self.inner().searches.discoveries;
        discoveries.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(discovery));
        self
    }

    /// Sets how `https` endpoints are spoken to; without it the system's roots are trusted. Each must prove to be the host of
    /// its URL, or what it is [called](Endpoint::host).
    ///
    /// ```no_run
    /// use eproxy_core::{Group, UpstreamTls};
    ///
    /// let group = Group::from(["https://10.0.0.7", "https://10.0.0.8"])
    ///     .tls(UpstreamTls::new().roots_file("/etc/eproxy/inside.pem").server_name("app.inside"));
    /// ```
    pub fn tls(self, tls: UpstreamTls) -> Self {
        self.set(|settings| settings.tls = Some(tls))
    }

    /// Sets how endpoints are chosen; [`Balance::PeakEwma`] unless set.
    ///
    /// ```
    /// use eproxy_core::{Balance, Group, HashKey};
    ///
    /// let by_turns = Group::from(["http://10.0.0.7:80", "http://10.0.0.8:80"]).balance(Balance::RoundRobin);
    /// let by_user = Group::from(["http://10.0.0.7:80", "http://10.0.0.8:80"])
    ///     .balance(Balance::Hash(HashKey::Header("X-User".into())));
    /// ```
    pub fn balance(self, balance: Balance) -> Self {
        self.set(|settings| settings.balance = balance)
    }

    /// Sends a client to the endpoint that has answered it before, which a signed cookie tells: as long as that is fit, and
    /// while it is [drained](Self::drain), too. Off unless set.
    ///
    /// ```
    /// use eproxy_core::{Group, Sticky};
    ///
    /// let group = Group::from(["http://10.0.0.7:80", "http://10.0.0.8:80"])
    ///     .sticky(Sticky::cookie("node").secret("what all replicas know"));
    /// ```
    pub fn sticky(self, sticky: Sticky) -> Self {
        self.set(|settings| settings.sticky = Some(sticky))
    }

    /// Gives an endpoint that is new, or fit again, its share of the requests by and by: a tenth at first, all of it after
    /// this time. At once unless set.
    pub fn slow_start(self, window: Duration) -> Self {
        self.set(|settings| settings.slow_start = window)
    }

    /// Prefers the endpoints of a [zone](Endpoint::zone), while at least half of what it has by weight is fit.
    pub fn prefer_zone(self, zone: impl Into<String>) -> Self {
        self.prefer_zone_while(zone, super::balance::zone::ENOUGH)
    }

    /// As [`prefer_zone`](Self::prefer_zone), while at least this part of what the zone has by weight is fit: from 0, where
    /// any endpoint will do, to 1.
    pub fn prefer_zone_while(self, zone: impl Into<String>, part: f64) -> Self {
        self.set(|settings| settings.zone = Some((zone.into(), part)))
    }

    /// Sends requests that have a header to the endpoints whose [label](Endpoint::label) has its value. Those without it, and
    /// those whose value no endpoint has, are for all.
    ///
    /// ```
    /// use eproxy_core::{Endpoint, Group};
    ///
    /// let group = Group::new()
    ///     .with(Endpoint::new("http://10.0.0.7:80").label("version", "stable"))
    ///     .with(Endpoint::new("http://10.0.0.8:80").label("version", "canary"))
    ///     .subset_by("X-Version", "version");
    /// ```
    pub fn subset_by(self, header: impl Into<String>, label: impl Into<String>) -> Self {
        let subset = Subset { header: header.into(), label: label.into(), is_strict: false };
        self.set(|settings| settings.subset = Some(subset))
    }

    /// As [`subset_by`](Self::subset_by), but a request whose value no endpoint has is refused with 503 (`no_endpoint`).
    pub fn subset_strictly_by(self, header: impl Into<String>, label: impl Into<String>) -> Self {
        let subset = Subset { header: header.into(), label: label.into(), is_strict: true };
        self.set(|settings| settings.subset = Some(subset))
    }

    /// Leaves a [tier](Endpoint::priority) of which less than this part is fit for one that is better off. 0 unless set: the
    /// first tier is used as long as it has one fit endpoint.
    pub fn failover_below(self, part: f64) -> Self {
        self.set(|settings| settings.tier_below = part)
    }

    /// Sends requests to all endpoints of a tier, whatever is known of them, when less than this part of it is fit: when
    /// nearly everybody seems to be down, the few that are left would not bear it. 0 unless set, which never does it; then a
    /// request is refused with 503 (`no_endpoint`) when probes say that all endpoints are down.
    pub fn panic_below(self, part: f64) -> Self {
        self.set(|settings| settings.panic_below = part)
    }

    /// Asks each endpoint from time to time whether it is well. None is asked unless set.
    pub fn probe(self, probe: Probe) -> Self {
        self.set(|settings| settings.probe = Some(probe))
    }

    /// Sets when endpoints rest because of how they treated requests; [`Ejection::default`] unless set.
    pub fn ejection(self, ejection: Ejection) -> Self {
        self.set(|settings| settings.ejection = ejection)
    }

    /// Puts a circuit breaker in front of each endpoint; none unless set.
    pub fn breaker(self, breaker: Breaker) -> Self {
        self.set(|settings| settings.breaker = Some(breaker))
    }

    /// Limits the requests that one endpoint has at once, from all cores of all servers together. When all endpoints have as
    /// many, a request is refused with 503 (`overloaded`, with a `Retry-After`) or [waits](Self::queue). No limit unless set.
    pub fn max_requests(self, requests: u32) -> Self {
        self.set(|settings| settings.most = Some(requests))
    }

    /// Limits the requests that one endpoint has at once, of each core's, by how long it takes to answer them; none unless
    /// set.
    pub fn adaptive_limit(self, limit: AdaptiveLimit) -> Self {
        self.set(|settings| settings.adaptive = Some(limit))
    }

    /// Has so many requests wait for so long until an endpoint has room, first come, first served. What does not fit is
    /// refused with 503 (`queue_full`), and so is what has waited for too long (`queue_timeout`), with a `Retry-After`. None
    /// waits unless set; it needs a [limit](Self::max_requests).
    ///
    /// ```
    /// use std::time::Duration;
    /// use eproxy_core::Group;
    ///
    /// let group = Group::from("http://10.0.0.7:80").max_requests(50).queue(200, Duration::from_secs(2));
    /// ```
    pub fn queue(self, requests: usize, patience: Duration) -> Self {
        self.set(|settings| settings.queue = Some((requests, patience)))
    }

    /// Sets how many requests may be sent again in all, whatever their proxies say; [`RetryBudget::default`] unless set.
    /// Those of which no endpoint has seen anything, because there was no connection, are not counted.
    pub fn retry_budget(self, budget: RetryBudget) -> Self {
        self.set(|settings| settings.budget = budget)
    }

    fn set(self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.plan().settings);
        self
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.inner().plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
