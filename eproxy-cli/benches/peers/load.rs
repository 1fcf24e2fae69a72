//! The story of a load mode: start everyone, check every answer, warm up, then rounds of load in turns.

use std::thread::sleep;
use std::time::Duration;

use crate::callers::Callers;
use crate::contender::Contender;
use crate::h2load::H2load;
use crate::options::Options;
use crate::pages::Expected;
use crate::procfs::{self, CpuTime};
use crate::server::Server;
use crate::stage::Stage;
use crate::story::{Calls, Load};
use crate::tools::Tools;
use crate::tunnel::Tunnel;
use crate::wrk::Wrk;
use crate::{Outcome, report, talkers};

/// One contender in one round. A unit is what the mode counts: a request, a message, a MiB.
pub(crate) struct Sample {
    pub(crate) cpu_us_per_unit: f64,
    pub(crate) units_per_second: f64,
    pub(crate) p99_us: f64,
    pub(crate) resident_bytes: u64,
}

impl Sample {
    /// Well below 1, the client was the slower side: units/s and p99 then tell about it as much as about the
    /// server.
    pub(crate) fn cores_busy(&self) -> f64 {
        self.cpu_us_per_unit * self.units_per_second / 1e6
    }
}

/// A contender with what was measured so far, one sample a round.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
    server: Server,
}

pub(crate) fn run(
    load: Load,
    options: &Options,
    tools: &Tools,
    contenders: &[&'static Contender],
) -> Outcome<()> {
    let stage = Stage::set(options, tools)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        let server = stage.start(contender)?;
        lanes.push(Lane { name: contender.label, samples: Vec::new(), server });
    }
    if load == Load::Messages {
        lanes.iter().try_for_each(check_tunnel)?;
    }
    if options.test {
        return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
    }
    let client = match Client::find(load, options, tools, &stage)? {
        Ok(client) => client,
        Err(Absent(what)) => {
            println!("skipped: {what}; nothing was measured");
            return Ok(());
        }
    };
    let bench =
        Bench { load, client, expected: stage.expected(), ticks_per_second: procfs::ticks_per_second() };
    for lane in lanes.iter().filter(|_| !options.quick) {
        bench.measure(lane, WARM_UP_SECONDS)?;
    }
    for round in 0..options.rounds {
        for turn in 0..lanes.len() {
            let place = place(round, turn, lanes.len());
            let sample = bench.measure(&lanes[place], options.seconds)?;
            lanes[place].samples.push(sample);
        }
        let latest = lanes.iter().map(|lane| (lane.name, lane.samples.last()));
        report::progress(load, round, options.rounds, latest);
    }
    report::load(load, options, &lanes);
    Ok(())
}

/// Whose turn it is. Everyone is first, middle and last equally often, so that a neighbour who wakes up mid-round is shared
/// out; and every other round goes backwards, so that nobody always follows the same one, and runs in what that one has
/// left of the caches.
pub(crate) fn place(round: usize, turn: usize, contenders: usize) -> usize {
    let forwards = (round / 2 + turn) % contenders;
    if round.is_multiple_of(2) { forwards } else { contenders - 1 - forwards }
}

/// The second echo proves that the first was no accident of the handshake.
fn check_tunnel(lane: &Lane) -> Outcome<()> {
    let echoes = Tunnel::open(lane.server.port(), 0).and_then(|mut tunnel| {
        tunnel.check()?;
        tunnel.check()
    });
    echoes.map_err(|err| format!("{}: {err}", lane.name))
}

/// What all measurements of a run have in common.
struct Bench<'a> {
    load: Load,
    client: Client<'a>,
    expected: &'a Expected,
    ticks_per_second: f64,
}

/// Who makes the load.
enum Client<'a> {
    Wrk(Wrk),
    Talkers { connections: usize },
    H2load(H2load),
    Callers { calls: Calls, connections: usize, stage: &'a Stage<'a> },
}

