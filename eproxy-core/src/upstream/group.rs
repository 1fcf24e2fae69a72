//! Groups of endpoints, as they are described and as they are built.

use crate::error::{Error, Kind, Result};

use super::origin::{Origin, Place};

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
#[derive(Clone, Debug, Default)]
#[must_use = "a group is given to a Proxy"]
pub struct Group(Vec<(String, u32)>);

impl Group {
    /// A group without endpoints; a proxy needs at least one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint that takes its share of the requests: `weight` from 1 to 1,000. What is wrong with it is said
    /// when the server starts.
    pub fn endpoint(mut self, url: impl Into<String>, weight: u32) -> Self {
        self.0.push((url.into(), weight));
        self
    }

    /// Reads the endpoints.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn endpoints(&self) -> Result<Vec<(Origin, u32)>> {
        const MOST: u32 = 1000;
        let wrong = |what: String| Error::new(Kind::BadOption).detail(what);
        if self.0.is_empty() {
            return Err(wrong("a proxy without an upstream".into()));
        }
        let endpoint = |(url, weight): &(String, u32)| match weight {
            1..=MOST => Ok((Origin::parse(url)?, *weight)),
            _ => Err(wrong(format!("upstream {url:?} has the weight {weight}, expected 1 to {MOST}"))),
        };
        self.0.iter().map(endpoint).collect()
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
        Self(urls.into_iter().map(|url| (url.into(), 1)).collect())
    }
}

/// The number of a place whose connections are pooled.
pub(crate) type ShelfNumber = u32;

/// The number of a group of endpoints.
pub(crate) type GroupNumber = u32;

/// Everything that a server's cores keep something about: numbered once, when it starts.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(super) shelves: Vec<(Place, bool)>,
    /// The weights of each group's endpoints.
    pub(super) groups: Vec<Vec<u32>>,
}

impl Registry {
    /// The number of the shelf for connections to a place; the same place has one for connections that begin alike:
    /// `named` are those that say on whose behalf they were made.
    pub(crate) fn shelf(&mut self, place: &Place, named: bool) -> ShelfNumber {
        let wanted = (place.clone(), named);
        let known = self.shelves.iter().position(|known| *known == wanted);
        let number = known.unwrap_or_else(|| {
            self.shelves.push(wanted);
            self.shelves.len() - 1
        });
        number as ShelfNumber
    }

    /// The number of a new group.
    pub(crate) fn group(&mut self, weights: Vec<u32>) -> GroupNumber {
        self.groups.push(weights);
        (self.groups.len() - 1) as GroupNumber
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_once() {
        let mut registry = Registry::default();
        let place = |url: &str| Origin::parse(url).unwrap().place;
        assert_eq!(registry.shelf(&place("http://a.test:80/x"), false), 0);
        assert_eq!(registry.shelf(&place("http://b.test"), false), 1);
        assert_eq!(registry.shelf(&place("http://a.test/y"), false), 0);
        assert_eq!(registry.shelf(&place("http://a.test/y"), true), 2);
    }

    #[test]
    fn what_is_wrong_with_a_group_is_said() {
        for (group, what) in [
            (Group::new(), "without an upstream"),
            (Group::from("https://a"), "TLS"),
            (Group::new().endpoint("http://a", 0), "weight 0"),
        ] {
            assert!(group.endpoints().unwrap_err().to_string().contains(what));
        }
    }
}
