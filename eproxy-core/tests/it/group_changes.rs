//! Endpoints that come and go while requests are under way, none of which is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Balance, Endpoint, Group, Mode, Proxy, Server};

use crate::support::lab::{ask_often, group, lettered, saying, seconds, serve, url};
use crate::support::{Helper, get, start};
use crate::upstream::echoing;

fn by_turns(letters: &str) -> Group {
    group(letters).balance(Balance::RoundRobin)
}

/// The letters of those who answer now.
fn who(lab: &Lab) -> String {
    let mut said: Vec<char> = ask_often(lab, 20).chars().collect();
    said.sort_unstable();
    said.dedup();
    said.into_iter().collect()
}

#[test]
fn an_endpoint_that_is_added_has_its_share_at_once() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let group = by_turns("a");
    serve(&lab, Proxy::to(group.clone()));
    assert_eq!(who(&lab), "a");
    group.add(Endpoint::new(url('b'))).unwrap();
    ask_often(&lab, 20);
    assert_eq!(b.requests(), 10);
}

#[test]
fn an_endpoint_that_is_drained_maintained_or_removed_gets_nothing_new_and_finishes_what_it_has() {
    type Change = fn(&Group, &str) -> eproxy_core::Result<()>;
    let changes: [Change; 3] = [Group::drain, Group::maintain, Group::remove];
    for change in changes {
        let (lab, [_a, b]) = lettered(['a', 'b']);
        let begun = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
        b.set(Script::new().send(begun).pause(seconds(20)).send("56789"));
        let group = by_turns("ab");
        serve(&lab, Proxy::to(group.clone()));
        let pending: Vec<_> = (0..4).map(|_| lab.send(get("/"))).collect();
        assert_eq!(b.requests(), 2);
        change(&group, &url('b')).unwrap();
        assert_eq!(ask_often(&lab, 20), "a".repeat(20));
        let mut said: Vec<_> = pending.into_iter().map(|pending| lab.wait(pending)).collect();
        said.sort_by_key(|reply| reply.text().to_owned());
        assert!(said.iter().all(|reply| reply.status() == 200 && reply.is_whole()));
        assert_eq!(
            said.iter().map(|reply| reply.text()).collect::<Vec<_>>(),
            ["0123456789", "0123456789", "a", "a"]
        );
        assert_eq!(b.requests(), 2);
    }
}

#[test]
fn an_endpoint_that_is_resumed_has_its_share_again() {
    let (lab, _upstreams) = lettered(['a', 'b']);
    let group = by_turns("ab");
    serve(&lab, Proxy::to(group.clone()));
    for stop in [Group::drain, Group::maintain] {
        stop(&group, &url('b')).unwrap();
        assert_eq!(who(&lab), "a");
        group.resume(&url('b')).unwrap();
        assert_eq!(who(&lab), "ab");
    }
}

#[test]
fn the_idle_connections_of_an_endpoint_that_is_removed_are_closed() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let group = by_turns("ab");
    serve(&lab, Proxy::to(group.clone()));
    ask_often(&lab, 4);
    assert_eq!(b.open_connections(), 1);
    b.set(saying('b').latency(seconds(5)));
    let pending: Vec<_> = (0..4).map(|_| lab.send(get("/"))).collect();
    group.remove("b.test:80").unwrap();
    assert!(pending.into_iter().all(|pending| lab.wait(pending).status() == 200));
    ask_often(&lab, 2);
    assert_eq!(b.open_connections(), 0);
}

#[test]
fn the_connections_of_a_removed_endpoint_are_closed_though_nobody_asks_for_anything() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let group = by_turns("ab");
    serve(&lab, Proxy::to(group.clone()));
    ask_often(&lab, 4);
    assert_eq!(b.open_connections(), 1);
    group.remove("b.test:80").unwrap();
    lab.advance(seconds(2));
    assert_eq!(b.open_connections(), 0);
}

#[test]
fn when_nobody_is_left_requests_are_refused_until_somebody_comes() {
    let (lab, _upstreams) = lettered(['a', 'b']);
    let group = by_turns("a");
    serve(&lab, Proxy::to(group.clone()));
    group.remove(&url('a')).unwrap();
    let reply = lab.get("/");
    let said = reply.header("proxy-status").unwrap_or_default();
    assert!(reply.status() == 503 && said.ends_with("error=destination_unavailable"), "{said}");
    group.add(Endpoint::new(url('b'))).unwrap();
    assert_eq!(lab.get("/").text(), "b");
}

