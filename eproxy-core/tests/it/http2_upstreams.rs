//! Connections to upstreams that speak HTTP/2: how many there are, how long they last, and what becomes of requests when
//! they end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eproxy_core::{Group, Health, Probe, Proxy, Server, UpstreamOptions};
use h2::Reason;

use crate::support::certificates::trusting;
use crate::support::http2::{Exchange, Http2};
use crate::support::http2_upstream::{Asked, Http2Upstream, Settings, echoing2, http2_upstream};
use crate::support::{Helper, Running, eventually, get, pause, post, start};
use crate::upstream::{Gate, gate, upstream};

const BOTH: [fn() -> Settings; 2] = [Settings::plain, Settings::secure];

fn to(upstream: &Http2Upstream) -> Group {
    Group::from(upstream.url()).tls(trusting())
}

fn serve(proxy: Proxy) -> Running {
    start(Server::builder().workers(1).at("/*path", proxy))
}

/// An upstream that answers each request once the gate was opened for it.
fn gated(settings: Settings, gate: Gate) -> Http2Upstream {
    http2_upstream(settings, move |asked| {
        asked.read();
        gate.wait();
        let target = asked.seen.target.clone();
        asked.answer(200, &[], target);
    })
}

#[test]
fn a_request_is_sent_as_http2_has_it() {
    for settings in BOTH {
        let upstream = echoing2(settings());
        let server = serve(Proxy::to(to(&upstream)));
        let mut client = server.connect();
        let request = "POST /a/b?c=%2f HTTP/1.1\r\nHost: Test:80\r\nX-Mixed: Case\r\nConnection: keep-alive, x-hop\r\n\
                       X-Hop: 1\r\nKeep-Alive: 5\r\nCookie: a=1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        let reply = client.ask(request);
        assert_eq!((reply.status, reply.text()), (200, "hi"));
        let seen = upstream.last();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/a/b?c=%2f"));
        assert_eq!(seen.authority, "Test:80");
        assert_eq!(seen.scheme, if upstream.url().starts_with("https") { "https" } else { "http" });
        assert_eq!((seen.field("x-mixed"), seen.field("cookie")), (Some("Case"), Some("a=1")));
        assert_eq!(seen.field("via"), Some("1.1 eproxy"));
        for name in ["host", "connection", "keep-alive", "x-hop", "transfer-encoding", "upgrade", "te"] {
            assert!(seen.field(name).is_none(), "{name}");
        }
        assert!(seen.field("x-forwarded-for").is_some());
    }
}

#[test]
fn the_version_of_each_side_is_named_where_it_was_received() {
    let upstream = echoing2(Settings::plain());
    let server = serve(Proxy::to(to(&upstream)));
    let client = Http2::to(server.address());
    assert_eq!(client.get("/x").status, 200);
    // RFC 9110 §7.6.3: what it was received in. A gateway need not tell clients who is behind it.
    assert_eq!(upstream.last().field("via"), Some("2.0 eproxy"));
}

#[test]
fn so_many_streams_as_the_options_say_and_then_another_connection() {
    for settings in BOTH {
        let (open, gate) = gate();
        let upstream = gated(settings(), gate);
        let options = UpstreamOptions { streams: 3, ..UpstreamOptions::default() };
        let server = serve(Proxy::to(to(&upstream)).upstream_options(options));
        let client = Http2::to(server.address());
        // What is spoken over TLS is known from the first connection on.
        open.send(()).expect("the upstream waits");
        assert_eq!(client.get("/first").text(), "/first");
        let exchanges: Vec<_> = (0..7).map(|number| client.ask("GET", &format!("/{number}"))).collect();
        eventually("all are asked", || upstream.count() == 8);
        assert_eq!(upstream.accepted(), 3);
        let seen = upstream.seen().split_off(1);
        for connection in 0..3 {
            assert!(seen.iter().filter(|seen| seen.connection == connection).count() <= 3);
        }
        (0..7).for_each(|_| open.send(()).expect("the upstream waits"));
        for (number, exchange) in exchanges.into_iter().enumerate() {
            assert_eq!(exchange.whole().text(), format!("/{number}"));
        }
        // They are used again.
        open.send(()).expect("the upstream waits");
        assert_eq!(client.get("/again").text(), "/again");
        assert_eq!(upstream.accepted(), 3);
    }
}

#[test]
fn no_more_streams_than_the_upstream_wants() {
    for settings in BOTH {
        let (open, gate) = gate();
        let upstream = gated(
            settings().codec(|codec| {
                codec.max_concurrent_streams(2);
            }),
            gate,
        );
        let server = serve(Proxy::to(to(&upstream)));
        let client = Http2::to(server.address());
        // What is wanted is known from the first answer on.
        open.send(()).expect("the upstream waits");
        assert_eq!(client.get("/first").text(), "/first");
        let exchanges: Vec<_> = (0..5).map(|number| client.ask("GET", &format!("/{number}"))).collect();
        eventually("all are asked", || upstream.count() == 6);
        (0..5).for_each(|_| open.send(()).expect("the upstream waits"));
        for (number, exchange) in exchanges.into_iter().enumerate() {
            assert_eq!(exchange.whole().text(), format!("/{number}"));
        }
        assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
    }
}

