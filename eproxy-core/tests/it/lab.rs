//! What `eproxy_core::testing` promises: a server, its clients and its upstreams on one thread, with time moved by hand.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Proxy, Server};

/// A lab with a proxy for everything before this upstream.
fn lab(script: Script) -> (Lab, eproxy_core::testing::Upstream) {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", script);
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    (lab, app)
}

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
    assert!((200..=208).contains(&lab.now().as_secs()), "{:?}", lab.now());
}
