//! The story of the upgrade mode: the program is replaced by itself again and again while connections ask as fast as they
//! can, half of them on connections that stay, half on new ones; then it is stopped. What counts is how many requests fail; a
//! failure fails the run.
//!
//! ```text
//!   clients  ──────────────────────────────────────────────╳  nobody listens: they end
//!   program  ───── half ──USR2── half ──── half ──USR2── half ──TERM
//! ```

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::contender::Contender;
use crate::options::Options;
use crate::pages::Expected;
use crate::probe::Connection;
use crate::restart::{Lane, Tally};
use crate::server::Server;
use crate::stage::Stage;
use crate::tools::Tools;
use crate::{Outcome, clock, report};

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let stage = Stage::set(options, tools)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        let name = contender.label;
        let mut server = stage.start(contender)?;
        let tally = match options.test {
            true => Tally::default(),
            false => ask_through_upgrades(&mut server, options, stage.expected())
                .map_err(|err| format!("{name}: {err}"))?,
        };
        lanes.push(Lane { name, tally });
    }
    if options.test {
        return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
    }
    report::upgrade(options, &lanes);
    match lanes.iter().find(|lane| lane.tally.failed > 0) {
        Some(Lane { name, tally }) => {
            Err(format!("{name} failed {} of {} requests", tally.failed, tally.requests))
        }
        None => Ok(()),
    }
}

fn ask_through_upgrades(server: &mut Server, options: &Options, expected: &Expected) -> Outcome<Tally> {
    let (is_stopped, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let port = server.port();
    let start = clock::now();
    thread::scope(|scope| {
        let client = |number: usize| {
            let (is_stopped, is_over) = (&is_stopped, &is_over);
            let most = if number.is_multiple_of(2) { usize::MAX } else { ASKED_ON_NEW };
            scope.spawn(move || ask(port, most, expected, is_stopped, is_over))
        };
        let clients: Vec<_> = (0..options.connections).map(client).collect();
        let ended = upgrade_and_stop(server, options, &is_stopped);
        // Where the program did not end, nobody is refused.
        is_over.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in clients {
            all.add(client.join().map_err(|_| "a client panicked")?);
        }
        all.elapsed = clock::now() - start;
        ended.map(|()| all)
    })
}

fn upgrade_and_stop(server: &mut Server, options: &Options, is_stopped: &AtomicBool) -> Outcome<()> {
    let pause = Duration::from_secs(options.seconds) / 2;
    for _ in 0..options.rounds {
        sleep(pause);
        server.upgrade()?;
        sleep(pause);
    }
    is_stopped.store(true, Ordering::Relaxed);
    server.end()
}

/// One client, until nobody listens any more: asks so often on each connection, or as often as the answers allow.
fn ask(port: u16, most: usize, expected: &Expected, is_stopped: &AtomicBool, is_over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !is_over.load(Ordering::Relaxed) {
        let connection = match Connection::open(port) {
            Ok(connection) => connection,
            // As it has to be: no request was made.
            Err(err) if err.kind() == ErrorKind::ConnectionRefused && is_stopped.load(Ordering::Relaxed) => {
                break;
            }
            Err(err) => {
                tally.requests += 1;
                tally.failed += 1;
                tally.complain(format!("no connection: {err}"));
                sleep(AFTER_FAILURE);
                continue;
            }
        };
        ask_over(connection, most, expected, is_over, &mut tally);
    }
    tally
}

fn ask_over(
    mut connection: Connection,
    most: usize,
    expected: &Expected,
    is_over: &AtomicBool,
    tally: &mut Tally,
) {
    for _ in 0..most {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let since = clock::now();
        tally.requests += 1;
        let answer = connection.get(expected.path).map_err(|err| format!("no whole answer: {err}"));
        match answer.and_then(|answer| answer.check(expected).map(|()| answer.is_kept)) {
            Ok(is_kept) => {
                tally.longest = tally.longest.max(clock::now() - since);
                if !is_kept {
                    return;
                }
            }
            Err(complaint) => {
                tally.failed += 1;
                tally.complain(complaint);
                return sleep(AFTER_FAILURE);
            }
        }
    }
}

/// Requests on a connection of those clients that connect anew all the time.
const ASKED_ON_NEW: usize = 3;

/// Thousands of failures a second would tell no more.
const AFTER_FAILURE: Duration = Duration::from_millis(10);
