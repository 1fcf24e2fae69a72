//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::driver::Peer;
use crate::message::Version;
use crate::tls::Session;

/// The client of a connection, or of one stream of it.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) peer: Peer,
    /// Where the client thinks it is connected to, where the stream does not tell.
    pub(super) local: Option<Rc<SocketAddr>>,
    /// What it says about where requests come from is believed.
    pub(super) is_trusted: bool,
    /// What was agreed on with it, if it speaks TLS.
    pub(super) session: Option<Rc<Session>>,
    /// It speaks HTTP/2, and this is one of its streams: there is no second request.
    pub(super) is_stream: bool,
}

impl Who {
    /// Somebody who has just connected.
    pub(super) fn new(peer: Peer, is_trusted: bool) -> Self {
        Self { peer, local: None, is_trusted, session: None, is_stream: false }
    }

    /// The version of a request whose head says `version`.
    pub(super) fn version(&self, version: Version) -> Version {
        if self.is_stream { Version::Http2 } else { version }
    }
}
