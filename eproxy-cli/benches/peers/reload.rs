//! The story of the reload mode: the configuration file is changed and read again, again and again, while requests go on, half
//! of them on connections that stay, half on new ones, and WebSockets are open. What counts is how many requests fail, how
//! many WebSockets end, and what becomes of resident memory; a failure fails the run, and so does memory that grows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::configs::eproxy::{CONFIG, GENERATION, reloaded};
use crate::contender::Contender;
use crate::options::Options;
use crate::pages::Expected;
use crate::probe::Connection;
use crate::restart::Tally;
use crate::server::Server;
use crate::stage::Stage;
use crate::tools::Tools;
use crate::tunnel::Tunnel;
use crate::{Outcome, clock, procfs, report};

/// A contender with what became of its requests.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) tally: Tally,
    /// WebSockets that were opened, and those that have gone.
    pub(crate) tunnels: usize,
    pub(crate) dropped: usize,
    /// Resident bytes after the first tenth of the reloads, and after all of them.
    pub(crate) settled: u64,
    pub(crate) end: u64,
    /// How long a reload took, from the signal to the first answer that tells of it.
    pub(crate) longest: Duration,
}

impl Lane {
    /// By how much memory has grown.
    pub(crate) fn growth(&self) -> f64 {
        self.end as f64 / self.settled as f64 - 1.0
    }
}

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let stage = Stage::set(options, tools)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        let server = stage.start(contender)?;
        if !options.test {
            let lane = ask_through_reloads(&stage, options, contender.label, &server);
            lanes.push(lane.map_err(|err| format!("{}: {err}", contender.label))?);
        }
    }
    if options.test {
        return report::checked(options.mode.name, contenders.iter().map(|contender| contender.label));
    }
    report::reload(options, &lanes);
    if let Some(lane) = lanes.iter().find(|lane| !options.quick && lane.growth() > MOST_GROWTH) {
        return Err(format!("the memory of {} grew by {:.0} %", lane.name, lane.growth() * 100.0));
    }
    match lanes.iter().find(|lane| lane.tally.failed > 0 || lane.dropped > 0) {
        Some(Lane { name, tally, dropped, .. }) => {
            let Tally { requests, failed, .. } = tally;
            Err(format!("{name} failed {failed} of {requests} requests, and {dropped} WebSockets ended"))
        }
        None => Ok(()),
    }
}

fn ask_through_reloads(
    stage: &Stage<'_>,
    options: &Options,
    name: &'static str,
    server: &Server,
) -> Outcome<Lane> {
    let mut tunnels =
        (0..TUNNELS).map(|number| Tunnel::open(server.port(), number)).collect::<Outcome<Vec<_>>>()?;
    let is_over = AtomicBool::new(false);
    let (settled, end, longest, tally) = thread::scope(|scope| {
        let client = |number| {
            let stays = number % 2 == 0;
            let is_over = &is_over;
            scope.spawn(move || ask(stage.expected(), server.port(), stays, is_over))
        };
        let clients: Vec<_> = (0..options.connections).map(client).collect();
        if !options.quick {
            sleep(WARM_UP);
        }
        let reloaded = reload(stage, options, server, &mut tunnels);
        is_over.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for client in clients {
            tally.add(client.join().map_err(|_| "a client panicked")?);
        }
        let (settled, end, longest) = reloaded?;
        Outcome::Ok((settled, end, longest, tally))
    })?;
    let dropped = tunnels.iter_mut().filter_map(|tunnel| tunnel.check().err()).count();
    Ok(Lane { name, tally, tunnels: TUNNELS, dropped, settled, end, longest })
}

/// Reloads as often as there are rounds; gives back resident memory after the first of them and after all, and how long the
/// longest took.
fn reload(
    stage: &Stage<'_>,
    options: &Options,
    server: &Server,
    tunnels: &mut [Tunnel],
) -> Outcome<(u64, u64, Duration)> {
    let (mut settled, mut longest) = (0, Duration::ZERO);
    let mut probe = Connection::open(server.port()).map_err(|err| format!("no connection: {err}"))?;
    for round in 1..=options.rounds {
        let text = reloaded(server.port(), stage.port_of(0), round);
        let put = std::fs::write(server.file(CONFIG), text);
        put.map_err(|err| format!("the configuration can't be written: {err}"))?;
        server.signal("HUP")?;
        let start = clock::now();
        while generation(&mut probe)? != round.to_string() {
            if clock::now() - start > Duration::from_secs(options.seconds) {
                return Err(format!("reload {round} did not come within {} s", options.seconds));
            }
            sleep(REST);
        }
        longest = longest.max(clock::now() - start);
        if let Some(tunnel) = tunnels.get_mut(round % TUNNELS) {
            // One that has ended is counted at the end.
            let _later = tunnel.check();
        }
        if round == options.rounds.div_ceil(10) {
            settled = procfs::resident_bytes(server.pid())?;
        }
    }
    Ok((settled, procfs::resident_bytes(server.pid())?, longest))
}

/// Which configuration answers.
fn generation(probe: &mut Connection) -> Outcome<String> {
    let answer = probe.get(GENERATION).map_err(|err| format!("the generation can't be asked for: {err}"))?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// One client: on one connection, or on a new one for each request.
fn ask(expected: &Expected, port: u16, stays: bool, is_over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    while !is_over.load(Ordering::Relaxed) {
        tally.requests += 1;
        if let Err(complaint) = ask_once(expected, port, &mut kept) {
            tally.failed += 1;
            tally.complain(complaint);
            kept = None;
        }
        if !stays {
            kept = None;
        }
        sleep(REST);
    }
    tally
}

fn ask_once(expected: &Expected, port: u16, kept: &mut Option<Connection>) -> Outcome<()> {
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(Connection::open(port).map_err(|err| format!("no connection: {err}"))?),
    };
    let answer = connection.get(expected.path).map_err(|err| format!("no whole answer: {err}"))?;
    answer.check(expected)?;
    match answer.is_kept {
        true => Ok(()),
        false => Err("an answer ends its connection".to_owned()),
    }
}

/// WebSockets that are open all the time.
const TUNNELS: usize = 16;

/// How long requests are made before the first reload. Connections that were closed leave after 10 s where the other side does
/// not, so that memory is at its height by then.
const WARM_UP: Duration = Duration::from_secs(15);

/// Between requests of a client, so that those who reload get their turn.
const REST: Duration = Duration::from_millis(1);

/// What allocators do by themselves; a leak of a few KiB with each reload is more.
const MOST_GROWTH: f64 = 0.05;
