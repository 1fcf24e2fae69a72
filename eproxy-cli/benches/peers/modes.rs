//! The table of modes: what is asked, and who contends.

use crate::configs::{eproxy, haproxy, nginx};
use crate::contender::{Contender, Launch, Program, Site};
use crate::pages::{HELLO, UPSTREAM};
use crate::probe::Expected;

/// One thing to measure.
pub(crate) struct Mode {
    /// How the command line calls it.
    pub(crate) name: &'static str,
    /// One line for the usage text.
    pub(crate) about: &'static str,
    /// How it is measured.
    pub(crate) story: Story,
    /// What every contender is asked, and the only right answer.
    pub(crate) expected: Expected,
    /// The server behind the contenders, always nginx and never counted.
    pub(crate) upstream: Option<Upstream>,
    /// Who takes part. The first is eproxy: the report compares it with each of the others.
    pub(crate) contenders: &'static [Contender],
}

/// The ways of measuring; each is a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// wrk as hard as it can, in rounds.
    Load,
    /// Many connections that stay open and say nothing.
    Idle,
}

/// The server that the contenders of a mode fetch from.
pub(crate) struct Upstream {
    pub(crate) expected: Expected,
    pub(crate) launch: fn(&Site<'_>) -> Launch,
}

pub(crate) const MODES: &[Mode] = &[
    Mode {
        name: "hello",
        about: "GET /hello, a fixed short text: the cost of a request and nothing else",
        story: Story::Load,
        expected: HELLO,
        upstream: None,
        contenders: &HELLO_CONTENDERS,
    },
    Mode {
        name: "fetch",
        about: "GET /proxy: eproxy's handler fetches from an upstream through the Client; the peers proxy it",
        story: Story::Load,
        expected: Expected { path: "/proxy", ..UPSTREAM },
        upstream: Some(Upstream { expected: UPSTREAM, launch: nginx::upstream }),
        contenders: &[
            Contender { program: Program::Eproxy, launch: eproxy::fetch },
            Contender { program: Program::Nginx, launch: nginx::fetch },
            Contender { program: Program::Haproxy, launch: haproxy::fetch },
        ],
    },
    Mode {
        name: "idle",
        about: "resident memory for each kept-alive connection that has made one GET /hello and gone quiet",
        story: Story::Idle,
        expected: HELLO,
        upstream: None,
        contenders: &HELLO_CONTENDERS,
    },
];

const HELLO_CONTENDERS: [Contender; 3] = [
    Contender { program: Program::Eproxy, launch: eproxy::hello },
    Contender { program: Program::Nginx, launch: nginx::hello },
    Contender { program: Program::Haproxy, launch: haproxy::hello },
];
