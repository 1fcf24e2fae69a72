//! Everything that stands around the contenders: the scratch directory, the upstreams, the answer that is
//! expected.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::ClientConfig;

use crate::configs::eproxy;
use crate::contender::{Contender, Launch, Site, Wire};
use crate::echo::Echo;
use crate::identity::{Authority, Identity};
use crate::options::Options;
use crate::pages::{Expected, Page, SMALL};
use crate::probe::{Connection, Probe};
use crate::server::{Plan, Scratch, Server};
use crate::story::Upstream;
use crate::tools::Tools;
use crate::{Outcome, origin, secure};

/// Contenders that were started on a stage have to end before it does.
pub(crate) struct Stage<'a> {
    options: &'a Options,
    tools: &'a Tools,
    expected: Expected,
    authority: Authority,
    identity: Identity,
    /// Trusts the authority.
    tls: Arc<ClientConfig>,
    upstreams: Upstreams,
    // The last to be dropped: the upstreams write to it until they end.
    scratch: Scratch,
}

/// The upstreams that run.
enum Upstreams {
    None,
    Servers(Vec<Server>),
    Echo(Echo),
}

impl<'a> Stage<'a> {
    /// Starts the upstreams of the mode.
    pub(crate) fn set(options: &'a Options, tools: &'a Tools) -> Outcome<Self> {
        match options.mode.upstream {
            Upstream::Origins(count) => Self::of(count, options, tools),
            Upstream::None | Upstream::Nginx { .. } | Upstream::Echo => Self::with(0, options, tools),
        }
    }

    /// The same with so many upstreams, whatever the table says, in modes whose upstreams are this program.
    pub(crate) fn of(count: usize, options: &'a Options, tools: &'a Tools) -> Outcome<Self> {
        Self::with(count, options, tools)
    }

