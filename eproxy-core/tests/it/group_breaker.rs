//! Circuit breakers: an endpoint that fails is left alone for a while, and tried out before it is back.

use eproxy_core::testing::{Lab, Script, Upstream};
use eproxy_core::{Breaker, Group, Health, Proxy};

use crate::support::get;
use crate::support::lab::{ask_often, group, lettered, saying, seconds, serve};

/// Two endpoints, the second of which answers 503.
fn breaking(breaker: Breaker) -> (Lab, Group, Upstream) {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    b.set(Script::new().answer(503, "b"));
    let group = group("ab").balance(eproxy_core::Balance::RoundRobin).breaker(breaker);
    serve(&lab, Proxy::to(group.clone()));
    (lab, group, b)
}

fn health(group: &Group) -> Health {
    group.snapshot().endpoint("b.test:80").expect("it is there").health
}

#[test]
fn a_breaker_opens_after_failures_in_a_row_and_closes_when_a_trial_goes_well() {
    let (lab, group, b) = breaking(Breaker { failures: 3, ..Breaker::default() });
    ask_often(&lab, 40);
    assert_eq!((b.requests(), health(&group)), (3, Health::Broken));
    lab.advance(seconds(4));
    ask_often(&lab, 10);
    assert_eq!(b.requests(), 3, "it is open");
    b.set(saying('b'));
    lab.advance(seconds(2));
    let said = ask_often(&lab, 20);
    assert!(said.matches('b').count() >= 9, "{said}");
    assert_eq!(health(&group), Health::Fit);
}

#[test]
fn a_success_in_between_keeps_it_closed() {
    let (lab, group, b) = breaking(Breaker { failures: 3, ..Breaker::default() });
    b.set(Script::new().statuses([503, 503, 200]));
    ask_often(&lab, 60);
    assert_eq!((b.requests(), health(&group)), (30, Health::Fit));
}

#[test]
fn one_request_at_a_time_tries_it_out() {
    let (lab, _group, b) = breaking(Breaker { failures: 1, ..Breaker::default() });
    ask_often(&lab, 10);
    assert_eq!(b.requests(), 1);
    lab.advance(seconds(6));
    b.set(saying('b').latency(seconds(1)));
    let pending: Vec<_> = (0..20).map(|_| lab.send(get("/"))).collect();
    assert_eq!(b.requests(), 2);
    assert!(pending.into_iter().all(|pending| lab.wait(pending).status() == 200));
    let pending: Vec<_> = (0..20).map(|_| lab.send(get("/"))).collect();
    assert_eq!(b.requests(), 12, "the trial went well");
    drop(pending);
}

#[test]
fn it_is_open_for_longer_each_time_that_a_trial_fails_up_to_a_limit() {
    let (lab, _group, b) =
        breaking(Breaker { failures: 1, open: seconds(1), longest: seconds(5), ..Breaker::default() });
    // The seconds in which it was asked.
    let mut asked = Vec::new();
    for tenth in 0..250 {
        let before = b.requests();
        ask_often(&lab, 4);
        if b.requests() > before {
            asked.push(tenth);
        }
        lab.advance(seconds(1) / 10);
    }
    let waits: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    for (wait, expected) in waits.iter().zip([10, 20, 40, 50, 50]) {
        assert!((expected..=expected + 1).contains(wait), "{waits:?}");
    }
    assert!(waits.len() >= 5, "{waits:?}");
}

#[test]
fn where_all_are_broken_requests_are_refused_or_tried_but_never_hang() {
    let (lab, [a]) = lettered(['a']);
    a.set(Script::new().answer(503, ""));
    serve(&lab, Proxy::to(group("a").breaker(Breaker { failures: 2, ..Breaker::default() })));
    let statuses: Vec<_> = (0..10).map(|_| lab.get("/").status()).collect();
    assert_eq!((statuses, a.requests()), (vec![503; 10], 2));
    a.set(saying('a'));
    lab.advance(seconds(6));
    assert_eq!(lab.get("/").text(), "a");
}
