//! An endpoint as one core has it, and the requests of this core that are with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::balance::latency::{PeakEwma, score};
use super::destination::Destination;
use super::group::Inner;
use super::health::{Admission, Failure, Gradient};
use super::node::Node;
use super::pool::{Pool, ShelfNumber};
use super::settings::Settings;
use super::tally::Tally;

/// An endpoint as one core has it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) node: Arc<Node>,
    group: Arc<Inner>,
    settings: Arc<Settings>,
    destination: Destination,
    shelf: ShelfNumber,
    pool: Rc<Pool>,
    /// This core's requests that are with it.
    active: Cell<u32>,
    /// Those of this core that are with any endpoint of the group.
    total: Rc<Cell<u32>>,
    latency: Cell<PeakEwma>,
    /// It may be chosen.
    serves: Cell<bool>,
    gradient: Option<RefCell<Gradient>>,
    tally: Arc<Tally>,
}

/// What members of a view have in common.
pub(super) struct Place<'a> {
    pub(super) pool: &'a Rc<Pool>,
    /// Connections say on whose behalf they are made.
    pub(super) named: bool,
    pub(super) total: &'a Rc<Cell<u32>>,
}

/// An answer that is a failure counts as having taken so much longer than the endpoint's others: whoever fails quickly
/// must not look fast.
const PENALTY: f64 = 2.0;

/// What such an answer counts as at least, and no answer at all at the most.
const SHORTEST_PENALTY: Duration = Duration::from_millis(100);
const LONGEST_PENALTY: Duration = Duration::from_secs(10);

impl Member {
    pub(super) fn new(
        group: &Arc<Inner>,
        settings: &Arc<Settings>,
        node: &Arc<Node>,
        place: Place<'_>,
        (now, rng): (Instant, &mut Rng),
    ) -> Rc<Self> {
        let Place { pool, named, total } = place;
        let target = node.origin.target(settings.connector.as_ref());
        let shelf = pool.hold(&target, named);
        let gradient = settings.adaptive.as_ref().map(|options| Gradient::new(options.clone(), now, rng));
        Rc::new(Self {
            node: node.clone(),
            group: group.clone(),
            settings: settings.clone(),
            destination: Destination::held(node.origin.clone(), target, node.name.clone(), shelf),
            shelf,
            pool: pool.clone(),
            active: Cell::new(0),
            total: total.clone(),
            latency: Cell::new(PeakEwma::new()),
            serves: Cell::new(false),
            gradient: gradient.map(RefCell::new),
            tally: node.join(),
        })
    }

    /// This core's requests that are with it.
    pub(super) fn active(&self) -> u32 {
        self.active.get()
    }

    /// Notes whether it may be chosen. Whoever is back begins anew: what it was too slow for has passed.
    pub(super) fn set_serving(&self, serves: bool) {
        if !self.serves.replace(serves) && serves {
            self.latency.set(PeakEwma::new());
        }
    }

    /// How good a choice it is; less is better. `share` is its weight by the mean of all.
    pub(super) fn score(&self, now: Instant, share: f64) -> f64 {
        score(self.latency.get().read(now), self.active.get(), share)
    }

    /// Whether it is being tried out: who has just failed gets one request at a time until one of them goes well, unless
    /// there is nobody else.
    pub(super) fn is_tried_out(&self) -> bool {
        self.active.get() > 0 && self.node.standing.is_on_trial()
    }

    /// Whether it can be given another request.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let is_full =
            || self.settings.most.is_some_and(|most| self.node.running.load(Ordering::Relaxed) >= most);
        let is_slow = || self.gradient.as_ref().is_some_and(|it| self.active.get() >= it.borrow().limit());
        let is_broken = || {
            let circuit = self.settings.breaker.as_ref().map(|breaker| self.node.circuit(breaker));
            circuit.is_some_and(|circuit| !circuit.has_room(self.group.roster.milliseconds(now)))
        };
        !is_full() && !is_slow() && !is_broken()
    }

    /// Takes a request on; none if another core was faster, or its circuit breaker is open.
    pub(super) fn take(self: &Rc<Self>, now: Instant) -> Option<Pick> {
        let mut admission = Admission::Yes;
        if let Some(breaker) = &self.settings.breaker {
            admission = self.node.circuit(breaker).allows(self.group.roster.milliseconds(now));
            if admission == Admission::No {
                return None;
            }
        }
        if let Some(most) = self.settings.most {
            let one_more = |running| (running < most).then_some(running + 1);
            let taken = self.node.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
            if taken.is_err() {
                self.withdraw(admission);
                return None;
            }
        }
        self.count(1);
        self.tally.attempts.add();
        Some(Pick { member: self.clone(), began: now, admission: Cell::new(admission) })
    }

    fn withdraw(&self, admission: Admission) {
        if let Some(breaker) = &self.settings.breaker {
            self.node.circuit(breaker).withdrawn(admission);
        }
    }

    fn count(&self, change: i32) {
        self.active.set(self.active.get().saturating_add_signed(change));
        self.total.set(self.total.get().saturating_add_signed(change));
        self.tally.active.set(u64::from(self.active.get()));
    }

    fn observe(&self, now: Instant, took: Duration) {
        let mut latency = self.latency.get();
        latency.observe(took, now);
        self.latency.set(latency);
        self.tally.latency.set((latency.read(now) * 1e6) as u64);
    }

    /// What an answer that is none counts as.
    fn penalty(&self, now: Instant, took: Duration) -> Duration {
        let more = Duration::from_secs_f64(self.latency.get().read(now) * PENALTY);
        took.max(more.clamp(SHORTEST_PENALTY, LONGEST_PENALTY))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.pool.release(self.shelf);
    }
}

