//! How a place is spoken to.

use std::sync::{Arc, OnceLock};

use crate::tls::{Connector, UpstreamTls};

use super::origin::Place;

/// What a connection speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// HTTP/1.1.
    Plain,
    /// HTTP/2, from the first byte (RFC 9113 §3.3).
    Http2,
    /// TLS with a host that must prove who it is, and inside what it chooses of both.
    Tls { host: Arc<str>, connector: Connector },
}

/// Where to connect to, and how: what tells one pool of connections from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) transport: Transport,
}

impl Target {
    /// A place that is spoken to in HTTP/1.1.
    pub(crate) fn plain(place: Place) -> Self {
        Self { place, transport: Transport::Plain }
    }
}

/// What connects where nothing else was said: the system's roots are trusted.
pub(super) fn default_connector() -> Connector {
    static DEFAULT: OnceLock<Connector> = OnceLock::new();
    DEFAULT.get_or_init(|| UpstreamTls::new().connector().expect("the defaults need no file")).clone()
}
