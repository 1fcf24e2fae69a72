//! Policies under load: a simulation of endpoints that serve one request after another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::draw::Draw;
use super::latency::{PeakEwma, score};
use super::round_robin::RoundRobin;
use super::{least_requests, two_choices};

#[expect(clippy::disallowed_methods, reason = "some instant to count from, or to take the time of a pick")]
fn now() -> Instant {
    Instant::now()
}

/// What a policy can see of an endpoint.
#[derive(Clone, Default)]
struct Endpoint {
    active: u32,
    latency: PeakEwma,
}

/// What has become of the requests.
struct Outcome {
    /// The part of them that each endpoint had.
    shares: Vec<f64>,
    /// The most that each had under way before it answered for the first time.
    first_rush: Vec<u32>,
    latencies: Vec<Duration>,
}

impl Outcome {
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100]
    }
}

/// Requests that come at random, so many a second, and endpoints with their own time for each, give or take a half.
struct Load {
    seed: u64,
    per_second: f64,
    requests: usize,
    /// How long each endpoint takes.
    service: Vec<Duration>,
    /// How many requests each works on at the same time.
    hands: usize,
    /// What is known of the endpoints at the beginning.
    known: Vec<Option<Duration>>,
}

impl Load {
    fn run(&self, mut policy: impl FnMut(&mut Rng, &[Endpoint], Instant) -> usize) -> Outcome {
        let (begin, count) = (now(), self.service.len());
        let mut rng = Rng::with_seed(self.seed);
        let mut endpoints = vec![Endpoint::default(); count];
        for (endpoint, known) in endpoints.iter_mut().zip(&self.known) {
            known.iter().for_each(|known| endpoint.latency.observe(*known, begin));
        }
        let hands: BinaryHeap<_> = std::iter::repeat_n(Reverse(begin), self.hands).collect();
        let mut free = vec![hands; count];
        let mut under_way: BinaryHeap<Reverse<(Instant, Instant, usize)>> = BinaryHeap::new();
        let mut outcome =
            Outcome { shares: vec![0.0; count], first_rush: vec![0; count], latencies: Vec::new() };
        let mut answered: Vec<bool> = self.known.iter().map(Option::is_some).collect();
        answered.resize(count, false);
        let mut time = begin;
        for _ in 0..self.requests {
            time += Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / self.per_second);
            while let Some(Reverse((end, came, at))) =
                under_way.peek().copied().filter(|next| next.0.0 <= time)
            {
                under_way.pop();
                endpoints[at].active -= 1;
                endpoints[at].latency.observe(end - came, end);
                answered[at] = true;
            }
            let at = policy(&mut rng, &endpoints, time);
            endpoints[at].active += 1;
            if !answered[at] {
                outcome.first_rush[at] = outcome.first_rush[at].max(endpoints[at].active);
            }
            let Reverse(hand) = free[at].pop().unwrap();
            let end = hand.max(time) + self.service[at].mul_f64(0.5 + rng.f64());
            free[at].push(Reverse(end));
            under_way.push(Reverse((end, time, at)));
            outcome.shares[at] += 1.0 / self.requests as f64;
            outcome.latencies.push(end - time);
        }
        outcome
    }

    fn two_choices(&self) -> Outcome {
        let draw = Draw::new(self.service.iter().map(|_| 1.0));
        self.run(|rng, endpoints, now| {
            let score = |at: usize| score(endpoints[at].latency.read(now), endpoints[at].active, 1.0);
            two_choices::choose(rng, &draw, |_| true, score).unwrap()
        })
    }

    fn round_robin(&self) -> Outcome {
        let mut turns = RoundRobin::new(self.service.len());
        self.run(|_, _, _| turns.choose(|_| 1.0, |_| true).unwrap())
    }

    fn least_requests(&self, weights: &[f64]) -> Outcome {
        let draw = Draw::new(weights.iter().copied());
        self.run(|rng, endpoints, _| {
            let load = |at: usize| f64::from(endpoints[at].active) / weights[at];
            least_requests::choose(rng, &draw, |_| true, load, |at| weights[at]).unwrap()
        })
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn an_endpoint_that_is_twenty_times_slower_is_hardly_asked() {
    for seed in 1..=5 {
        let mut service = vec![10 * MS; 10];
        service[4] = 200 * MS;
        let load = Load { seed, per_second: 400.0, requests: 40_000, service, hands: 1, known: Vec::new() };
        let (by_latency, by_turns) = (load.two_choices(), load.round_robin());
        assert!(by_latency.shares[4] < 0.02, "{:?}", by_latency.shares);
        let (better, worse) = (by_latency.percentile(99), by_turns.percentile(99));
        assert!(better * 3 <= worse, "{better:?}, {worse:?}");
    }
}

#[test]
fn a_slow_endpoint_that_takes_many_requests_at_once_is_hardly_asked_either() {
    for count in [2, 3, 10] {
        let mut service = vec![10 * MS; count];
        service[0] = 200 * MS;
        let load =
            Load { seed: 1, per_second: 500.0, requests: 40_000, service, hands: 100, known: Vec::new() };
        let (by_latency, by_turns) = (load.two_choices(), load.round_robin());
        assert!(by_latency.shares[0] < 0.02, "{:?}", by_latency.shares);
        assert!(by_latency.percentile(99) * 3 <= by_turns.percentile(99));
    }
}

#[test]
fn a_fresh_endpoint_in_a_warm_group_is_not_flooded() {
    for seed in 1..=5 {
        let mut known = vec![Some(10 * MS); 9];
        known.push(None);
        // It is as fast as others, but nobody knows.
        let service = vec![10 * MS; 10];
        let load =
            Load { seed, per_second: 500.0, requests: 10_000, service, hands: 4, known: known.clone() };
        let outcome = load.two_choices();
        assert_eq!(outcome.first_rush[9], 1);
        assert!((0.05..0.15).contains(&outcome.shares[9]), "{:?}", outcome.shares);
        // It takes a second for its first one.
        let mut service = vec![10 * MS; 10];
        service[9] = 1000 * MS;
        let outcome =
            Load { seed, per_second: 500.0, requests: 10_000, service, hands: 4, known }.two_choices();
        assert_eq!(outcome.first_rush[9], 1);
        assert!(outcome.shares[9] < 0.001, "{:?}", outcome.shares);
    }
}

#[test]
fn a_cold_group_is_not_herded_to_one_endpoint() {
    let load = Load {
        seed: 3,
        per_second: 5000.0,
        requests: 2000,
        service: vec![100 * MS; 10],
        hands: 100,
        known: Vec::new(),
    };
    for share in load.two_choices().shares {
        assert!((0.05..0.15).contains(&share), "{share}");
    }
}

#[test]
fn equal_endpoints_get_equal_shares_by_latency() {
    for count in [2, 5, 20] {
        let (service, per_second) = (vec![10 * MS; count], 50.0 * count as f64);
        let load =
            Load { seed: 9, per_second, requests: 50_000 * count / 5, service, hands: 1, known: Vec::new() };
        for share in load.two_choices().shares {
            let of_fair = share * count as f64;
            assert!((0.7..1.3).contains(&of_fair), "{of_fair} of the fair share among {count}");
        }
    }
}

#[test]
fn the_fewest_requests_come_to_shares_by_weight() {
    for (weights, per_second) in [
        (&[1.0; 20][..], 1000.0),
        (&[1.0; 5], 20_000.0),
        (&[1.0, 2.0, 3.0, 4.0], 40_000.0),
        (&[5.0, 1.0, 1.0], 70_000.0),
    ] {
        let service = vec![10 * MS; weights.len()];
        let load = Load { seed: 4, per_second, requests: 100_000, service, hands: 2000, known: Vec::new() };
        let sum: f64 = weights.iter().sum();
        for (share, weight) in load.least_requests(weights).shares.iter().zip(weights) {
            assert!((share - weight / sum).abs() < 0.02 * weight / sum, "{share}: {weights:?}");
        }
    }
}
