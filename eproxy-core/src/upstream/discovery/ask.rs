//! Questions to DNS servers, and what their answers mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_std::future::timeout;
use async_std::task::spawn_blocking;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, ResolverBuilder};

use super::names::Answer;
use super::runtime::Runtime;

/// Whom to ask, and how long to wait.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    /// A server of one's own choice, instead of those that the system is set up with.
    pub(super) server: Option<SocketAddr>,
    /// For all of a question, with everything that is tried again.
    pub(super) limit: Duration,
}

/// One round of questions. Nothing is kept from one to the next, neither answers nor what the system is set up with.
pub(super) struct Round {
    resolver: Resolver<Runtime>,
    limit: Duration,
    /// Names are looked for below the system's search domains, too.
    has_search: bool,
}

impl Asking {
    /// Begins a round of questions.
    ///
    /// # Errors
    ///
    /// Why nobody can be asked.
    pub(super) async fn begin(&self) -> Result<Round, String> {
        let asking = self.clone();
        // It reads files: how the system is set up, and the names that it knows by itself.
        let resolver = spawn_blocking(move || asking.builder().and_then(ResolverBuilder::build)).await;
        let resolver = resolver.map_err(|error| error.to_string())?;
        Ok(Round { resolver, limit: self.limit, has_search: self.server.is_none() })
    }

    fn builder(&self) -> Result<ResolverBuilder<Runtime>, NetError> {
        let mut builder = match self.server {
            None => Resolver::builder(Runtime)?,
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                let mut builder =
                    Resolver::builder_with_config(ResolverConfig::from_name_servers(vec![server]), Runtime);
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                builder
            }
        };
        let options = builder.options_mut();
        // A question that was lost is asked again in time.
        options.timeout = options.timeout.min(self.limit / 3);
        Ok(builder)
    }
}

impl Round {
    /// The addresses of a name: IPv4, IPv6.
    pub(super) async fn addresses(&self, name: &str) -> (Answer<IpAddr>, Answer<IpAddr>) {
        let ip = |data: &RData| data.ip_addr();
        let v4 = self.ask(name, RecordType::A, ip);
        let v6 = self.ask(name, RecordType::AAAA, ip);
        futures_lite::future::zip(v4, v6).await
    }

    /// The servers of a service.
    pub(super) async fn servers(&self, name: &str) -> Answer<SRV> {
        let srv = |data: &RData| match data {
            RData::SRV(srv) => Some(srv.clone()),
            _ => None,
        };
        self.ask(name, RecordType::SRV, srv).await
    }

    async fn ask<T>(&self, name: &str, of: RecordType, read: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        let question = match Name::from_ascii(name) {
            Ok(mut question) => {
                question.set_fqdn(!self.has_search || name.ends_with('.'));
                question
            }
            Err(error) => return Answer::Failed(format!("{name}: {error}")),
        };
        let name = name.trim_end_matches('.');
        match timeout(self.limit, Box::pin(self.resolver.lookup(question, of))).await {
            Err(_) => Answer::Failed(format!("{name}: no answer within {:?}", self.limit)),
            Ok(Err(error)) => refusal(name, of, &error),
            Ok(Ok(lookup)) => records(name, of, &lookup, read),
        }
    }
}

/// The records that were asked for. Names on the way to them limit for how long they hold, too.
fn records<T>(name: &str, of: RecordType, lookup: &Lookup, read: impl Fn(&RData) -> Option<T>) -> Answer<T> {
    let answers = lookup.answers();
    let found: Vec<_> = answers.iter().filter_map(|record| read(&record.data)).collect();
    match answers.iter().map(|record| record.ttl).min() {
        Some(ttl) if !found.is_empty() => Answer::Found(found, Duration::from_secs(ttl.into())),
        _ => Answer::None(format!("{name} has no {of} record")),
    }
}

fn refusal<T>(name: &str, of: RecordType, error: &NetError) -> Answer<T> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Answer::None(format!("{name} does not exist")),
            _ => Answer::None(format!("{name} has no {of} record")),
        },
        error => Answer::Failed(format!("{name}: {error}")),
    }
}
