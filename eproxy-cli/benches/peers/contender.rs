//! What a contender is: a program, the place it is given, and how it is put there.
//!
//! A function from the [`Site`] to the [`Launch`] is all that makes a contender; those functions stand in
//! `configs/`, a file for each program.

use std::path::Path;

/// A program with its configuration for one mode.
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) launch: fn(&Site<'_>) -> Launch,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Eproxy,
    Nginx,
    Haproxy,
}

impl Program {
    /// The name in the report, which is also the executable's.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eproxy => "eproxy",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

/// Where a server is to stand.
pub(crate) struct Site<'a> {
    /// The loopback port to listen on.
    pub(crate) port: u16,
    /// The loopback port of the mode's upstream.
    pub(crate) upstream: Option<u16>,
    /// How many connections will be open at the same time.
    pub(crate) connections: usize,
    /// The server's own scratch directory; `Launch::config` is written to `config` in it.
    pub(crate) dir: &'a Path,
}

impl Site<'_> {
    pub(crate) fn upstream_port(&self) -> u16 {
        self.upstream.expect("only modes that have an upstream use a configuration that names it")
    }

    /// The path that the configuration is written to before the start.
    pub(crate) fn config(&self) -> String {
        self.path("config")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Connections on both sides of a proxy, and some to spare for listeners and for the checks before the
    /// load.
    pub(crate) fn room_for_connections(&self) -> usize {
        self.connections * 2 + 256
    }
}

/// How a server is started.
pub(crate) struct Launch {
    pub(crate) arguments: Vec<String>,
    pub(crate) config: Option<String>,
}
