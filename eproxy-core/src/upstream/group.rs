//! Groups of endpoints, as they are described and as they are built.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Kind, Result};

use super::endpoint::Endpoint;
use super::roster::Roster;

/// The endpoints that share the requests of a [`Proxy`](crate::Proxy), by turns and in proportion to their weights.
///
/// An endpoint that does not take a connection rests for a while: 100 ms, twice as long each time it happens again, up
/// to 10 s; what was to go there goes to the next. When all of them rest they are tried all the same.
///
/// An endpoint is `http://host:port`, with a path that is put in front of every request's if need be, or `unix:/path`.
///
/// ```
/// use eproxy_core::{Group, Proxy, Server};
///
/// let server = Server::builder()
///     .at("/*path", Proxy::to(Group::new().endpoint("http://10.0.0.7:3000", 2).endpoint("http://10.0.0.8:3000", 1)))
///     .at("/static/*path", Proxy::to("unix:/run/static.sock"))
///     .at("/api/*path", Proxy::to(["http://10.0.1.1:80", "http://10.0.1.2:80"]));
/// ```
#[derive(Clone, Default)]
#[must_use = "a group is given to a Proxy"]
pub struct Group(Arc<Inner>);

/// A group, as everybody who has to do with it shares it.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(super) roster: Roster,
    /// The first thing that is wrong with the description; told when a server starts.
    wrong: Mutex<Option<String>>,
}

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
            self.0
                .wrong
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| error.into_detail());
        }
        self
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it can be used.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        if let Some(what) = &*self.0.wrong.lock().unwrap_or_else(PoisonError::into_inner) {
            return wrong(what.clone());
        }
        match self.0.roster.nodes().is_empty() {
            true => wrong("a proxy without an upstream".into()),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.0.roster.nodes();
        f.debug_list().entries(nodes.iter().map(|node| &node.endpoint)).finish()
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
            assert!(group.check().unwrap_err().to_string().contains(what));
        }
    }
}
