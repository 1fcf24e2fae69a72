//! The stories of the modes chaos and rolling: upstreams that fail under load, and upstreams that are restarted one after
//! the other. A GET of eproxy's that fails where none may fails the run, and so does a POST that failed though nothing
//! of it was sent, or that two upstreams have seen.
//!
//! ```text
//!   warm-up │ healthy │ undetected │ detected            │ revived
//!                     ╳ killed, hung, or slower          ╳ started again, continued, or as fast as ever
//! ```

use std::collections::HashMap;
use std::fs;
use std::thread::{self, sleep};
use std::time::Duration;

use crate::asker::{self, Control, Tally};
use crate::contender::Contender;
use crate::options::Options;
use crate::server::Server;
use crate::stage::Stage;
use crate::tools::Tools;
use crate::{Outcome, clock, report};

/// What happens to an upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    Killed,
    Hung,
    Slow,
}

/// Names of the scenarios, upstreams, and what happens to the first of them.
const SCENARIOS: &[(&str, usize, &[Harm])] = &[
    ("one of 3 killed", 3, &[Harm::Killed]),
    ("one of 3 hung", 3, &[Harm::Hung]),
    ("one of 3 slowed to 200 ms", 3, &[Harm::Slow]),
    ("of 6 one killed, one hung, one slow", 6, &[Harm::Killed, Harm::Hung, Harm::Slow]),
];

/// Names of the phases; the numbers of the first ones are used below.
const PHASES: [&str; 5] = ["warm-up", "healthy", "undetected", "detected", "revived"];
const HEALTHY: usize = 1;
const UNDETECTED: usize = 2;
const DETECTED: usize = 3;
const REVIVED: usize = 4;

/// What one run of a scenario has come to.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    /// By phases, with their names.
    pub(crate) phases: Vec<(&'static str, Tally)>,
    pub(crate) posts: Posts,
    /// How long it took until all that had been down answered again, where that is looked at.
    pub(crate) back: Duration,
}

/// What became of the POSTs that failed, and of all of them.
#[derive(Default)]
pub(crate) struct Posts {
    /// An upstream has seen it.
    pub(crate) seen: usize,
    /// Its bytes had been handed to the system; nobody has read them.
    pub(crate) sent: usize,
    /// Nothing had been sent: it should not have failed.
    pub(crate) unsent: usize,
    /// More than one upstream has seen it, or one has twice.
    pub(crate) doubled: usize,
}

pub(crate) fn chaos(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let mut lanes = Vec::new();
    for &(name, upstreams, harms) in SCENARIOS {
        let mut stage = Stage::of(upstreams, options, tools)?;
        let proxy = stage.start(contenders[0])?;
        if options.test {
            continue;
        }
        let gets = options.rounds as u64 * GETS_A_ROUND;
        let lane = under_load(&mut stage, &proxy, options, &PHASES, |stage, control| {
            sleep(WARM_UP);
            control.begin(HEALTHY);
            wait_for(control, gets / 2)?;
            control.begin(UNDETECTED);
            harms.iter().enumerate().try_for_each(|(number, harm)| do_harm(stage, number, *harm))?;
            sleep(DETECTION);
            control.begin(DETECTED);
            wait_for(control, gets)?;
            harms.iter().enumerate().try_for_each(|(number, harm)| heal(stage, number, *harm))?;
            control.begin(REVIVED);
            let down: Vec<u16> = (0..)
                .zip(harms)
                .filter(|(_, harm)| **harm != Harm::Slow)
                .map(|(number, _)| stage.port_of(number))
                .collect();
            let begin = clock::now();
            while !down.iter().all(|port| control.has_heard_of(*port)) {
                if clock::now() - begin > RECOVERY {
                    return Err(format!("nothing came back to one of {down:?}"));
                }
                sleep(Duration::from_millis(10));
            }
            Ok(clock::now() - begin)
        });
        let mut lane = lane.map_err(|err| format!("{name}: {err}"))?;
        lane.name = name;
        lanes.push(lane);
    }
    if options.test {
        return report::checked(options.mode.name, contenders.iter().map(|contender| contender.label));
    }
    report::chaos(options, &mut lanes);
    judge(&lanes, &["healthy", "detected", "revived"])
}

