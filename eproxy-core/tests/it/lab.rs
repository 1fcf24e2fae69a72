//! What `eproxy_core::testing` promises: a server, its clients and its upstreams on one thread, with time moved by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Group, Proxy, Request, Response, Server};

use crate::support::lab::{between, lab, seconds};

#[test]
fn a_request_goes_through_the_server_to_a_scripted_upstream_and_back() {
    let (lab, app) = lab(Script::new().answer(200, "from the app"));
    let reply = lab.get("/x?y");
    assert_eq!((reply.status(), reply.text(), reply.is_whole()), (200, "from the app", true));
    assert_eq!(reply.header("content-length"), Some("12"));
    assert_eq!((app.requests(), app.connections(), app.open_connections()), (1, 1, 1));
    assert_eq!(app.last_request().line(), "GET /x?y HTTP/1.1");
    assert_eq!(app.last_request().header("X-Forwarded-For"), Some("192.0.2.1"));
    assert_eq!((lab.now(), lab.stats().requests), (Duration::ZERO, 1));
}

#[test]
fn a_thousand_answers_that_take_200_milliseconds_each_take_no_time() {
    let (lab, app) = lab(Script::new().latency(Duration::from_millis(200)).answer(200, "late"));
    for _ in 0..1000 {
        assert_eq!(lab.get("/").text(), "late");
    }
    assert_eq!((app.requests(), app.connections()), (1000, 1));
    assert!(between(&lab, 200, 208), "{:?}", lab.now());
}

#[test]
fn a_minute_that_an_upstream_says_nothing_is_over_at_once() {
    let (lab, app) = lab(Script::new().stall());
    assert_eq!(lab.get("/").status(), 504);
    assert!(between(&lab, 60, 61), "{:?}", lab.now());
    assert_eq!((lab.stats().failure("upstream_head_timeout"), app.open_connections()), (1, 0));
}

#[test]
fn the_clock_stands_still_unless_something_is_waited_for() {
    let (lab, app) = lab(Script::new().latency(seconds(1)).answer(200, ""));
    let client = lab.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((app.requests(), lab.now()), (1, Duration::ZERO));
    assert!(client.received().is_empty() && !client.is_closed());
    lab.advance(Duration::from_millis(999));
    assert!(client.received().is_empty());
    assert_eq!(lab.now(), Duration::from_millis(999));
    lab.advance(Duration::from_millis(9));
    assert!(client.received().starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn everything_happens_at_its_time_however_far_the_clock_is_moved_at_once() {
    let script = |request: &eproxy_core::testing::Seen| {
        let late = request.header("X-Seconds").unwrap().parse().unwrap();
        Script::new().latency(seconds(late)).answer(200, late.to_string())
    };
    let (lab, _app) = lab(Script::from_request(script));
    let client = |late: u64| lab.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Seconds: {late}\r\n\r\n"));
    let pending: Vec<_> = [30, 10, 20, 40].into_iter().map(client).collect();
    lab.advance(seconds(3000));
    let replies: Vec<_> = pending.into_iter().map(|pending| lab.wait(pending).text().to_owned()).collect();
    assert_eq!(replies, ["30", "10", "20", "40"]);
    assert_eq!(lab.now(), seconds(3000));
}

#[test]
fn the_date_is_that_of_the_clock_in_the_lab() {
    let lab = Lab::new();
    lab.serve(Server::builder().get("/", |_: Request, res: Response| res.send("now")));
    assert_eq!(lab.get("/").header("date"), Some("Sat, 01 Jan 2000 00:00:00 GMT"));
    lab.advance(seconds(86_400 * 31 + 5));
    assert_eq!(lab.get("/").header("date"), Some("Tue, 01 Feb 2000 00:00:05 GMT"));
}

/// Says all that can be seen of a run in which much happens at once.
fn transcript() -> Vec<String> {
    let lab = Lab::new();
    let note = |name: &'static str| {
        Script::from_request(move |request| {
            let late = 10 * request.target().len() as u64 % 70;
            let script = Script::new().latency(Duration::from_millis(late));
            script.answer(200, format!("{name} {}", request.line()))
        })
    };
    let ups =
        ["http://a.test", "http://b.test", "http://c.test"].map(|url| lab.upstream(url, note(&url[7..8])));
    ups[2].set(Script::new().statuses([200, 503, 404]));
    let group = Group::new().endpoint("http://a.test", 2).endpoint("http://b.test", 1);
    let group = group.endpoint("http://c.test", 1);
    lab.serve(Server::builder().at("/*path", Proxy::to(group)));
    let send = |n: usize| lab.send(format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "x".repeat(n)));
    let pending: Vec<_> = (0..40).map(send).collect();
    ups[1].reset_connections();
    let mut said: Vec<_> = pending
        .into_iter()
        .map(|pending| {
            let reply = lab.wait(pending);
            format!("{:?} {} {}", lab.now(), reply.status(), reply.text())
        })
        .collect();
    said.extend(ups.iter().map(|up| format!("{} {}", up.requests(), up.connections())));
    said
}

#[test]
fn the_same_test_sees_the_same_things_in_the_same_order() {
    let first = transcript();
    assert!(first.iter().any(|line| line.contains("200 a GET")), "{first:#?}");
    for _ in 0..5 {
        assert_eq!(transcript(), first);
    }
}

#[test]
fn two_labs_on_one_thread_leave_each_other_alone() {
    let (one, app) = lab(Script::new().latency(seconds(3)).answer(200, "one"));
    let (other, _app) = lab(Script::new().answer(200, "other"));
    let pending = one.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(other.get("/").text(), "other");
    drop(other);
    assert_eq!(one.wait(pending).text(), "one");
    assert_eq!(app.requests(), 1);
}

/// What a panic says.
fn panic_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it panics");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().expect("panics say something").to_string(),
    }
}

#[test]
fn an_assertion_that_fails_in_the_middle_is_all_that_is_told() {
    let said = panic_of(|| {
        let (lab, app) = lab(Script::new().stall());
        let _client = lab.connect();
        let _pending = lab.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        let other = app.clone();
        drop(app);
        assert_eq!(other.requests(), 7, "that is the count");
    });
    assert!(said.contains("that is the count"), "{said}");
}

#[test]
fn an_assertion_that_fails_in_a_script_fails_the_test() {
    let said = panic_of(|| {
        let (lab, _app) = lab(Script::from_request(|request| {
            assert_eq!(request.target(), "/expected", "a request for it");
            Script::new().answer(200, "")
        }));
        lab.get("/other");
    });
    assert!(said.contains("a request for it"), "{said}");
}

#[test]
fn what_can_never_come_is_told_at_once() {
    let said = panic_of(|| Lab::new().until(|| false));
    assert!(said.contains("nothing is left that could happen"), "{said}");
    let said = panic_of(|| {
        Lab::new().get("/");
    });
    assert!(said.contains("call serve"), "{said}");
}

#[test]
fn what_is_left_of_a_lab_that_is_gone_does_nothing() {
    let (lab, app) = lab(Script::new().answer(200, ""));
    let client = lab.connect();
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n").status(), 200);
    drop(lab);
    app.close_connections();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(client.received().is_empty());
    assert_eq!(app.requests(), 1);
}
