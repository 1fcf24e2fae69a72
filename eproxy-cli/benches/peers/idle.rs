//! The story of the idle modes: a fresh process, thousands of connections over any wire, or WebSockets, that are used once
//! and go quiet, and what each of them costs in resident memory. Memory that the kernel holds for sockets
//! isn't in it; it is the same for everyone. What a server has set aside for connections before the first one
//! comes (nginx's slots, HAProxy's table) is in the memory before, not in the difference: both columns belong
//! beside the figure.

use std::thread::sleep;
use std::time::Duration;

use crate::contender::Contender;
use crate::options::Options;
use crate::pages::Expected;
use crate::probe::Probe;
use crate::server::Server;
use crate::stage::Stage;
use crate::story::Quiet;
use crate::tools::Tools;
use crate::tunnel::Tunnel;
use crate::{Outcome, procfs, report};

/// One fresh process of one contender.
pub(crate) struct Sample {
    pub(crate) before_bytes: u64,
    pub(crate) after_bytes: u64,
    pub(crate) bytes_each: f64,
}

/// A contender with what was measured so far, one sample a round.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
}

pub(crate) fn run(
    quiet: Quiet,
    options: &Options,
    tools: &Tools,
    contenders: &[&'static Contender],
) -> Outcome<()> {
    let stage = Stage::set(options, tools)?;
    let mut lanes: Vec<Lane> =
        contenders.iter().map(|contender| Lane { name: contender.label, samples: Vec::new() }).collect();
    for _ in 0..options.rounds {
        for (lane, contender) in lanes.iter_mut().zip(contenders) {
            let server = stage.start(contender)?;
            let (port, expected) = (server.port(), stage.expected());
            let sample = match quiet {
                Quiet::Connections(_) => {
                    measure(options, expected, &server, |_| stage.open(port).map_err(|err| err.to_string()))
                }
                Quiet::Tunnels => measure(options, expected, &server, |number| Tunnel::open(port, number)),
            };
            lane.samples.push(sample.map_err(|err| format!("{}: {err}", lane.name))?);
        }
        if options.test {
            return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
        }
    }
    report::idle(quiet, options, &lanes);
    Ok(())
}

/// What can be open and say nothing.
trait CanBeQuiet {
    /// Uses it once, and compares what comes back.
    fn check(&mut self, expected: &Expected) -> Outcome<()>;
}

impl CanBeQuiet for Probe {
    fn check(&mut self, expected: &Expected) -> Outcome<()> {
        self.check(expected)
    }
}

impl CanBeQuiet for Tunnel {
    fn check(&mut self, _: &Expected) -> Outcome<()> {
        self.check()
    }
}

/// With `--test` one is enough, and its memory tells nothing.
fn measure<C: CanBeQuiet>(
    options: &Options,
    expected: &Expected,
    server: &Server,
    connect: impl Fn(usize) -> Outcome<C>,
) -> Outcome<Sample> {
    let (count, rest) = match options.test {
        true => (1, Duration::ZERO),
        false => (options.connections, Duration::from_secs(options.seconds)),
    };
    let before_bytes = procfs::resident_bytes(server.pid())?;
    let mut open = Vec::with_capacity(count);
    for number in 1..=count {
        let context = |err: String| format!("connection {number} of {count}: {err}");
        let mut connection = connect(number).map_err(context)?;
        connection.check(expected).map_err(context)?;
        open.push(connection);
    }
    sleep(rest);
    let after_bytes = procfs::resident_bytes(server.pid())?;
    // A server that had dropped the quiet connections would win unfairly: all of them still have to answer.
    for (index, connection) in open.iter_mut().enumerate() {
        let number = index + 1;
        connection
            .check(expected)
            .map_err(|err| format!("connection {number} of {count} after its idle time: {err}"))?;
    }
    let bytes_each = (after_bytes as f64 - before_bytes as f64) / count as f64;
    Ok(Sample { before_bytes, after_bytes, bytes_each })
}