#[test]
fn a_hundred_requests_at_once_share_a_connection() {
    for settings in BOTH {
        let upstream = echoing2(settings());
        let server = serve(Proxy::to(to(&upstream)));
        let client = Http2::to(server.address());
        assert_eq!(client.get("/first").status, 200);
        // Less in all than what a client is sent before it takes any.
        let body = vec![b'x'; 600];
        for round in 0..3 {
            let exchanges: Vec<Exchange> = (0..100)
                .map(|_| {
                    let mut exchange = client.open("POST", "/");
                    exchange.send_end(&body[..]);
                    exchange
                })
                .collect();
            for exchange in exchanges {
                assert!(exchange.whole().body == body, "round {round}");
            }
        }
        assert_eq!(upstream.accepted(), 1);
    }
}

#[test]
fn those_who_come_while_a_connection_is_made_wait_for_it() {
    let upstream = echoing2(Settings::secure());
    let server = serve(Proxy::to(to(&upstream)));
    let client = Http2::to(server.address());
    assert_eq!(client.get("/first").text(), "/first");
    let made = upstream.accepted();
    drop(client);
    // That it speaks HTTP/2 is known by now.
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let replies: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            client.send(get("/x"));
            client
        })
        .collect();
    for mut client in replies {
        assert_eq!(client.reply().text(), "/x");
    }
    assert_eq!(upstream.accepted(), made);
}

#[test]
fn an_unused_connection_is_closed_and_another_one_made() {
    for settings in BOTH {
        let upstream = echoing2(settings());
        let options =
            UpstreamOptions { keep_alive: Duration::from_millis(150), ..UpstreamOptions::default() };
        let server = serve(Proxy::to(to(&upstream)).upstream_options(options));
        let mut client = server.connect();
        for _ in 0..4 {
            assert_eq!(client.ask(get("/x")).text(), "/x");
            pause(50);
        }
        assert_eq!(upstream.accepted(), 1);
        eventually("it is closed", || upstream.open() == 0);
        assert_eq!(client.ask(get("/y")).text(), "/y");
        assert_eq!(upstream.accepted(), 2);
    }
}

#[test]
fn a_connection_that_is_lost_is_replaced() {
    for settings in BOTH {
        let upstream = http2_upstream(settings(), |asked| {
            let target = asked.seen.target.clone();
            asked.answer(200, &[], target.clone());
            if target == "/last" {
                pause(50);
                asked.connection_is_cut();
            }
        });
        let server = serve(Proxy::to(to(&upstream)));
        let mut client = server.connect();
        for round in 1..4 {
            assert_eq!(client.ask(get("/last")).text(), "/last");
            eventually("it is lost", || upstream.open() == 0);
            pause(20);
            assert_eq!(client.ask(post("/x", "not to be repeated")).text(), "/x");
            assert_eq!(upstream.accepted(), round + 1);
        }
    }
}

#[test]
fn a_connection_that_leaves_finishes_what_it_has() {
    for settings in BOTH {
        let (open, gate) = gate();
        let upstream = http2_upstream(settings(), move |asked| {
            if asked.seen.target == "/wait" {
                asked.connection_leaves();
                gate.wait();
            }
            asked.read();
            let target = asked.seen.target.clone();
            asked.answer(200, &[], target);
        });
        let server = serve(Proxy::to(to(&upstream)));
        let client = Http2::to(server.address());
        let waiting = client.ask("GET", "/wait");
        eventually("it is asked", || upstream.count() == 1);
        pause(50);
        for _ in 0..5 {
            assert_eq!(client.post("/x", "not to be repeated").text(), "/x");
        }
        assert_eq!(upstream.accepted(), 2);
        open.send(()).expect("the upstream waits");
        assert_eq!(waiting.whole().text(), "/wait");
        eventually("the first has gone", || upstream.open() == 1);
        assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
    }
}

