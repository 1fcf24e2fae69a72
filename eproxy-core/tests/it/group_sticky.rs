//! Clients that stay with the endpoint that has answered them, by a cookie.

use eproxy_core::testing::{Lab, Reply, Upstream};
use eproxy_core::{Balance, Group, Proxy, Sticky};

use crate::support::lab::{group, lettered, seconds, serve, url};

fn sticky() -> Sticky {
    Sticky::cookie("node").secret("known to all replicas")
}

fn sticking() -> (Lab, Group, [Upstream; 4]) {
    let (lab, upstreams) = lettered(['a', 'b', 'c', 'd']);
    let group = group("abcd").balance(Balance::RoundRobin).sticky(sticky());
    serve(&lab, Proxy::to(group.clone()));
    (lab, group, upstreams)
}

/// Asks with these cookies.
fn ask(lab: &Lab, cookies: &str) -> Reply {
    lab.ask(format!("GET / HTTP/1.1\r\nHost: test\r\nCookie: {cookies}\r\n\r\n"))
}

/// The cookie that an answer sets, as a client sends it.
fn cookie(reply: &Reply) -> Option<String> {
    Some(reply.header("set-cookie")?.split(';').next()?.to_owned())
}

/// Asks without a cookie until this endpoint has answered; gives the cookie that leads to it.
fn cookie_for(lab: &Lab, letter: &str) -> String {
    (0..20)
        .map(|_| lab.get("/"))
        .find(|reply| reply.text() == letter)
        .and_then(|reply| cookie(&reply))
        .expect("each endpoint has its turn, and sets a cookie")
}

#[test]
fn the_first_answer_sets_a_cookie_and_the_next_ones_need_not() {
    let (lab, _group, _upstreams) = sticking();
    let first = lab.get("/");
    let set = first.header("set-cookie").expect("a cookie is set");
    assert!(set.starts_with("node=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    let cookie = cookie(&first).unwrap();
    for cookies in [cookie.clone(), format!("a=b; {cookie}; c=d"), format!("node=\"{}\"", &cookie[5..])] {
        for _ in 0..10 {
            let reply = ask(&lab, &cookies);
            assert_eq!((reply.text(), reply.header("set-cookie")), (first.text(), None));
        }
    }
}

#[test]
fn a_cookie_leads_to_its_endpoint_through_whatever_replica() {
    let (lab, _group, _upstreams) = sticking();
    let cookies = ["a", "b", "c", "d"].map(|letter| cookie_for(&lab, letter));
    let (replica, _others) = lettered(['a', 'b', 'c', 'd']);
    serve(&replica, Proxy::to(group("dcba").sticky(sticky())));
    for (cookie, letter) in cookies.iter().zip(["a", "b", "c", "d"]) {
        let reply = ask(&replica, cookie);
        assert_eq!((reply.text(), reply.header("set-cookie")), (letter, None));
    }
}

#[test]
fn a_cookie_that_was_not_made_here_leads_nowhere_and_is_replaced() {
    let (lab, _group, _upstreams) = sticking();
    let true_one = cookie_for(&lab, "a");
    let (elsewhere, _others) = lettered(['a']);
    serve(&elsewhere, Proxy::to(group("a").sticky(Sticky::cookie("node").secret("another secret"))));
    let foreign = cookie(&elsewhere.get("/")).unwrap();
    let last = if true_one.ends_with('A') { 'B' } else { 'A' };
    let forged = format!("{}{last}", &true_one[..true_one.len() - 1]);
    for wrong in [foreign, forged, "node=".into(), "node=http://a.test".into(), "node".into()] {
        let said: Vec<_> = (0..8)
            .map(|_| {
                let reply = ask(&lab, &wrong);
                assert!(cookie(&reply).is_some_and(|cookie| cookie != wrong), "{wrong}");
                reply.text().to_owned()
            })
            .collect();
        for letter in ["a", "b", "c", "d"] {
            assert_eq!(said.iter().filter(|said| *said == letter).count(), 2, "{wrong}: {said:?}");
        }
    }
}

#[test]
fn a_client_whose_endpoint_is_gone_gets_another_and_a_new_cookie() {
    let (lab, group, [_a, b, ..]) = sticking();
    let old = cookie_for(&lab, "b");
    b.refuse();
    b.close_connections();
    let reply = ask(&lab, &old);
    assert_eq!(reply.status(), 200);
    assert_ne!(reply.text(), "b");
    let new = cookie(&reply).expect("a new cookie");
    let again = ask(&lab, &new);
    assert_eq!((again.text(), again.header("set-cookie")), (reply.text(), None));
    b.accept();
    lab.advance(seconds(1));
    assert_eq!(ask(&lab, &old).text(), "b", "the old one is as good as ever when its endpoint is back");
    group.remove(&url('b')).unwrap();
    let reply = ask(&lab, &old);
    assert!(reply.text() != "b" && cookie(&reply).is_some());
}

#[test]
fn an_endpoint_that_is_drained_keeps_its_clients_and_gets_no_new_ones() {
    let (lab, group, [_a, b, ..]) = sticking();
    let known = cookie_for(&lab, "b");
    group.drain(&url('b')).unwrap();
    let before = b.requests();
    assert!((0..40).all(|_| lab.get("/").text() != "b"));
    assert_eq!(b.requests(), before);
    for _ in 0..10 {
        let reply = ask(&lab, &known);
        assert_eq!((reply.text(), reply.header("set-cookie")), ("b", None));
    }
}

#[test]
fn an_endpoint_under_maintenance_does_not_even_keep_its_clients() {
    let (lab, group, _upstreams) = sticking();
    let known = cookie_for(&lab, "b");
    group.maintain(&url('b')).unwrap();
    let reply = ask(&lab, &known);
    assert_ne!(reply.text(), "b");
    assert!(cookie(&reply).is_some());
    group.resume(&url('b')).unwrap();
    assert_eq!(ask(&lab, &known).text(), "b");
}

#[test]
fn what_the_cookie_is_like_can_be_said() {
    let (lab, _upstreams) = lettered(['a']);
    serve(&lab, Proxy::to(group("a").sticky(sticky().secure().max_age(seconds(3600)))));
    let reply = lab.get("/");
    let set = reply.header("set-cookie").unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600"), "{set}");
}
