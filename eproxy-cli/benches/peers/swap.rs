//! The story of the swap mode: certificate and key are replaced again and again while requests go on, half of them on
//! connections that stay, half on new ones. What counts is how many fail, and whether new certificates are served; a failure
//! fails the run, and so does a last certificate that nobody gets to see.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::configs::eproxy::{CERTIFICATE, KEY};
use crate::contender::Contender;
use crate::identity::Identity;
use crate::options::Options;
use crate::pages::Expected;
use crate::probe::Connection;
use crate::server::Server;
use crate::stage::Stage;
use crate::tools::Tools;
use crate::{Outcome, clock, report, secure};

/// What the clients of one contender saw.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) handshakes: u64,
    /// The certificates that were served.
    served: HashSet<CertificateDer<'static>>,
    /// What was wrong with some of those that failed.
    pub(crate) complaints: Vec<String>,
}

/// A contender with what became of its requests.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) tally: Tally,
    /// How many of the new certificates were served.
    pub(crate) seen: usize,
    /// How long it took until the last one was.
    pub(crate) last: Duration,
}

pub(crate) fn run(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let stage = Stage::set(options, tools)?;
    let mut lanes = Vec::new();
    for contender in contenders {
        let name = contender.label;
        let server = stage.start(contender)?;
        let lane = match options.test {
            true => Lane { name, tally: Tally::default(), seen: 0, last: Duration::ZERO },
            false => {
                ask_through_swaps(&stage, options, name, &server).map_err(|err| format!("{name}: {err}"))?
            }
        };
        lanes.push(lane);
    }
    if options.test {
        return report::checked(options.mode.name, lanes.iter().map(|lane| lane.name));
    }
    report::swap(options, &lanes);
    match lanes.iter().find(|lane| lane.tally.failed > 0) {
        Some(Lane { name, tally, .. }) => {
            Err(format!("{name} failed {} of {} requests", tally.failed, tally.requests))
        }
        None => Ok(()),
    }
}

fn ask_through_swaps(
    stage: &Stage<'_>,
    options: &Options,
    name: &'static str,
    server: &Server,
) -> Outcome<Lane> {
    let identities = (0..options.rounds).map(|_| stage.authority().issue()).collect::<Outcome<Vec<_>>>()?;
    let is_over = AtomicBool::new(false);
    let patience = Duration::from_secs(options.seconds);
    thread::scope(|scope| {
        let client = |number| {
            let stays = number % 2 == 0;
            let (port, is_over) = (server.port(), &is_over);
            scope.spawn(move || ask(stage, port, stays, is_over))
        };
        let clients: Vec<_> = (0..options.connections).map(client).collect();
        let swapped = identities.iter().try_for_each(|identity| {
            sleep(PACE);
            replace(server, identity)
        });
        let last = swapped.and_then(|()| wait_for(identities.last(), stage, server.port(), patience));
        is_over.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for client in clients {
            tally.add(client.join().map_err(|_| "a client panicked")?);
        }
        let seen = identities.iter().filter(|identity| tally.served.contains(&identity.der)).count();
        Ok(Lane { name, tally, seen, last: last? })
    })
}

/// As certificates are renewed: each file at once, one after the other. In between they don't belong together.
fn replace(server: &Server, identity: &Identity) -> Outcome<()> {
    for (name, text) in [(KEY, &identity.key), (CERTIFICATE, &identity.certificate)] {
        let (path, next) = (server.file(name), server.file("next.pem"));
        put(&next, &path, text).map_err(|err| format!("{} can't be replaced: {err}", path.display()))?;
    }
    Ok(())
}

fn put(next: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::write(next, text)?;
    fs::rename(next, path)
}

/// Returns how long it took until this identity was served.
fn wait_for(last: Option<&Identity>, stage: &Stage<'_>, port: u16, patience: Duration) -> Outcome<Duration> {
    let Some(last) = last else { return Ok(Duration::ZERO) };
    let start = clock::now();
    loop {
        let stream = secure::open(port, stage.tls()).map_err(|err| format!("no connection: {err}"))?;
        let waited = clock::now() - start;
        if certificate(&stream) == Some(&last.der) {
            return Ok(waited);
        }
        if waited > patience {
            return Err(format!("the last certificate was not served within {} s", patience.as_secs()));
        }
        sleep(LOOK);
    }
}

/// One client: on one connection, or on a new one for each request.
fn ask(stage: &Stage<'_>, port: u16, stays: bool, is_over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    while !is_over.load(Ordering::Relaxed) {
        tally.requests += 1;
        if let Err(complaint) = ask_once(stage, port, &mut kept, &mut tally) {
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

fn ask_once(stage: &Stage<'_>, port: u16, kept: &mut Option<Connection>, tally: &mut Tally) -> Outcome<()> {
    let expected: &Expected = stage.expected();
    let connection = match kept {
        Some(connection) => connection,
        None => {
            tally.handshakes += 1;
            let stream = secure::open(port, stage.tls()).map_err(|err| format!("no connection: {err}"))?;
            tally.served.extend(certificate(&stream).cloned());
            kept.insert(Connection::over(stream))
        }
    };
    let answer = connection.get(expected.path).map_err(|err| format!("no whole answer: {err}"))?;
    answer.check(expected)?;
    match answer.is_kept {
        true => Ok(()),
        false => Err("an answer ends its connection".to_owned()),
    }
}

fn certificate(stream: &secure::Stream) -> Option<&CertificateDer<'static>> {
    stream.conn.peer_certificates()?.first()
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.handshakes += other.handshakes;
        self.served.extend(other.served);
        other.complaints.into_iter().for_each(|complaint| self.complain(complaint));
    }

    /// Keeps what was not said before.
    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MOST_COMPLAINTS && !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }
}

/// From one replacement to the next.
const PACE: Duration = Duration::from_millis(150);

/// Between requests of a client, so that those who replace and reload get their turn.
const REST: Duration = Duration::from_millis(1);

/// How often the last certificate is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Enough to begin looking for the reason.
const MOST_COMPLAINTS: usize = 5;
