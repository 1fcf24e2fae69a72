//! How many requests an endpoint has at once, and those that wait until it has room.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eproxy_core::testing::{Lab, Pending, Script, Seen, Upstream};
use eproxy_core::{AdaptiveLimit, Balance, Group, Proxy, Server};

use crate::support::lab::{counts, group, lettered, seconds, serve};
use crate::support::{Connection, Helper, PATIENCE, get, start};
use crate::upstream::{echo, upstream};

/// Answers after a second, with the target.
fn slow() -> Script {
    Script::from_request(|request: &Seen| Script::new().latency(seconds(1)).answer(200, request.target()))
}

/// One endpoint that takes a second for each request.
fn one(set: impl FnOnce(Group) -> Group) -> (Lab, Group, Upstream) {
    let (lab, [a]) = lettered(['a']);
    a.set(slow());
    let group = set(group("a"));
    serve(&lab, Proxy::to(group.clone()));
    (lab, group, a)
}

fn send_all(lab: &Lab, numbers: std::ops::Range<usize>) -> Vec<Pending> {
    numbers.map(|number| lab.send(get(&format!("/{number}")))).collect()
}

#[test]
fn an_endpoint_has_no_more_requests_at_once_than_it_may_have() {
    let (lab, upstreams) = lettered(['a', 'b']);
    upstreams.iter().for_each(|upstream| upstream.set(slow()));
    serve(&lab, Proxy::to(group("ab").max_requests(3)));
    let pending = send_all(&lab, 0..10);
    assert_eq!(counts(&upstreams), [3, 3]);
    let statuses: Vec<_> = pending.into_iter().map(|pending| lab.wait(pending).status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 6);
    assert_eq!((statuses[6..].to_vec(), lab.stats().failure("overloaded")), (vec![503; 4], 4));
    assert_eq!(lab.get("/").status(), 200, "there is room again");
}

#[test]
fn a_request_for_which_there_is_no_room_is_told_to_come_back() {
    let (lab, _group, _a) = one(|group| group.max_requests(1));
    let pending = lab.send(get("/"));
    let reply = lab.get("/");
    assert_eq!((reply.status(), reply.header("retry-after")), (503, Some("1")));
    let said = reply.header("proxy-status").unwrap_or_default();
    assert!(said.ends_with("error=connection_limit_reached"), "{said}");
    assert_eq!(lab.wait(pending).header("retry-after"), None);
}

#[test]
fn who_waits_is_served_in_the_order_of_coming() {
    let (lab, group, a) = one(|group| group.max_requests(1).queue(10, seconds(60)));
    let pending = send_all(&lab, 0..6);
    assert_eq!((a.requests(), group.snapshot().waiting, lab.stats().queued), (1, 5, 5));
    for number in 1..6 {
        lab.advance(Duration::from_millis(1010));
        assert_eq!(a.last_request().target(), format!("/{number}"));
        assert_eq!(group.snapshot().waiting, 5 - number);
    }
    let said: Vec<_> = pending.into_iter().map(|pending| lab.wait(pending).text().to_owned()).collect();
    assert_eq!(said, ["/0", "/1", "/2", "/3", "/4", "/5"]);
}

#[test]
fn who_waits_is_waited_for() {
    let (lab, _group, _a) = one(|group| group.max_requests(1).queue(10, seconds(60)));
    let mut pending = send_all(&lab, 0..4);
    assert_eq!(lab.wait(pending.pop().unwrap()).text(), "/3");
    assert!(crate::support::lab::between(&lab, 4, 5), "{:?}", lab.now());
}

#[test]
fn who_comes_later_does_not_overtake_those_who_wait() {
    let (lab, _group, a) = one(|group| group.max_requests(1).queue(10, seconds(60)));
    let early = send_all(&lab, 0..3);
    lab.advance(Duration::from_millis(1500));
    let late = send_all(&lab, 3..5);
    let all: Vec<_> = early.into_iter().chain(late).map(|pending| lab.wait(pending)).collect();
    assert!(all.iter().all(|reply| reply.status() == 200));
    let targets: Vec<_> = a.seen().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/0", "/1", "/2", "/3", "/4"]);
}

#[test]
fn a_line_that_is_full_takes_nobody() {
    let (lab, group, _a) = one(|group| group.max_requests(1).queue(2, seconds(60)));
    let pending = send_all(&lab, 0..3);
    let reply = lab.get("/late");
    assert_eq!((reply.status(), reply.header("retry-after")), (503, Some("1")));
    assert_eq!((lab.stats().failure("queue_full"), lab.now()), (1, Duration::ZERO));
    lab.advance(Duration::from_millis(1010));
    assert_eq!(group.snapshot().waiting, 1);
    let late = lab.send(get("/late"));
    assert!(pending.into_iter().chain([late]).all(|pending| lab.wait(pending).status() == 200));
}

