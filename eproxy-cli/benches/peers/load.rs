//! The story of a load mode: start everyone, check every answer, warm up, then rounds of wrk in turns.

use std::thread::sleep;
use std::time::Duration;

use crate::Outcome;
use crate::contender::Contender;
use crate::options::Options;
use crate::procfs::{self, CpuTime};
use crate::report;
use crate::server::{Plan, Scratch, Server};
use crate::tools::Tools;
use crate::wrk::Wrk;

/// One contender in one round.
pub(crate) struct Sample {
    pub(crate) cpu_us_per_request: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p99_us: f64,
    pub(crate) resident_bytes: u64,
}

impl Sample {
    /// Well below 1, wrk was the slower side: requests/s and p99 then tell about wrk as much as about the
    /// server.
    pub(crate) fn cores_busy(&self) -> f64 {
        self.cpu_us_per_request * self.requests_per_second / 1e6
    }
}

/// A contender with what was measured so far, one sample a round.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
    server: Server,
}

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    if tools.wrk.is_none() && !options.test {
        println!("skipped: wrk is not installed (apt-get install wrk); nothing was measured");
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let upstream = start_upstream(options, tools, &scratch)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        let port = upstream.as_ref().map(Server::port);
        lanes.push(start_lane(options, tools, contender, port, &scratch)?);
    }
    let Some(wrk) = tools.wrk.as_ref().filter(|_| !options.test) else {
        return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
    };
    let bench = Bench {
        wrk: Wrk::new(wrk, scratch.path(), options.connections, options.threads)?,
        path: options.mode.expected.path,
        ticks_per_second: procfs::ticks_per_second(),
    };
    for lane in &lanes {
        bench.measure(lane, WARM_UP_SECONDS)?;
    }
    for round in 0..options.rounds {
        for turn in 0..lanes.len() {
            // Everyone is first, middle and last equally often: a neighbour that wakes up mid-round is shared
            // out.
            let place = (round + turn) % lanes.len();
            let sample = bench.measure(&lanes[place], options.seconds)?;
            lanes[place].samples.push(sample);
        }
        report::progress(round, options.rounds, lanes.iter().map(|lane| (lane.name, lane.samples.last())));
    }
    report::load(options, &lanes);
    Ok(())
}

fn start_upstream(options: &Options, tools: &Tools, scratch: &Scratch) -> Outcome<Option<Server>> {
    let (Some(upstream), Some(program)) = (&options.mode.upstream, &tools.nginx) else { return Ok(None) };
    let plan = Plan {
        name: "upstream",
        program,
        launch: upstream.launch,
        expected: &upstream.expected,
        upstream: None,
        // One contender after the other is loaded, but each may keep its pool meanwhile.
        connections: options.connections * options.mode.contenders.len(),
    };
    Server::start(&plan, scratch).map(Some)
}

fn start_lane(
    options: &Options,
    tools: &Tools,
    contender: &Contender,
    upstream: Option<u16>,
    scratch: &Scratch,
) -> Outcome<Lane> {
    let name = contender.program.name();
    let plan = Plan {
        name,
        program: tools.path(contender.program).expect("absent contenders were left out"),
        launch: contender.launch,
        expected: &options.mode.expected,
        upstream,
        connections: options.connections,
    };
    Ok(Lane { name, samples: Vec::new(), server: Server::start(&plan, scratch)? })
}

/// What all measurements of a run have in common.
struct Bench {
    wrk: Wrk,
    path: &'static str,
    ticks_per_second: f64,
}

impl Bench {
    fn measure(&self, lane: &Lane, seconds: u64) -> Outcome<Sample> {
        let pid = lane.server.pid();
        let url = format!("http://127.0.0.1:{}{}", lane.server.port(), self.path);
        let before = CpuTime::of(pid)?;
        let run = self.wrk.run(&url, seconds).map_err(|err| format!("{}: {err}", lane.name))?;
        sleep(SETTLE);
        let cpu_seconds = CpuTime::of(pid)?.since(&before, self.ticks_per_second);
        if cpu_seconds <= 0.0 {
            return Err(format!(
                "{} answered {} requests and used no CPU time: it can't be so",
                lane.name, run.requests
            ));
        }
        Ok(Sample {
            cpu_us_per_request: cpu_seconds * 1e6 / run.requests as f64,
            requests_per_second: run.per_second,
            p99_us: run.p99_us,
            resident_bytes: procfs::resident_bytes(pid)?,
        })
    }
}

/// One run for each contender fills caches, pools and arenas; it isn't counted.
const WARM_UP_SECONDS: u64 = 1;

/// wrk leaves by closing all connections, and noticing that is part of a server's work.
const SETTLE: Duration = Duration::from_millis(100);
