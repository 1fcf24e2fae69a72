//! Groups whose endpoints speak HTTP/2 or TLS: what is limited, and endpoints that come and go.

use std::time::Duration;

use eproxy_core::{Endpoint, Group, Proxy, Server, UpstreamOptions};

use crate::support::certificates::trusting;
use crate::support::http2::{Exchange, Http2};
use crate::support::http2_upstream::{Http2Upstream, Settings, echoing2, http2_upstream};
use crate::support::{Running, eventually, pause, start};
use crate::upstream::{Gate, gate};

const BOTH: [fn() -> Settings; 2] = [Settings::plain, Settings::secure];

fn serve(group: &Group) -> Running {
    start(Server::builder().workers(1).at("/*path", Proxy::to(group.clone())))
}

fn gated(settings: Settings, gate: Gate) -> Http2Upstream {
    http2_upstream(settings, move |asked| {
        gate.wait();
        asked.answer(200, &[], "ok");
    })
}

fn ask(client: &Http2, number: usize) -> Vec<Exchange> {
    (0..number).map(|_| client.ask("GET", "/x")).collect()
}

#[test]
fn an_endpoint_is_given_no_more_than_it_may_have_and_others_wait() {
    for settings in BOTH {
        let (open, gate) = gate();
        let upstream = gated(settings(), gate);
        let group =
            Group::from(upstream.url()).tls(trusting()).max_requests(2).queue(10, Duration::from_secs(10));
        let server = serve(&group);
        let client = Http2::to(server.address());
        let exchanges = ask(&client, 6);
        eventually("two are asked", || upstream.count() == 2);
        pause(50);
        assert_eq!((upstream.count(), server.stats().queued), (2, 4));
        for number in 3..=6 {
            open.send(()).expect("the upstream waits");
            eventually("the next one is asked", || upstream.count() == number);
        }
        open.send(()).expect("the upstream waits");
        open.send(()).expect("the upstream waits");
        for exchange in exchanges {
            assert_eq!(exchange.whole().text(), "ok");
        }
        // That they could share one over TLS is found out by the first.
        assert!(upstream.accepted() <= 2);
        assert_eq!(group.snapshot().endpoints[0].active, 0);
    }
}

#[test]
fn who_waits_and_is_gone_is_not_passed_on() {
    let (open, gate) = gate();
    let upstream = gated(Settings::plain(), gate);
    let group = Group::from(upstream.url()).max_requests(1).queue(10, Duration::from_secs(10));
    let server = serve(&group);
    let client = Http2::to(server.address());
    let mut exchanges = ask(&client, 3);
    eventually("the others wait", || server.stats().queued == 2);
    exchanges.remove(1).reset(h2::Reason::CANCEL);
    eventually("it is noticed", || server.failures("downstream_gone") == 1);
    open.send(()).expect("the upstream waits");
    open.send(()).expect("the upstream waits");
    for exchange in exchanges {
        assert_eq!(exchange.whole().text(), "ok");
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn an_endpoint_that_is_removed_finishes_what_it_has() {
    for settings in BOTH {
        let (open, gate) = gate();
        let leaving = gated(settings(), gate);
        let staying = echoing2(settings());
        let group = Group::from(leaving.url()).tls(trusting());
        let server = serve(&group);
        let client = Http2::to(server.address());
        let exchanges = ask(&client, 3);
        eventually("they are asked", || leaving.count() == 3);
        group.add(Endpoint::new(staying.url())).expect("it is new");
        group.remove(&leaving.url()).expect("it is there");
        for _ in 0..5 {
            assert_eq!(client.get("/y").text(), "/y");
        }
        (0..3).for_each(|_| open.send(()).expect("the upstream waits"));
        for exchange in exchanges {
            assert_eq!(exchange.whole().text(), "ok");
        }
        eventually("its connection is closed", || leaving.open() == 0);
        assert_eq!(leaving.count(), 3);
    }
}

#[test]
fn a_limit_of_no_streams_is_one_of_one() {
    let upstream = echoing2(Settings::plain());
    let options = UpstreamOptions { streams: 0, ..UpstreamOptions::default() };
    let proxy = Proxy::to(upstream.url()).upstream_options(options);
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    let client = Http2::to(server.address());
    for _ in 0..3 {
        assert_eq!(client.get("/x").text(), "/x");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn nothing_is_left_of_many_requests() {
    for settings in BOTH {
        let upstream = http2_upstream(settings(), |asked| match &*asked.seen.target.clone() {
            "/reset" => asked.reset(h2::Reason::INTERNAL_ERROR),
            "/half" => {
                asked.head(200, &[], false);
                let _sent = asked.try_send(vec![b'x'; 1000], false);
                asked.reset(h2::Reason::INTERNAL_ERROR);
            }
            _ => {
                let _broken = asked.try_read();
                asked.answer(200, &[], vec![b'x'; 1000]);
            }
        });
        let group = Group::from(upstream.url()).tls(trusting());
        let server = serve(&group);
        {
            let client = Http2::to(server.address());
            let mut http1 = server.connect();
            for round in 0..60 {
                let target = ["/ok", "/reset", "/half"][round % 3];
                let mut exchange = client.open("POST", target);
                let _cut = exchange.try_send(vec![b'x'; round * 997], true);
                // Some are given up at some point.
                match round % 5 {
                    0 => exchange.reset(h2::Reason::CANCEL),
                    1 => drop(exchange.try_head()),
                    _ => drop(exchange.try_whole()),
                }
                assert_eq!(http1.ask(crate::support::get("/ok")).body.len(), 1000);
            }
        }
        eventually("nothing is left", || server.stats().open == 0);
        eventually("nobody is busy", || group.snapshot().endpoints[0].active == 0);
        assert!(upstream.accepted() <= 2);
    }
}
