//! Requests that another endpoint of the group is asked after the first one has failed.

use std::time::Duration;

use eproxy_core::testing::{Lab, Reply, Script, Upstream};
use eproxy_core::{Balance, Done, Ejection, Group, Proxy, RetryBudget};

use crate::support::lab::{ask_often, between, counts, group, lettered, seconds, serve};
use crate::support::notes::Notes;

/// Two endpoints that take turns, the first of which does this.
fn failing(script: Script, set: impl FnOnce(Proxy) -> Proxy) -> (Lab, [Upstream; 2]) {
    let (lab, upstreams) = lettered(['a', 'b']);
    upstreams[0].set(script);
    let group = group("ab").balance(Balance::RoundRobin).retry_budget(plenty());
    serve(&lab, set(Proxy::to(group)));
    (lab, upstreams)
}

/// A budget that is no matter.
fn plenty() -> RetryBudget {
    RetryBudget { share: 10.0, least_per_second: 1000 }
}

fn ask(lab: &Lab, method: &str, fields: &str) -> Reply {
    lab.ask(format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n{fields}\r\nbody"))
}

/// Asks twice, so that each endpoint has its turn; gives the worse status.
fn worst(lab: &Lab, method: &str, fields: &str) -> u16 {
    let statuses = [0, 1].map(|_| ask(lab, method, fields).status());
    statuses[0].max(statuses[1])
}

#[test]
fn an_answer_that_counts_as_a_failure_is_asked_for_elsewhere() {
    for status in [502, 503, 504] {
        let bad = Script::new().answer(status, "bad");
        let (lab, [a, b]) = failing(bad, |proxy| proxy.retry_statuses([502, 503, 504]));
        assert_eq!(worst(&lab, "GET", ""), 200);
        assert_eq!((a.requests(), b.requests(), lab.stats().retries), (1, 2, 1), "{status}");
    }
    let (lab, _upstreams) = failing(Script::new().answer(500, "bad"), |proxy| proxy.retry_statuses([503]));
    assert_eq!(worst(&lab, "GET", ""), 500);
    let (lab, _upstreams) = failing(Script::new().answer(503, "bad"), |proxy| proxy);
    assert_eq!(worst(&lab, "GET", ""), 503);
}

#[test]
fn where_everybody_fails_the_last_answer_is_passed_on() {
    let (lab, [a, b]) =
        failing(Script::new().answer(503, "a"), |proxy| proxy.retry_statuses([503]).retries(5));
    b.set(Script::new().answer(503, "b"));
    let reply = lab.get("/");
    assert_eq!((reply.status(), a.requests(), b.requests()), (503, 1, 1));
}

#[test]
fn a_post_is_never_sent_twice_and_one_with_a_key_only_if_that_is_allowed() {
    let scripts = [Script::new().answer(503, "bad"), Script::new().close(), Script::new().reset()];
    for script in scripts {
        for (fields, allowed, is_repeated) in [
            ("", false, false),
            ("Idempotency-Key: 7\r\n", false, false),
            ("", true, false),
            ("Idempotency-Key: 7\r\n", true, true),
        ] {
            let (lab, [a, b]) = failing(script.clone(), |proxy| {
                let proxy = proxy.retry_statuses([503]);
                if allowed { proxy.retry_idempotency_keys() } else { proxy }
            });
            let status = worst(&lab, "POST", fields);
            assert_eq!(status == 200, is_repeated, "{script:?}, {fields}, {allowed}");
            assert_eq!(counts(&[a, b]), [1, 1 + usize::from(is_repeated)], "{script:?}, {fields}, {allowed}");
            assert_eq!(lab.stats().retries, u64::from(is_repeated));
        }
    }
}

#[test]
fn an_endpoint_that_takes_too_long_for_one_try_is_left_for_another() {
    let slow = Script::new().latency(seconds(30)).answer(200, "late");
    let (lab, [a, b]) = failing(slow, |proxy| proxy.attempt_timeout(seconds(2)));
    assert_eq!(worst(&lab, "GET", ""), 200);
    assert!(between(&lab, 2, 3), "{:?}", lab.now());
    assert_eq!(counts(&[a.clone(), b]), [1, 2]);
    assert_eq!((lab.stats().failure("attempt_timeout"), a.open_connections()), (1, 0));
}

#[test]
fn a_post_to_an_endpoint_that_takes_too_long_for_one_try_is_told_so() {
    let slow = Script::new().latency(seconds(30)).answer(200, "late");
    let (lab, [a, b]) = failing(slow, |proxy| proxy.attempt_timeout(seconds(2)));
    let replies = [0, 1].map(|_| ask(&lab, "POST", ""));
    let late = replies.iter().find(|reply| reply.status() == 504).expect("one was told so");
    assert!(late.header("proxy-status").is_some_and(|said| said.ends_with("error=http_response_timeout")));
    assert_eq!((counts(&[a, b]), lab.stats().failure("attempt_timeout")), ([1, 1], 1));
}

#[test]
fn a_trouble_that_lasts_is_not_multiplied() {
    const REQUESTS: usize = 4000;
    let (lab, upstreams) = lettered(['a', 'b', 'c']);
    upstreams.iter().for_each(|upstream| upstream.set(Script::new().answer(503, "")));
    serve(&lab, Proxy::to(group("abc")).retries(3).retry_statuses([503]));
    let client = lab.connect();
    for _ in 0..REQUESTS {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").status(), 503);
        lab.advance(Duration::from_millis(2));
    }
    let tries: usize = counts(&upstreams).into_iter().sum();
    let share = tries as f64 / REQUESTS as f64;
    assert!(share > 1.1 && share <= 1.21, "{share} tries for each request");
    let stats = lab.stats();
    assert_eq!(stats.retries as usize, tries - REQUESTS);
    assert!(stats.retries_denied > 0);
}

#[test]
fn tries_of_which_no_endpoint_has_seen_anything_are_not_charged() {
    let (lab, upstreams) = lettered(['a', 'b']);
    let ejection = Ejection { connect_errors: 0, ..Ejection::default() };
    let budget = RetryBudget { share: 0.0, least_per_second: 0 };
    let group = group("ab").balance(Balance::RoundRobin).ejection(ejection).retry_budget(budget);
    serve(&lab, Proxy::to(group).retry_statuses([503]));
    upstreams[0].refuse();
    assert_eq!(ask_often(&lab, 100), "b".repeat(100));
    let stats = lab.stats();
    assert!(stats.retries >= 50, "{}", stats.retries);
    assert_eq!((stats.retries, stats.retries_denied), (stats.failure("connect"), 0));
    upstreams[0].accept();
    upstreams[0].set(Script::new().answer(503, "a"));
    let said = ask_often(&lab, 10);
    assert_eq!((said.matches('a').count(), lab.stats().retries_denied), (5, 5));
}

#[test]
fn a_request_is_tried_eight_times_at_the_most() {
    let lab = Lab::new();
    let urls: Vec<_> = (0..20).map(|number| format!("http://n{number}.test")).collect();
    let upstreams: Vec<_> = urls.iter().map(|url| lab.upstream(url, Script::new().answer(503, ""))).collect();
    let group = Group::from(urls).retry_budget(plenty());
    serve(&lab, Proxy::to(group).retries(100).retry_statuses([503]));
    assert_eq!(lab.get("/").status(), 503);
    assert_eq!(upstreams.iter().map(Upstream::requests).sum::<usize>(), 8);
    upstreams.iter().for_each(|upstream| {
        upstream.refuse();
        upstream.close_connections();
    });
    assert_eq!(lab.get("/").status(), 502);
    assert_eq!(lab.stats().failure("connect"), 8);
}

#[test]
fn each_try_is_told_with_how_far_it_came() {
    let (lab, [a, b, c, _d]) = lettered(['a', 'b', 'c', 'd']);
    a.refuse();
    b.set(Script::new().close());
    c.set(Script::new().answer(503, "c"));
    let notes = Notes::default();
    let noted = notes.clone();
    let note = move |done: &mut Done| {
        for it in done.tries() {
            let sent = if it.bytes_sent() > 40 { "all sent" } else { "nothing sent" };
            noted.add(format!(
                "{}: {:?} {:?}, {:?} {:?}, {sent}, again: {}",
                it.upstream(),
                it.phase(),
                it.side(),
                it.status(),
                it.failure(),
                it.is_retryable()
            ));
        }
    };
    let chain = "abcd".chars().zip(0..).fold(Group::new().retry_budget(plenty()), |group, (letter, tier)| {
        group.with(eproxy_core::Endpoint::new(format!("http://{letter}.test")).priority(tier))
    });
    // Each failure has the next tier be asked.
    let ejection = Ejection { no_answers: 1, server_errors: 1, max_share: 1.0, ..Ejection::default() };
    serve(&lab, Proxy::to(chain.ejection(ejection)).retries(5).retry_statuses([503]).on_done(note));
    assert_eq!(lab.get("/").text(), "d");
    assert_eq!(
        notes.take(),
        [
            "a.test:80: Connect Some(Upstream), None Some(\"connect\"), nothing sent, again: true",
            "b.test:80: Wait Some(Upstream), None Some(\"upstream_closed\"), all sent, again: true",
            "c.test:80: Answer None, Some(503) None, all sent, again: false",
            "d.test:80: Answer None, Some(200) None, all sent, again: false",
        ]
    );
    // What may not be repeated is told as such.
    lab.advance(seconds(60));
    a.accept();
    a.set(Script::new().close());
    assert_eq!(ask(&lab, "POST", "").status(), 502);
    let told = notes.take();
    assert!(told[0].ends_with("all sent, again: false"), "{told:?}");
    assert_eq!(told.len(), 1);
}

#[test]
fn an_endpoint_that_rests_is_better_than_no_answer() {
    let lab = Lab::new();
    let a = lab.upstream("http://a.test", Script::new().answer(200, "a"));
    let b = lab.upstream("http://b.test", Script::new().answer(200, "b"));
    b.refuse();
    serve(&lab, Proxy::to(["http://a.test", "http://b.test"]));
    for _ in 0..4 {
        assert_eq!(lab.get("/").text(), "a");
    }
    b.accept();
    assert_eq!(lab.get("/").text(), "a", "the other rests");
    // The connection that was used is gone, and a new one ends without an answer: b is asked after all.
    a.close_connections();
    a.set(Script::new().close());
    assert_eq!(lab.get("/").text(), "b");
}
