//! The description of a forward proxy.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use crate::error::{Error, Kind, Result};
use crate::tls::UpstreamTls;
use crate::upstream::{Destination, Guard, Origin, UpstreamOptions};

use super::answer_head::AnswerRules;
use super::forwarding::{Forwarding, basic};
use super::hooks::AllHooks;
use super::request_head::{RequestRules, Telling};
use super::retry::Retry;
use super::reverse::{Buffering, Reverse};

/// A forward proxy: an endpoint that passes requests on to wherever they say, `GET http://host/path` to that host, and
/// `CONNECT host:443` as a tunnel to it (RFC 9110 §9.3.6).
///
/// Whoever may choose where a proxy connects to may reach what only the proxy can. So the address that is dialled is judged,
/// after the name was looked up and for every connection: only addresses of the public internet are allowed, and those that
/// [`allow`](Self::allow) names. Loopback, private networks, links, the metadata services of clouds, groups, and the ways
/// in which IPv6 spells such addresses, are refused with 403 (`destination_denied`). CONNECT reaches port 443 only, unless
/// [`connect_ports`](Self::connect_ports) says otherwise; requests without CONNECT may go to any port of an allowed
/// address.
///
/// What is passed on fares as with a [`Proxy`](crate::Proxy): fields that concern one connection only are left out both ways,
/// `Proxy-Authorization` with them, `Via` is set (RFC 9110 §7.6.3), bodies are passed on as they come, and failures are 502,
/// 503 or 504 with a `Proxy-Status`. A request for `https://` without CONNECT is answered with 502: there is no TLS yet.
///
/// Its methods never fail. The first thing that is wrong with a description is what
/// [`Builder::start`](crate::Builder::start) returns: an error named `bad_option`.
///
/// ```
/// use eproxy_core::{Forward, Server};
///
/// let server = Server::builder()
///     .forward(Forward::new().user("ada", "secret").allow("10.1.0.0/16").connect_ports([443, 8443]))
///     .bind("127.0.0.1:3128");
/// ```
#[derive(Clone, Default)]
#[must_use = "a forward proxy is given to Builder::forward"]
pub struct Forward {
    options: UpstreamOptions,
    guard: Guard,
    ports: Option<Vec<u16>>,
    users: Vec<(String, String)>,
    parent: Option<String>,
    parent_user: Option<(String, String)>,
    tells: bool,
    body_limit: Option<u64>,
    /// The first thing that is wrong with the description; told when the server starts.
    wrong: Option<String>,
}