#[test]
fn who_has_waited_for_too_long_is_sent_away() {
    let (lab, group, a) = one(|group| group.max_requests(1).queue(10, seconds(3)));
    a.set(Script::new().latency(seconds(10)).answer(200, ""));
    let (first, second) = (lab.send(get("/")), lab.send(get("/")));
    lab.advance(Duration::from_millis(2900));
    assert!(!second.is_answered());
    lab.advance(Duration::from_millis(200));
    assert!(second.is_answered());
    let reply = lab.wait(second);
    assert_eq!((reply.status(), reply.header("retry-after")), (503, Some("1")));
    assert_eq!((lab.stats().failure("queue_timeout"), group.snapshot().waiting), (1, 0));
    assert_eq!((lab.wait(first).status(), a.requests()), (200, 1));
}

#[test]
fn a_client_that_goes_away_while_it_waits_frees_its_place() {
    let (lab, group, a) = one(|group| group.max_requests(1).queue(2, seconds(60)));
    let mut pending = send_all(&lab, 0..3);
    drop(pending.remove(1));
    lab.advance(Duration::from_millis(100));
    pending.push(lab.send(get("/3")));
    assert_eq!(group.snapshot().waiting, 2);
    assert!(pending.into_iter().all(|pending| lab.wait(pending).status() == 200));
    let targets: Vec<_> = a.seen().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/0", "/2", "/3"]);
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_its_request_makes_room() {
    let (lab, _group, a) = one(|group| group.max_requests(1).queue(2, seconds(60)));
    a.set(Script::new().stall());
    let first = lab.send(get("/first"));
    let second = lab.send(get("/second"));
    a.set(Script::new().answer(200, "there is room"));
    drop(first);
    assert_eq!(lab.wait(second).text(), "there is room");
}

#[test]
fn who_waits_is_served_by_an_endpoint_that_comes_meanwhile() {
    let (lab, group, a) = one(|group| group.max_requests(1).queue(10, seconds(60)));
    a.set(Script::new().latency(seconds(30)).answer(200, "a"));
    let pending = send_all(&lab, 0..2);
    lab.upstream("http://b.test", Script::new().answer(200, "b"));
    group.add(eproxy_core::Endpoint::new("http://b.test")).unwrap();
    lab.advance(seconds(2));
    assert_eq!(pending.iter().map(Pending::is_answered).collect::<Vec<_>>(), [false, true]);
    let said: Vec<_> = pending.into_iter().map(|pending| lab.wait(pending).text().to_owned()).collect();
    assert_eq!(said, ["a", "b"]);
}

#[test]
fn a_limit_that_follows_the_latency_shrinks_where_requests_wait_for_each_other_and_grows_again() {
    let (lab, [a]) = lettered(['a']);
    let limit = AdaptiveLimit { least: 2, first: 20, most: 100, ..AdaptiveLimit::default() };
    serve(&lab, Proxy::to(group("a").adaptive_limit(limit).balance(Balance::RoundRobin)));
    let (behind, queues) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (counted, is_slow) = (behind.clone(), queues.clone());
    a.set(Script::from_request(move |_| {
        counted.set(counted.get() + 1);
        let turns = if is_slow.get() { counted.get() / 4 } else { 0 };
        Script::new().latency(Duration::from_millis(10 + 10 * turns)).answer(200, "")
    }));
    // How many of 60 requests at once find room.
    let admitted = || {
        behind.set(0);
        let pending: Vec<_> = (0..60).map(|_| lab.send(get("/"))).collect();
        pending.into_iter().map(|pending| lab.wait(pending)).filter(|reply| reply.status() == 200).count()
    };
    let after = |rounds| {
        let _before: Vec<usize> = (1..rounds).map(|_| admitted()).collect();
        admitted()
    };
    assert_eq!(admitted(), 20);
    let grown = after(60);
    assert!(grown > 22, "{grown} at once");
    queues.set(true);
    let shrunk = after(60);
    assert!(shrunk < grown * 3 / 4 && shrunk >= 2, "{shrunk} at once, after {grown}");
    queues.set(false);
    let again = after(60);
    assert!(again > shrunk, "{again} at once, after {shrunk}");
}

#[test]
fn nobody_starves_where_requests_of_several_workers_wait_for_the_same_room() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (now.clone(), most.clone());
    let app = upstream(move |peer| {
        while let Some(seen) = peer.next() {
            peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            counted.fetch_sub(1, Ordering::SeqCst);
            peer.say(echo(&seen));
        }
    });
    let group = Group::from(app.url()).max_requests(2).queue(100, PATIENCE * 2);
    let server = start(Server::builder().workers(3).at("/*path", Proxy::to(group.clone())));
    let address = server.address();
    let clients: Vec<_> = (0..12)
        .map(|client| {
            Helper::run(move || {
                let mut connection = Connection::to(address);
                for number in 0..150 {
                    let target = format!("/{client}/{number}");
                    let reply = connection.ask(get(&target));
                    assert_eq!((reply.status, reply.text()), (200, target.as_str()));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(Helper::join);
    assert!(most.load(Ordering::SeqCst) <= 2, "{} at once", most.load(Ordering::SeqCst));
    assert!(server.stats().queued > 0);
    assert_eq!((group.snapshot().waiting, group.snapshot().endpoints[0].active), (0, 0));
}
