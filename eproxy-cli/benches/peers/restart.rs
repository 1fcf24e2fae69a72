//! The story of the restart mode: two upstreams, connections that ask as fast as they can, and one upstream
//! after the other that is killed and started again. What counts is how many requests fail; a failure of
//! eproxy fails the run.
//!
//! ```text
//!   upstream 0  ────────╳        ┌──────────────────────────
//!   upstream 1  ────────────────────────╳        ┌──────────
//!               │ half  │  half  │ half │  half  │   of --seconds
//! ```
//!
//! The peers' figures need a look at the pace: nginx leaves an upstream alone for ten seconds after a failure
//! (`fail_timeout`), so when the other dies within that time it has none left and answers 502. With
//! `--seconds 26` each dies when both are trusted again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::contender::Contender;
use crate::options::Options;
use crate::pages::Expected;
use crate::probe::Connection;
use crate::stage::Stage;
use crate::tools::Tools;
use crate::{Outcome, clock, report};

/// What the clients of one contender saw.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Of the requests that were answered rightly.
    pub(crate) longest: Duration,
    /// What was wrong with some of those that failed.
    pub(crate) complaints: Vec<String>,
    pub(crate) elapsed: Duration,
}

/// A contender with what became of its requests.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) tally: Tally,
}

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let mut stage = Stage::set(options, tools)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        // Each has the upstreams to itself: nobody else's pool is torn down with them.
        let server = stage.start(contender)?;
        let tally = match options.test {
            true => Tally::default(),
            false => ask_through_restarts(&mut stage, options, server.port())
                .map_err(|err| format!("{}: {err}", contender.label))?,
        };
        lanes.push(Lane { name: contender.label, tally });
    }
    if options.test {
        return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
    }
    report::restart(options, &lanes);
    match lanes.first() {
        Some(Lane { name, tally }) if tally.failed > 0 => {
            Err(format!("{name} failed {} of {} requests", tally.failed, tally.requests))
        }
        _ => Ok(()),
    }
}

fn ask_through_restarts(stage: &mut Stage<'_>, options: &Options, port: u16) -> Outcome<Tally> {
    // The clients hold it while the stage changes.
    let expected = options.mode.page.expected(options.body_mib);
    let is_over = AtomicBool::new(false);
    let start = clock::now();
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..options.connections).map(|_| scope.spawn(|| ask(port, &expected, &is_over))).collect();
        let restarted = kill_and_revive(stage, options);
        is_over.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in clients {
            all.add(client.join().map_err(|_| "a client panicked")?);
        }
        all.elapsed = clock::now() - start;
        restarted.map(|()| all)
    })
}

/// Kills and starts one upstream after the other; each pause is long enough for a proxy to settle.
fn kill_and_revive(stage: &mut Stage<'_>, options: &Options) -> Outcome<()> {
    let pause = Duration::from_secs(options.seconds) / 2;
    for round in 0..options.rounds {
        let number = round % stage.upstreams();
        sleep(pause);
        stage.kill_upstream(number)?;
        sleep(pause);
        stage.revive_upstream(number)?;
    }
    sleep(pause);
    Ok(())
}

/// One client: asks on one connection, and on a new one after a failure.
fn ask(port: u16, expected: &Expected, is_over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while !is_over.load(Ordering::Relaxed) {
        let since = clock::now();
        let asked = ask_once(&mut connection, port, expected);
        tally.requests += 1;
        match asked {
            Ok(()) => tally.longest = tally.longest.max(clock::now() - since),
            Err(complaint) => {
                connection = None;
                tally.failed += 1;
                tally.complain(complaint);
                // Thousands of failures a second would tell no more.
                sleep(AFTER_FAILURE);
            }
        }
    }
    tally
}

/// Whether the answer ends its connection is the proxy's business, as long as it says so.
fn ask_once(kept: &mut Option<Connection>, port: u16, expected: &Expected) -> Outcome<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(port).map_err(|err| format!("no connection: {err}"))?,
    };
    let answer = connection.get(expected.path).map_err(|err| format!("no whole answer: {err}"))?;
    answer.check(expected)?;
    *kept = answer.is_kept.then_some(connection);
    Ok(())
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.longest = self.longest.max(other.longest);
        other.complaints.into_iter().for_each(|complaint| self.complain(complaint));
    }

    /// Keeps what was not said before.
    pub(crate) fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MOST_COMPLAINTS && !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }
}

const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Enough to begin looking for the reason.
const MOST_COMPLAINTS: usize = 5;
