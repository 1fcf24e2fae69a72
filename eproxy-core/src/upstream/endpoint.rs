//! An endpoint, as whoever knows it describes it.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::message::is_token;
use crate::message::target::is_authority;

use super::origin::Origin;

/// One server among those that share requests, as it is found by a [`Discovery`](crate::Discovery) or known beforehand.
///
/// What is wrong with it is said where it is used: a server doesn't start with it, and what a discovery finds is refused
/// as a whole.
///
/// ```
/// use eproxy_core::Endpoint;
///
/// let near = Endpoint::new("http://10.0.0.7:3000").weight(2).zone("eu-1a");
/// let spare = Endpoint::new("http://10.1.0.7:3000").priority(1).host("app.test").label("version", "canary");
/// assert_ne!(near, spare);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an endpoint is given to whatever shares requests among several"]
pub struct Endpoint {
    /// `http://host:port/base` or `unix:/path`.
    pub(super) url: String,
    /// What stands in the Host field instead of the URL's own authority.
    pub(super) host: Option<String>,
    pub(super) weight: u32,
    pub(super) priority: u8,
    pub(super) zone: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// The greatest weight.
pub(super) const MAX_WEIGHT: u32 = 1000;

impl Endpoint {
    /// An endpoint at `http://host:port`, with a path that is put in front of every request's if need be, or at
    /// `unix:/path`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), host: None, weight: 1, priority: 0, zone: None, labels: BTreeMap::new() }
    }

    /// Its share of the requests in proportion to the others': from 1 to 1,000, and 1 by default.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The tier it stands in: 0, the default, is asked first, and a higher one only where too few of the lower ones work.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Where it is, in the words of whoever runs it: what is near can be preferred.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Something to tell it from others by. A key has one value: the last.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// What it is called, for an endpoint whose URL has an address where the server expects a name: `name` or `name:port`
    /// (RFC 9110 §7.2). Probes say it in their Host field, and requests where [`Proxy::upstream_host`](crate::Proxy::upstream_host)
    /// is set; otherwise these keep what the client has sent.
    pub fn host(mut self, authority: impl Into<String>) -> Self {
        self.host = Some(authority.into());
        self
    }

    /// Where it is and what it is called, after everything about it was looked at.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(super) fn origin(&self) -> Result<Origin> {
        let url = &self.url;
        let wrong =
            |what: String| Err(Error::new(Kind::BadOption).detail(format!("upstream {url:?} has {what}")));
        let mut origin = Origin::parse(url)?;
        if !(1..=MAX_WEIGHT).contains(&self.weight) {
            return wrong(format!("the weight {}, expected 1 to {MAX_WEIGHT}", self.weight));
        }
        if let Some(zone) = &self.zone
            && !is_word(zone)
        {
            return wrong(format!("the zone {zone:?}, expected text without spaces"));
        }
        if let Some(key) = self.labels.keys().find(|key| !is_token(key.as_bytes())) {
            return wrong(format!("a label {key:?}, expected a name of letters, digits and -._"));
        }
        if let Some(host) = &self.host {
            if host.is_empty() || !is_authority(host.as_bytes()) {
                return wrong(format!("the host {host:?}, expected NAME or NAME:PORT"));
            }
            origin.authority.clone_from(host);
        }
        Ok(origin)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_called_by_a_name() {
        let origin = Endpoint::new("http://10.0.0.7:3000/v1").host("app.test:3000").origin().unwrap();
        assert_eq!(origin.place.to_string(), "10.0.0.7:3000");
        assert_eq!((origin.authority.as_str(), origin.base.as_str()), ("app.test:3000", "/v1"));
        let origin = Endpoint::new("http://[::1]:3000").host("[::2]").origin().unwrap();
        assert_eq!(origin.authority, "[::2]");
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_said() {
        let good = || Endpoint::new("http://a");
        for (endpoint, what) in [
            (Endpoint::new("ftp://a"), "neither http://"),
            (good().weight(0), "the weight 0, expected 1 to 1000"),
            (good().weight(1001), "the weight 1001"),
            (good().zone(""), "the zone \"\""),
            (good().zone("a b"), "the zone \"a b\""),
            (good().label("", "x"), "a label \"\""),
            (good().host(""), "the host \"\""),
            (good().host("a b"), "the host \"a b\""),
            (good().host("a/b"), "the host \"a/b\""),
        ] {
            let error = endpoint.origin().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(good().weight(1000).priority(255).zone("eu-1a").label("version", "").origin().is_ok());
    }
}
