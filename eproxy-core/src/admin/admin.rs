//! The admin listener as it is described, and how it starts.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;

use crate::driver::Address;
use crate::error::{Error, Kind, Result};
use crate::handler::{Request, Response};
use crate::message::{Limits, Timeouts};
use crate::server::{Handle, Server};
use crate::tls::Tls;
use crate::upstream::Group;

use super::api;
use super::callbacks::Callbacks;
use super::gate::Gate;
use super::shared::{Shared, sample};

/// Where it listens unless something else is said.
const ADDRESS: &str = "127.0.0.1:9901";

/// Bytes of a body: they are a few words of JSON.
const BODY: u64 = 64 * 1024;

/// Connections: a few pages and scrapers.
const CONNECTIONS: usize = 256;

/// How long streams of events may take to end with the server.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A listener beside a server, with an API and a live page for whoever runs it.
///
/// It listens on `127.0.0.1:9901` unless [`bind`](Self::bind) says otherwise; elsewhere than on the loopback it wants a
/// [`token`](Self::token). It answers only to its own names, so that pages of others can't get at it through a browser by a name
/// that they point here, and lets itself be told what to do only with the token, or by a request that no page of others can
/// make. `docs/admin.md` has its routes and the whole story.
///
/// ```no_run
/// use eproxy_core::{Admin, Group, Proxy, Server};
///
/// let group = Group::from(["http://10.0.0.7:3000", "http://10.0.0.8:3000"]);
/// let server = Server::builder().at("/*path", Proxy::to(group.clone())).bind("0.0.0.0:8080").start()?;
/// let admin = Admin::new()
///     .bind("127.0.0.1:9901")
///     .token(std::env::var("ADMIN_TOKEN").expect("a token"))
///     .groups([("api", group)])
///     .start(&server)?;
/// # Ok::<(), eproxy_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "an admin listener is started by start"]
pub struct Admin {
    address: String,
    tls: Option<Tls>,
    token: Option<String>,
    hosts: Vec<String>,
    callbacks: Callbacks,
}

impl Default for Admin {
    fn default() -> Self {
        Self::new()
    }
}

impl Admin {
    /// An admin listener on `127.0.0.1:9901` that shows the numbers of a server.
    pub fn new() -> Self {
        Self {
            address: ADDRESS.into(),
            tls: None,
            token: None,
            hosts: Vec::new(),
            callbacks: Callbacks::default(),
        }
    }

    /// Listens there instead: an address as [`Builder::bind`](crate::Builder::bind) takes it. Anywhere but on the loopback or
    /// a unix-domain socket it is an error to have no [`token`](Self::token).
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Speaks TLS. Without it, whoever is on the way to another machine reads the token.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Asks for a token, `Authorization: Bearer …` (RFC 6750 §2.1), for everything but the page without its numbers and the
    /// two questions whether the server lives and is ready. Characters that can be in such a field only; none unless set.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Answers to this name as well. Without a word about it, it answers to `localhost`, to addresses, and to the name that it
    /// is [bound](Self::bind) to; requests for others get 421. May be called several times.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Shows these groups under these names, and lets their endpoints be drained and weighed. May be called several times; of
    /// one name, the first counts.
    pub fn groups<N: Into<String>>(mut self, groups: impl IntoIterator<Item = (N, Group)>) -> Self {
        let groups: Vec<_> = groups.into_iter().map(|(name, group)| (name.into(), group)).collect();
        self.callbacks.groups.push(Box::new(move || groups.clone()));
        self
    }

    /// Shows the groups that this says there are, each time that somebody looks: for those that come and go.
    pub fn groups_from(mut self, groups: impl Fn() -> Vec<(String, Group)> + Send + Sync + 'static) -> Self {
        self.callbacks.groups.push(Box::new(groups));
        self
    }

    /// Tells the configuration that is in effect. Secrets are the program's to hide.
    pub fn config(mut self, config: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.callbacks.config = Some(Box::new(config));
        self
    }

    /// Is called to load the configuration again, by one request at a time. `Ok` says what came of it; `Err` that nothing has
    /// changed and why, a line for each problem.
    ///
    /// ```
    /// use eproxy_core::Admin;
    ///
    /// let admin = Admin::new().on_reload(|| async { Err("line 3: unknown group \"serach\"".to_owned()) });
    /// ```
    pub fn on_reload<F>(mut self, reload: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.callbacks.reload = Some(Box::new(move || Box::pin(reload())));
        self
    }

    /// Is called to set the log level: `off`, `error`, `warn`, `info`, `debug` or `trace`. What the level is now is asked of
    /// the `log` facade.
    ///
    /// ```
    /// use eproxy_core::Admin;
    ///
    /// # #[cfg(any())]
    /// let admin = Admin::new().on_log_level(|level| {
    ///     log::set_max_level(level.parse().map_err(|_| "no such level")?);
    ///     Ok(())
    /// });
    /// ```
    pub fn on_log_level(mut self, set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.callbacks.set_level = Some(Box::new(set));
        self
    }

    /// Whether [`start`](Self::start) would take what was said of it, its certificates aside.
    ///
    /// # Errors
    ///
    /// As for that, but nothing is listened on.
    #[cfg(feature = "config")]
    pub(crate) fn check(&self) -> Result<()> {
        Gate::new(&self.address, place(&self.address)?, self.token.as_deref(), self.hosts.clone()).map(drop)
    }

    /// Starts it, on a thread of its own, for a server that runs. It ends with that server, or by the handle that is given
    /// back.
    ///
    /// # Errors
    ///
    /// The address is invalid, in use, or not on the loopback while there is no token; the token is empty or can't be sent.
    pub fn start(self, server: &Handle) -> Result<Handle> {
        let Self { address, tls, token, hosts, callbacks } = self;
        let gate = Gate::new(&address, place(&address)?, token.as_deref(), hosts)?;
        let shared = Arc::new(Shared::new(server.clone(), gate, callbacks));
        let answering = |shared: Arc<Shared>| {
            move |request: Request, response: Response| api::answer(&shared, request, response)
        };
        let builder = Server::builder()
            .workers(1)
            .limits(Limits { body: BODY, connections: CONNECTIONS, ..Limits::default() })
            .timeouts(Timeouts { head: Duration::from_secs(10), ..Timeouts::default() })
            .at(api::CHANGES, answering(shared.clone()))
            .at("/*path", answering(shared.clone()));
        let own = match tls {
            Some(tls) => builder.bind_tls(address, tls),
            None => builder.bind(address),
        };
        let own = own.start()?;
        shared.set_own(&own);
        let (server, ending) = (server.clone(), own.clone());
        async_std::task::spawn(async move {
            let end = async {
                // Whichever of the two ends first; those who listen to events are told meanwhile.
                future::or(server.wait(), ending.wait()).await;
                ending.shutdown(LAST_WORDS).await;
            };
            future::or(end, sample(shared)).await;
        });
        Ok(own)
    }
}

fn place(address: &str) -> Result<Address> {
    address.parse().map_err(|error: std::io::Error| {
        Error::new(Kind::BadAddress).detail(address.to_owned()).because(error)
    })
}
