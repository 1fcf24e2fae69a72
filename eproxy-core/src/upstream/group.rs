//! Groups of endpoints, and what can be changed of them while servers run.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::{Error, Kind, Result};
use crate::telemetry::Counter;
use crate::tls::Connector;

use super::endpoint::Endpoint;
use super::health::Budget;
use super::line::Line;
use super::node::Mode;
use super::plan::Plan;
use super::roster::{NAMED, Roster};
use super::search::Searches;
use super::settings::{Balance, Settings, Wishes};
use super::snapshot::GroupSnapshot;

/// The endpoints that share the requests of a [`Proxy`](crate::Proxy).
///
/// A group is a handle: clones are the same group, which may be given to several proxies, of several servers, and kept to
/// change its endpoints and to look at it while they run. No request is lost by that: what an endpoint has been sent it
/// finishes.
///
/// Unless something else is said, the better of two endpoints drawn by weight is chosen ([`Balance::PeakEwma`]). One that
/// takes no connection, or answers nothing several times in a row, rests for a while ([`Ejection`](crate::Ejection)), and
/// each core tries it with one request at a time after that. When all of them rest they are tried all the same.
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
    pub(super) plan: Mutex<Plan>,
    /// What became of the plan with the first server.
    pub(super) settings: OnceLock<Arc<Settings>>,
    budget: OnceLock<Budget>,
    /// What it is called.
    name: OnceLock<Box<str>>,
    /// What each core counts of the group's requests.
    requests: Mutex<Vec<Arc<Counter>>>,
    /// What is found for it.
    pub(super) searches: Searches,
    /// A core probes the endpoints and compares them.
    pub(super) is_supervised: AtomicBool,
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
    /// One is described wrongly, or is named twice; nothing has changed.
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

    /// How its `https` endpoints are spoken to, if not as usual.
    pub(crate) fn connector(&self) -> Option<Connector> {
        self.0.settings().connector.clone()
    }

    /// Fixes what was said of it.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn build(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        let plan = self.0.plan.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// What it is called: what was said, or else the name of the endpoint that was the first when somebody asked.
    pub(crate) fn name(&self) -> &str {
        self.name.get_or_init(|| match &self.settings().name {
            Some(name) => name.as_str().into(),
            None => self.roster.published().nodes.first().map_or("group", |node| &node.name).into(),
        })
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
        Self::named(urls.into_iter().map(Endpoint::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_group_is_said() {
        for (group, what) in [
            (Group::new(), "without an upstream"),
            (Group::from("ftp://a"), "neither http://"),
            (Group::new().endpoint("http://a", 0), "weight 0"),
        ] {
            assert!(group.build().unwrap_err().to_string().contains(what));
        }
    }
}