#[test]
fn a_client_that_is_gone_resets_its_stream_and_no_other() {
    for settings in BOTH {
        let resets = Arc::new(Mutex::new(Vec::new()));
        let noted = resets.clone();
        let upstream = http2_upstream(settings(), move |asked| match &*asked.seen.target.clone() {
            "/wait" => {
                let reason = asked.was_reset();
                noted.lock().expect("nobody panics").push(reason);
            }
            "/endless" => {
                asked.head(200, &[], false);
                while asked.try_send(vec![b'x'; 10_000], false).is_ok() {}
                noted.lock().expect("nobody panics").push(asked.was_reset());
            }
            "/upload" => {
                let end = asked.try_read().expect_err("it is broken off");
                noted.lock().expect("nobody panics").push(end);
            }
            target => asked.answer(200, &[], target),
        });
        let server = serve(Proxy::to(to(&upstream)));
        let mut number = 0;
        let mut is_reset = || {
            number += 1;
            eventually("the stream is reset", || resets.lock().expect("nobody panics").len() == number);
            assert_eq!(resets.lock().expect("nobody panics")[number - 1], Some(Reason::CANCEL));
        };
        // Over HTTP/1: the connection goes.
        let mut client = server.connect();
        client.send(get("/wait"));
        eventually("it is asked", || upstream.count() == 1);
        client.reset_on_drop();
        drop(client);
        is_reset();
        let mut client = server.connect();
        client.send(get("/endless"));
        assert_eq!(client.head().map(|head| head.status), Some(200));
        client.reset_on_drop();
        drop(client);
        is_reset();
        let mut client = server.connect();
        client.send(&post("/upload", vec![b'x'; 1000])[..500]);
        eventually("it is asked", || upstream.count() == 3);
        client.reset_on_drop();
        drop(client);
        is_reset();
        // Over HTTP/2: its stream does.
        let client = Http2::to(server.address());
        let exchange = client.ask("GET", "/wait");
        eventually("it is asked", || upstream.count() == 4);
        exchange.reset(Reason::CANCEL);
        is_reset();
        let mut exchange = client.ask("GET", "/endless");
        assert_eq!(exchange.head().status, 200);
        exchange.at_least(100_000);
        exchange.reset(Reason::CANCEL);
        is_reset();
        let mut exchange = client.open("POST", "/upload");
        exchange.send("half");
        eventually("it is asked", || upstream.count() == 6);
        exchange.reset(Reason::CANCEL);
        is_reset();
        assert_eq!(client.get("/x").text(), "/x");
        assert_eq!(upstream.accepted(), 1);
        eventually("they are counted", || {
            server.failures("downstream_gone") + server.failures("truncated") == 6
        });
    }
}

#[test]
fn probes_speak_what_the_endpoint_speaks() {
    for settings in BOTH {
        let is_well = Arc::new(AtomicUsize::new(1));
        let told = is_well.clone();
        let upstream = http2_upstream(settings(), move |asked| {
            let status = match (asked.seen.target.as_str(), told.load(Ordering::SeqCst)) {
                ("/healthz", 0) => 503,
                _ => 200,
            };
            asked.answer(status, &[], "ok");
        });
        let probe = Probe::http("/healthz").interval(Duration::from_millis(20)).rise(1).fall(1);
        let group = to(&upstream).probe(probe);
        let server = serve(Proxy::to(group.clone()));
        let healthy = || group.snapshot().endpoints.iter().all(|endpoint| endpoint.health == Health::Fit);
        let mut client = server.connect();
        eventually("it is probed", || upstream.count() > 2);
        assert!(healthy());
        assert_eq!(client.ask(get("/x")).status, 200);
        is_well.store(0, Ordering::SeqCst);
        eventually("it is down", || client.ask(get("/x")).status == 503);
        is_well.store(1, Ordering::SeqCst);
        eventually("it is up", || client.ask(get("/x")).status == 200);
        // Each probe has a connection of its own, and leaves it.
        eventually("probes are gone", || upstream.open() <= 2);
    }
}

#[test]
fn what_an_upstream_announces_late_holds_for_those_who_come_then() {
    // Nothing is known of it but that it speaks HTTP/2: requests wait in the codec rather than be lost.
    let upstream = echoing2(Settings::plain().codec(|codec| {
        codec.max_concurrent_streams(1);
    }));
    let server = serve(Proxy::to(to(&upstream)));
    let client = Http2::to(server.address());
    let exchanges: Vec<_> = (0..30).map(|number| client.ask("GET", &format!("/{number}"))).collect();
    for (number, exchange) in exchanges.into_iter().enumerate() {
        assert_eq!(exchange.whole().text(), format!("/{number}"));
    }
}

#[test]
fn who_does_not_speak_http2_is_a_bad_gateway() {
    let upstream = upstream(|peer| {
        peer.some();
        peer.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let url = upstream.url().replace("http://", "h2c://");
    let server = serve(Proxy::to(url));
    for _ in 0..3 {
        assert_eq!(server.connect().ask(post("/x", "body")).status, 502);
    }
    eventually("nothing is left", || upstream.open() == 0 && server.stats().open == 0);
}

#[test]
fn windows_hold_back_who_sends_too_much() {
    for settings in BOTH {
        let (open, gate) = gate();
        let upstream = http2_upstream(settings(), move |asked: &mut Asked| {
            gate.wait();
            asked.read();
            let length = asked.seen.body.len();
            asked.answer(200, &[], length.to_string());
        });
        let server = serve(Proxy::to(to(&upstream)));
        let client = Http2::to(server.address());
        let mut exchange = client.open("POST", "/");
        const MUCH: usize = 4 << 20;
        let sender = Helper::run(move || {
            exchange.send_end(vec![b'x'; MUCH]);
            exchange.whole()
        });
        eventually("it is asked", || upstream.count() == 1);
        pause(100);
        // Others are not held up by that.
        open.send(()).expect("the upstream waits");
        open.send(()).expect("the upstream waits");
        assert_eq!(client.post("/", "hello").text(), "5");
        assert_eq!(sender.join().text(), MUCH.to_string());
    }
}
