//! Probes in gRPC: endpoints say themselves whether they are serving.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eproxy_core::{Group, Health, Probe, Proxy, Server};

use crate::support::certificates::trusting;
use crate::support::http2_upstream::{Asked, Http2Upstream, Settings, http2_upstream};
use crate::support::{Running, eventually, start};

/// What an endpoint says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// With a `ServingStatus`.
    Status(u8),
    /// In trailers behind nothing, and in the head.
    Code(&'static str),
    CodeInHead(&'static str),
    /// No word of gRPC.
    Http(u16),
    Nothing,
}

const SERVING: Says = Says::Status(1);

fn answer(asked: &mut Asked, says: Says) {
    let grpc = ("content-type", "application/grpc");
    asked.read();
    match says {
        Says::Status(status) => {
            asked.head(200, &[grpc], false);
            // In two pieces.
            asked.send([0, 0, 0, 0]);
            asked.send([2, 0x08, status]);
            asked.send_trailers(&[("grpc-status", "0")]);
        }
        Says::Code(code) => {
            asked.head(200, &[grpc], false);
            asked.send_trailers(&[("grpc-status", code)]);
        }
        Says::CodeInHead(code) => asked.head(200, &[grpc, ("grpc-status", code)], true),
        Says::Http(status) => asked.answer(status, &[("content-type", "text/plain")], "OK"),
        Says::Nothing => {
            let _gone = asked.was_reset();
        }
    }
}

/// An endpoint that says what it is told to, a group with it alone that asks in this way, and a server that has the group.
fn probed(settings: Settings, probe: Probe) -> (Arc<Mutex<Says>>, Http2Upstream, Group, Running) {
    let says = Arc::new(Mutex::new(SERVING));
    let told = says.clone();
    let upstream = http2_upstream(settings, move |asked| {
        let says = *told.lock().expect("nobody panics while holding this");
        answer(asked, says);
    });
    let probe = probe.interval(Duration::from_millis(20)).rise(1).fall(1);
    let group = Group::from(upstream.url()).tls(trusting()).probe(probe);
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(group.clone())));
    (says, upstream, group, server)
}

/// How the endpoint is, and why.
fn health(group: &Group) -> (Health, Option<String>) {
    let snapshot = group.snapshot();
    let endpoint = &snapshot.endpoints[0];
    (endpoint.health, endpoint.trouble.clone())
}

#[test]
fn an_endpoint_is_up_for_as_long_as_it_says_that_it_is_serving() {
    for settings in [Settings::plain(), Settings::secure()] {
        let (says, upstream, group, _server) = probed(settings, Probe::grpc());
        eventually("it was asked", || upstream.count() > 0);
        for (said, trouble) in [
            (Says::Status(2), "says that it is not serving"),
            (Says::Status(0), "says that it is not serving"),
            (Says::Code("12"), "answered with gRPC status UNIMPLEMENTED"),
            (Says::CodeInHead("5"), "answered with gRPC status NOT_FOUND"),
            (Says::CodeInHead("0"), "upstream sent a malformed answer"),
            (Says::Code("none"), "answered with gRPC status UNKNOWN"),
            (Says::Http(503), "answered with status 503"),
            (Says::Http(200), "upstream sent a malformed answer"),
        ] {
            *says.lock().expect("nobody panics while holding this") = said;
            eventually(&format!("it is down: {said:?}"), || {
                health(&group) == (Health::Down, Some(trouble.to_owned()))
            });
            *says.lock().expect("nobody panics while holding this") = SERVING;
            eventually("it is up again", || health(&group) == (Health::Fit, None));
        }
    }
}

#[test]
fn an_endpoint_that_says_nothing_is_late() {
    let probe = Probe::grpc().timeout(Duration::from_millis(100));
    let (says, _upstream, group, _server) = probed(Settings::plain(), probe);
    *says.lock().expect("nobody panics while holding this") = Says::Nothing;
    let late = (Health::Down, Some("no answer within 100ms".to_owned()));
    eventually("it is down", || health(&group) == late);
}

#[test]
fn a_service_is_asked_for_by_its_name() {
    let probe = Probe::grpc_service("shop.v1.Orders").host("orders.test").header("authorization", "Bearer x");
    let (_says, upstream, group, _server) = probed(Settings::plain(), probe);
    eventually("it has answered", || upstream.count() > 1);
    let seen = &upstream.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/grpc.health.v1.Health/Check"));
    assert_eq!((&*seen.scheme, &*seen.authority), ("http", "orders.test"));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "eproxy-probe"),
        ("authorization", "Bearer x"),
    ] {
        assert_eq!(seen.field(name), Some(value));
    }
    assert_eq!(seen.body, b"\0\0\0\0\x10\x0a\x0eshop.v1.Orders");
    assert_eq!(health(&group).0, Health::Fit);
}
