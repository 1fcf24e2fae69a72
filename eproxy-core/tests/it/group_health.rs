//! Probes: endpoints are asked whether they are well, and those that are not get no requests.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script, Seen, Upstream};
use eproxy_core::{Balance, Group, Health, Probe, Proxy};

use crate::support::lab::{ask_often, group, lettered, saying, seconds, serve};

/// Answers probes with this, and requests with a letter.
fn well(letter: char, probes: Script) -> Script {
    Script::from_request(move |request: &Seen| match request.target() {
        "/healthz" => probes.clone(),
        _ => saying(letter),
    })
}

fn ok() -> Script {
    Script::new().answer(200, "all is well")
}

fn bad() -> Script {
    Script::new().answer(500, "not well")
}

/// Two endpoints that are probed every second.
fn probing(set: impl FnOnce(Probe) -> Probe) -> (Lab, Group, [Upstream; 2]) {
    let (lab, upstreams) = lettered(['a', 'b']);
    upstreams.iter().zip(['a', 'b']).for_each(|(upstream, letter)| upstream.set(well(letter, ok())));
    let probe = set(Probe::http("/healthz").interval(seconds(1)).timeout(seconds(1) / 2));
    let group = group("ab").balance(Balance::RoundRobin).probe(probe);
    serve(&lab, Proxy::to(group.clone()));
    (lab, group, upstreams)
}

fn health(group: &Group, letter: char) -> Health {
    group.snapshot().endpoint(&format!("{letter}.test:80")).expect("it is there").health
}

fn trouble(group: &Group, letter: char) -> Option<String> {
    group.snapshot().endpoint(&format!("{letter}.test:80")).expect("it is there").trouble.clone()
}

/// Those of the requests to an endpoint that were probes.
fn probes(upstream: &Upstream) -> Vec<Seen> {
    upstream.seen().into_iter().filter(|seen| seen.target() == "/healthz").collect()
}

#[test]
fn an_endpoint_is_down_after_so_many_bad_results_and_up_after_so_many_good_ones() {
    let (lab, group, [_a, b]) = probing(|probe| probe.rise(2).fall(3));
    lab.advance(seconds(2));
    assert_eq!((health(&group, 'a'), health(&group, 'b')), (Health::Fit, Health::Fit));
    b.set(well('b', bad()));
    let since = |results: usize| {
        let before = b.requests();
        lab.until(|| b.requests() >= before + results);
        lab.advance(Duration::from_millis(10));
    };
    since(2);
    assert_eq!(health(&group, 'b'), Health::Fit);
    assert_eq!(trouble(&group, 'b').as_deref(), Some("answered with status 500"));
    since(1);
    assert_eq!(health(&group, 'b'), Health::Down);
    assert_eq!(ask_often(&lab, 20), "a".repeat(20));
    b.set(well('b', ok()));
    since(1);
    assert_eq!((health(&group, 'b'), trouble(&group, 'b')), (Health::Down, None));
    since(1);
    assert_eq!(health(&group, 'b'), Health::Fit);
    assert_eq!(ask_often(&lab, 20).matches('b').count(), 10);
}

#[test]
fn the_first_result_of_an_endpoint_decides_by_itself() {
    let (lab, group, [_a, b]) = probing(|probe| probe);
    b.set(well('b', bad()));
    assert_eq!(health(&group, 'b'), Health::Fit, "nothing is known yet");
    lab.advance(seconds(1));
    assert_eq!(health(&group, 'b'), Health::Down);
}

#[test]
fn where_all_are_down_requests_are_refused() {
    let (lab, _group, upstreams) = probing(|probe| probe);
    upstreams.iter().for_each(|upstream| upstream.set(well('x', bad())));
    lab.advance(seconds(2));
    let reply = lab.get("/");
    let said = reply.header("proxy-status").unwrap_or_default();
    assert!(reply.status() == 503 && said.ends_with("error=destination_unavailable"), "{said}");
    assert_eq!(lab.stats().failure("no_endpoint"), 1);
    upstreams.iter().for_each(|upstream| upstream.set(well('x', ok())));
    lab.advance(seconds(4));
    assert_eq!(lab.get("/").status(), 200);
}

#[test]
fn statuses_and_a_body_can_be_expected() {
    for (set, answer, is_well) in [
        ((|probe| probe) as fn(Probe) -> Probe, (302, ""), true),
        (|probe| probe, (404, ""), false),
        (|probe| probe.expect_status([404]), (404, ""), true),
        (|probe| probe.expect_status([404]), (200, ""), false),
        (|probe| probe.expect_body("is well"), (200, "all is well"), true),
        (|probe| probe.expect_body("is well"), (200, "maintenance"), false),
        (|probe| probe.expect_body("is well"), (500, "all is well"), false),
    ] {
        let (lab, group, [_a, b]) = probing(set);
        b.set(well('b', Script::new().answer(answer.0, answer.1)));
        lab.advance(seconds(2));
        let expected = if is_well { Health::Fit } else { Health::Down };
        assert_eq!(health(&group, 'b'), expected, "{answer:?}: {:?}", trouble(&group, 'b'));
    }
}

