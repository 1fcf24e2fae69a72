//! The client's side: connections to servers.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::driver::Cipher;

use super::asked::canonical;
use super::cipher::TlsCipher;
use super::session::{Alpn, Session};
use super::text::TextsDigest;
use super::words::{broken, words};

/// Connects to servers, on any core; clones are the same one. Two are equal if they trust the same servers, say the same of
/// themselves and offer the same: a connection of one is good for the other.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Shared>);

struct Shared {
    config: Arc<ClientConfig>,
    /// The name to ask for and to verify, if it is not the one that was connected to.
    name: Option<ServerName<'static>>,
    identity: TextsDigest,
}

impl Connector {
    pub(super) fn new(
        config: ClientConfig,
        name: Option<ServerName<'static>>,
        identity: TextsDigest,
    ) -> Self {
        Self(Arc::new(Shared { config: Arc::new(config), name, identity }))
    }

    /// The client's side of a connection to `host`, a name or an address, and what will be known of it.
    ///
    /// # Errors
    ///
    /// `InvalidData` where `host` is neither.
    pub(crate) fn connect(&self, host: &str) -> io::Result<(Box<dyn Cipher>, Rc<Session>)> {
        let name = self.name(host)?;
        let asked = match &name {
            ServerName::DnsName(name) => Some(canonical(name.as_ref())),
            _ => None,
        };
        let side = UnbufferedClientConnection::new(self.0.config.clone(), name);
        let side = side.map_err(|error| failed(&error))?;
        let session = Rc::new(Session::default());
        Ok((Box::new(TlsCipher::new(side, asked, session.clone())), session))
    }

    /// The same, but for HTTP/2, which is not offered.
    pub(crate) fn without_http2(&self) -> Self {
        let mut config = (*self.0.config).clone();
        config.alpn_protocols = Alpn::offer(false);
        Self(Arc::new(Shared {
            config: Arc::new(config),
            name: self.0.name.clone(),
            identity: self.0.identity,
        }))
    }

    /// The same for streams that are no streams of the driver: rustls keeps what is on its way.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub(crate) fn buffered(&self, host: &str) -> io::Result<ClientConnection> {
        ClientConnection::new(self.0.config.clone(), self.name(host)?).map_err(|error| failed(&error))
    }

    fn name(&self, host: &str) -> io::Result<ServerName<'static>> {
        match &self.0.name {
            Some(name) => Ok(name.clone()),
            None => server_name(host).ok_or_else(|| broken(&format!("{host:?} is no name of a host"))),
        }
    }
}

/// What went wrong with a connection to a server, as an error of I/O.
pub(crate) fn failed(error: &rustls::Error) -> io::Error {
    broken(&words(error, false))
}

/// A host as it is asked for: an IPv6 address may be in brackets, and a name may have a dot at its end, which is not asked
/// for (RFC 6066 §3).
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).ok()
}

impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.identity == other.0.identity
    }
}

impl Eq for Connector {}

impl Hash for Connector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.identity.hash(state);
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.0.name).finish_non_exhaustive()
    }
}
