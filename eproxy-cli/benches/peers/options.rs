//! The command line: one mode or family of modes, a few numbers.

use crate::h2load::STREAMS;
use crate::modes::{FAMILIES, MODES, Mode};
use crate::story::{Load, Story, Upstream};

/// What the command line asks for.
pub(crate) enum Command {
    /// One after the other; there is at least one.
    Run(Vec<Options>),
    Help,
}

pub(crate) struct Options {
    pub(crate) mode: &'static Mode,
    /// How often each contender is measured, or how often an upstream is killed.
    pub(crate) rounds: usize,
    /// How long a load lasts, how long connections are idle before memory is read, or how long it takes to
    /// kill an upstream, start it again and go on to the next.
    pub(crate) seconds: u64,
    /// How many connections are open at the same time.
    pub(crate) connections: usize,
    /// wrk's threads, which are the clients' processors; it refuses to have more of them than connections.
    pub(crate) threads: usize,
    /// How long the bodies of the mode bulk are.
    pub(crate) body_mib: usize,
    /// How the labels of those begin who take part; all of them where there are none.
    pub(crate) contenders: Vec<String>,
    /// Nobody will quote the figures.
    pub(crate) quick: bool,
    /// Check the answers and time nothing.
    pub(crate) test: bool,
}

impl Options {
    /// Requests that may be under way at the same time.
    pub(crate) fn under_way(&self) -> usize {
        match self.mode.story {
            Story::Load(Load::Streams) => self.connections * STREAMS,
            _ => self.connections,
        }
    }

    /// Open files that one process of the run may need: a proxy has two for each connection, and the upstream
    /// one for each that a contender keeps open while another is measured; some to spare.
    pub(crate) fn open_files(&self) -> u64 {
        let each = match self.mode.upstream {
            Upstream::Nginx { .. } => self.mode.contenders.len().max(2),
            Upstream::None | Upstream::Echo | Upstream::Origins(_) => 2,
        };
        (self.under_way() * each) as u64 + SPARE_FILES
    }
}

/// HAProxy's `maxconn` has 256 to spare, again two files each, and then come listeners, pipes and logs.
const SPARE_FILES: u64 = 768;

/// Two copies of a body are in this program's memory while it is checked.
const MOST_BODY_MIB: u64 = 1024;

/// More would run out of loopback's ephemeral ports, about 28,000 for one address.
const MOST_CONNECTIONS: u64 = 20_000;

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut given = Given::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || value.clone().or_else(|| arguments.next());
        let mut number = |most| parse_number(flag, value(), most);
        match flag {
            "--contenders" => {
                let names = value().ok_or("--contenders needs names")?;
                given.contenders = names.split(',').map(str::to_owned).collect();
            }
            "--rounds" => given.rounds = Some(number(1_000)?),
            "--seconds" => given.seconds = Some(number(3_600)?),
            "--connections" => given.connections = Some(number(MOST_CONNECTIONS)?),
            "--threads" => given.threads = Some(number(64)?),
            "--body-mib" => given.body_mib = Some(number(MOST_BODY_MIB)?),
            "--quick" => given.quick = true,
            "--test" => given.test = true,
            "--bench" => given.bench = true,
            "--help" | "-h" => return Ok(Command::Help),
            _ if flag.starts_with('-') => return Err(format!("the option {argument} is not known")),
            _ if !given.modes.is_empty() => {
                return Err(format!("one mode at a time: {argument} is one too many"));
            }
            _ => given.modes = find_modes(&argument)?,
        }
    }
    Ok(Command::Run(given.into_options()))
}

