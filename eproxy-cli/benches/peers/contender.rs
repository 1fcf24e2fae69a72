//! What a contender is: a program, the place it is given, and how it is put there.
//!
//! A function from the [`Site`] to the [`Launch`] is all that makes a contender; those functions stand in
//! `configs/`, a file for each program.

use std::path::Path;

use crate::identity::Identity;

/// A program with its configuration for one mode.
pub(crate) struct Contender {
    /// How the report calls it: the program's name, and what is special where a mode has the program twice.
    pub(crate) label: &'static str,
    pub(crate) program: Program,
    pub(crate) launch: fn(&Site<'_>) -> Launch,
}

/// The programs that contend. One more is a variant here, and in `tools.rs` a line on where it is found: on
/// the PATH, or where cargo has built it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Eproxy,
    /// This program, as a proxy that embeds eproxy-core.
    This,
    Nginx,
    Haproxy,
    Envoy,
}

/// What a contender speaks to its clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Http1,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 over TCP, with prior knowledge.
    Http2,
}

/// Where a server is to stand.
pub(crate) struct Site<'a> {
    /// The loopback port to listen on.
    pub(crate) port: u16,
    /// So many ports to listen on, that one and those behind it.
    pub(crate) doors: u16,
    /// The loopback ports of the mode's upstreams.
    pub(crate) upstreams: &'a [u16],
    /// Who it is to TLS clients.
    pub(crate) identity: &'a Identity,
    /// How many connections, or streams of connections, will be open at the same time.
    pub(crate) connections: usize,
    /// How long `Body::Noise` is.
    pub(crate) body_mib: usize,
    /// The server's own scratch directory, for the files of its launch and what it writes itself.
    pub(crate) dir: &'a Path,
}

impl Site<'_> {
    /// The upstream's port in modes that have one.
    pub(crate) fn upstream(&self) -> u16 {
        *self.upstreams.first().expect("only modes that have an upstream use a configuration that names it")
    }

    /// The path that a file of the launch is written to before the start.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Connections on both sides of a proxy, and some to spare for listeners and for the checks before the
    /// load.
    pub(crate) fn room_for_connections(&self) -> usize {
        self.connections * 2 + SPARE_CONNECTIONS
    }
}

pub(crate) const SPARE_CONNECTIONS: usize = 256;

/// How a server is started.
pub(crate) struct Launch {
    pub(crate) arguments: Vec<String>,
    /// Written to the site's directory first, by name.
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}
