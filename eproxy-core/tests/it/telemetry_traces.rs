//! Which trace requests are part of, as their upstreams are told.

use eproxy_core::testing::{Lab, Script, Seen, Upstream};
use eproxy_core::{Builder, Proxy, Server, Traces};

use crate::support::http2::Http2;
use crate::support::http2_upstream::{Settings, echoing2};
use crate::support::start;
use crate::upstream::echoing;

/// Where nobody collects anything: spans are dropped.
fn traces() -> Traces {
    Traces::to("http://127.0.0.1:9").sample(0.0)
}

fn lab(builder: Builder) -> (Lab, Upstream) {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", Script::new().answer(200, "hello"));
    lab.serve(builder.at("/*path", Proxy::to("http://app.test")));
    (lab, app)
}

fn ask(lab: &Lab, fields: &str) {
    let request = format!("GET / HTTP/1.1\nHost: test\n{fields}\n").replace('\n', "\r\n");
    assert_eq!(lab.ask(request).status(), 200);
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The parts of the one `traceparent` that an upstream was sent.
fn parts(value: Option<&str>) -> [String; 3] {
    let value = value.expect("it is told");
    assert_eq!(value.len(), 55, "{value}");
    let parts: Vec<&str> = value.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{value}");
    assert!(parts[1..].iter().all(|part| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))));
    assert!(parts[1] != "0".repeat(32) && parts[2] != "0".repeat(16), "{value}");
    [parts[1].into(), parts[2].into(), parts[3].into()]
}

fn parent(seen: &Seen) -> [String; 3] {
    assert_eq!(seen.headers().get_all("traceparent").count(), 1);
    parts(seen.header("traceparent"))
}

#[test]
fn a_trace_goes_on_with_another_parent_and_its_flag() {
    let (lab, app) = lab(Server::builder().traces(traces()));
    for flag in ["00", "01"] {
        ask(&lab, &format!("traceparent: 00-{TRACE}-{SPAN}-{flag}\ntracestate: congo=t61rcWkgMzE,rojo=1\n"));
        let seen = app.last_request();
        let [trace, span, flags] = parent(&seen);
        assert!(trace == TRACE && span != SPAN && flags == flag, "{trace} {span} {flags}");
        assert_eq!(seen.header("tracestate"), Some("congo=t61rcWkgMzE,rojo=1"));
    }
}

#[test]
fn what_is_malformed_begins_a_new_trace_and_its_state_is_forgotten() {
    let (lab, app) = lab(Server::builder().traces(traces()));
    for given in [
        String::new(),
        format!("traceparent: 00-{TRACE}-{SPAN}\n"),
        format!("traceparent: ff-{TRACE}-{SPAN}-01\n"),
        format!("traceparent: 00-{TRACE}-{SPAN}-01-extra\n"),
        format!("traceparent: 00-{}-{SPAN}-01\n", "0".repeat(32)),
        format!("traceparent: 00-{}-{SPAN}-01\n", TRACE.to_uppercase()),
        format!("traceparent: 00-{TRACE}-{SPAN}-01\ntraceparent: 00-{TRACE}-{SPAN}-01\n"),
    ] {
        ask(&lab, &format!("{given}tracestate: rojo=1\n"));
        let seen = app.last_request();
        let [trace, _, flags] = parent(&seen);
        assert!(trace != TRACE && flags == "00", "{given}");
        assert_eq!(seen.header("tracestate"), None, "{given}");
    }
}

#[test]
fn a_state_that_is_malformed_is_forgotten_and_its_trace_is_not() {
    let (lab, app) = lab(Server::builder().traces(traces()));
    ask(&lab, &format!("traceparent: 00-{TRACE}-{SPAN}-00\ntracestate: a=1,a=2\n"));
    let seen = app.last_request();
    assert_eq!((parent(&seen)[0].as_str(), seen.header("tracestate")), (TRACE, None));
}

#[test]
fn later_versions_are_gone_on_with_as_the_first() {
    let (lab, app) = lab(Server::builder().traces(traces()));
    ask(&lab, &format!("traceparent: 42-{TRACE}-{SPAN}-01-what-the-future-says\n"));
    assert_eq!(parent(&app.last_request())[0], TRACE);
}

#[test]
fn the_part_of_new_traces_that_is_sampled_says_so() {
    for (part, flag) in [(0.0, "00"), (1.0, "01")] {
        let (lab, app) = lab(Server::builder().traces(traces().sample(part)));
        ask(&lab, "");
        assert_eq!(parent(&app.last_request())[2], flag);
    }
}

#[test]
fn strangers_begin_a_trace_of_their_own_where_only_trusted_clients_are_believed() {
    for (trusted, is_taken) in [("10.0.0.0/8", false), ("192.0.2.0/24", true)] {
        let builder = Server::builder().traces(traces().trusted_only()).trusted_proxies([trusted]);
        let (lab, app) = lab(builder);
        ask(&lab, &format!("traceparent: 00-{TRACE}-{SPAN}-01\n"));
        assert_eq!(parent(&app.last_request())[0] == TRACE, is_taken);
    }
}

#[test]
fn every_attempt_is_a_parent_of_its_own() {
    let (lab, app) = lab(Server::builder().traces(traces()));
    app.set(Script::new().close());
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\ntraceparent: 00-{TRACE}-{SPAN}-01\r\n\r\n");
    // One over a connection that was used before is sent again.
    app.set(Script::new().answer(200, ""));
    lab.ask(&request);
    app.set(Script::new().close());
    lab.ask(&request);
    let parents: Vec<_> = app.seen().iter().map(parent).collect();
    assert!(parents.len() >= 3 && parents.iter().all(|[trace, ..]| trace == TRACE), "{parents:?}");
    let mut spans: Vec<_> = parents.iter().map(|[_, span, _]| span).collect();
    spans.sort();
    spans.dedup();
    assert_eq!(spans.len(), parents.len());
}

#[test]
fn without_traces_the_fields_pass_as_they_came() {
    let (lab, app) = lab(Server::builder());
    ask(&lab, "traceparent: whatever\ntracestate: a=1,a=2\n");
    let seen = app.last_request();
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some("whatever"), Some("a=1,a=2")));
}

#[test]
fn traces_pass_between_the_versions_of_http() {
    let (one, two) = (echoing(), echoing2(Settings::plain()));
    let server = start(
        Server::builder().traces(traces()).at("/one", Proxy::to(one.url())).at("/two", Proxy::to(two.url())),
    );
    let given = format!("00-{TRACE}-{SPAN}-01");
    let client = Http2::to(server.address());
    for target in ["/one", "/two"] {
        let mut request = client.request("GET", target);
        request.headers_mut().insert("traceparent", given.parse().unwrap());
        request.headers_mut().insert("tracestate", "rojo=1".parse().unwrap());
        assert_eq!(client.begin_request(request, true).whole().status, 200);
        server.ask(format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\ntraceparent: {given}\r\ntracestate: rojo=1\r\n\r\n"
        ));
    }
    for seen in one.seen() {
        let [parent] = &seen.values("traceparent")[..] else { panic!("{seen:?}") };
        assert_eq!(parts(Some(parent))[0], TRACE);
        assert_eq!(seen.values("tracestate"), ["rojo=1"]);
    }
    for seen in two.seen() {
        assert_eq!(parts(seen.field("traceparent"))[0], TRACE);
        assert_eq!(seen.field("tracestate"), Some("rojo=1"));
    }
    assert_eq!((one.count(), two.count()), (2, 2));
}