/// An endpoint that was chosen for a request; it counts as being with it until this is dropped.
#[derive(Debug)]
pub(crate) struct Pick {
    member: Rc<Member>,
    began: Instant,
    /// What its circuit breaker has said; no more once that was told what came of it.
    admission: Cell<Admission>,
}

impl Pick {
    /// What tells it from the others of its group.
    pub(super) fn id(&self) -> u32 {
        self.member.node.id
    }

    /// What it is called in sticky cookies.
    pub(crate) fn token(&self) -> u64 {
        self.member.node.token
    }

    /// How long ago it was chosen.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.member.destination
    }

    /// It is chosen for a request that was sent before.
    pub(crate) fn repeats(&self) {
        self.member.tally.retries.add();
    }

    /// A connection to it is begun.
    pub(crate) fn connects(&self) {
        self.member.tally.connects.add();
    }

    /// It took no connection. Says whether it is ejected for that.
    pub(crate) fn unreached(&self, now: Instant) -> bool {
        self.member.tally.unreached.add();
        self.fails(now, Failure::Connect)
    }

    /// The head of its answer has come. Says whether it is ejected for that.
    pub(crate) fn answered(&self, now: Instant, status: u16) -> bool {
        let (member, took) = (&*self.member, self.age(now));
        member.tally.answers.add(status);
        member.tally.head.record(took.as_nanos() as u64);
        if let Some(gradient) = &member.gradient {
            gradient.borrow_mut().observe(took, member.active.get(), now);
        }
        if status >= 500 {
            member.observe(now, member.penalty(now, took));
            return self.fails(now, Failure::ServerError);
        }
        member.observe(now, took);
        if member.node.standing.succeeded() {
            member.group.roster.touch();
        }
        if let Some(breaker) = &member.settings.breaker {
            let circuit = member.node.circuit(breaker);
            let was_closed = circuit.is_closed();
            circuit.succeeded(self.admission.replace(Admission::No), member.group.roster.milliseconds(now));
            if !was_closed && circuit.is_closed() {
                member.group.roster.touch();
            }
        }
        false
    }

    /// Another endpoint has answered in its place: it would have taken longer than that.
    pub(crate) fn overtaken(&self, now: Instant) {
        self.member.observe(now, self.age(now));
    }

    /// It was sent the request, and there is no answer. Says whether it is ejected for that.
    pub(crate) fn unanswered(&self, now: Instant) -> bool {
        let member = &*self.member;
        member.tally.unanswered.add();
        member.observe(now, member.penalty(now, self.age(now)));
        self.fails(now, Failure::NoAnswer)
    }

    fn fails(&self, now: Instant, failure: Failure) -> bool {
        let Member { group, node, settings, .. } = &*self.member;
        let now = group.roster.milliseconds(now);
        // Only for answers does it matter who else rests.
        let published = (failure == Failure::ServerError).then(|| group.roster.published());
        let everybody = published.iter().flat_map(|published| &published.nodes).map(|node| &node.standing);
        let is_ejected = node.standing.failed(failure, now, &settings.ejection, everybody).is_some();
        let mut is_news = is_ejected;
        if let Some(breaker) = &settings.breaker {
            let (circuit, admission) = (node.circuit(breaker), self.admission.replace(Admission::No));
            let was_closed = circuit.is_closed();
            circuit.failed(admission, now);
            is_news |= was_closed != circuit.is_closed() || matches!(admission, Admission::Trial(_));
        }
        if is_news {
            group.roster.touch();
        }
        if is_ejected {
            node.ejections.fetch_add(1, Ordering::Relaxed);
        }
        is_ejected
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        let Member { group, node, settings, .. } = &*self.member;
        self.member.withdraw(self.admission.get());
        self.member.count(-1);
        if settings.most.is_some() {
            node.running.fetch_sub(1, Ordering::Relaxed);
        }
        if settings.has_limits() {
            group.line.call();
        }
    }
}
