//! Endpoints that rest because of how they treated requests.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script, Upstream};
use eproxy_core::{Balance, Ejection, Group, Health, Proxy};

use crate::support::get;
use crate::support::lab::{ask_often, counts, group, lettered, saying, seconds, serve};

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Takes turns among endpoints.
fn lab<const N: usize>(letters: [char; N], set: impl FnOnce(Group) -> Group) -> (Lab, Group, [Upstream; N]) {
    let (lab, upstreams) = lettered(letters);
    let group = set(group(&String::from_iter(letters)).balance(Balance::RoundRobin));
    serve(&lab, Proxy::to(group.clone()));
    (lab, group, upstreams)
}

/// How the endpoint of a letter fares, and how often it was ejected.
fn state(group: &Group, letter: char) -> (Health, u64) {
    let snapshot = group.snapshot();
    let endpoint = snapshot.endpoint(&format!("{letter}.test:80")).expect("it is there");
    (endpoint.health, endpoint.ejections)
}

#[test]
fn an_endpoint_that_takes_no_connection_rests_twice_as_long_each_time() {
    let (lab, group, [_a, b]) = lab(['a', 'b'], |group| group);
    b.refuse();
    let mut asked = Vec::new();
    for time in (0..4000).step_by(10) {
        let before = lab.stats().failure("connect");
        assert_eq!(ask_often(&lab, 2), "aa", "nobody notices");
        if lab.stats().failure("connect") > before {
            asked.push(time);
        }
        lab.advance(milliseconds(10));
    }
    let rests: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    for (rest, expected) in rests.iter().zip([100, 200, 400, 800, 1600]) {
        assert!((expected..=expected + 20).contains(rest), "{rests:?}");
    }
    assert_eq!((rests.len(), state(&group, 'b')), (5, (Health::Ejected, 6)));
    assert_eq!(lab.stats().ejections, 6);
    b.accept();
    lab.advance(seconds(4));
    ask_often(&lab, 4);
    assert_eq!(state(&group, 'b').0, Health::Fit);
    b.refuse();
    b.close_connections();
    ask_often(&lab, 4);
    lab.advance(milliseconds(120));
    let before = lab.stats().failure("connect");
    ask_often(&lab, 4);
    assert!(lab.stats().failure("connect") > before, "what was before is forgotten");
}

#[test]
fn an_endpoint_that_answers_nothing_three_times_in_a_row_rests() {
    let (lab, group, [_a, b]) = lab(['a', 'b'], |group| group);
    b.set(Script::new().close());
    let failures = |times| {
        let client = lab.connect();
        let posts = (0..times).map(|_| client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        posts.filter(|reply| reply.status() == 502).count()
    };
    assert_eq!((failures(4), state(&group, 'b').0), (2, Health::Fit));
    assert_eq!((failures(20), state(&group, 'b').0), (1, Health::Ejected));
}

#[test]
fn answers_from_500_on_count_only_if_that_is_wanted() {
    let (lab, group, [_a, b]) = lab(['a', 'b'], |group| group);
    b.set(Script::new().answer(500, "b"));
    ask_often(&lab, 100);
    assert_eq!((b.requests(), state(&group, 'b')), (50, (Health::Fit, 0)));

    let ejection = Ejection { server_errors: 5, shortest: seconds(1), ..Ejection::default() };
    let (lab, group, [_a, b]) = self::lab(['a', 'b'], |group| group.ejection(ejection));
    b.set(Script::new().answer(500, "b"));
    ask_often(&lab, 100);
    assert_eq!((b.requests(), state(&group, 'b')), (5, (Health::Ejected, 1)));
    lab.advance(milliseconds(1010));
    ask_often(&lab, 10);
    assert_eq!(b.requests(), 6, "another failure, another rest");
}

#[test]
fn no_more_than_a_share_of_the_endpoints_rests_for_what_it_has_answered() {
    let ejection = Ejection { server_errors: 2, shortest: seconds(9), ..Ejection::default() };
    let (lab, group, upstreams) = lab(['a', 'b', 'c', 'd'], |group| group.ejection(ejection));
    upstreams.iter().for_each(|upstream| upstream.set(Script::new().answer(500, "")));
    ask_often(&lab, 100);
    let resting =
        ['a', 'b', 'c', 'd'].into_iter().filter(|it| state(&group, *it).0 == Health::Ejected).count();
    assert_eq!(resting, 2, "{:?}", counts(&upstreams));
}

#[test]
fn an_endpoint_that_fails_more_often_than_the_others_is_an_outlier() {
    let ejection = Ejection { outliers: true, ..Ejection::default() };
    let (lab, group, [.., e]) = lab(['a', 'b', 'c', 'd', 'e'], |group| group.ejection(ejection));
    e.set(Script::new().statuses([200, 500]));
    ask_often(&lab, 500);
    assert_eq!(state(&group, 'e'), (Health::Fit, 0), "it is not known yet");
    lab.advance(seconds(11));
    assert_eq!(state(&group, 'e'), (Health::Ejected, 1));
    let before = e.requests();
    ask_often(&lab, 50);
    assert_eq!(e.requests(), before);
    lab.advance(seconds(31));
    ask_often(&lab, 50);
    assert!(e.requests() > before, "it has rested");
}

#[test]
fn after_a_rest_one_request_at_a_time_tries_an_endpoint_out() {
    let (lab, group, [_a, b]) = lab(['a', 'b'], |group| group);
    b.refuse();
    ask_often(&lab, 4);
    assert_eq!(state(&group, 'b').0, Health::Ejected);
    b.accept();
    b.set(saying('b').latency(seconds(1)));
    lab.advance(milliseconds(120));
    let pending: Vec<_> = (0..20).map(|_| lab.send(get("/"))).collect();
    assert_eq!(b.requests(), 1);
    assert!(pending.into_iter().all(|pending| lab.wait(pending).status() == 200));
    let pending: Vec<_> = (0..20).map(|_| lab.send(get("/"))).collect();
    assert_eq!(b.requests(), 11);
    drop(pending);
}

#[test]
fn where_all_rest_they_are_tried_all_the_same() {
    let ejection = Ejection { shortest: seconds(60), longest: seconds(60), ..Ejection::default() };
    let (lab, group, upstreams) = lab(['a', 'b'], |group| group.ejection(ejection));
    upstreams.iter().for_each(Upstream::refuse);
    assert_eq!(lab.get("/").status(), 502);
    assert_eq!((state(&group, 'a').0, state(&group, 'b').0), (Health::Ejected, Health::Ejected));
    upstreams[1].accept();
    assert_eq!(lab.get("/").text(), "b");
    assert_eq!(state(&group, 'b').0, Health::Fit);
}

#[test]
fn when_nearly_everybody_rests_all_are_asked_if_that_is_wanted() {
    let run = |panic_below| {
        let ejection = Ejection { shortest: seconds(60), longest: seconds(60), ..Ejection::default() };
        let (lab, _group, upstreams) =
            lab(['a', 'b', 'c', 'd'], |group| group.ejection(ejection).panic_below(panic_below));
        upstreams[1..].iter().for_each(Upstream::refuse);
        ask_often(&lab, 8);
        upstreams[1..].iter().for_each(Upstream::accept);
        ask_often(&lab, 40);
        upstreams[1..].iter().map(Upstream::requests).sum::<usize>()
    };
    assert_eq!(run(0.0), 0, "the one that is left bears it all");
    assert!(run(0.5) > 10);
}
