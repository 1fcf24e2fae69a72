//! The servers of a service.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::SRV;

use crate::error::{Error, Kind, Result};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::origin::Place;

use super::ask::Round;
use super::dns::{Lookups, at};
use super::names::{Addresses, Answer, Known, Pace};
use super::tiers::scale;
use super::{Discovery, Feed};

/// The servers of a service (SRV records, RFC 2782): every address of every server is an endpoint at the server's port,
/// with the server's own name in the Host field.
///
/// Priorities become tiers, numbered without gaps, and weights become weights: a server of the weight 0 gets next to
/// nothing beside others. Where a server has several addresses, each has the server's weight.
///
/// When names are asked for again, and what happens where they don't resolve any more, is the same as for
/// [`Dns`](crate::Dns): the last endpoints stay, of the service as of each server, and this is said.
///
/// ```
/// use eproxy_core::Srv;
///
/// let app = Srv::new("http://_http._tcp.app.internal").host("app.internal");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a discovery does something where it is given to whoever uses its endpoints"]
pub struct Srv {
    /// What every endpoint is like, with the service where each has its own address.
    like: Endpoint,
    lookups: Lookups,
}

/// Servers whose addresses are looked up at the same time.
const AT_ONCE: usize = 16;

/// What is known of each server's name.
type Servers = HashMap<String, Known>;

impl Srv {
    /// The servers of `http://_service._proto.name`, with a path that is put in front of every request's if need be.
    pub fn new(url: impl Into<String>) -> Self {
        Self { like: Endpoint::new(url), lookups: Lookups::default() }
    }

    /// How long records are kept at least, whatever they say: 5 s by default. Shorter asks more often.
    pub fn min_ttl(mut self, time: Duration) -> Self {
        self.lookups.min_ttl = time;
        self
    }

    /// How long records are kept at the most: 5 min by default.
    pub fn max_ttl(mut self, time: Duration) -> Self {
        self.lookups.max_ttl = time;
        self
    }