    fn with(origins: usize, options: &'a Options, tools: &'a Tools) -> Outcome<Self> {
        let expected = options.mode.page.expected(options.body_mib);
        let authority = Authority::new()?;
        let mut stage = Self {
            options,
            tools,
            expected,
            identity: authority.issue()?,
            tls: secure::careful(&authority)?,
            authority,
            upstreams: Upstreams::None,
            scratch: Scratch::new()?,
        };
        stage.upstreams = match &options.mode.upstream {
            Upstream::None => Upstreams::None,
            Upstream::Echo => Upstreams::Echo(Echo::start()?),
            Upstream::Nginx { count, doors, page, launch } => {
                let nginx = (0..*count).map(|_| stage.start_upstream(page, *launch, *doors, None));
                Upstreams::Servers(nginx.collect::<Outcome<_>>()?)
            }
            Upstream::Origins(_) => {
                let origins = (0..origins).map(|_| stage.start_upstream(&SMALL, eproxy::origin, 1, None));
                Upstreams::Servers(origins.collect::<Outcome<_>>()?)
            }
        };
        Ok(stage)
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Who the contenders are to TLS clients, in the beginning.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who issues more of that kind.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A client that trusts all of them.
    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// A connection to a contender.
    pub(crate) fn open(&self, port: u16) -> std::io::Result<Probe> {
        Probe::open(self.options.mode.story.wire(), port, &self.tls)
    }

    /// How many upstreams there are.
    pub(crate) fn upstreams(&self) -> usize {
        self.upstreams.ports().len()
    }

    /// Starts a contender in front of the upstreams, and checks its answer.
    pub(crate) fn start(&self, contender: &Contender) -> Outcome<Server> {
        let plan = Plan {
            name: contender.label,
            program: self.tools.path(contender.program).expect("absent contenders were left out"),
            launch: contender.launch,
            doors: 1,
            wire: self.options.mode.story.wire(),
            identity: &self.identity,
            tls: &self.tls,
            expected: &self.expected,
            upstreams: &self.upstreams.ports(),
            connections: self.options.under_way(),
            body_mib: self.options.body_mib,
        };
        Server::start(&plan, &self.scratch)
    }

    /// How many processes the upstreams are.
    pub(crate) fn servers(&self) -> usize {
        match &self.upstreams {
            Upstreams::Servers(servers) => servers.len(),
            Upstreams::None | Upstreams::Echo(_) => 0,
        }
    }

    pub(crate) fn port_of(&self, number: usize) -> u16 {
        self.upstreams.ports()[number]
    }

    /// A file of one of the upstreams.
    pub(crate) fn file_of(&self, number: usize, name: &str) -> PathBuf {
        match &self.upstreams {
            Upstreams::Servers(servers) => servers[number].file(name),
            Upstreams::None | Upstreams::Echo(_) => PathBuf::new(),
        }
    }

    /// Has one of the upstreams that are this program take so long for its answers.
    pub(crate) fn delay(&self, number: usize, milliseconds: u64) -> Outcome<()> {
        self.tell(number, &format!("{}{milliseconds}", origin::DELAY))
    }

    /// Has one of them end by itself.
    pub(crate) fn dismiss_upstream(&mut self, number: usize) -> Outcome<()> {
        self.tell(number, origin::LEAVE)?;
        match &mut self.upstreams {
            Upstreams::Servers(servers) => servers[number].wait(),
            Upstreams::None | Upstreams::Echo(_) => Ok(()),
        }
    }

    /// Sends a signal to one of the upstreams.
    pub(crate) fn signal_upstream(&self, number: usize, name: &str) -> Outcome<()> {
        match &self.upstreams {
            Upstreams::Servers(servers) => servers[number].signal(name),
            Upstreams::None | Upstreams::Echo(_) => Ok(()),
        }
    }

    fn tell(&self, number: usize, path: &str) -> Outcome<()> {
        let answer = Connection::open(self.port_of(number)).and_then(|mut connection| connection.get(path));
        answer.map(drop).map_err(|err| format!("an upstream was told {path} and did not listen: {err}"))
    }

    /// Kills one of the upstreams.
    pub(crate) fn kill_upstream(&mut self, number: usize) -> Outcome<()> {
        match &mut self.upstreams {
            Upstreams::Servers(servers) => servers[number].kill(),
            Upstreams::None | Upstreams::Echo(_) => Ok(()),
        }
    }

    /// Starts one of the upstreams again, on its port.
    pub(crate) fn revive_upstream(&mut self, number: usize) -> Outcome<()> {
        let (page, launch, doors): (&Page, fn(&Site<'_>) -> Launch, u16) = match &self.options.mode.upstream {
            Upstream::Nginx { doors, page, launch, .. } => (page, *launch, *doors),
            Upstream::Origins(_) => (&SMALL, eproxy::origin, 1),
            Upstream::None | Upstream::Echo => return Ok(()),
        };
        let port = self.upstreams.ports()[number];
        let server = self.start_upstream(page, launch, doors, Some(port))?;
        if let Upstreams::Servers(servers) = &mut self.upstreams {
            servers[number] = server;
        }
        Ok(())
    }

    fn start_upstream(
        &self,
        page: &Page,
        launch: fn(&Site<'_>) -> Launch,
        doors: u16,
        port: Option<u16>,
    ) -> Outcome<Server> {
        let plan = Plan {
            name: "upstream",
            program: match self.options.mode.upstream {
                Upstream::Origins(_) => {
                    self.tools.this.as_deref().ok_or("nobody knows where this program is")?
                }
                Upstream::None | Upstream::Nginx { .. } | Upstream::Echo => {
                    self.tools.nginx.as_deref().expect("without nginx the mode was skipped")
                }
            },
            launch,
            doors,
            wire: Wire::Http1,
            identity: &self.identity,
            tls: &self.tls,
            expected: &page.expected(self.options.body_mib),
            upstreams: &[],
            // One contender after the other is loaded, but each may keep its pool meanwhile.
            connections: self.options.under_way() * self.options.mode.contenders.len(),
            body_mib: self.options.body_mib,
        };
        match port {
            Some(port) => Server::start_at(port, &plan, &self.scratch),
            None => Server::start(&plan, &self.scratch),
        }
    }
}

impl Upstreams {
    fn ports(&self) -> Vec<u16> {
        match self {
            Self::None => Vec::new(),
            Self::Servers(servers) => servers.iter().flat_map(Server::ports).collect(),
            Self::Echo(echo) => vec![echo.port()],
        }
    }
}
