//! Those of a group who may be chosen, and the policy that chooses among them.

use std::rc::Rc;
use std::time::Instant;

use fastrand::Rng;

use super::balance::draw::Draw;
use super::balance::ring::{Bound, Ring};
use super::balance::round_robin::RoundRobin;
use super::balance::{least_requests, tiers, two_choices, zone};
use super::member::Member;
use super::node::{Fit, Mode};
use super::settings::{Balance, Settings};
use super::view::{Ask, Choice, Tried};

/// Those who may be chosen.
#[derive(Debug, Default)]
pub(super) struct Field {
    members: Vec<Rc<Member>>,
    /// Their weights by the mean of all.
    shares: Vec<f64>,
    policy: Policy,
}

#[derive(Debug, Default)]
enum Policy {
    #[default]
    Nobody,
    PeakEwma(Draw),
    LeastRequests(Draw),
    RoundRobin(RoundRobin),
    Random(Draw),
    Hash {
        draw: Draw,
        /// Where those at the positions of the ring are here.
        places: Vec<Option<u32>>,
        /// The part of all weights that they have.
        open: f64,
    },
}

/// What choosing needs to know.
pub(super) struct Candidates<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) ring: Option<&'a Ring>,
    pub(super) now: Instant,
    /// Requests that are with all endpoints.
    pub(super) total: u32,
}

/// So few requests of a core are no reason to take a key to another endpoint.
const LIGHT: u32 = 16;

impl Field {
    /// Those of the endpoints at `positions` who may be chosen; and when one that rests is to be looked at again.
    pub(super) fn new(
        members: &[Rc<Member>],
        shares: &[f64],
        positions: &[usize],
        now: u64,
        settings: &Settings,
    ) -> (Self, Option<u64>) {
        let of = |at: usize| &members[at].node;
        let active: Vec<usize> =
            positions.iter().copied().filter(|at| of(*at).mode() == Mode::Active).collect();
        let rests = active.iter().filter_map(|at| match of(*at).fit(now) {
            Fit::Rests(until) => Some(until),
            Fit::Yes | Fit::Down => None,
        });
        let chosen = choose(members, shares, &active, now, settings);
        let mean = chosen.iter().map(|at| shares[*at]).sum::<f64>() / chosen.len().max(1) as f64;
        let own: Vec<f64> = chosen.iter().map(|at| shares[*at] / mean).collect();
        let draw = || Draw::new(own.iter().copied());
        let policy = match settings.balance {
            _ if chosen.is_empty() => Policy::Nobody,
            Balance::PeakEwma => Policy::PeakEwma(draw()),
            Balance::LeastRequests => Policy::LeastRequests(draw()),
            Balance::RoundRobin => Policy::RoundRobin(RoundRobin::new(chosen.len())),
            Balance::Random => Policy::Random(draw()),
            Balance::Hash(_) => {
                let mut places = vec![None; members.len()];
                chosen.iter().enumerate().for_each(|(here, at)| places[*at] = Some(here as u32));
                let weight = |at: usize| f64::from(of(at).weight());
                let all: f64 = (0..members.len()).map(weight).sum();
                let open = chosen.iter().map(|at| weight(*at)).sum::<f64>() / all.max(1.0);
                Policy::Hash { draw: draw(), places, open }
            }
        };
        let members = chosen.iter().map(|at| members[*at].clone()).collect();
        (Self { members, shares: own, policy }, rests.min())
    }

    /// Begins turns somewhere else than other cores do.
    pub(super) fn beginning_at(mut self, part: f64) -> Self {
        if let Policy::RoundRobin(turns) = self.policy {
            self.policy = Policy::RoundRobin(turns.beginning_at(part));
        }
        self
    }