    /// How long one question is waited for, with everything that is tried again: 5 s by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.lookups.asking.limit = time;
        self
    }

    /// Asks this DNS server, as in [`Dns::server`](crate::Dns::server).
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.lookups.asking.server = Some(server);
        self
    }

    /// The tier of the servers with the lowest priority, as in [`Endpoint::priority`].
    pub fn priority(mut self, priority: u8) -> Self {
        self.like = self.like.priority(priority);
        self
    }

    /// Where all servers are, as in [`Endpoint::zone`].
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.like = self.like.zone(zone);
        self
    }

    /// A label of all endpoints, as in [`Endpoint::label`].
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.like = self.like.label(key, value);
        self
    }

    /// What requests say in their Host field instead of the servers' names.
    pub fn host(mut self, authority: impl Into<String>) -> Self {
        self.like = self.like.host(authority);
        self
    }

    /// The name of the service.
    fn service(&self) -> Result<String> {
        let url = &self.like.url;
        let wrong = |what: &str| Err(Error::new(Kind::BadOption).detail(format!("{url:?} {what}")));
        self.lookups.check()?;
        let origin = self.like.origin()?;
        match origin.place {
            Place::Name(name, port) if port == origin.scheme.port() => Ok(name),
            Place::Name(..) => wrong("has a port, which the records of a service say"),
            Place::Address(_) => wrong("has no name to look up"),
        }
    }

    async fn follow(&self, feed: &Feed) {
        let service = match self.service() {
            Ok(service) => service,
            Err(error) => return feed.failed(error.to_string()),
        };
        let mut servers = Servers::new();
        let mut pace = Pace::new(self.lookups.min_ttl, self.lookups.max_ttl);
        loop {
            let (endpoints, round) = self.round(&service, &mut servers).await;
            let next = pace.next(&round);
            feed.set_despite(endpoints, round.trouble);
            async_std::task::sleep(next).await;
        }
    }

    /// Asks for the servers and then for their addresses. What is given back says when to ask again, and has no addresses.
    async fn round(&self, service: &str, servers: &mut Servers) -> (Vec<Endpoint>, Addresses) {
        let mut outcome = Addresses { all: Vec::new(), fresh: None, trouble: None };
        let (round, records) = match self.lookups.asking.begin().await {
            Err(why) => {
                outcome.trouble = Some(format!("{service}: {why}"));
                return (Vec::new(), outcome);
            }
            Ok(round) => {
                let round = Arc::new(round);
                match round.servers(service).await {
                    Answer::None(why) | Answer::Failed(why) => {
                        outcome.trouble = Some(why);
                        return (Vec::new(), outcome);
                    }
                    Answer::Found(records, fresh) => {
                        outcome.fresh = Some(fresh);
                        (round, records)
                    }
                }
            }
        };
        // A root as the only target says that there is no such service here.
        let records: Vec<_> = records.into_iter().filter(|record| !record.target.is_root()).collect();
        if records.is_empty() {
            outcome.trouble = Some(format!("{service} is said to be not available"));
            return (Vec::new(), outcome);
        }
        let names: BTreeSet<String> = records.iter().map(target).collect();
        servers.retain(|name, _| names.contains(name));
        let addresses = look_up(&round, names, servers, &mut outcome).await;
        (self.endpoints(&records, &addresses), outcome)
    }

    fn endpoints(&self, records: &[SRV], addresses: &HashMap<String, Vec<IpAddr>>) -> Vec<Endpoint> {
        let Ok(mut origin) = self.like.origin() else { return Vec::new() };
        let said: Vec<_> = records.iter().map(|record| (record.priority, record.weight)).collect();
        let mut endpoints = Vec::new();
        for (record, (priority, weight)) in records.iter().zip(scale(&said, self.like.priority)) {
            let name = target(record);
            if self.like.host.is_none() {
                origin.authority = match record.port {
                    80 => name.clone(),
                    port => format!("{name}:{port}"),
                };
            }
            let like = self.like.clone().priority(priority).weight(weight);
            let all = addresses.get(&name).into_iter().flatten();
            endpoints.extend(all.map(|ip| at(&like, SocketAddr::new(*ip, record.port), &origin)));
        }
        // Where an address is there twice, the first one counts.
        endpoints.sort_by(|a, b| (a.priority, &a.url).cmp(&(b.priority, &b.url)));
        endpoints
    }
}

impl Discovery for Srv {
    fn check(&self) -> Result<()> {
        self.service().map(drop)
    }

    fn run(self: Arc<Self>, feed: Feed) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { futures_lite::future::or(feed.closed(), self.follow(&feed)).await })
    }
}

/// The name of the server, as it stands in a Host field.
fn target(record: &SRV) -> String {
    record.target.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// The addresses of servers, a number of them at a time.
async fn look_up(
    round: &Arc<Round>,
    names: BTreeSet<String>,
    servers: &mut Servers,
    outcome: &mut Addresses,
) -> HashMap<String, Vec<IpAddr>> {
    let mut all = HashMap::new();
    let names: Vec<_> = names.into_iter().collect();
    for some in names.chunks(AT_ONCE) {
        let ask = |name: &String| {
            let (round, name) = (round.clone(), format!("{name}."));
            async_std::task::spawn(async move { round.addresses(&name).await })
        };
        let asked: Vec<_> = some.iter().map(ask).collect();
        for (name, asked) in some.iter().zip(asked) {
            let (v4, v6) = asked.await;
            let found = servers.entry(name.clone()).or_default().learn(v4, v6);
            all.insert(name.clone(), found.all);
            outcome.fresh = [outcome.fresh, found.fresh].into_iter().flatten().min();
            outcome.trouble = outcome.trouble.take().or(found.trouble);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_name_without_a_port() {
        let srv = |url: &str| Srv::new(url).service();
        assert_eq!(srv("http://_http._tcp.App.test/v1").unwrap(), "_http._tcp.app.test");
        assert_eq!(srv("https://_https._tcp.app.test").unwrap(), "_https._tcp.app.test");
        for (url, what) in [
            ("http://_http._tcp.app.test:81", "has a port"),
            ("http://10.0.0.7", "no name"),
            ("unix:/run/app.sock", "no name"),
            ("https://_http._tcp.app.test:80", "has a port"),
        ] {
            let error = srv(url).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
