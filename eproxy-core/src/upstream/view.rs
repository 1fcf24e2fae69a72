//! A group as one core sees it: who may be chosen, and whose turn it is.
//!
//! A view is made anew when the group's version has changed, or when an endpoint has rested enough; until then, choosing
//! reads what this core has, and a word or two of what all share.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use smallvec::SmallVec;

use crate::telemetry::Counter;

use super::balance::hash::hash;
use super::balance::slow_start;
use super::balance::subset::by_value;
use super::field::{Candidates, Field};
use super::group::Inner;
use super::member::{Member, Pick, Place};
use super::node::{Fit, Mode};
use super::pool::Pool;
use super::roster::Published;
use super::settings::Settings;

/// A group as one core sees it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) group: Arc<Inner>,
    settings: Arc<Settings>,
    pool: Rc<Pool>,
    /// Connections say on whose behalf they are made.
    named: bool,
    rng: Rng,
    /// What it was made of.
    version: u64,
    published: Arc<Published>,
    /// When it must be made anew though nothing was said to have changed.
    until: Option<Instant>,
    /// All endpoints, in the order of their numbers.
    members: Vec<Rc<Member>>,
    /// The requests of this core that are with them.
    active: Rc<Cell<u32>>,
    /// Those who may be chosen for a request that is for everybody.
    all: Field,
    /// Those who may be chosen for a request that is for some, by the hash of the value that it names.
    some: HashMap<u64, Field>,
    /// Where endpoints are, by what they are called in sticky cookies.
    tokens: HashMap<u64, usize>,
    /// Requests of this core that were given an endpoint, and those of all.
    requests: Arc<Counter>,
    all_requests: Vec<Arc<Counter>>,
}

/// What came of choosing.
#[derive(Debug)]
pub(crate) enum Choice {
    One(Pick),
    /// Those who may be chosen have all that they may be given.
    Full,
    /// There is none.
    Nobody,
}

/// What a request says of who is to answer it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask {
    /// The hash of its key.
    pub(crate) key: Option<u64>,
    /// The hash of the value that the endpoint's label has to have.
    pub(crate) value: Option<u64>,
    /// Who has answered this client before.
    pub(crate) token: Option<u64>,
}

/// Endpoints that one request has tried already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    ids: SmallVec<[u32; 4]>,
    /// One that rests is better than none.
    takes_resting: bool,
}

impl Tried {
    pub(crate) fn add(&mut self, pick: &Pick) {
        self.ids.push(pick.id());
    }

    /// Sets whether one that has failed others, and is left alone for that, is better than none.
    pub(crate) fn take_resting(&mut self, takes_resting: bool) {
        self.takes_resting = takes_resting;
    }