/// A client that is not installed, and what would help.
struct Absent(&'static str);

/// What the client saw in one run.
struct Seen {
    units: f64,
    seconds: f64,
    p99_us: f64,
}

impl<'a> Client<'a> {
    fn find(
        load: Load,
        options: &Options,
        tools: &Tools,
        stage: &'a Stage<'a>,
    ) -> Outcome<Result<Self, Absent>> {
        let connections = options.connections;
        Ok(match load {
            Load::Messages => Ok(Self::Talkers { connections }),
            Load::Calls(calls) => Ok(Self::Callers { calls, connections, stage }),
            Load::Requests | Load::Bytes => match &tools.wrk {
                Some(wrk) => Ok(Self::Wrk(Wrk::new(wrk, stage.scratch().path(), options)?)),
                None => Err(Absent("wrk is not installed (apt-get install wrk)")),
            },
            Load::Streams => match &tools.h2load {
                Some(h2load) => Ok(Self::H2load(H2load::new(h2load, options))),
                None => Err(Absent("h2load is not installed (apt-get install nghttp2-client)")),
            },
        })
    }

    /// Has whatever has to be there before CPU time is looked at: connections, or tickets.
    fn prepare(&self, port: u16) -> Outcome<Ready<'_>> {
        Ok(match *self {
            Self::Wrk(ref wrk) => Ready::Wrk(wrk),
            Self::Talkers { connections } => Ready::Talkers { connections },
            Self::H2load(ref h2load) => Ready::H2load(h2load),
            Self::Callers { calls, connections, stage } => {
                let (identity, expected) = (stage.identity(), stage.expected());
                Ready::Callers(Callers::open(calls, connections, port, identity, expected)?)
            }
        })
    }
}

/// A client in front of a contender.
enum Ready<'a> {
    Wrk(&'a Wrk),
    Talkers { connections: usize },
    H2load(&'a H2load),
    Callers(Callers<'a>),
}

impl Bench<'_> {
    fn measure(&self, lane: &Lane, seconds: u64) -> Outcome<Sample> {
        let (pid, port) = (lane.server.pid(), lane.server.port());
        let context = |err| format!("{}: {err}", lane.name);
        let ready = self.client.prepare(port).map_err(context)?;
        let before = CpuTime::of(pid)?;
        let seen = self.load(ready, port, seconds).map_err(context)?;
        sleep(SETTLE);
        let cpu_seconds = CpuTime::of(pid)?.since(&before, self.ticks_per_second);
        if cpu_seconds <= 0.0 {
            return Err(format!("{} was loaded and used no CPU time: it can't be so", lane.name));
        }
        Ok(Sample {
            cpu_us_per_unit: cpu_seconds * 1e6 / seen.units,
            units_per_second: seen.units / seen.seconds,
            p99_us: seen.p99_us,
            resident_bytes: procfs::resident_bytes(pid)?,
        })
    }

    fn load(&self, ready: Ready<'_>, port: u16, seconds: u64) -> Outcome<Seen> {
        let url = format!("http://127.0.0.1:{port}{}", self.expected.path);
        match ready {
            Ready::Wrk(wrk) => {
                let run = wrk.run(&url, seconds)?;
                // Bytes rather than answers: those that the end of the run cut short were work too.
                let units = if self.load == Load::Bytes { run.bytes / MIB } else { run.requests };
                Ok(Seen { units, seconds: run.seconds, p99_us: run.p99_us })
            }
            Ready::Talkers { connections } => {
                let run = talkers::run(port, connections, seconds)?;
                Ok(Seen { units: run.messages, seconds: run.seconds, p99_us: run.p99_us })
            }
            // It tells of no percentiles.
            Ready::H2load(h2load) => {
                let run = h2load.run(&url, self.expected.body.len(), seconds)?;
                Ok(Seen { units: run.requests, seconds: run.seconds, p99_us: f64::NAN })
            }
            Ready::Callers(callers) => {
                let run = callers.run(seconds)?;
                let counts_bytes = self.load == Load::Calls(Calls::Bytes);
                let units = if counts_bytes { run.bytes / MIB } else { run.answers };
                Ok(Seen { units, seconds: run.seconds, p99_us: run.p99_us })
            }
        }
    }
}

/// One run for each contender fills caches, pools and arenas; it isn't counted.
const WARM_UP_SECONDS: u64 = 1;

/// Clients leave by closing all connections, and noticing that is part of a server's work.
const SETTLE: Duration = Duration::from_millis(100);

const MIB: f64 = 1024.0 * 1024.0;
