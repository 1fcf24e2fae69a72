//! The command line: one mode, a few numbers.

use crate::modes::{MODES, Mode, Story};

/// What the command line asks for.
pub(crate) enum Command {
    Run(Options),
    Help,
}

pub(crate) struct Options {
    pub(crate) mode: &'static Mode,
    /// How often each contender is measured.
    pub(crate) rounds: usize,
    /// How long wrk runs each time, or how long connections are idle before memory is read.
    pub(crate) seconds: u64,
    /// How many connections are open at the same time.
    pub(crate) connections: usize,
    /// wrk's threads, which are the clients' processors.
    pub(crate) threads: u64,
    /// Check the answers and time nothing.
    pub(crate) test: bool,
}

impl Options {
    /// Open files that one process of the run may need: HAProxy insists on two for each connection, and some
    /// to spare.
    pub(crate) fn open_files(&self) -> u64 {
        self.connections as u64 * 2 + SPARE_FILES
    }
}

/// HAProxy's `maxconn` has 256 to spare, again two files each, and then come listeners, pipes and logs.
const SPARE_FILES: u64 = 768;

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
        let mut number = |most| parse_number(flag, value.clone().or_else(|| arguments.next()), most);
        match flag {
            "--rounds" => given.rounds = Some(number(1_000)?),
            "--seconds" => given.seconds = Some(number(3_600)?),
            "--connections" => given.connections = Some(number(MOST_CONNECTIONS)?),
            "--threads" => given.threads = Some(number(64)?),
            "--quick" => given.quick = true,
            "--test" => given.test = true,
            "--bench" => given.bench = true,
            "--help" | "-h" => return Ok(Command::Help),
            _ if flag.starts_with('-') => return Err(format!("the option {argument} is not known")),
            _ if given.mode.is_some() => {
                return Err(format!("one mode at a time: {argument} is one too many"));
            }
            _ => given.mode = Some(find_mode(&argument)?),
        }
    }
    Ok(Command::Run(given.into_options()))
}

pub(crate) fn usage() -> String {
    let mut text =
        String::from("usage: cargo bench -p eproxy-cli --bench peers -- [MODE] [OPTIONS]\n\nmodes:\n");
    for mode in MODES {
        text.push_str(&format!("  {:<7} {}\n", mode.name, mode.about));
    }
    text.push_str(
        "\noptions:
  --rounds N       measure each contender N times (7; idle: 3, each with fresh processes)
  --seconds S      wrk's time in each round, or the quiet time before memory is read (3)
  --connections N  connections open at the same time (64; idle: 4000)
  --threads N      wrk's threads (2, as wrk itself has it; with 1, wrk is slower than the servers in hello)
  --quick          1 round of 1 second (idle: and 1000 connections); a number given explicitly wins
  --test           start everyone and check the answers, measure nothing
  --help           this text

Without a mode it runs hello. EPROXY_BIN=/FULL/PATH in the environment measures another build of eproxy.
Each process may need two open files for each connection; the soft limit is raised where the hard one allows.\n",
    );
    text
}

/// The command line as it came, before defaults.
#[derive(Default)]
struct Given {
    mode: Option<&'static Mode>,
    rounds: Option<u64>,
    seconds: Option<u64>,
    connections: Option<u64>,
    threads: Option<u64>,
    quick: bool,
    test: bool,
    /// `cargo bench` says `--bench`; `cargo test --benches` says nothing at all.
    bench: bool,
}

impl Given {
    fn into_options(self) -> Options {
        let mode = self.mode.unwrap_or(&MODES[0]);
        let (rounds, seconds, connections) = match (mode.story, self.quick) {
            (Story::Load, false) => (7, 3, 64),
            (Story::Load, true) => (1, 1, 64),
            (Story::Idle, false) => (3, 3, 4_000),
            (Story::Idle, true) => (1, 1, 1_000),
        };
        Options {
            mode,
            rounds: self.rounds.unwrap_or(rounds) as usize,
            seconds: self.seconds.unwrap_or(seconds),
            connections: self.connections.unwrap_or(connections) as usize,
            threads: self.threads.unwrap_or(2),
            test: self.test || (!self.bench && self.mode.is_none()),
        }
    }
}

fn find_mode(name: &str) -> Result<&'static Mode, String> {
    MODES.iter().find(|mode| mode.name == name).ok_or_else(|| format!("there is no mode {name}"))
}

fn parse_number(flag: &str, value: Option<String>, most: u64) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a number"))?;
    match value.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{flag} takes a whole number from 1 to {most}, not {value}")),
    }
}