#[test]
fn a_weight_that_is_changed_counts_from_the_next_request_on() {
    let (lab, [_a, b]) = lettered(['a', 'b']);
    let group = by_turns("ab");
    serve(&lab, Proxy::to(group.clone()));
    ask_often(&lab, 20);
    assert_eq!(b.requests(), 10);
    group.set_weight(&url('b'), 4).unwrap();
    ask_often(&lab, 100);
    assert_eq!(b.requests(), 90);
    assert_eq!(group.snapshot().endpoint(&url('b')).unwrap().weight, 4);
}

#[test]
fn a_new_list_keeps_who_stays_with_all_that_is_known_of_it() {
    let (lab, [a, b, _c]) = lettered(['a', 'b', 'c']);
    let group = by_turns("ab");
    serve(&lab, Proxy::to(group.clone()));
    ask_often(&lab, 10);
    group.drain(&url('b')).unwrap();
    group.set_endpoints(["c", "b"].map(|letter| Endpoint::new(format!("http://{letter}.test")))).unwrap();
    assert_eq!(who(&lab), "c");
    assert_eq!(a.open_connections(), 0);
    let snapshot = group.snapshot();
    let names: Vec<_> = snapshot.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["b.test:80", "c.test:80"]);
    let kept = snapshot.endpoint(&url('b')).unwrap();
    assert_eq!((kept.mode, kept.answers, b.connections()), (Mode::Draining, 5, 1));
    let wrong = group.set_endpoints([Endpoint::new(url('a')), Endpoint::new("ftp://x.test")]);
    assert!(wrong.is_err());
    assert_eq!(group.snapshot().endpoints.len(), 2, "nothing has changed");
}

#[test]
fn what_can_not_be_done_is_said() {
    let group = by_turns("ab");
    let unknown = [
        group.drain("http://x.test"),
        group.maintain("x.test:80"),
        group.resume(""),
        group.remove("http://a.test/"),
        group.set_weight("http://x.test", 1),
    ];
    for end in unknown {
        let error = end.unwrap_err();
        assert_eq!(error.name(), "bad_option");
        assert!(error.to_string().contains("no upstream"), "{error}");
    }
    for weight in [0, 1001] {
        assert!(group.set_weight(&url('a'), weight).unwrap_err().to_string().contains("weight"));
    }
    let twice = group.add(Endpoint::new(url('a'))).unwrap_err();
    assert!(twice.to_string().contains("there already"), "{twice}");
    let twice = group.set_endpoints([Endpoint::new(url('c')), Endpoint::new(url('c'))]).unwrap_err();
    assert!(twice.name() == "bad_option" && twice.to_string().contains("twice"), "{twice}");
    assert_eq!(group.add(Endpoint::new("ftp://c.test")).unwrap_err().name(), "bad_option");
    assert_eq!(group.add(Endpoint::new(url('c')).weight(0)).unwrap_err().name(), "bad_option");
    assert_eq!(group.snapshot().endpoints.len(), 2);
}

#[test]
fn no_request_is_lost_while_another_thread_changes_the_endpoints_of_a_server_with_several_workers() {
    let upstreams = [echoing(), echoing(), echoing()];
    let urls = upstreams.each_ref().map(|upstream| upstream.url());
    let group = Group::from(urls.clone());
    let server = start(Server::builder().workers(3).at("/*path", Proxy::to(group.clone())));
    let is_over = Arc::new(AtomicBool::new(false));
    let changes = {
        let (group, is_over) = (group.clone(), is_over.clone());
        Helper::run(move || {
            let mut rounds = 0_u32;
            while !is_over.load(Ordering::SeqCst) {
                for url in &urls {
                    group.drain(url).expect("it is there");
                    std::thread::sleep(Duration::from_millis(1));
                    group.resume(url).expect("it is there");
                    group.set_weight(url, rounds % 1000 + 1).expect("it is there");
                    group.remove(url).expect("it is there");
                    std::thread::sleep(Duration::from_millis(1));
                    group.add(Endpoint::new(url)).expect("it is not there");
                }
                rounds += 1;
            }
            rounds
        })
    };
    let address = server.address();
    let clients: Vec<_> = (0..6)
        .map(|client| {
            Helper::run(move || {
                let mut connection = crate::support::Connection::to(address);
                for number in 0..300 {
                    let target = format!("/{client}/{number}");
                    let reply = connection.ask(get(&target));
                    assert_eq!((reply.status, reply.text()), (200, target.as_str()));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(Helper::join);
    is_over.store(true, Ordering::SeqCst);
    assert!(changes.join() > 0);
    assert_eq!(server.stats().requests, 1800);
}
