//! Groups of endpoints: how they are described, and what can be changed while servers run.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::telemetry::Counter;

use super::balance::sticky::Sticky;
use super::discovery::Discovery;
use super::endpoint::Endpoint;
use super::health::{AdaptiveLimit, Breaker, Budget, Ejection, Probe, RetryBudget};
use super::line::Line;
use super::node::Mode;
use super::roster::{NAMED, Roster};
use super::search::Searches;
use super::settings::{Balance, Settings, Subset, Wishes};
use super::snapshot::GroupSnapshot;

/// The endpoints that share the requests of a [`Proxy`](crate::Proxy).
///
/// A group is a handle: clones are the same group, which may be given to several proxies, of several servers, and kept to
/// change its endpoints and to look at it while they run. No request is lost by that: what an endpoint has been sent it
/// finishes.
///
/// Unless something else is said, the better of two endpoints drawn by weight is chosen
/// ([`Balance::PeakEwma`]); one that takes no connection, or answers nothing several times in a row, rests for a while
/// ([`Ejection`]) and is tried with one request at a time after that; when all of them rest they are tried all the same.
/// `docs/upstreams.md` has the whole story.
///
/// ```
/// use eproxy_core::{Endpoint, Group, Probe, Proxy, Server};
///
/// let group = Group::new()
///     .endpoint("http://10.0.0.7:3000", 2)
///     .endpoint("http://10.0.0.8:3000", 1)
///     .with(Endpoint::new("http://10.1.0.7:3000").priority(1))
///     .probe(Probe::http("/healthz"));
/// let server = Server::builder()
///     .at("/*path", Proxy::to(group.clone()))
///     .at("/static/*path", Proxy::to("unix:/run/static.sock"))
///     .at("/api/*path", Proxy::to(["http://10.0.1.1:80", "http://10.0.1.2:80"]));
///
/// // Later, while it runs:
/// group.add(Endpoint::new("http://10.0.0.9:3000"))?;
/// group.drain("http://10.0.0.7:3000")?;
/// # Ok::<(), eproxy_core::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a group is given to a Proxy"]
pub struct Group(Arc<Inner>);

/// A group, as everybody who has to do with it shares it.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(super) roster: Roster,
    /// Requests that wait for an endpoint to have room.
    pub(super) line: Line,
    plan: Mutex<Plan>,
    /// What became of the plan with the first server.
    settings: OnceLock<Arc<Settings>>,
    budget: OnceLock<Budget>,
    /// What each core counts of the group's requests.
    requests: Mutex<Vec<Arc<Counter>>>,
    /// What is found for it.
    pub(super) searches: Searches,
    /// A core probes the endpoints and compares them.
    pub(super) is_supervised: AtomicBool,
}

/// What is said of a group before a server has started with it.
#[derive(Debug, Default)]
struct Plan {
    settings: Settings,
    /// The first thing that is wrong with the description; told when a server starts.
    wrong: Option<String>,
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
        if let Err(error) = self.0.roster.add(endpoint) {
            self.plan().wrong.get_or_insert_with(|| error.into_detail());
        }
        self
    }

    /// Has endpoints be found while servers run, beside those that are named: by the records of a name
    /// ([`Dns`](crate::Dns), [`Srv`](crate::Srv)), from a file ([`EndpointsFile`](crate::EndpointsFile)), or by something of
    /// your own. It runs on async-std for as long as a server uses the group. May be called several times. What can't be
    /// found at the moment takes no endpoint away: [`GroupSnapshot::troubles`] says so.
    ///
    /// ```
    /// use eproxy_core::{Dns, EndpointsFile, Group};
    ///
    /// let group = Group::new().discover(Dns::new("http://app.internal:3000"));
    /// let group = Group::new().discover(EndpointsFile::new("/etc/eproxy/endpoints"));
    /// ```
    pub fn discover(self, discovery: impl Discovery) -> Self {
        let discoveries = &self.0.searches.discoveries;
        discoveries.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(discovery));
        self
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
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changing a group, and looking at it, at any time and from any thread. An endpoint is known by its URL as it was given, or
/// by its name in logs (`10.0.0.7:3000`); where several have that name, all of them are meant.
impl Group {
    /// Adds an endpoint.
    ///
    /// # Errors
    ///
    /// It is described wrongly, or is there already: an error named `bad_option`, as that of all of these.
    pub fn add(&self, endpoint: Endpoint) -> Result<()> {
        self.0.roster.add(endpoint)
    }

