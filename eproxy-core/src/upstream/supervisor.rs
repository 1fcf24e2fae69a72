//! What goes on in a group whether or not requests come: probes, and comparing the endpoints with each other.
//!
//! One core does that for all. When it ends, and another server has the group too, one of that server's takes over.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastrand::Rng;
use log::Level;

use crate::telemetry::Journal;

use super::dial::Dial;
use super::group::Inner;
use super::health::{Probe, RiseFall, Tally, Verdict, examine, first_probe, next_probe, sweep};
use super::node::{Mode, Node};
use super::options::UpstreamOptions;
use super::origin::Place;
use super::settings::Settings;
use super::transport::Target;
use super::upstreams::Reach;

/// How often it is looked whether there is something new to be done, in groups whose endpoints are probed or compared, and in
/// others, where only the time is noted.
const BUSY: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(1);

/// Whether a group is still among those of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    Stays,
    Left,
}

/// Looks after a group for as long as it is among those of the core. `keep_up` has the core see what has changed though no
/// request comes: connections to an endpoint that has left are closed then, and whoever waits hears of one that has come.
pub(super) async fn run(reach: Rc<Reach>, group: Arc<Inner>, journal: Journal, keep_up: impl Fn() -> Among) {
    let core = reach.core().clone();
    while group.is_supervised.swap(true, Ordering::AcqRel) {
        core.sleep(IDLE).await;
        if keep_up() == Among::Left {
            return;
        }
    }
    let _turn = Turn(&group);
    let settings = group.settings();
    let mut rng = Rng::with_seed(core.seed());
    let mut probed: HashMap<u32, Rc<Cell<bool>>> = HashMap::new();
    let mut comparison = Comparison { next: core.now() + settings.ejection.interval, before: HashMap::new() };
    let tick = if settings.probe.is_some() || settings.ejection.outliers { BUSY } else { IDLE };
    loop {
        group.roster.tick(core.now());
        if let Some(probe) = &settings.probe {
            let published = group.roster.published();
            for node in &published.nodes {
                probed.entry(node.id).or_insert_with(|| {
                    let goes_on = Rc::new(Cell::new(true));
                    let rng = Rng::with_seed(rng.u64(..));
                    let watch =
                        Watch { group: group.clone(), node: node.clone(), journal: journal.clone(), rng };
                    core.spawn(watch.run(reach.clone(), probe.clone(), goes_on.clone()));
                    goes_on
                });
            }
            probed.retain(|id, goes_on| {
                let is_there = published.nodes.binary_search_by_key(id, |node| node.id).is_ok();
                goes_on.set(is_there);
                is_there
            });
        }
        if settings.ejection.outliers && comparison.next <= core.now() {
            comparison.make(&group, &settings, core.now(), &journal);
        }
        core.sleep(tick).await;
        if keep_up() == Among::Left {
            probed.values().for_each(|goes_on| goes_on.set(false));
            return;
        }
    }
}

/// Somebody else's turn comes when this is dropped.
struct Turn<'a>(&'a Inner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_supervised.store(false, Ordering::Release);
    }
}

/// The probing of one endpoint.
struct Watch {
    group: Arc<Inner>,
    node: Arc<Node>,
    journal: Journal,
    rng: Rng,
}

impl Watch {
    async fn run(mut self, reach: Rc<Reach>, probe: Probe, goes_on: Rc<Cell<bool>>) {
        let core = reach.core().clone();
        let mut results = RiseFall::new(probe.rise, probe.fall);
        let options = UpstreamOptions { connect: probe.timeout, ..UpstreamOptions::default() };
        let target = self.node.origin.target(self.group.settings().connector.as_ref());
        core.sleep(first_probe(probe.interval, &mut self.rng)).await;
        while goes_on.get() {
            let connect = async |place: &Place| {
                let target = Target { place: place.clone(), ..target.clone() };
                reach.connect_alone(&target, Dial::new(&options)).await
            };
            let examined = examine(&core, &probe, &self.node.origin, connect).await;
            let why = examined.as_ref().err().map(ToString::to_string);
            let verdict = results.observe(why.is_none());
            self.node.set_trouble(why);
            if let Some(verdict) = verdict {
                self.tell(verdict);
            }
            core.sleep(next_probe(probe.interval, &mut self.rng)).await;
        }
    }

    fn tell(&self, verdict: Verdict) {
        let Self { group, node, journal, .. } = self;
        let is_first = node.verdict().is_none();
        node.judge(verdict);
        group.roster.touch();
        match verdict {
            Verdict::Up if is_first => {}
            Verdict::Up => journal.note(Level::Info, || format!("upstream {} is up", node.name)),
            Verdict::Down => journal.note(Level::Warn, || {
                format!("upstream {} is down: {}", node.name, node.trouble().unwrap_or_default())
            }),
        }
    }
}

/// The comparison of endpoints by how they answer.
struct Comparison {
    next: Instant,
    /// What had been counted of each endpoint at the last one.
    before: HashMap<u32, Tally>,
}

impl Comparison {
    fn make(&mut self, group: &Inner, settings: &Settings, now: Instant, journal: &Journal) {
        self.next = now + settings.ejection.interval;
        let published = group.roster.published();
        let nodes: Vec<_> = published.nodes.iter().filter(|node| node.mode() == Mode::Active).collect();
        let counted: Vec<Tally> = nodes.iter().map(|node| count(node)).collect();
        let mut compared = Vec::with_capacity(nodes.len());
        for (node, counted) in nodes.iter().zip(&counted) {
            let before = self.before.get(&node.id).copied().unwrap_or_default();
            let requests = counted.requests - before.requests;
            let failures = counted.failures - before.failures;
            compared.push((&node.standing, Tally { requests, failures }));
        }
        let ejected = sweep(&compared, group.roster.milliseconds(now), &settings.ejection);
        for position in &ejected {
            let node = nodes[*position];
            node.ejections.fetch_add(1, Ordering::Relaxed);
            journal.note(Level::Warn, || {
                format!("upstream {} is ejected: it fails more often than the others", node.name)
            });
        }
        if !ejected.is_empty() {
            group.roster.touch();
        }
        self.before = nodes.iter().map(|node| node.id).zip(counted).collect();
    }
}

/// What cores have counted of an endpoint.
fn count(node: &Node) -> Tally {
    let mut sum = Tally::default();
    for tally in node.tallies() {
        let (answers, unanswered) = (tally.answers.total(), tally.unanswered.read());
        sum.requests += answers + unanswered + tally.unreached.read();
        sum.failures += tally.answers.server_errors() + unanswered + tally.unreached.read();
    }
    sum
}
