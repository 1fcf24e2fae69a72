//! Spans, as a collector gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{
    Answer, Endpoint, Group, Proxy, Request, RequestIds, Response, Server, Traces, UpstreamRequest,
};
use serde_json::Value;

use crate::support::{Running, eventually, get, start};
use crate::upstream::{Upstream, echoing, upstream};

/// A collector that answers so, one after the other, and the last for ever.
fn collector(answers: &'static [&'static str]) -> Upstream {
    collector_with(answers, "{}")
}

/// As [`collector`], with this body.
fn collector_with(answers: &'static [&'static str], body: &'static str) -> Upstream {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    upstream(move |peer| {
        while peer.next().is_some() {
            let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let answer = answers[number.min(answers.len() - 1)];
            peer.say(format!("HTTP/1.1 {answer}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    })
}

/// A span, with its attributes.
#[derive(Debug)]
struct Span {
    json: Value,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        let value = self.attributes.get(key)?;
        value["stringValue"].as_str().or_else(|| value["intValue"].as_str())
    }
}

fn attributes(list: &Value) -> BTreeMap<String, Value> {
    let pairs = list.as_array().expect("a list").iter();
    pairs.map(|pair| (pair["key"].as_str().expect("a key").to_owned(), pair["value"].clone())).collect()
}

/// The spans that a collector was sent, and has to have got with these fields.
fn spans(collector: &Upstream, service: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for seen in collector.seen() {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/traces"));
        assert_eq!(seen.values("content-type"), ["application/json"]);
        let body: Value = serde_json::from_slice(&seen.body).expect("a body in JSON");
        for resource in body["resourceSpans"].as_array().expect("a list") {
            let of = attributes(&resource["resource"]["attributes"]);
            assert_eq!(of["service.name"]["stringValue"], service);
            for span in resource["scopeSpans"][0]["spans"].as_array().expect("a list") {
                let attributes = attributes(&span["attributes"]);
                spans.push(Span { json: span.clone(), attributes });
            }
        }
    }
    spans
}

fn shut(server: Running) {
    block_on(server.handle().shutdown(Duration::from_secs(5)));
}

#[test]
fn an_exchange_and_its_attempts_are_spans_of_one_trace() {
    let (app, collector) = (echoing(), collector(&["200 OK"]));
    let group = Group::new()
        .with(Endpoint::new(crate::support::server::nobody()))
        .with(Endpoint::new(app.url()).priority(1))
        .name("api");
    let server = start(
        Server::builder()
            .request_ids(RequestIds::new())
            .traces(Traces::to(collector.url()).service("edge"))
            .at("/app/*path", Proxy::to(group))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let reply = server.ask(format!(
        "GET /app/x?token=s3cret HTTP/1.1\r\nHost: test\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    ));
    assert_eq!(reply.status, 200);
    server.ask(get("/hello"));
    server.ask(get("/missing"));
    shut(server);
    let spans = spans(&collector, "edge");
    assert!(collector.texts().iter().all(|text| !text.contains("s3cret")));
    let of_trace: Vec<_> = spans.iter().filter(|span| span.text("traceId") == trace).collect();
    let [failed, answered, exchange] = of_trace[..] else { panic!("{spans:#?}") };
    assert_eq!((exchange.text("name"), &exchange.json["kind"]), ("GET /app/*path", &Value::from(2)));
    assert_eq!(exchange.text("parentSpanId"), "00f067aa0ba902b7");
    assert_eq!(exchange.attribute("http.response.status_code"), Some("200"));
    assert_eq!(exchange.attribute("url.path"), Some("/app/x"));
    assert_eq!(exchange.attribute("eproxy.request_id"), reply.header("x-request-id"));
    assert_eq!(exchange.json["status"], serde_json::json!({}));
    for attempt in [failed, answered] {
        assert_eq!((attempt.text("name"), &attempt.json["kind"]), ("GET", &Value::from(3)));
        assert_eq!(attempt.text("parentSpanId"), exchange.text("spanId"));
        assert_eq!(attempt.attribute("eproxy.group"), Some("api"));
        let time = |span: &Span, key: &str| span.text(key).parse::<u64>().expect("nanoseconds");
        assert!(time(attempt, "startTimeUnixNano") >= time(exchange, "startTimeUnixNano"));
        assert!(time(attempt, "endTimeUnixNano") <= time(exchange, "endTimeUnixNano"));
    }
    assert_eq!(
        (failed.attribute("error.type"), &failed.json["status"]["code"]),
        (Some("connect"), &2.into())
    );
    assert_eq!(answered.attribute("http.response.status_code"), Some("200"));
    assert_eq!(answered.attribute("http.request.resend_count"), Some("1"));
    assert_eq!(app.last().values("traceparent"), [format!("00-{trace}-{}-01", answered.text("spanId"))]);
    let names: Vec<_> = spans.iter().map(|span| span.text("name")).filter(|name| *name != "GET").collect();
    assert_eq!(names, ["GET /app/*path", "GET /hello"]);
    let roots = spans.iter().filter(|span| span.json.get("parentSpanId").is_none()).count();
    assert_eq!(roots, 2);
}

#[test]
fn spans_are_what_the_conventions_for_http_say() {
    let app = upstream(|peer| {
        while let Some(seen) = peer.next() {
            let status = if seen.target.ends_with("/bad") { "503 No" } else { "404 No" };
            peer.say(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let collector = collector(&["200 OK"]);
    let server =
        start(Server::builder().traces(Traces::to(collector.url())).at("/app/*path", Proxy::to(app.url())));
    server.ask("GET /app/bad HTTP/1.1\r\nHost: a.test:8080\r\n\r\n");
    server.ask("BREW /app/tea HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    shut(server);
    let spans = spans(&collector, "eproxy");
    let [bad_try, bad, tea_try, tea] = &spans[..] else { panic!("{spans:#?}") };
    let (error, none) = (serde_json::json!({"code": 2}), serde_json::json!({}));
    for (span, name, kind, error_type, status) in [
        (bad_try, "GET", 3, Some("503"), &error),
        (bad, "GET /app/*path", 2, Some("503"), &error),
        (tea_try, "HTTP", 3, Some("404"), &error),
        (tea, "HTTP /app/*path", 2, None, &none),
    ] {
        assert_eq!((span.text("name"), &span.json["kind"]), (name, &Value::from(kind)));
        assert_eq!((span.attribute("error.type"), &span.json["status"]), (error_type, status), "{name}");
    }
    for span in [tea, tea_try] {
        assert_eq!(span.attribute("http.request.method"), Some("_OTHER"));
        assert_eq!(span.attribute("http.request.method_original"), Some("BREW"));
    }
    let server = |span: &Span| {
        let port = span.attributes["server.port"]["intValue"].as_str().expect("a number");
        format!("{} {port}", span.attribute("server.address").expect("a host"))
    };
    assert_eq!((server(bad).as_str(), server(tea).as_str()), ("a.test 8080", "::1 80"));
    assert_eq!(server(bad_try), app.url().trim_start_matches("http://").replace(':', " "));
}

#[test]
fn the_slower_of_two_that_were_asked_is_cancelled_and_no_error() {
    // It is asked first, and says nothing until it is let go.
    let slow = upstream(|peer| while peer.next().is_some() {});
    let (app, collector) = (echoing(), collector(&["200 OK"]));
    let group =
        Group::new().with(Endpoint::new(slow.url())).with(Endpoint::new(app.url()).priority(1)).name("api");
    let proxy = Proxy::to(group).hedge_after(Duration::from_millis(20));
    let server = start(Server::builder().traces(Traces::to(collector.url())).at("/*path", proxy));
    assert_eq!(server.ask(get("/")).status, 200);
    shut(server);
    let spans = spans(&collector, "eproxy");
    let [loser, winner, _] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((&loser.json["status"], loser.attribute("error.type")), (&serde_json::json!({}), None));
    assert_eq!(loser.attributes["eproxy.cancelled"]["boolValue"], true);
    assert_eq!(loser.attribute("http.response.status_code"), None);
    assert_eq!(winner.attribute("http.response.status_code"), Some("200"));
    assert!(!winner.attributes.contains_key("eproxy.cancelled"));
}

#[test]
fn what_a_hook_has_answered_was_no_attempt() {
    let (app, collector) = (echoing(), collector(&["200 OK"]));
    let hooked = Proxy::to(app.url()).on_upstream_request(|req: &mut UpstreamRequest| {
        req.headers().get("x-short").map(|_| Answer::new(403))
    });
    let server = start(Server::builder().traces(Traces::to(collector.url())).at("/*path", hooked));
    let mut client = server.connect();
    // The second finds a connection that was used before.
    for short in ["", "X-Short: 1\r\n"] {
        let status = client.ask(format!("GET /a HTTP/1.1\r\nHost: test\r\n{short}\r\n")).status;
        assert_eq!(status, if short.is_empty() { 200 } else { 403 });
    }
    // It is read while it is sent, and not before.
    let slow = "POST /a HTTP/1.1\r\nHost: test\r\nX-Short: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(client.ask(slow).status, 403);
    shut(server);
    let spans = spans(&collector, "eproxy");
    let names: Vec<_> = spans.iter().map(|span| span.text("name")).collect();
    assert_eq!(names, ["GET", "GET /*path", "GET /*path", "POST /*path"]);
    assert!(spans.iter().all(|span| span.json["status"] == serde_json::json!({})), "{spans:#?}");
}

#[test]
fn a_trace_that_is_not_sampled_is_not_sent() {
    let collector = collector(&["200 OK"]);
    let server = start(
        Server::builder()
            .traces(Traces::to(collector.url()).sample(0.0))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    server.ask(get("/hello"));
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    server.ask(format!("GET /hello HTTP/1.1\r\nHost: x\r\n{parent}-00\r\n\r\n"));
    server.ask(format!("GET /hello HTTP/1.1\r\nHost: x\r\n{parent}-01\r\n\r\n"));
    shut(server);
    assert_eq!(spans(&collector, "eproxy").len(), 1);
}

#[test]
fn a_collector_that_has_too_much_is_asked_again() {
    let collector = collector(&["503 Service Unavailable\r\nRetry-After: 0", "200 OK"]);
    let server = start(
        Server::builder()
            .traces(Traces::to(collector.url()).header("X-Key", "k"))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    server.ask(get("/hello"));
    eventually("it was asked twice", || collector.count() == 2);
    assert!(collector.seen().iter().all(|seen| seen.values("x-key") == ["k"]));
    let ids: Vec<_> = spans(&collector, "eproxy").iter().map(|span| span.text("spanId").to_owned()).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let metrics = server.handle().metrics();
    shut(server);
    assert_eq!(metrics.snapshot().spans_dropped, 0);
}

#[test]
fn what_a_collector_does_not_take_is_dropped_and_counted() {
    let rejected = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}"#;
    for collector in [collector(&["400 Bad Request"]), collector_with(&["200 OK"], rejected)] {
        let server = start(
            Server::builder()
                .traces(Traces::to(collector.url()))
                .get("/hello", |_: Request, res: Response| res.send("x")),
        );
        server.ask(get("/hello"));
        let dropped = || server.handle().metrics().snapshot().spans_dropped;
        eventually("the span is counted", || dropped() == 1);
        assert_eq!(server.ask(get("/hello")).status, 200);
        assert_eq!(collector.count(), 1);
    }
}
