//! A second endpoint that is asked as well, because the first takes its time.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script, Upstream};
use eproxy_core::{Endpoint, Group, Proxy, RetryBudget};

use crate::support::get;
use crate::support::lab::{counts, lettered, saying, seconds, serve, url};

const DELAY: Duration = Duration::from_millis(100);

/// A group that asks `b` only where `a` was asked before.
fn hedging(first: Script, second: Script) -> (Lab, [Upstream; 2]) {
    let (lab, upstreams) = lettered(['a', 'b']);
    upstreams[0].set(first);
    upstreams[1].set(second);
    let group = Group::new()
        .with(Endpoint::new(url('a')).weight(1000))
        .with(Endpoint::new(url('b')))
        .balance(eproxy_core::Balance::Hash(eproxy_core::HashKey::Header("X-Key".into())))
        .retry_budget(RetryBudget { share: 10.0, least_per_second: 1000 });
    serve(&lab, Proxy::to(group).hedge_after(DELAY));
    (lab, upstreams)
}

/// Asks with a key that leads to the first endpoint.
fn request(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: test\r\nX-Key: 1\r\nContent-Length: 0\r\n\r\n")
}

fn hedges(lab: &Lab) -> (u64, u64) {
    (lab.stats().hedges, lab.stats().hedges_won)
}

#[test]
fn an_answer_that_comes_soon_has_nobody_else_asked() {
    let (lab, upstreams) = hedging(saying('a').latency(DELAY / 2), saying('b'));
    for _ in 0..5 {
        assert_eq!(lab.ask(request("GET")).text(), "a");
    }
    assert_eq!((counts(&upstreams), hedges(&lab)), ([5, 0], (0, 0)));
}

#[test]
fn a_second_endpoint_is_asked_after_the_delay_and_the_faster_one_wins() {
    for is_warm in [false, true] {
        let (lab, [a, b]) = hedging(saying('a'), saying('b'));
        if is_warm {
            assert_eq!(lab.ask(request("GET")).text(), "a");
        }
        a.set(saying('a').latency(seconds(10)));
        let pending = lab.send(request("GET"));
        lab.advance(DELAY - Duration::from_millis(1));
        assert_eq!(b.requests(), 0);
        lab.advance(Duration::from_millis(20));
        assert!(pending.is_answered());
        assert_eq!(lab.wait(pending).text(), "b");
        assert_eq!((b.requests(), hedges(&lab)), (1, (1, 1)));
        assert_eq!((a.open_connections(), b.open_connections()), (0, 1), "the loser's is closed");
    }
}

#[test]
fn the_first_one_may_still_win() {
    let (lab, [a, b]) = hedging(saying('a').latency(DELAY * 2), saying('b').latency(seconds(10)));
    assert_eq!(lab.ask(request("GET")).text(), "a");
    assert!(lab.now() < DELAY * 3, "{:?}", lab.now());
    assert_eq!((b.requests(), hedges(&lab)), (1, (1, 0)));
    assert_eq!((a.open_connections(), b.open_connections()), (1, 0));
}

#[test]
fn what_may_not_be_sent_twice_is_not_sent_to_two() {
    let (lab, [a, b]) = hedging(saying('a').latency(seconds(5)), saying('b'));
    assert_eq!(lab.ask(request("POST")).text(), "a");
    assert_eq!((a.requests(), b.requests(), hedges(&lab)), (1, 0, (0, 0)));
}

#[test]
fn one_that_ends_without_a_byte_gives_way_to_the_other() {
    // The second one ends first, and the first one goes on.
    let (lab, upstreams) = hedging(saying('a').latency(seconds(1)), Script::new().close());
    assert_eq!(lab.ask(request("GET")).text(), "a");
    assert_eq!((counts(&upstreams), hedges(&lab)), ([1, 1], (1, 0)));
    // The first one ends, and the second one goes on.
    let (lab, upstreams) = hedging(Script::new().pause(DELAY * 2).close(), saying('b').latency(seconds(1)));
    assert_eq!(lab.ask(request("GET")).text(), "b");
    assert_eq!((counts(&upstreams), hedges(&lab)), ([1, 1], (1, 1)));
}

#[test]
fn a_second_endpoint_that_takes_no_connection_does_not_matter() {
    let (lab, [a, b]) = hedging(saying('a').latency(seconds(1)), saying('b'));
    b.refuse();
    assert_eq!(lab.ask(request("GET")).text(), "a");
    b.hang();
    assert_eq!(lab.ask(request("GET")).text(), "a");
    assert_eq!((a.requests(), b.requests()), (2, 0));
    assert_eq!(hedges(&lab).1, 0);
}

#[test]
fn a_long_answer_of_the_winner_arrives_as_a_whole() {
    let long = "x".repeat(300_000);
    let (lab, _upstreams) = hedging(saying('a').latency(seconds(10)), Script::new().answer(200, &long));
    let reply = lab.ask(request("GET"));
    assert!(reply.is_whole() && reply.text() == long);
}

#[test]
fn second_requests_are_taken_from_the_budget() {
    let (lab, upstreams) = lettered(['a', 'b']);
    upstreams.iter().for_each(|upstream| upstream.set(Script::new().latency(seconds(1)).answer(200, "")));
    let budget = RetryBudget { share: 0.0, least_per_second: 0 };
    serve(&lab, Proxy::to(crate::support::lab::group("ab").retry_budget(budget)).hedge_after(DELAY));
    assert_eq!(lab.ask(get("/")).status(), 200);
    assert_eq!((counts(&upstreams).into_iter().sum::<usize>(), hedges(&lab)), (1, (0, 0)));
}

#[test]
fn a_client_that_goes_away_takes_both_requests_with_it() {
    let (lab, [a, b]) = hedging(Script::new().stall(), Script::new().stall());
    let pending = lab.send(request("GET"));
    lab.advance(seconds(1));
    assert_eq!((a.open_connections(), b.open_connections()), (1, 1));
    drop(pending);
    lab.advance(seconds(3));
    assert_eq!((a.open_connections(), b.open_connections()), (0, 0));
}
