//! RFC 9113 §6.8, GOAWAY, of a server that shuts down: streams that were begun come to their end, others are known not to
//! have been looked at.

use std::thread;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::Shutdown;

use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::site::Site;
use crate::support::{PATIENCE, eventually};

/// Shuts the server down beside what the test does; says how that ended.
fn during_shutdown(site: &Site, deadline: Duration, run: impl FnOnce()) -> Shutdown {
    thread::scope(|scope| {
        let shutdown = scope.spawn(|| block_on(site.server.handle().shutdown(deadline)));
        run();
        shutdown.join().expect("a shutdown does not panic")
    })
}

/// The codes of a connection that ended in good order.
fn ended_well(client: &Client) {
    assert!(client.heard.is_closed);
    assert!(!client.heard.goaways.is_empty(), "it was told: {:?}", client.heard);
    let goaways = &client.heard.goaways;
    assert!(goaways.iter().all(|(_, code)| *code == NO_ERROR), "{goaways:?}");
}

#[test]
fn an_idle_connection_is_told_and_closed() {
    let site = Site::start();
    let mut fresh = Client::to(site.address());
    let mut used = Client::to(site.address());
    assert_eq!(used.ask("/").text(), "GET / [] ");
    let end = during_shutdown(&site, PATIENCE, || {
        fresh.read_to_end();
        used.read_to_end();
    });
    assert_eq!(end, Shutdown::Clean);
    ended_well(&fresh);
    ended_well(&used);
    assert_eq!(used.heard.goaways.last(), Some(&(1, NO_ERROR)));
}

#[test]
fn streams_in_flight_come_to_their_end() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let held = client.get("/held");
    let upload = client.request(&head("POST", "/upload"), false);
    client.refills = false;
    let long = client.get("/bytes/1000000");
    client.until("a part of it", |heard| {
        heard.answers.get(&long).is_some_and(|answer| answer.body.len() == 65_535)
    });
    eventually("it is with the handler", || site.held() == 1);
    let end = during_shutdown(&site, PATIENCE, || {
        client.until("it is told", |heard| !heard.goaways.is_empty());
        // The first may say that any stream is still looked at.
        client.send(ping([1; 8]));
        assert!(client.heard.goaways.iter().all(|(last, _)| *last >= long), "{:?}", client.heard.goaways);
        client.refills = true;
        client.open_window(0, 1 << 20);
        client.open_window(long, 1 << 20);
        assert!(client.body(upload, b"late", true));
        assert_eq!(client.answer(upload).text(), "POST /upload [] late");
        assert_eq!(client.answer(long).body.len(), 1_000_000);
        site.release();
        assert_eq!(client.answer(held).text(), "released");
        client.read_to_end();
    });
    assert_eq!(end, Shutdown::Clean);
    ended_well(&client);
    assert_eq!(client.heard.goaways.last(), Some(&(long, NO_ERROR)));
}

#[test]
fn streams_that_come_too_late_are_not_looked_at_or_answered() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let held = client.get("/held");
    eventually("it is with the handler", || site.held() == 1);
    let mut late = 0;
    let end = during_shutdown(&site, PATIENCE, || {
        client.until("it is told", |heard| !heard.goaways.is_empty());
        // Whatever was to be said in two steps was said when this is back.
        assert!(client.is_alive());
        late = client.get("/late");
        site.release();
        assert_eq!(client.answer(held).text(), "released");
        client.read_to_end();
    });
    assert_eq!(end, Shutdown::Clean);
    ended_well(&client);
    let (last, _) = client.heard.goaways.last().copied().expect("it was told");
    let answer = client.heard.answers.get(&late).cloned().unwrap_or_default();
    // Beyond the last stream nothing was done (§6.8); up to it everything was answered.
    let seen = site.calls() > 1;
    assert_eq!(seen, late <= last, "the last was {last}: {answer:?}");
    assert_eq!(answer.is_whole, seen, "the last was {last}: {answer:?}");
}

#[test]
fn what_is_not_done_by_the_deadline_is_broken_off() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let held = client.get("/held");
    eventually("it is with the handler", || site.held() == 1);
    let end = during_shutdown(&site, Duration::from_millis(100), || client.read_to_end());
    assert_eq!(end, Shutdown::Forced);
    let answer = client.heard.answers.get(&held).cloned().unwrap_or_default();
    assert!(!answer.is_whole, "{answer:?}");
    site.release();
}

#[test]
fn a_client_that_has_not_said_its_preface_does_not_hold_up_the_end() {
    let site = Site::start();
    let mut client = Client::silent(site.address());
    client.send(&PREFACE[..10]);
    let mut other = Client::silent(site.address());
    other.send(PREFACE);
    eventually("both are there", || site.server.stats().open == 2);
    let end = during_shutdown(&site, Duration::from_secs(2), || {
        other.read_to_end();
    });
    // Half a preface may be waited for, as half a request may.
    assert!(matches!(end, Shutdown::Clean | Shutdown::Forced));
}