pub(crate) fn rolling(options: &Options, tools: &Tools, contenders: &[&'static Contender]) -> Outcome<()> {
    let mut lanes = Vec::new();
    for (name, is_graceful) in [("leaving by themselves", true), ("killed", false)] {
        let mut stage = Stage::of(ROLLED, options, tools)?;
        let proxy = stage.start(contenders[0])?;
        if options.test {
            continue;
        }
        let lane = under_load(&mut stage, &proxy, options, &["restarts"], |stage, _| {
            for number in (0..options.rounds).flat_map(|_| 0..ROLLED) {
                sleep(Duration::from_secs(options.seconds));
                match is_graceful {
                    true => stage.dismiss_upstream(number)?,
                    false => stage.kill_upstream(number)?,
                }
                stage.revive_upstream(number)?;
            }
            sleep(Duration::from_secs(options.seconds));
            Ok(Duration::ZERO)
        });
        lanes.push(Lane { name, ..lane.map_err(|err| format!("{name}: {err}"))? });
    }
    if options.test {
        return report::checked(options.mode.name, contenders.iter().map(|contender| contender.label));
    }
    report::chaos(options, &mut lanes);
    judge(&lanes, &["restarts"])
}

/// Loads a proxy while `happen` runs; afterwards looks up what became of POSTs.
fn under_load<'a>(
    stage: &mut Stage<'a>,
    proxy: &Server,
    options: &Options,
    phases: &[&'static str],
    happen: impl FnOnce(&mut Stage<'a>, &Control) -> Outcome<Duration>,
) -> Outcome<Lane> {
    let control = Control::default();
    let expected = options.mode.page.expected(options.body_mib);
    let askers = (options.connections, POSTERS);
    let (back, tallies) = thread::scope(|scope| {
        let load = scope.spawn(|| asker::run(proxy.port(), &expected, askers, phases.len(), &control));
        let happened = happen(stage, &control);
        control.end();
        let tallies = load.join().map_err(|_| "the client panicked")??;
        happened.map(|back| (back, tallies))
    })?;
    let posts = look_up(stage, proxy, &tallies)?;
    let phases = phases.iter().copied().zip(tallies).collect();
    Ok(Lane { name: "", phases, posts, back })
}

/// Compares the POSTs that failed with what the upstreams have seen, and with what the proxy says it has sent.
fn look_up(stage: &Stage<'_>, proxy: &Server, tallies: &[Tally]) -> Outcome<Posts> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for number in 0..stage.servers() {
        let text = fs::read_to_string(stage.file_of(number, SEEN)).unwrap_or_default();
        text.lines().for_each(|target| *seen.entry(target.to_owned()).or_default() += 1);
    }
    let text =
        fs::read_to_string(proxy.file(FAILURES)).map_err(|err| format!("no list of failures: {err}"))?;
    let sent: HashMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(target, bytes)| Some((target, bytes.parse().ok()?)))
        .collect();
    let mut posts = Posts { doubled: seen.values().filter(|times| **times > 1).count(), ..Posts::default() };
    for number in tallies.iter().flat_map(|tally| &tally.failed_posts) {
        let target = format!("/post/{number}");
        match sent.get(target.as_str()) {
            _ if seen.contains_key(&target) => posts.seen += 1,
            Some(1..) => posts.sent += 1,
            Some(0) | None => posts.unsent += 1,
        }
    }
    Ok(posts)
}

fn do_harm(stage: &mut Stage<'_>, number: usize, harm: Harm) -> Outcome<()> {
    match harm {
        Harm::Killed => stage.kill_upstream(number),
        Harm::Hung => stage.signal_upstream(number, "STOP"),
        Harm::Slow => stage.delay(number, SLOW_MS),
    }
}

fn heal(stage: &mut Stage<'_>, number: usize, harm: Harm) -> Outcome<()> {
    match harm {
        Harm::Killed => stage.revive_upstream(number),
        Harm::Hung => stage.signal_upstream(number, "CONT"),
        Harm::Slow => stage.delay(number, USUAL_MS),
    }
}

fn wait_for(control: &Control, gets: u64) -> Outcome<()> {
    let begin = clock::now();
    while control.gets() < gets {
        if clock::now() - begin > PATIENCE {
            return Err(format!("only {} of {gets} GETs in {} s", control.gets(), PATIENCE.as_secs()));
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// No GET may fail in these phases, and no POST without having been sent in any.
fn judge(lanes: &[Lane], phases: &[&str]) -> Outcome<()> {
    for Lane { name, phases: all, posts, .. } in lanes {
        for (phase, tally) in all.iter().filter(|(phase, _)| phases.contains(phase)) {
            if tally.failed_gets > 0 {
                let Tally { gets, failed_gets, complaints, .. } = tally;
                return Err(format!("{name}, {phase}: {failed_gets} of {gets} GETs failed: {complaints:?}"));
            }
        }
        if posts.unsent > 0 || posts.doubled > 0 {
            let Posts { unsent, doubled, .. } = posts;
            return Err(format!("{name}: {unsent} POSTs failed unsent, {doubled} were seen twice"));
        }
    }
    Ok(())
}

/// The file of an upstream with the POSTs that it has seen, and that of the proxy with those that failed.
pub(crate) const SEEN: &str = "seen";
pub(crate) const FAILURES: &str = "failures";

/// How long an upstream takes for an answer, and one that is slow.
pub(crate) const USUAL_MS: u64 = 2;
const SLOW_MS: u64 = 200;

/// Upstreams that are restarted by turns.
const ROLLED: usize = 3;

/// GETs after detection, for each round.
const GETS_A_ROUND: u64 = 5_000;

/// Connections that ask by POST, beside the others.
const POSTERS: usize = 4;

const WARM_UP: Duration = Duration::from_secs(1);

/// Three probes half a second apart have to fail, of which the last takes half a second.
pub(crate) const DETECTION: Duration = Duration::from_millis(2500);

/// Two probes have to succeed; how slow an endpoint was that had hung is forgotten after half a minute.
const RECOVERY: Duration = Duration::from_secs(45);

const PATIENCE: Duration = Duration::from_secs(120);
