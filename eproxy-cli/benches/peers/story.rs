//! The ways of measuring, and what the table of modes says of each.

use crate::contender::{Launch, Site, Wire};
use crate::pages::Page;

/// The ways of measuring; each is a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// As much as the servers can do, in rounds.
    Load(Load),
    /// Many connections that stay open and say nothing.
    Idle(Quiet),
    /// Upstreams that are killed and started again while requests go on.
    Restart,
    /// Upstreams of which one is slow.
    Balance,
    /// Upstreams that are killed, hang, or become slow.
    Chaos,
    /// Upstreams that are restarted one after the other.
    Rolling,
    /// Certificates that are replaced while requests and handshakes go on.
    Swap,
    /// A configuration that is replaced while requests go on and WebSockets are open.
    Reload,
    /// The program itself, which is replaced and stopped while requests go on.
    Upgrade,
}

impl Story {
    /// What the contenders are asked over.
    pub(crate) fn wire(self) -> Wire {
        match self {
            Self::Load(Load::Calls(_)) | Self::Swap => Wire::Tls,
            Self::Load(Load::Streams) => Wire::Http2,
            Self::Idle(Quiet::Connections(wire)) => wire,
            Self::Load(Load::Requests | Load::Bytes | Load::Messages)
            | Self::Idle(Quiet::Tunnels)
            | Self::Restart
            | Self::Reload
            | Self::Balance
            | Self::Chaos
            | Self::Rolling
            | Self::Upgrade => Wire::Http1,
        }
    }
}

/// What a load consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// wrk; requests are counted.
    Requests,
    /// wrk; bytes of answers are counted.
    Bytes,
    /// A client of ours, each of whose WebSockets waits for the echo of its message before it sends the next.
    Messages,
    /// h2load; requests are counted.
    Streams,
    /// A client of ours over TLS.
    Calls(Calls),
}

/// What a TLS client does all the time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// A full handshake, a request, the end.
    Full,
    /// A handshake that resumes the session before, a request, the end.
    Resumed,
    /// A request on the connection that is there.
    Requests,
    /// The same; bytes of answers are counted.
    Bytes,
}

/// What the connections are that stay open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Kept-alive connections, after one request each.
    Connections(Wire),
    /// WebSockets, after one echo each.
    Tunnels,
}

/// The servers that the contenders of a mode pass requests on to. They are never counted.
pub(crate) enum Upstream {
    None,
    /// nginx, so often.
    Nginx {
        count: usize,
        /// The ports that each has.
        doors: u16,
        page: Page,
        launch: fn(&Site<'_>) -> Launch,
    },
    /// This program as an upstream that takes its time, so often.
    Origins(usize),
    /// The WebSocket echo that is part of this program.
    Echo,
}