    pub(super) fn has(&self, member: &Member) -> bool {
        // Nearly every request is tried once: what is somewhere else in memory is not looked at for nothing.
        !self.ids.is_empty() && self.ids.contains(&member.node.id)
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A view is made anew so often while an endpoint is given its share by and by.
const SLOW_START_STEPS: u32 = 20;

impl View {
    pub(super) fn new(group: &Arc<Inner>, pool: &Rc<Pool>, named: bool, seed: u64) -> Self {
        let requests = group.join();
        Self {
            settings: group.settings(),
            group: group.clone(),
            pool: pool.clone(),
            named,
            rng: Rng::with_seed(seed),
            version: u64::MAX,
            published: Arc::default(),
            until: None,
            members: Vec::new(),
            active: Rc::default(),
            all: Field::default(),
            some: HashMap::new(),
            tokens: HashMap::new(),
            requests,
            all_requests: Vec::new(),
        }
    }

    /// Chooses an endpoint that was not tried. With `is_called` it is for one who has waited for room, and was called.
    pub(super) fn choose(&mut self, now: Instant, ask: &Ask, tried: &Tried, is_called: bool) -> Choice {
        if self.version != self.group.roster.version() || self.until.is_some_and(|until| until <= now) {
            self.renew(now);
        }
        let choice = self.next(now, ask, tried, is_called);
        if tried.is_empty() && matches!(choice, Choice::One(_)) {
            self.requests.add();
        }
        choice
    }

    fn next(&mut self, now: Instant, ask: &Ask, tried: &Tried, is_called: bool) -> Choice {
        if tried.is_empty() {
            if !is_called && self.settings.queue.is_some() && self.group.line.length() > 0 {
                // Others have waited for longer.
                return Choice::Full;
            }
            if let Some(pick) = self.known(now, ask) {
                return Choice::One(pick);
            }
        }
        let field = match (&self.settings.subset, ask.value) {
            (Some(subset), Some(value)) => match self.some.get_mut(&value) {
                None if subset.is_strict => return Choice::Nobody,
                None => &mut self.all,
                Some(field) => field,
            },
            _ => &mut self.all,
        };
        let (ring, total) = (self.published.ring.as_ref(), self.active.get());
        let mut with = Candidates { rng: &mut self.rng, ring, now, total };
        match field.choose(&mut with, ask, tried) {
            Choice::Nobody if !tried.is_empty() => self.spare(now, ask, tried),
            choice => choice,
        }
    }

    /// Another endpoint for a request that all who come first have failed: of the next tier, or of another zone; at the last,
    /// one that rests.
    fn spare(&self, now: Instant, ask: &Ask, tried: &Tried) -> Choice {
        let milliseconds = self.group.roster.milliseconds(now);
        let is_meant = |member: &Member| match (&self.settings.subset, ask.value) {
            (Some(subset), Some(value)) if self.some.contains_key(&value) => {
                let label = member.node.endpoint.labels.get(&subset.label);
                label.is_some_and(|label| hash(label.as_bytes()) == value)
            }
            _ => true,
        };
        let fit = |member: &Member| member.node.fit(milliseconds);
        let may = |member: &&Rc<Member>| {
            let is_fit = match fit(member) {
                Fit::Yes => true,
                Fit::Rests(_) => tried.takes_resting,
                Fit::Down => false,
            };
            is_fit
                && member.node.mode() == Mode::Active
                && !tried.has(member)
                && member.has_room(now)
                && is_meant(member)
        };
        let spares = self.members.iter().filter(may);
        let first = spares
            .min_by_key(|member| (fit(member) != Fit::Yes, member.node.endpoint.priority, member.active()));
        first.and_then(|member| member.take(now)).map_or(Choice::Nobody, Choice::One)
    }

    /// Takes in what has changed, though nobody is to be chosen. A view that was never used stays unmade.
    pub(super) fn keep_up(&mut self, now: Instant) {
        if self.version != u64::MAX && self.version != self.group.roster.version() {
            self.renew(now);
        }
    }

    /// Whoever has answered this client before, if it still takes its requests.
    fn known(&self, now: Instant, ask: &Ask) -> Option<Pick> {
        let member = &self.members[*self.tokens.get(&ask.token?)?];
        let node = &member.node;
        let is_fit = matches!(node.mode(), Mode::Active | Mode::Draining)
            && node.fit(self.group.roster.milliseconds(now)) == Fit::Yes;
        (is_fit && member.has_room(now)).then(|| member.take(now)).flatten()
    }

    /// Whether the budget allows another request to be sent again.
    pub(super) fn may_repeat(&self, now: Instant) -> bool {
        let requests = self.all_requests.iter().map(|requests| requests.read()).sum();
        self.group.budget(&self.settings).allow(self.group.roster.milliseconds(now), requests)
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Makes it anew.
    fn renew(&mut self, now: Instant) {
        let roster = &self.group.roster;
        // Before anything is read: what changes meanwhile is seen the next time.
        self.version = roster.version();
        self.published = roster.published();
        self.all_requests = self.group.joined();
        let known = std::mem::take(&mut self.members);
        let find = |id: u32| known.binary_search_by_key(&id, |member| member.node.id).ok();
        for node in &self.published.nodes {
            let place = Place { pool: &self.pool, named: self.named, total: &self.active };
            let member = match find(node.id) {
                Some(at) => known[at].clone(),
                None => Member::new(&self.group, &self.settings, node, place, (now, &mut self.rng)),
            };
            self.members.push(member);
        }
        drop(known);
        let milliseconds = roster.tick(now);
        let shares = self.shares(milliseconds);
        let everybody: Vec<usize> = (0..self.members.len()).collect();
        let by_value = self.settings.subset.as_ref().map(|subset| {
            let values = self.members.iter().map(|member| member.node.endpoint.labels.get(&subset.label));
            by_value(values.map(|value| value.map(String::as_str)))
        });
        let mut until = self.next_step(&shares).map(|step| milliseconds + step);
        let mut field = |positions: &[usize]| {
            let (field, rests) = Field::new(&self.members, &shares, positions, milliseconds, &self.settings);
            until = until.into_iter().chain(rests).min();
            field.beginning_at(self.rng.f64())
        };
        self.all = field(&everybody);
        self.some =
            by_value.into_iter().flatten().map(|(value, positions)| (value, field(&positions))).collect();
        self.until = until.and_then(|until| roster.instant(until));
        if self.settings.cookie.is_some() {
            let token = |(at, member): (usize, &Rc<Member>)| (member.node.token, at);
            self.tokens = self.members.iter().enumerate().map(token).collect();
        }
        // There may be room now.
        self.group.line.call();
    }

    /// The weight of each endpoint, as far as it is given it by now.
    fn shares(&self, now: u64) -> Vec<f64> {
        let window = self.settings.slow_start;
        let share = |member: &Rc<Member>| {
            let node = &member.node;
            let serves = node.mode() == Mode::Active && node.fit(now) == Fit::Yes;
            node.set_serving(serves, now);
            member.set_serving(serves);
            let factor = match window.is_zero() {
                true => 1.0,
                false => slow_start::factor(node.age(now), window, 1.0),
            };
            f64::from(node.weight()) * factor
        };
        self.members.iter().map(share).collect()
    }

    /// When an endpoint is to be given more of its share.
    fn next_step(&self, shares: &[f64]) -> Option<u64> {
        let is_starting = |(member, share): (&Rc<Member>, &f64)| *share < f64::from(member.node.weight());
        let starts = self.members.iter().zip(shares).any(is_starting);
        let step: Duration = self.settings.slow_start / SLOW_START_STEPS;
        starts.then(|| (step.as_millis() as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use crate::driver::Core;

    use super::super::endpoint::Endpoint;
    use super::super::group::Group;
    use super::super::settings::{Balance, HashKey};
    use super::*;

    const MANY: usize = 10_000;

    fn url(number: usize) -> String {
        format!("http://10.{}.{}.1:80", number / 250, number % 250)
    }

    fn group(balance: Balance) -> Group {
        let group: Group = (0..MANY).map(url).collect();
        let group = group.balance(balance);
        group.build().unwrap();
        group
    }

    fn view(group: &Group) -> (View, Instant) {
        let core = Core::by_hand().unwrap();
        (View::new(group.inner(), &Rc::new(Pool::new()), false, 7), core.now())
    }

    fn one(choice: Choice) -> Pick {
        match choice {
            Choice::One(pick) => pick,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_ten_thousand_endpoints_each_has_its_turn_once_in_a_round() {
        let group = group(Balance::RoundRobin);
        let (mut view, now) = view(&group);
        let mut ids: Vec<_> = (0..MANY)
            .map(|_| one(view.choose(now, &Ask::default(), &Tried::default(), false)).id())
            .collect();
        ids.sort_unstable();
        assert!(ids.iter().copied().eq(0..MANY as u32));
    }

    #[test]
    fn a_change_keeps_the_members_that_stay_with_what_is_known_of_them() {
        let group = group(Balance::PeakEwma);
        let (mut view, now) = view(&group);
        let pick = one(view.choose(now, &Ask::default(), &Tried::default(), false));
        let before = view.members.clone();
        group.remove(&url(0)).unwrap();
        group.add(Endpoint::new(url(MANY))).unwrap();
        group.set_weight(&url(1), 5).unwrap();
        view.keep_up(now);
        assert_eq!(view.members.len(), MANY);
        assert!(before[1..].iter().zip(&view.members).all(|(before, after)| Rc::ptr_eq(before, after)));
        assert_eq!(view.members.iter().map(|member| member.active()).sum::<u32>(), 1);
        drop(pick);
        assert_eq!(view.members.iter().map(|member| member.active()).sum::<u32>(), 0);
    }

    #[test]
    fn who_was_tried_is_not_chosen_again_until_nobody_is_left() {
        for balance in [Balance::PeakEwma, Balance::LeastRequests, Balance::RoundRobin, Balance::Random] {
            let group = Group::from(["http://a", "http://b", "http://c"]).balance(balance);
            group.build().unwrap();
            let (mut view, now) = view(&group);
            let mut tried = Tried::default();
            for _ in 0..3 {
                let pick = one(view.choose(now, &Ask::default(), &tried, false));
                assert!(!tried.ids.contains(&pick.id()));
                tried.add(&pick);
            }
            assert!(matches!(view.choose(now, &Ask::default(), &tried, false), Choice::Nobody));
        }
    }

    #[test]
    fn a_view_that_was_never_used_is_not_made() {
        let group = group(Balance::PeakEwma);
        let (mut view, now) = view(&group);
        view.keep_up(now);
        assert!(view.members.is_empty());
    }

    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Not a test: prints what it costs a core to choose an endpoint, from the group's version to the request that is
    /// counted and gone again, and to make its view of a group. Run it with `--release`, by itself, with
    /// `--ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn what_choosing_costs() {
        for count in [8, 10_000] {
            let hash = Balance::Hash(HashKey::Path);
            let policies =
                [Balance::PeakEwma, Balance::LeastRequests, Balance::RoundRobin, Balance::Random, hash];
            for balance in policies {
                let group = Group::new().balance(balance.clone());
                let url = |at: usize| format!("http://10.0.{}.{}:80", at / 250, at % 250);
                group.set_endpoints((0..count).map(|at| Endpoint::new(url(at)))).unwrap();
                group.build().unwrap();
                let pool = Rc::new(Pool::new());
                let mut view = View::new(group.inner(), &pool, false, 1);
                let begin = now();
                let mut key = 0_u64;
                let mut choose = |at: Instant| {
                    key = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
                    let ask = Ask { key: Some(key), ..Ask::default() };
                    let choice = view.choose(at, &ask, &Tried::default(), false);
                    assert!(matches!(black_box(choice), Choice::One(_)));
                };
                choose(begin);
                let first = begin.elapsed();
                const PICKS: u32 = 500_000;
                (0..PICKS / 10).for_each(|_| choose(begin));
                let since = now();
                (0..PICKS).for_each(|_| choose(begin));
                let nanos = since.elapsed().as_nanos() as f64 / f64::from(PICKS);
                group.drain(&url(0)).unwrap();
                let since = now();
                choose(begin);
                let anew = since.elapsed();
                eprintln!(
                    "{count:>6}  {:<14} {nanos:>6.1} ns; the first view {first:.1?}, one made anew {anew:.1?}",
                    format!("{balance:?}")
                );
            }
        }
    }
}