pub(crate) fn usage() -> String {
    let mut text =
        String::from("usage: cargo bench -p eproxy-cli --bench peers -- [MODE] [OPTIONS]\n\nmodes:\n");
    for mode in MODES {
        text.push_str(&format!("  {:<12} {}\n", mode.name, mode.about));
    }
    text.push_str("\nseveral of them:\n");
    for family in FAMILIES {
        let members = family.members.join(", ");
        text.push_str(&format!("  {:<12} {}: {members}\n", family.name, family.about));
    }
    text.push_str(
        "\noptions:
  --rounds N       measure each contender N times (7; idle… and tunnels: 3, each with fresh processes), or
                   kill an upstream N times (restart: 6); chaos: N times 5,000 GETs after detection (20);
                   rolling: restart all upstreams N times (3); swap: replace the certificate N times (100);
                   upgrade: replace the program N times (5); reload: reload N times (1000)
  --seconds S      the load's time in each round, or the quiet time before memory is read (3), or the time
                   from one kill or upgrade to the next (restart, upgrade: 2), or until the last certificate is
                   served (swap: 10), or until a reload has come (reload: 10)
  --connections N  connections open at the same time (64; bulk, tls-bulk: 8; balance, swap: 16; chaos, rolling: 32;
                   h2, h2-proxy: 10, with 100 streams each; idle…: 4000; tunnels: 2000)
  --threads N      wrk's threads, at most one for each connection (2, as wrk itself has it; with 1, wrk is
                   slower than the servers in hello)
  --body-mib N     bulk, tls-bulk: the length of the body (1)
  --contenders A,B only those whose names begin so; the first of them is compared with the others
  --quick          1 round of 1 second, without a warm-up (restart: 2 kills; idle…: 1000 connections; tunnels: 500;
                   swap: 20 certificates; upgrade: 2 upgrades; reload: 50 reloads); a number given explicitly wins
  --test           start everyone and check the answers, measure nothing
  --help           this text

Without a mode it runs hello. EPROXY_BIN=/FULL/PATH in the environment measures another build of eproxy.
Each process may need some open files for each connection; the soft limit is raised where the hard one allows.\n",
    );
    text
}

/// The command line as it came, before defaults.
#[derive(Default)]
struct Given {
    /// None: the first of all.
    modes: Vec<&'static Mode>,
    contenders: Vec<String>,
    rounds: Option<u64>,
    seconds: Option<u64>,
    connections: Option<u64>,
    threads: Option<u64>,
    body_mib: Option<u64>,
    quick: bool,
    test: bool,
    /// `cargo bench` says `--bench`; `cargo test --benches` says nothing at all.
    bench: bool,
}

impl Given {
    fn into_options(self) -> Vec<Options> {
        match &self.modes[..] {
            [] => vec![self.options(&MODES[0])],
            modes => modes.iter().map(|mode| self.options(mode)).collect(),
        }
    }

    fn options(&self, mode: &'static Mode) -> Options {
        let (rounds, seconds) = match (mode.story, self.quick) {
            (Story::Load(_), false) => (7, 3),
            (Story::Idle(_), false) => (3, 3),
            (Story::Load(_) | Story::Idle(_), true) => (1, 1),
            (Story::Restart, false) => (6, 2),
            (Story::Restart, true) => (2, 1),
            (Story::Balance, false) => (5, 3),
            (Story::Chaos, false) => (20, 1),
            (Story::Rolling, false) => (3, 2),
            (Story::Swap, false) => (100, 10),
            (Story::Swap, true) => (20, 10),
            (Story::Reload, false) => (1000, 10),
            (Story::Reload, true) => (50, 10),
            (Story::Upgrade, false) => (5, 2),
            (Story::Upgrade, true) => (2, 1),
            (Story::Balance | Story::Chaos | Story::Rolling, true) => (1, 1),
        };
        let connections = if self.quick { mode.connections.1 } else { mode.connections.0 };
        let connections = self.connections.map_or(connections, |number| number as usize);
        Options {
            mode,
            rounds: self.rounds.unwrap_or(rounds) as usize,
            seconds: self.seconds.unwrap_or(seconds),
            connections,
            threads: (self.threads.unwrap_or(2) as usize).min(connections),
            body_mib: self.body_mib.unwrap_or(1) as usize,
            contenders: self.contenders.clone(),
            quick: self.quick,
            test: self.test || (!self.bench && self.modes.is_empty()),
        }
    }
}

/// The mode of this name, or those of the family.
fn find_modes(name: &str) -> Result<Vec<&'static Mode>, String> {
    let family = FAMILIES.iter().find(|family| family.name == name);
    let names = family.map_or(&[][..], |family| family.members);
    let modes: Vec<&Mode> =
        MODES.iter().filter(|mode| mode.name == name || names.contains(&mode.name)).collect();
    if modes.is_empty() { Err(format!("there is no mode {name}")) } else { Ok(modes) }
}

fn parse_number(flag: &str, value: Option<String>, most: u64) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a number"))?;
    match value.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{flag} takes a whole number from 1 to {most}, not {value}")),
    }
}
