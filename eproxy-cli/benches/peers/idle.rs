//! The story of the idle mode: a fresh process, thousands of connections that make one request and go quiet,
//! and what each of them costs in resident memory. Memory that the kernel holds for sockets isn't in it; it
//! is the same for everyone. What a server has set aside for connections before the first one comes (nginx's
//! slots, HAProxy's table) is in the memory before, not in the difference: both columns belong beside the
//! figure.

use std::thread::sleep;
use std::time::Duration;

use crate::Outcome;
use crate::contender::Contender;
use crate::options::Options;
use crate::probe::Connection;
use crate::procfs;
use crate::report;
use crate::server::{Plan, Scratch, Server};
use crate::tools::Tools;

/// One fresh process of one contender.
pub(crate) struct Sample {
    pub(crate) before_bytes: u64,
    pub(crate) after_bytes: u64,
    pub(crate) bytes_per_connection: f64,
}

/// A contender with what was measured so far, one sample a round.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
}

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let scratch = Scratch::new()?;
    let mut lanes: Vec<Lane> = contenders
        .iter()
        .map(|contender| Lane { name: contender.program.name(), samples: Vec::new() })
        .collect();
    for _ in 0..options.rounds {
        for (lane, contender) in lanes.iter_mut().zip(contenders) {
            let program = tools.path(contender.program).expect("absent contenders were left out");
            let plan = Plan {
                name: lane.name,
                program,
                launch: contender.launch,
                expected: &options.mode.expected,
                upstream: None,
                connections: options.connections,
            };
            let server = Server::start(&plan, &scratch)?;
            if !options.test {
                lane.samples.push(measure(options, &server).map_err(|err| format!("{}: {err}", lane.name))?);
            }
        }
        if options.test {
            return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
        }
    }
    report::idle(options, &lanes);
    Ok(())
}

fn measure(options: &Options, server: &Server) -> Outcome<Sample> {
    let count = options.connections;
    let expected = &options.mode.expected;
    let before_bytes = procfs::resident_bytes(server.pid())?;
    let mut connections = Vec::with_capacity(count);
    for number in 1..=count {
        let context = |err: String| format!("connection {number} of {count}: {err}");
        let mut connection = Connection::open(server.port()).map_err(|err| context(err.to_string()))?;
        connection.check(expected).map_err(context)?;
        connections.push(connection);
    }
    sleep(Duration::from_secs(options.seconds));
    let after_bytes = procfs::resident_bytes(server.pid())?;
    // A server that had dropped the quiet connections would win unfairly: all of them still have to answer.
    for (index, connection) in connections.iter_mut().enumerate() {
        let number = index + 1;
        connection
            .check(expected)
            .map_err(|err| format!("connection {number} of {count} after its idle time: {err}"))?;
    }
    let bytes_per_connection = (after_bytes as f64 - before_bytes as f64) / count as f64;
    Ok(Sample { before_bytes, after_bytes, bytes_per_connection })
}
