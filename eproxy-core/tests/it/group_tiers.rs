//! Who of a group may be chosen: tiers, zones, subsets, and endpoints that are new.

use std::time::Duration;

use eproxy_core::testing::{Lab, Upstream};
use eproxy_core::{Balance, Ejection, Endpoint, Group, Proxy};

use crate::support::lab::{ask_often, lettered, seconds, serve, url};

/// The letters of those who have answered.
fn who(lab: &Lab) -> String {
    let mut said: Vec<char> = ask_often(lab, 60).chars().collect();
    said.sort_unstable();
    said.dedup();
    said.into_iter().collect()
}

/// It takes no connections, and has none.
fn stop(upstream: &Upstream) {
    upstream.refuse();
    upstream.close_connections();
}

/// A group whose endpoints rest for a minute when they take no connection.
fn resting(endpoints: impl IntoIterator<Item = Endpoint>) -> Group {
    let ejection = Ejection { shortest: seconds(60), longest: seconds(60), ..Ejection::default() };
    endpoints.into_iter().fold(Group::new().ejection(ejection).balance(Balance::RoundRobin), Group::with)
}

#[test]
fn a_second_tier_is_asked_only_when_nobody_of_the_first_is_fit() {
    let (lab, [a, b, _c]) = lettered(['a', 'b', 'c']);
    let [a_url, b_url, c_url] = ['a', 'b', 'c'].map(url);
    serve(
        &lab,
        Proxy::to(resting([Endpoint::new(a_url), Endpoint::new(b_url), Endpoint::new(c_url).priority(1)])),
    );
    assert_eq!(who(&lab), "ab");
    stop(&a);
    assert_eq!(who(&lab), "b");
    stop(&b);
    assert_eq!(who(&lab), "c");
    a.accept();
    assert_eq!(who(&lab), "c", "it rests");
    lab.advance(seconds(61));
    assert_eq!(who(&lab), "a");
    b.accept();
    lab.advance(seconds(61));
    assert_eq!(who(&lab), "ab");
}

#[test]
fn a_tier_of_which_too_little_is_fit_is_left_for_one_that_is_better_off() {
    let (lab, [a, b, _c, _d]) = lettered(['a', 'b', 'c', 'd']);
    let tier = |letter, tier| Endpoint::new(url(letter)).priority(tier);
    let group = resting([tier('a', 0), tier('b', 0), tier('c', 0), tier('d', 1)]).failover_below(0.5);
    serve(&lab, Proxy::to(group));
    stop(&a);
    assert_eq!(who(&lab), "bc");
    stop(&b);
    assert_eq!(who(&lab).replace('c', ""), "d", "one of three is less than half");
    assert_eq!(who(&lab), "d");
    b.accept();
    lab.advance(seconds(61));
    who(&lab);
    assert_eq!(who(&lab), "bc");
}

#[test]
fn a_tier_of_which_everybody_is_drained_is_passed_over() {
    let (lab, _upstreams) = lettered(['a', 'b']);
    let group = resting([Endpoint::new(url('a')), Endpoint::new(url('b')).priority(7)]);
    serve(&lab, Proxy::to(group.clone()));
    assert_eq!(who(&lab), "a");
    group.drain(&url('a')).unwrap();
    assert_eq!(who(&lab), "b");
    group.resume(&url('a')).unwrap();
    assert_eq!(who(&lab), "a");
}

#[test]
fn the_own_zone_is_preferred_while_enough_of_it_is_fit() {
    let zoned = |prefer: fn(Group) -> Group| {
        let (lab, upstreams) = lettered(['a', 'b', 'c', 'd']);
        let zone = |letter, zone: &str| Endpoint::new(url(letter)).zone(zone);
        let group =
            resting([zone('a', "near"), zone('b', "near"), zone('c', "far"), Endpoint::new(url('d'))]);
        serve(&lab, Proxy::to(prefer(group)));
        (lab, upstreams)
    };
    let (lab, [a, b, ..]) = zoned(|group| group.prefer_zone("near"));
    assert_eq!(who(&lab), "ab");
    stop(&a);
    who(&lab);
    assert_eq!(who(&lab), "b", "half of it is enough");
    stop(&b);
    who(&lab);
    assert_eq!(who(&lab), "cd");
    a.accept();
    b.accept();
    lab.advance(seconds(61));
    who(&lab);
    assert_eq!(who(&lab), "ab");

    let (lab, [a, ..]) = zoned(|group| group.prefer_zone_while("near", 0.6));
    assert_eq!(who(&lab), "ab");
    stop(&a);
    who(&lab);
    assert_eq!(who(&lab), "bcd", "half of it is too little");

    let (lab, _upstreams) = zoned(|group| group.prefer_zone("nowhere"));
    assert_eq!(who(&lab), "abcd");
}

