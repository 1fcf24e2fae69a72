//! Everything that stands around the contenders: the scratch directory, the upstreams, the answer that is
//! expected.

use crate::Outcome;
use crate::contender::{Contender, Launch, Site};
use crate::echo::Echo;
use crate::modes::Upstream;
use crate::options::Options;
use crate::pages::{Expected, Page};
use crate::server::{Plan, Scratch, Server};
use crate::tools::Tools;

/// Contenders that were started on a stage have to end before it does.
pub(crate) struct Stage<'a> {
    options: &'a Options,
    tools: &'a Tools,
    expected: Expected,
    upstreams: Upstreams,
    // The last to be dropped: the upstreams write to it until they end.
    scratch: Scratch,
}

/// The upstreams that run.
enum Upstreams {
    None,
    Nginx(Vec<Server>),
    Echo(Echo),
}

impl<'a> Stage<'a> {
    /// Starts the upstreams of the mode.
    pub(crate) fn set(options: &'a Options, tools: &'a Tools) -> Outcome<Self> {
        let expected = options.mode.page.expected(options.body_mib);
        let mut stage =
            Self { options, tools, expected, upstreams: Upstreams::None, scratch: Scratch::new()? };
        stage.upstreams = match &options.mode.upstream {
            Upstream::None => Upstreams::None,
            Upstream::Echo => Upstreams::Echo(Echo::start()?),
            Upstream::Nginx { count, doors, page, launch } => {
                let nginx = (0..*count).map(|_| stage.start_upstream(page, *launch, *doors, None));
                Upstreams::Nginx(nginx.collect::<Outcome<_>>()?)
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
            expected: &self.expected,
            upstreams: &self.upstreams.ports(),
            connections: self.options.connections,
            body_mib: self.options.body_mib,
        };
        Server::start(&plan, &self.scratch)
    }

    /// Kills one of the nginx upstreams.
    pub(crate) fn kill_upstream(&mut self, number: usize) -> Outcome<()> {
        match &mut self.upstreams {
            Upstreams::Nginx(servers) => servers[number].kill(),
            Upstreams::None | Upstreams::Echo(_) => Ok(()),
        }
    }

    /// Starts one of the nginx upstreams again, on its port.
    pub(crate) fn revive_upstream(&mut self, number: usize) -> Outcome<()> {
        let Upstream::Nginx { doors, page, launch, .. } = &self.options.mode.upstream else { return Ok(()) };
        let port = self.upstreams.ports()[number];
        let server = self.start_upstream(page, *launch, *doors, Some(port))?;
        if let Upstreams::Nginx(servers) = &mut self.upstreams {
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
            program: self.tools.nginx.as_deref().expect("without nginx the mode was skipped"),
            launch,
            doors,
            expected: &page.expected(self.options.body_mib),
            upstreams: &[],
            // One contender after the other is loaded, but each may keep its pool meanwhile.
            connections: self.options.connections * self.options.mode.contenders.len(),
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
            Self::Nginx(servers) => servers.iter().flat_map(Server::ports).collect(),
            Self::Echo(echo) => vec![echo.port()],
        }
    }
}