    /// Chooses one who was not tried and has room.
    pub(super) fn choose(&mut self, with: &mut Candidates<'_>, ask: &Ask, tried: &Tried) -> Choice {
        /// Cores that are after the same room at the same time.
        const RACES: usize = 4;
        for _ in 0..RACES {
            let sure = self.next(with, ask, |member| !tried.has(member) && !member.is_tried_out());
            let next = sure.or_else(|| self.next(with, ask, |member| !tried.has(member)));
            let Some(number) = next else { break };
            if let Some(pick) = self.members[number].take(with.now) {
                return Choice::One(pick);
            }
        }
        match self.members.iter().any(|member| !tried.has(member)) {
            true => Choice::Full,
            false => Choice::Nobody,
        }
    }

    fn next(
        &mut self,
        with: &mut Candidates<'_>,
        ask: &Ask,
        is_meant: impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let Self { members, shares, policy } = self;
        let now = with.now;
        let may = |number: usize| is_meant(&members[number]) && members[number].has_room(now);
        match policy {
            Policy::Nobody => None,
            Policy::PeakEwma(draw) => two_choices::choose(with.rng, draw, may, |number| {
                members[number].score(with.now, shares[number])
            }),
            Policy::LeastRequests(draw) => least_requests::choose(
                with.rng,
                draw,
                may,
                |number| f64::from(members[number].active()) / shares[number],
                |number| shares[number],
            ),
            Policy::RoundRobin(turns) => turns.choose(|number| shares[number], may),
            Policy::Random(draw) => draw.choose(with.rng, may),
            Policy::Hash { draw, places, open } => match (ask.key, with.ring) {
                (Some(key), Some(ring)) => {
                    let bound = Bound { factor: Bound::FACTOR, total: with.total, open: *open };
                    let here = |at: usize| places.get(at).copied().flatten().map(|here| here as usize);
                    let may = |at: usize| here(at).is_some_and(may);
                    let active = |at: usize| here(at).map_or(0, |here| members[here].active());
                    let load = |at: usize| Some(active(at)).filter(|active| *active > LIGHT).unwrap_or(0);
                    ring.choose(key, may, load, bound).and_then(here)
                }
                _ => draw.choose(with.rng, may),
            },
        }
    }
}