/// Asks for a version; gives the statuses and who has answered.
fn ask_for(lab: &Lab, version: &str) -> (u16, String) {
    let client = lab.connect();
    let replies: Vec<_> = (0..40)
        .map(|_| client.ask(format!("GET / HTTP/1.1\r\nHost: test\r\nX-Version: {version}\r\n\r\n")))
        .collect();
    let mut said: Vec<_> = replies.iter().filter(|it| it.status() == 200).map(|it| it.text()).collect();
    said.sort_unstable();
    said.dedup();
    (replies[0].status(), said.concat())
}

#[test]
fn a_header_names_the_subset_that_a_request_is_for() {
    for is_strict in [false, true] {
        let (lab, _upstreams) = lettered(['a', 'b', 'c', 'd']);
        let version = |letter, version: &str| Endpoint::new(url(letter)).label("version", version);
        let group = resting([
            version('a', "stable"),
            version('b', "stable"),
            version('c', "canary"),
            Endpoint::new(url('d')),
        ]);
        let group = match is_strict {
            false => group.subset_by("X-Version", "version"),
            true => group.subset_strictly_by("X-Version", "version"),
        };
        serve(&lab, Proxy::to(group.clone()));
        assert_eq!(ask_for(&lab, "stable"), (200, "ab".into()));
        assert_eq!(ask_for(&lab, "canary"), (200, "c".into()));
        assert_eq!(who(&lab), "abcd", "without the header anybody will do");
        let unknown = ask_for(&lab, "nightly");
        let expected = if is_strict { (503, String::new()) } else { (200, "abcd".into()) };
        assert_eq!(unknown, expected);
        assert_eq!(lab.stats().failure("no_endpoint"), if is_strict { 40 } else { 0 });
        group.add(version('e', "nightly")).unwrap();
        lab.upstream(&url('e'), crate::support::lab::saying('e'));
        assert_eq!(ask_for(&lab, "nightly"), (200, "e".into()));
    }
}

#[test]
fn an_endpoint_that_is_new_has_a_tenth_of_its_share_at_first_and_all_of_it_later() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let group = resting([Endpoint::new(url('a'))]).slow_start(seconds(10));
    serve(&lab, Proxy::to(group.clone()));
    ask_often(&lab, 10);
    lab.advance(seconds(11));
    group.add(Endpoint::new(url('b'))).unwrap();
    let mut seen = 0;
    let mut share = |after: Duration| {
        lab.advance(after);
        ask_often(&lab, 1100);
        let before = std::mem::replace(&mut seen, b.requests());
        (seen - before) as f64 / 1100.0
    };
    let shares = [0, 5, 6].map(|after| share(seconds(after)));
    for (share, expected) in shares.into_iter().zip([1.0 / 11.0, 1.0 / 3.0, 0.5]) {
        assert!((share - expected).abs() < 0.02, "{shares:?}");
    }
}

#[test]
fn an_endpoint_that_is_fit_again_starts_slowly_too() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let group = resting([Endpoint::new(url('a')), Endpoint::new(url('b'))]).slow_start(seconds(10));
    serve(&lab, Proxy::to(group));
    ask_often(&lab, 10);
    lab.advance(seconds(11));
    stop(&b);
    ask_often(&lab, 10);
    b.accept();
    lab.advance(seconds(61));
    let before = b.requests();
    ask_often(&lab, 1100);
    let share = (b.requests() - before) as f64 / 1100.0;
    assert!((share - 1.0 / 11.0).abs() < 0.02, "{share}");
}
