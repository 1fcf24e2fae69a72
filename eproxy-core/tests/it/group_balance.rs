//! How a group shares requests among its endpoints: by weight, by how busy they are, by how long they take.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eproxy_core::testing::{Lab, Script, Upstream};
use eproxy_core::{Balance, Done, Group, Proxy};

use crate::support::get;
use crate::support::lab::{ask_often, counts, group, lettered, saying, serve, url};

/// Four endpoints with the weights 4, 2, 1 and 1.
fn weighted(balance: Balance) -> (Lab, [Upstream; 4]) {
    let (lab, upstreams) = lettered(['a', 'b', 'c', 'd']);
    let endpoints = ['a', 'b', 'c', 'd'].map(url).into_iter().zip([4, 2, 1, 1]);
    let group = endpoints.fold(Group::new(), |group, (url, weight)| group.endpoint(url, weight));
    serve(&lab, Proxy::to(group.balance(balance)));
    (lab, upstreams)
}

#[test]
fn by_turns_each_endpoint_has_exactly_what_its_weight_says() {
    let (lab, upstreams) = weighted(Balance::RoundRobin);
    for round in 1..=100 {
        ask_often(&lab, 8);
        assert_eq!(counts(&upstreams), [4, 2, 1, 1].map(|weight| weight * round));
    }
}

#[test]
fn by_turns_a_heavy_endpoint_does_not_have_its_turns_in_a_row() {
    let (lab, _upstreams) = weighted(Balance::RoundRobin);
    let said = ask_often(&lab, 800);
    assert!(!said.contains("aaa"), "{said}");
}

#[test]
fn by_chance_or_by_latency_endpoints_that_are_alike_have_what_their_weights_say() {
    const REQUESTS: usize = 16_000;
    for balance in [Balance::Random, Balance::PeakEwma, Balance::LeastRequests] {
        let (lab, upstreams) = weighted(balance.clone());
        ask_often(&lab, REQUESTS);
        for (count, weight) in counts(&upstreams).into_iter().zip([4.0, 2.0, 1.0, 1.0]) {
            let share = count as f64 / REQUESTS as f64;
            assert!((share - weight / 8.0).abs() < 0.02, "{balance:?}: {share} of {weight}/8");
        }
    }
}

#[test]
fn weights_count_where_one_request_follows_the_other_and_each_takes_its_time() {
    const REQUESTS: usize = 8000;
    let (lab, upstreams) = weighted(Balance::PeakEwma);
    for upstream in &upstreams {
        upstream.set(Script::new().latency(Duration::from_millis(10)).answer(200, ""));
    }
    ask_often(&lab, REQUESTS);
    for (count, weight) in counts(&upstreams).into_iter().zip([4.0, 2.0, 1.0, 1.0]) {
        let share = count as f64 / REQUESTS as f64;
        assert!((share - weight / 8.0).abs() < 0.02, "{:?}", counts(&upstreams));
    }
}

/// Sends a request every so often, without waiting for answers; gives how long each took.
fn stream(balance: Balance, requests: usize, pace: Duration, late: [u64; 4]) -> ([usize; 4], Vec<Duration>) {
    let (lab, upstreams) = lettered(['a', 'b', 'c', 'd']);
    for ((upstream, letter), late) in upstreams.iter().zip(['a', 'b', 'c', 'd']).zip(late) {
        upstream.set(saying(letter).latency(Duration::from_millis(late)));
    }
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = times.clone();
    let note = move |done: &mut Done| noted.lock().expect("nobody panics here").push(done.duration());
    serve(&lab, Proxy::to(group("abcd").balance(balance)).on_done(note));
    let mut pending = VecDeque::new();
    for _ in 0..requests {
        pending.push_back(lab.send(get("/")));
        lab.advance(pace);
        if pending.len() > 100 {
            let oldest = pending.pop_front().expect("there are a hundred");
            assert_eq!(lab.wait(oldest).status(), 200);
        }
    }
    for pending in pending {
        assert_eq!(lab.wait(pending).status(), 200);
    }
    let mut times = times.lock().expect("nobody panics here").clone();
    times.sort_unstable();
    assert_eq!(times.len(), requests);
    (counts(&upstreams), times)
}

#[test]
fn who_has_the_fewest_requests_is_asked_so_that_slow_endpoints_have_fewer() {
    let pace = Duration::from_millis(5);
    let ([quick, also_quick, slow, also_slow], _) =
        stream(Balance::LeastRequests, 1000, pace, [10, 10, 100, 100]);
    for (slow, quick) in [(slow, quick), (also_slow, also_quick)] {
        assert!(slow * 3 < quick, "{slow} requests to a slow one, {quick} to a quick one");
    }
}

#[test]
fn an_endpoint_that_is_twenty_times_slower_is_relieved_and_the_slowest_answers_come_sooner() {
    let pace = Duration::from_millis(5);
    let late = [10, 10, 10, 200];
    let (by_turns, slow_times) = stream(Balance::RoundRobin, 2000, pace, late);
    let (relieved, times) = stream(Balance::PeakEwma, 2000, pace, late);
    assert_eq!(by_turns[3], 500);
    assert!(relieved[3] < 20, "of 2,000 requests, the slow one had {}", relieved[3]);
    let nearly_all = 2000 * 99 / 100;
    let (slow, quick) = (slow_times[nearly_all], times[nearly_all]);
    assert!(quick * 3 <= slow, "99 % within {quick:?}, by turns within {slow:?}");
}

#[test]
fn an_endpoint_that_was_slow_is_asked_again_some_time_later() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    b.set(saying('b').latency(Duration::from_secs(2)));
    serve(&lab, Proxy::to(group("ab")));
    ask_often(&lab, 20);
    b.set(saying('b'));
    assert_eq!(ask_often(&lab, 20), "a".repeat(20), "it is known to be slow");
    lab.advance(Duration::from_secs(60));
    assert!(ask_often(&lab, 100).contains('b'));
}

#[test]
fn equal_endpoints_with_equal_latencies_share_requests_equally_by_latency() {
    let ([a, b, c, d], _) = stream(Balance::PeakEwma, 4000, Duration::from_millis(3), [10; 4]);
    for count in [a, b, c, d] {
        let share = count as f64 / 4000.0;
        assert!((share - 0.25).abs() < 0.02, "{:?}", [a, b, c, d]);
    }
}

#[test]
fn an_endpoint_that_fails_quickly_does_not_look_fast() {
    let (lab, [a, b]) = lettered(['a', 'b']);
    a.set(Script::new().latency(Duration::from_millis(20)).answer(200, "a"));
    b.set(Script::new().latency(Duration::from_millis(1)).answer(503, "b"));
    serve(&lab, Proxy::to(group("ab")));
    let said = ask_often(&lab, 200);
    assert!(said.matches('b').count() < 20, "{said}");
}
