//! What clients, hooks and logs are told of groups, and what a breaker keeps from others.

use std::sync::{Arc, Mutex};

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Balance, Breaker, Done, Ejection, Group, Health, Phase, Proxy, Server};

use crate::support::lab::seconds;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// A lab in which everything goes to this proxy, and what `on_done` tells of its tries.
fn telling(proxy: Proxy) -> (Lab, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = told.clone();
    let proxy = proxy.on_done(move |done: &mut Done| {
        let tries = done.tries().iter().map(|attempt| {
            assert_eq!(attempt.bytes_sent() == 0, attempt.phase() == Phase::Connect, "{attempt}");
            let end = attempt
                .status()
                .map_or_else(|| attempt.failure().map(str::to_owned), |it| Some(it.to_string()));
            format!("{} {}", attempt.upstream(), end.unwrap_or_default())
        });
        note.lock().expect("nobody has panicked").push(tries.collect::<Vec<_>>().join(", "));
    });
    let lab = Lab::new();
    lab.serve(Server::builder().at("/*path", proxy));
    (lab, told)
}

#[test]
fn every_try_is_told_whether_or_not_anything_had_to_be_waited_for() {
    let (lab, told) = telling(Proxy::to("http://app.test"));
    let app = lab.upstream("http://app.test", Script::new().answer(200, "hello"));
    // The first one needs a connection, the second finds it there.
    assert_eq!((lab.get("/").status(), lab.get("/").status()), (200, 200));
    assert_eq!(app.connections(), 1);
    assert_eq!(*told.lock().unwrap(), ["app.test:80 200", "app.test:80 200"]);
}

#[test]
fn a_try_that_was_sent_at_once_and_failed_has_sent_its_bytes() {
    let group = Group::from(["http://one.test", "http://two.test"]).balance(Balance::RoundRobin);
    let (lab, told) = telling(Proxy::to(group));
    let one = lab.upstream("http://one.test", Script::new().answer(200, "one"));
    let _two = lab.upstream("http://two.test", Script::new().answer(200, "two"));
    assert_eq!((lab.get("/").status(), lab.get("/").status()), (200, 200));
    told.lock().unwrap().clear();
    one.set(Script::new().close());
    assert_eq!((lab.get("/").text(), lab.get("/").text()), ("two", "two"));
    let mut told = told.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, ["one.test:80 upstream_closed, two.test:80 200", "two.test:80 200"]);
}

#[test]
fn who_is_refused_for_want_of_room_is_told_to_come_back() {
    let group = || Group::from("http://app.test").max_requests(1);
    for (group, name) in [(group(), "overloaded"), (group().queue(1, seconds(2)), "queue_timeout")] {
        let lab = Lab::new();
        let _app = lab.upstream("http://app.test", Script::new().stall());
        lab.serve(Server::builder().at("/*path", Proxy::to(group)));
        let _busy = lab.send(GET);
        let reply = lab.get("/");
        assert_eq!((reply.status(), reply.header("Retry-After")), (503, Some("1")), "{name}");
        assert_eq!(lab.stats().failure(name), 1);
    }
}

#[test]
fn an_endpoint_whose_breaker_has_its_trials_under_way_costs_the_others_nothing() {
    for balance in [Balance::PeakEwma, Balance::LeastRequests, Balance::RoundRobin, Balance::Random] {
        let group = Group::from(["http://good.test", "http://bad.test"])
            .balance(balance.clone())
            .ejection(Ejection { connect_errors: 0, no_answers: 0, ..Ejection::default() })
            .breaker(Breaker { failures: 1, open: seconds(5), ..Breaker::default() });
        let lab = Lab::new();
        let good = lab.upstream("http://good.test", Script::new().answer(200, "good"));
        let bad = lab.upstream("http://bad.test", Script::new().close());
        lab.serve(Server::builder().at("/*path", Proxy::to(group.clone())));
        let health = || group.snapshot().endpoint("http://bad.test").unwrap().health;
        for _ in 0..100 {
            assert_eq!(lab.get("/").text(), "good", "{balance:?}");
        }
        assert_eq!((health(), bad.requests()), (Health::Broken, 1), "{balance:?}");
        // The trial, which takes its time; by then nobody remembers how long the last answer took.
        lab.advance(seconds(31));
        bad.set(Script::new().stall());
        let mut pending = Vec::new();
        while bad.requests() < 2 {
            assert!(pending.len() < 1000, "it is never tried out: {balance:?}");
            pending.push(lab.send(GET));
        }
        let before = good.requests();
        for _ in 0..200 {
            assert_eq!(lab.get("/").text(), "good", "{balance:?}");
        }
        assert_eq!((good.requests() - before, bad.requests()), (200, 2), "{balance:?}");
    }
}