impl Forward {
    /// A forward proxy for everybody who can connect to it, to the public internet. Listen on an address that only those
    /// can reach who may use it, or ask for credentials.
    ///
    /// ```
    /// use eproxy_core::{Forward, Server};
    ///
    /// let server = Server::builder().forward(Forward::new()).bind("127.0.0.1:3128");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for credentials (Basic, RFC 7617): only users that were named so may pass, others get 407 (RFC 9110 §15.5.8).
    /// May be called several times; nobody is asked unless it is. The password crosses the network in the clear. A name with
    /// a colon, and control characters in either, are a `bad_option`.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        let (name, password) = (name.into(), password.into());
        if name.contains(':') || name.chars().chain(password.chars()).any(char::is_control) {
            self.refuse(format!("user {name:?}: a name has no colon, and neither has a control character"));
        }
        self.users.push((name, password));
        self
    }

    /// Allows what is refused by default: an address, a network (`10.1.0.0/16`), or a host by its name, which may then lead
    /// anywhere but to what [`deny`](Self::deny) names. A name stands for itself alone, not for what is below it, and has no
    /// port. May be called several times.
    ///
    /// ```
    /// use eproxy_core::Forward;
    ///
    /// let forward = Forward::new().allow("10.1.0.0/16").allow("wiki.internal").deny("10.1.0.1");
    /// ```
    pub fn allow(mut self, what: impl Into<String>) -> Self {
        let what = what.into();
        match (net(&what), Origin::parse(&format!("http://{what}"))) {
            (Some(net), _) => self.guard.allowed.push(net),
            (None, Ok(origin)) if origin.authority == what.to_ascii_lowercase() && !what.contains(':') => {
                // The root's dot is part of no name (RFC 1034 §3.1).
                self.guard.hosts.push(origin.authority.trim_end_matches('.').to_owned());
            }
            _ => self
                .refuse(format!("allowed destination {what:?}, expected an address, a network, or a name")),
        }
        self
    }

    /// Refuses an address or a network whatever else is allowed, with 403: a public address of this machine, for one. May be
    /// called several times; nothing is refused so unless it is.
    pub fn deny(mut self, what: impl Into<String>) -> Self {
        let what = what.into();
        match net(&what) {
            Some(net) => self.guard.denied.push(net),
            None => self.refuse(format!("denied destination {what:?}, expected an address or a network")),
        }
        self
    }

    /// Sets the ports that CONNECT may reach, in place of 443; others are refused with 403 (`port_denied`). A tunnel carries
    /// whatever the client likes (RFC 9110 §17.3), so that only ports should be named at which that does no harm.
    pub fn connect_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = Some(ports.into_iter().collect());
        self
    }

    /// Passes everything on to another forward proxy, `http://host:port`, instead of connecting to destinations itself.
    /// Names are looked up by that one then, and what they lead to is for it to judge; addresses that are spelled out are
    /// judged here, too. A tunnel that it refuses is a 502 (`parent_refused`). None unless set.
    ///
    /// ```
    /// use eproxy_core::Forward;
    ///
    /// let forward = Forward::new().parent("http://10.0.0.1:3128").parent_user("ada", "secret");
    /// ```
    pub fn parent(mut self, url: impl Into<String>) -> Self {
        self.parent = Some(url.into());
        self
    }

    /// Sets the credentials that the parent asks for (Basic, RFC 7617); it is sent none unless set.
    pub fn parent_user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.parent_user = Some((name.into(), password.into()));
        self
    }

    /// Tells destinations where requests come from: X-Forwarded-For, -Host, -Proto, and Forwarded (RFC 7239). Unless this is
    /// set they are not told, and such fields of a client's pass as they are.
    pub fn forwarding_headers(mut self) -> Self {
        self.tells = true;
        self
    }

    /// Sets timeouts and pool sizes of the connections to destinations; [`UpstreamOptions::default`] unless set.
    pub fn upstream_options(mut self, options: UpstreamOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets how long a destination may take to begin its answer (504), and how long it may pause within it:
    /// [`UpstreamOptions::head`] and [`UpstreamOptions::body_idle`], 60 s each unless set. Tunnels have a limit of their own,
    /// [`Timeouts::tunnel_idle`](crate::Timeouts::tunnel_idle).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        (self.options.head, self.options.body_idle) = (timeout, timeout);
        self
    }

    /// Sets the largest request body in bytes; a longer one is refused with 413 (RFC 9110 §15.5.14). No limit unless set.
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    fn refuse(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Makes it what cores work with.
    ///
    /// # Errors
    ///
    /// `BadOption`, with the first thing that is wrong.
    pub(crate) fn build(self) -> Result<Reverse> {
        if let Some(what) = self.wrong {
            return Err(Error::new(Kind::BadOption).detail(what));
        }
        let parent = match &self.parent {
            Some(url) => {
                // Requests go there with absolute targets, which HTTP/2 has no words for.
                let connector = UpstreamTls::new().http2(false).connector()?;
                Some(Destination::known(Origin::parse(url)?, Some(&connector)))
            }
            None => None,
        };
        let request = RequestRules {
            telling: if self.tells { Telling::Origin } else { Telling::AsItCame },
            keeps_target: parent.is_some(),
            proxy_authorization: self.parent_user.as_ref().map(|(name, password)| basic(name, password)),
            ..RequestRules::default()
        };
        let forwarding = Forwarding {
            ports: self.ports.unwrap_or_else(|| vec![443]),
            users: self.users.iter().map(|(name, password)| basic(name, password)).collect(),
            guard: self.guard,
            parent,
        };
        Ok(Reverse {
            group: None,
            group_name: Box::default(),
            endpoints: None,
            wishes: None,
            options: self.options,
            request,
            answer: AnswerRules { tells_via: true, ..AnswerRules::default() },
            retry: Retry::default(),
            hooks: AllHooks::default(),
            buffering: Buffering::default(),
            mirror: None,
            proxy_protocol: None,
            body_limit: self.body_limit,
            forwarding: Some(forwarding),
        })
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().map(|address: std::net::IpAddr| address.into()).ok())
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("guard", &self.guard)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}