/// Those who may be chosen of the endpoints that are active: of one tier, of the preferred zone if that suffices, and well;
/// everybody where too few are.
fn choose(
    members: &[Rc<Member>],
    shares: &[f64],
    active: &[usize],
    now: u64,
    settings: &Settings,
) -> Vec<usize> {
    let fit = |at: &usize| members[*at].node.fit(now);
    let tier = |at: &usize| members[*at].node.endpoint.priority;
    let mut levels: Vec<u8> = active.iter().map(tier).collect();
    levels.sort_unstable();
    levels.dedup();
    let of_tier = |level: u8| active.iter().copied().filter(move |at| tier(at) == level);
    let counts = levels
        .iter()
        .map(|level| (of_tier(*level).filter(|at| fit(at) == Fit::Yes).count(), of_tier(*level).count()));
    let chosen = tiers::tier(counts, settings.tier_below);
    let level = chosen.map_or_else(|| levels.first().copied(), |tier| levels.get(tier).copied());
    let Some(level) = level else { return Vec::new() };
    let all: Vec<usize> = of_tier(level).collect();
    let healthy: Vec<usize> = all.iter().copied().filter(|at| fit(at) == Fit::Yes).collect();
    if (healthy.len() as f64) < settings.panic_below * all.len() as f64 {
        return all;
    }
    if healthy.is_empty() {
        // A proxy that guesses wrong must not be the reason why nobody is served.
        return active.iter().copied().filter(|at| fit(at) != Fit::Down).collect();
    }
    if let Some((name, enough)) = &settings.zone {
        let is_near = |at: &usize| members[*at].node.endpoint.zone.as_ref() == Some(name);
        let near: Vec<usize> = healthy.iter().copied().filter(is_near).collect();
        let weight = |some: &mut dyn Iterator<Item = usize>| some.map(|at| shares[at]).sum::<f64>();
        let of_zone = weight(&mut all.iter().copied().filter(is_near));
        if zone::suffices(weight(&mut near.iter().copied()), of_zone, *enough) {
            return near;
        }
    }
    healthy
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::driver::Core;
    use crate::upstream::group::Group;
    use crate::upstream::health::{Ejection, Failure, Verdict};
    use crate::upstream::member::Place;
    use crate::upstream::pool::Pool;

    use super::*;

    /// As many endpoints as there are weights.
    fn members(weights: &[u32]) -> (Vec<Rc<Member>>, Instant) {
        let (core, pool) = (Core::by_hand().unwrap(), Rc::new(Pool::new()));
        let endpoints = weights.iter().enumerate();
        let group = endpoints.fold(Group::new(), |group, (number, weight)| {
            group.endpoint(format!("http://10.0.0.{number}"), *weight)
        });
        let inner = group.inner();
        let (settings, now) = (inner.settings(), core.now());
        let total = Rc::default();
        let place = || Place { pool: &pool, named: false, total: &total };
        let new = |node| Member::new(inner, &settings, node, place(), (now, &mut Rng::with_seed(1)));
        (inner.roster.published().nodes.iter().map(new).collect(), now)
    }

    /// Those of all who may be chosen, and when to look again.
    fn field(members: &[Rc<Member>], settings: &Settings) -> (Vec<u32>, Option<u64>) {
        let shares: Vec<f64> = members.iter().map(|member| f64::from(member.node.weight())).collect();
        let all: Vec<usize> = (0..members.len()).collect();
        let (field, rests) = Field::new(members, &shares, &all, 0, settings);
        (field.members.iter().map(|member| member.node.id).collect(), rests)
    }

    fn rest(member: &Member, shortest: u64) {
        let ejection = Ejection { shortest: Duration::from_millis(shortest), ..Ejection::default() };
        let until = member.node.standing.failed(Failure::Connect, 0, &ejection, std::iter::empty());
        assert_eq!(until, Some(shortest));
    }

    #[test]
    fn weights_are_told_by_the_mean_of_those_who_may_be_chosen() {
        let (members, _) = members(&[6, 2, 1]);
        members[2].node.set_mode(Mode::Maintenance);
        let shares = [6.0, 2.0, 1.0];
        let (field, _) = Field::new(&members, &shares, &[0, 1, 2], 0, &Settings::default());
        assert_eq!(field.shares, [1.5, 0.5]);
    }

    #[test]
    fn those_who_rest_are_left_out_until_the_first_of_them_has_rested() {
        let (members, _) = members(&[1; 4]);
        rest(&members[1], 300);
        rest(&members[2], 100);
        assert_eq!(field(&members, &Settings::default()), (vec![0, 3], Some(100)));
    }

    #[test]
    fn where_all_are_unfit_those_who_rest_are_tried_and_those_who_are_down_are_not() {
        let (members, _) = members(&[1; 3]);
        rest(&members[0], 100);
        rest(&members[1], 100);
        members[2].node.judge(Verdict::Down);
        assert_eq!(field(&members, &Settings::default()).0, [0, 1]);
        let everybody = Settings { panic_below: 0.5, ..Settings::default() };
        assert_eq!(field(&members, &everybody).0, [0, 1, 2]);
        members.iter().for_each(|member| member.node.judge(Verdict::Down));
        assert!(field(&members, &Settings::default()).0.is_empty());
    }

    #[test]
    fn one_who_has_failed_takes_one_request_at_a_time_until_one_goes_well() {
        let (members, now) = members(&[1]);
        rest(&members[0], 100);
        let trial = members[0].take(now).unwrap();
        assert!(members[0].is_tried_out());
        assert!(!trial.answered(now, 200));
        assert!(!members[0].is_tried_out());
        drop(trial);
        assert_eq!(members[0].active(), 0);
    }
}
