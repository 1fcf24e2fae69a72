//! What can be seen of a group while it is used.

use std::time::Duration;

use eproxy_core::testing::Script;
use eproxy_core::{Balance, Endpoint, Group, Health, Mode, Proxy};

use crate::support::get;
use crate::support::lab::{ask_often, group, lettered, saying, seconds, serve, url};

#[test]
fn endpoints_are_shown_as_they_were_described_and_as_they_are_now() {
    let (lab, _upstreams) = lettered(['a', 'b']);
    let group = Group::new()
        .with(Endpoint::new(url('a')).weight(3).priority(2).zone("eu"))
        .with(Endpoint::new("http://b.test:81/base"));
    serve(&lab, Proxy::to(group.clone()));
    let shown = |group: &Group| {
        let endpoints = group.snapshot().endpoints;
        endpoints
            .into_iter()
            .map(|it| (it.name, it.weight, it.priority, it.zone, it.mode))
            .collect::<Vec<_>>()
    };
    let (a, b) = (String::from("a.test:80"), String::from("b.test:81"));
    let eu = Some(String::from("eu"));
    assert_eq!(
        shown(&group),
        [(a.clone(), 3, 2, eu.clone(), Mode::Active), (b.clone(), 1, 0, None, Mode::Active)]
    );
    group.set_weight("a.test:80", 9).unwrap();
    group.drain("a.test:80").unwrap();
    group.maintain("http://b.test:81/base").unwrap();
    assert_eq!(shown(&group), [(a, 9, 2, eu, Mode::Draining), (b.clone(), 1, 0, None, Mode::Maintenance)]);
    assert_eq!(group.snapshot().endpoint(&b).unwrap().url, "http://b.test:81/base");
    assert!(group.snapshot().endpoint("c.test:80").is_none());
    group.remove("a.test:80").unwrap();
    assert_eq!(shown(&group).len(), 1);
}

#[test]
fn what_endpoints_did_is_counted() {
    let (lab, [a, b]) = lettered(['a', 'b']);
    a.set(Script::new().statuses([200, 500]));
    let group = group("ab").balance(Balance::RoundRobin);
    serve(&lab, Proxy::to(group.clone()));
    ask_often(&lab, 20);
    let of = |letter| group.snapshot().endpoint(&url(letter)).unwrap().clone();
    assert_eq!((of('a').attempts, of('a').answers, of('a').server_errors), (10, 10, 5));
    assert_eq!((of('b').attempts, of('b').answers, of('b').server_errors), (10, 10, 0));
    b.refuse();
    b.close_connections();
    ask_often(&lab, 2);
    assert_eq!((of('b').unreached, of('b').ejections, of('b').health), (1, 1, Health::Ejected));
    lab.advance(seconds(1));
    b.accept();
    b.set(Script::new().close());
    let posts =
        [0, 1].map(|_| lab.ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n").status());
    assert_eq!((of('b').unanswered, posts.iter().max()), (1, Some(&502)));
}

#[test]
fn requests_that_are_under_way_and_those_that_wait_are_shown() {
    let (lab, [a]) = lettered(['a']);
    a.set(saying('a').latency(seconds(1)));
    let group = group("a").max_requests(2).queue(10, seconds(60));
    serve(&lab, Proxy::to(group.clone()));
    let pending: Vec<_> = (0..5).map(|_| lab.send(get("/"))).collect();
    let snapshot = group.snapshot();
    assert_eq!((snapshot.endpoints[0].active, snapshot.waiting), (2, 3));
    assert_eq!(snapshot.endpoints[0].latency, None);
    pending.into_iter().for_each(|pending| assert_eq!(lab.wait(pending).status(), 200));
    let snapshot = group.snapshot();
    assert_eq!((snapshot.endpoints[0].active, snapshot.waiting), (0, 0));
    let latency = snapshot.endpoints[0].latency.expect("it has answered");
    assert!((Duration::from_millis(900)..Duration::from_millis(3100)).contains(&latency), "{latency:?}");
}

#[test]
fn a_group_that_several_proxies_use_is_one() {
    let (lab, [a]) = lettered(['a']);
    let group = group("a");
    lab.serve(
        eproxy_core::Server::builder()
            .at("/one/*path", Proxy::to(group.clone()))
            .at("/two/*path", Proxy::to(group.clone())),
    );
    assert_eq!((lab.get("/one/").text(), lab.get("/two/").text()), ("a", "a"));
    assert_eq!((group.snapshot().endpoints[0].answers, a.connections()), (2, 1));
    assert_eq!(format!("{group:?}").matches("a.test").count(), 1);
}
