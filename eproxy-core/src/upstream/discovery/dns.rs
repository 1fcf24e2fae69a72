//! The addresses of a name.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::origin::{Origin, Place};

use super::ask::Asking;
use super::names::{Addresses, Known, Pace};
use super::{Discovery, Feed};

/// Every address of a name is an endpoint (A and AAAA records), and requests to it go on saying the name in their Host
/// field.
///
/// The name is asked for again when its records say so, within bounds. Where it does not resolve any more, or nobody
/// answers, the last endpoints stay and this is said; it is tried again after a second, and each time twice as long
/// after, up to 30 s.
///
/// The feature `dns`, which is there by default, asks DNS servers itself: those that the system is set up with, after its
/// file of hosts. Without it, the system's resolver is asked every 10 s, within the same bounds.
///
/// ```
/// use std::time::Duration;
///
/// use eproxy_core::Dns;
///
/// let app = Dns::new("http://app.internal:3000").max_ttl(Duration::from_secs(60)).zone("eu-1a");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a discovery does something where it is given to whoever uses its endpoints"]
pub struct Dns {
    /// What every endpoint is like, with the name where each has its own address.
    like: Endpoint,
    pub(super) lookups: Lookups,
}

/// How names are looked up.
#[derive(Clone, Debug)]
pub(super) struct Lookups {
    pub(super) asking: Asking,
    pub(super) min_ttl: Duration,
    pub(super) max_ttl: Duration,
}

impl Dns {
    /// The addresses of the name in `http://name:port`, with a path that is put in front of every request's if need be.
    pub fn new(url: impl Into<String>) -> Self {
        Self { like: Endpoint::new(url), lookups: Lookups::default() }
    }

    /// How long addresses are kept at least, whatever their records say: 5 s by default. Shorter asks more often.
    pub fn min_ttl(mut self, time: Duration) -> Self {
        self.lookups.min_ttl = time;
        self
    }

    /// How long addresses are kept at the most: 5 min by default.
    pub fn max_ttl(mut self, time: Duration) -> Self {
        self.lookups.max_ttl = time;
        self
    }

    /// How long one question is waited for, with everything that is tried again: 5 s by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.lookups.asking.limit = time;
        self
    }

    /// Asks this DNS server, by UDP and TCP, and neither the system's servers nor its file of hosts. The name is taken for
    /// a whole one then, without search domains.
    #[cfg(feature = "dns")]
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.lookups.asking.server = Some(server);
        self
    }

    /// The weight of each endpoint, as in [`Endpoint::weight`].
    pub fn weight(mut self, weight: u32) -> Self {
        self.like = self.like.weight(weight);
        self
    }

    /// The tier of all endpoints, as in [`Endpoint::priority`].
    pub fn priority(mut self, priority: u8) -> Self {
        self.like = self.like.priority(priority);
        self
    }

    /// Where all endpoints are, as in [`Endpoint::zone`].
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.like = self.like.zone(zone);
        self
    }

    /// A label of all endpoints, as in [`Endpoint::label`].
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.like = self.like.label(key, value);
        self
    }

    /// What requests say in their Host field instead of the name.
    pub fn host(mut self, authority: impl Into<String>) -> Self {
        self.like = self.like.host(authority);
        self
    }

    async fn follow(&self, feed: &Feed) {
        let origin = match self.lookups.check().and_then(|()| self.like.origin()) {
            Ok(origin) => origin,
            Err(error) => return feed.failed(error.to_string()),
        };
        let Place::Name(name, port) = &origin.place else {
            // An address needs no look-up.
            feed.set(vec![self.like.clone()]);
            return feed.closed().await;
        };
        let mut known = Known::default();
        let mut pace = Pace::new(self.lookups.min_ttl, self.lookups.max_ttl);
        loop {
            let addresses = match self.lookups.asking.begin().await {
                Ok(round) => {
                    let (v4, v6) = round.addresses(name).await;
                    known.learn(v4, v6)
                }
                Err(why) => {
                    Addresses { all: Vec::new(), fresh: None, trouble: Some(format!("{name}: {why}")) }
                }
            };
            let next = pace.next(&addresses);
            let endpoint = |ip| at(&self.like, SocketAddr::new(ip, *port), &origin);
            let endpoints = addresses.all.into_iter().map(endpoint).collect();
            feed.set_despite(endpoints, addresses.trouble);
            async_std::task::sleep(next).await;
        }
    }
}

impl Discovery for Dns {
    fn check(&self) -> Result<()> {
        self.lookups.check()?;
        match self.like.origin()?.place.port() {
            Some(_) => Ok(()),
            None => {
                Err(Error::new(Kind::BadOption).detail(format!("{:?} has no name to look up", self.like.url)))
            }
        }
    }

    fn run(self: Arc<Self>, feed: Feed) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { futures_lite::future::or(feed.closed(), self.follow(&feed)).await })
    }
}

impl Lookups {
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        let (min, max) = (self.min_ttl, self.max_ttl);
        if min.is_zero() || min > max {
            return wrong(format!(
                "addresses are kept from {min:?} to {max:?}, expected more than zero to at least as much"
            ));
        }
        match self.asking.limit.is_zero() {
            true => wrong("no time to look up a name".into()),
            false => Ok(()),
        }
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            asking: Asking {
                #[cfg(feature = "dns")]
                server: None,
                limit: Duration::from_secs(5),
            },
            min_ttl: Duration::from_secs(5),
            max_ttl: Duration::from_secs(300),
        }
    }
}

/// An endpoint like this one, at an address, which goes on to be called what the origin is called.
pub(super) fn at(like: &Endpoint, address: SocketAddr, origin: &Origin) -> Endpoint {
    let mut endpoint = like.clone().host(&origin.authority);
    endpoint.url = format!("{}://{address}{}", origin.scheme.name(), origin.base);
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_where_the_name_was_and_the_host_stays() {
        let like = Endpoint::new("http://app.test:3000/v1").zone("a");
        let origin = like.origin().unwrap();
        let endpoint = at(&like, "[2001:db8::1]:3000".parse().unwrap(), &origin);
        assert_eq!(endpoint, Endpoint::new("http://[2001:db8::1]:3000/v1").host("app.test:3000").zone("a"));
        assert!(endpoint.origin().is_ok());
        let like = Endpoint::new("https://app.test");
        let endpoint = at(&like, "10.0.0.7:443".parse().unwrap(), &like.origin().unwrap());
        assert_eq!(endpoint, Endpoint::new("https://10.0.0.7:443").host("app.test"));
    }

    #[test]
    fn what_is_wrong_with_the_options_is_said_before_anything_is_asked() {
        let dns = || Dns::new("http://app.test");
        for (dns, what) in [
            (Dns::new("ftp://app.test"), "neither http://"),
            (Dns::new("unix:/run/app.sock"), "no name"),
            (dns().weight(0), "weight 0"),
            (dns().min_ttl(Duration::ZERO), "kept from 0ns"),
            (dns().max_ttl(Duration::from_secs(1)), "kept from 5s to 1s"),
            (dns().timeout(Duration::ZERO), "no time"),
        ] {
            let error = dns.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(dns().check().is_ok());
    }
}