#[test]
fn a_probe_says_what_it_was_told_to_say() {
    let (lab, _group, [a, _b]) =
        probing(|probe| probe.host("app.internal").header("Authorization", "Bearer x").method("OPTIONS"));
    lab.advance(seconds(2));
    let probe = probes(&a).pop().expect("it was probed");
    assert_eq!(probe.line(), "OPTIONS /healthz HTTP/1.1");
    assert_eq!(
        (probe.header("host"), probe.header("authorization")),
        (Some("app.internal"), Some("Bearer x"))
    );
}

#[test]
fn a_probe_that_only_connects_knows_who_takes_connections() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let probe = Probe::tcp().interval(seconds(1)).fall(2).rise(1);
    let group = group("ab").probe(probe);
    serve(&lab, Proxy::to(group.clone()));
    lab.advance(seconds(2));
    assert_eq!((health(&group, 'b'), b.requests()), (Health::Fit, 0));
    assert_eq!(b.open_connections(), 0, "it is closed again");
    b.refuse();
    lab.advance(seconds(4));
    assert_eq!(health(&group, 'b'), Health::Down);
    b.accept();
    lab.advance(seconds(2));
    assert_eq!(health(&group, 'b'), Health::Fit);
}

#[test]
fn an_endpoint_that_does_not_answer_its_probes_in_time_is_down() {
    type Stop = fn(&Upstream);
    let stops: [Stop; 3] = [
        |b| b.set(well('b', Script::new().stall())),
        |b| b.set(well('b', Script::new().send("HTTP/1.1 200 OK\r\nConte").stall())),
        |b| {
            b.hang();
            b.close_connections();
        },
    ];
    for stop in stops {
        let (lab, group, [_a, b]) = probing(|probe| probe);
        lab.advance(seconds(2));
        stop(&b);
        lab.advance(seconds(6));
        assert_eq!(health(&group, 'b'), Health::Down);
        let why = trouble(&group, 'b').expect("it is said why");
        assert!(why.contains("no answer within 500ms") || why.contains("in time"), "{why}");
        assert_eq!(ask_often(&lab, 10), "a".repeat(10));
        assert_eq!(b.open_connections(), 0, "nothing is left of the probes");
    }
}

#[test]
fn a_body_that_does_not_end_does_not_hold_a_probe_up() {
    let (lab, group, [_a, b]) = probing(|probe| probe.expect_body("never said"));
    b.set(well('b', Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").stall()));
    lab.advance(seconds(3));
    assert_eq!(health(&group, 'b'), Health::Down);
    assert_eq!(health(&group, 'a'), Health::Down, "it says something else");
}

#[test]
fn endpoints_are_not_all_probed_at_the_same_moment() {
    let lab = Lab::new();
    let urls: Vec<_> = (0..20).map(|number| format!("http://n{number}.test")).collect();
    let upstreams: Vec<_> = urls.iter().map(|url| lab.upstream(url, ok())).collect();
    let probe = Probe::http("/healthz").interval(seconds(1));
    serve(&lab, Proxy::to(Group::from(urls).probe(probe)));
    let probed = || upstreams.iter().map(Upstream::requests).sum::<usize>();
    for _ in 0..50 {
        let before = probed();
        lab.advance(Duration::from_millis(100));
        assert!(probed() - before < 10, "{} of 20 within a tenth of the interval", probed() - before);
    }
    for upstream in &upstreams {
        assert!((4..=7).contains(&upstream.requests()), "{} in five seconds", upstream.requests());
    }
}

#[test]
fn an_endpoint_that_is_removed_is_probed_no_more_and_one_that_is_added_is_probed() {
    let (lab, group, [a, b]) = probing(|probe| probe);
    lab.advance(seconds(3));
    group.remove("b.test:80").unwrap();
    lab.advance(seconds(2));
    let before = (a.requests(), b.requests());
    lab.advance(seconds(5));
    assert!(a.requests() > before.0 && b.requests() == before.1);
    let c = lab.upstream("http://c.test", well('c', bad()));
    group.add(eproxy_core::Endpoint::new("http://c.test")).unwrap();
    lab.advance(seconds(3));
    assert!(c.requests() > 0);
    assert_eq!(health(&group, 'c'), Health::Down);
}