    /// Has the endpoints that the program has named be these. Those that stay keep all that is known of them.
    ///
    /// # Errors
    ///
    /// One is described wrongly; nothing has changed.
    pub fn set_endpoints(&self, endpoints: impl IntoIterator<Item = Endpoint>) -> Result<()> {
        self.0.roster.set(NAMED, endpoints.into_iter().collect())
    }

    /// Sends an endpoint no new requests, but for those of clients that [stick](Self::sticky) to it.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn drain(&self, endpoint: &str) -> Result<()> {
        self.0.roster.change(endpoint, |node| node.set_mode(Mode::Draining))
    }

    /// Sends an endpoint no new requests at all.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn maintain(&self, endpoint: &str) -> Result<()> {
        self.0.roster.change(endpoint, |node| node.set_mode(Mode::Maintenance))
    }

    /// Sends an endpoint requests again.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn resume(&self, endpoint: &str) -> Result<()> {
        self.0.roster.change(endpoint, |node| node.set_mode(Mode::Active))
    }

    /// Takes an endpoint out of the group. It finishes what it was sent; its unused connections are closed.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    pub fn remove(&self, endpoint: &str) -> Result<()> {
        self.0.roster.change(endpoint, |node| node.set_mode(Mode::Removed))
    }

    /// Gives an endpoint another share of the requests, from 1 to 1,000.
    ///
    /// # Errors
    ///
    /// There is none of that name, or the weight is another.
    pub fn set_weight(&self, endpoint: &str, weight: u32) -> Result<()> {
        if !(1..=super::endpoint::MAX_WEIGHT).contains(&weight) {
            let what = format!("the weight {weight} for {endpoint:?}, expected 1 to 1000");
            return Err(Error::new(Kind::BadOption).detail(what));
        }
        self.0.roster.change(endpoint, |node| node.set_weight(weight))
    }

    /// What is known of the group and of each endpoint at this moment.
    #[must_use]
    pub fn snapshot(&self) -> GroupSnapshot {
        GroupSnapshot::of(&self.0)
    }
}

impl Group {
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What it wants to know of requests, if anything.
    pub(crate) fn wishes(&self) -> Option<Wishes> {
        self.0.settings().wishes()
    }

    /// Fixes what was said of it.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn build(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        let plan = self.plan();
        if let Some(what) = &plan.wrong {
            return wrong(what.clone());
        }
        if self.0.settings.get().is_none() {
            let settings = plan.settings.clone().build()?;
            if matches!(settings.balance, Balance::Hash(_)) {
                self.0.roster.hash();
            }
            // Nobody else builds it while the plan is locked.
            let _first = self.0.settings.set(Arc::new(settings));
        }
        for discovery in &*self.0.searches.discoveries.lock().unwrap_or_else(PoisonError::into_inner) {
            discovery.check()?;
        }
        match self.0.roster.published().nodes.is_empty() && self.0.searches.is_empty() {
            true => wrong("a proxy without an upstream".into()),
            false => Ok(()),
        }
    }
}

impl Inner {
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.get_or_init(Arc::default).clone()
    }

    pub(super) fn budget(&self, settings: &Settings) -> &Budget {
        self.budget.get_or_init(|| Budget::new(settings.budget.clone()))
    }

    /// A core's own counter of requests.
    pub(super) fn join(&self) -> Arc<Counter> {
        let counter = Arc::new(Counter::default());
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(counter.clone());
        self.roster.touch();
        counter
    }

    /// The counters of all cores.
    pub(super) fn joined(&self) -> Vec<Arc<Counter>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let published = self.0.roster.published();
        f.debug_list().entries(published.nodes.iter().map(|node| &node.endpoint)).finish()
    }
}

impl From<&str> for Group {
    fn from(url: &str) -> Self {
        Self::new().endpoint(url, 1)
    }
}

impl From<String> for Group {
    fn from(url: String) -> Self {
        Self::new().endpoint(url, 1)
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Group {
    fn from(urls: [S; N]) -> Self {
        Self::from_iter(urls)
    }
}

impl<S: Into<String>> From<Vec<S>> for Group {
    fn from(urls: Vec<S>) -> Self {
        Self::from_iter(urls)
    }
}

impl<S: Into<String>> FromIterator<S> for Group {
    fn from_iter<I: IntoIterator<Item = S>>(urls: I) -> Self {
        urls.into_iter().fold(Self::new(), |group, url| group.endpoint(url, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_group_is_said() {
        for (group, what) in [
            (Group::new(), "without an upstream"),
            (Group::from("https://a"), "TLS"),
            (Group::new().endpoint("http://a", 0), "weight 0"),
        ] {
            assert!(group.build().unwrap_err().to_string().contains(what));
        }
    }
}
