//! The story of the balance mode: three upstreams of which one takes twenty times as long, and what becomes of the slowest
//! answers. The upstreams only wait: no queue builds up anywhere.

use std::thread::{self, sleep};
use std::time::Duration;

use crate::asker::{self, Control, Tally};
use crate::contender::Contender;
use crate::load::place;
use crate::options::Options;
use crate::server::Server;
use crate::stage::Stage;
use crate::tools::Tools;
use crate::{Outcome, report};

/// One contender in one round.
pub(crate) struct Sample {
    pub(crate) requests: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// The part of the requests that the slow upstream had, in percent.
    pub(crate) slow_percent: f64,
}

/// A contender with what was measured so far, one sample a round.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
    server: Server,
}

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let stage = Stage::set(options, tools)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        lanes.push(Lane { name: contender.label, samples: Vec::new(), server: stage.start(contender)? });
    }
    if options.test {
        return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
    }
    stage.delay(SLOW, SLOW_MS)?;
    for round in 0..options.rounds {
        for turn in 0..lanes.len() {
            let place = place(round, turn, lanes.len());
            let Lane { name, server, .. } = &lanes[place];
            let mut tally = load(&stage, server.port(), options).map_err(|err| format!("{name}: {err}"))?;
            if tally.failed_gets > 0 {
                return Err(format!("{name} failed {}: {:?}", tally.failed_gets, tally.complaints));
            }
            let sample = Sample {
                requests: tally.gets as f64 / options.seconds as f64,
                p50_ms: tally.percentile_ms(0.5),
                p99_ms: tally.percentile_ms(0.99),
                slow_percent: tally.share_of(stage.port_of(SLOW)) * 100.0,
            };
            lanes[place].samples.push(sample);
        }
    }
    report::balance(options, &lanes);
    Ok(())
}

fn load(stage: &Stage<'_>, port: u16, options: &Options) -> Outcome<Tally> {
    let control = Control::default();
    thread::scope(|scope| {
        let load = scope.spawn(|| asker::run(port, stage.expected(), (options.connections, 0), 2, &control));
        // What it is like to learn which one is slow is not what is measured.
        sleep(LEARNING);
        control.begin(1);
        sleep(Duration::from_secs(options.seconds));
        control.end();
        let tallies = load.join().map_err(|_| "the client panicked")??;
        tallies.into_iter().next_back().ok_or_else(|| "nothing was counted".to_owned())
    })
}

/// The number of the upstream that is slow, and how slow.
const SLOW: usize = 0;
const SLOW_MS: u64 = 40;

const LEARNING: Duration = Duration::from_millis(500);
