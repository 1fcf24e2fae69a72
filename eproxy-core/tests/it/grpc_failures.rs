//! Failures of the proxy's own: calls of gRPC are told of them in its words, and others in those of HTTP.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use eproxy_core::{Group, Proxy, Server};
use h2::Reason;

use crate::support::http2::{Exchange, Head, Http2};
use crate::support::http2_upstream::{Settings, http2_upstream};
use crate::support::server::nobody;
use crate::support::{Running, crlf, eventually, start};

fn proxied(proxy: Proxy) -> Running {
    start(Server::builder().workers(1).at("/*path", proxy))
}

/// Begins a call, with one message that is empty.
fn call(client: &Http2, content_type: &str) -> Exchange {
    let mut request = client.request("POST", "/test.Test/Call");
    let fields = request.headers_mut();
    fields.insert("content-type", content_type.parse().expect("a value"));
    fields.insert("te", "trailers".parse().expect("a value"));
    let mut exchange = client.begin_request(request, false);
    // Whoever refuses it need not wait for that.
    let _gone = exchange.try_send([0; 5], true);
    exchange
}

/// The head of a call that has failed, in which all is said.
fn failed(mut exchange: Exchange) -> Head {
    let head = exchange.head();
    assert!(exchange.is_over(), "the head is all of it: {head:?}");
    assert_eq!((head.status, head.field("content-type")), (200, Some("application/grpc")));
    head
}

#[test]
fn an_endpoint_that_is_not_there_is_unavailable() {
    let server = proxied(Proxy::to(nobody()));
    let client = Http2::to(server.address());
    let head = failed(call(&client, "application/grpc+proto"));
    assert_eq!(head.field("grpc-status"), Some("14"));
    assert_eq!(head.field("grpc-message"), Some("upstream refused the connection"));
    assert_eq!(head.field("proxy-status"), Some("eproxy; error=connection_refused"));
    assert_eq!(server.failures("connect"), 1);
}

#[test]
fn what_is_no_call_is_told_in_words_of_http() {
    let server = proxied(Proxy::to(nobody()));
    let client = Http2::to(server.address());
    let head = call(&client, "application/json").head();
    assert_eq!((head.status, head.field("grpc-status")), (502, None));
}

#[test]
fn a_client_of_http_1_is_told_in_the_words_of_its_dialect() {
    let server = proxied(Proxy::to(nobody()));
    for content_type in ["application/grpc", "application/grpc-web", "application/grpc-web-text"] {
        let reply = server.ask(crlf(&format!(
            "POST /test.Test/Call HTTP/1.1\nHost: test\nContent-Type: {content_type}+proto\nContent-Length: 0\n\n"
        )));
        assert_eq!((reply.status, reply.header("grpc-status")), (200, Some("14")));
        assert_eq!((reply.header("content-type"), reply.body.len()), (Some(content_type), 0));
    }
}

#[test]
fn an_upstream_that_is_late_has_exceeded_the_deadline() {
    let upstream = http2_upstream(Settings::plain(), |asked| {
        asked.was_reset();
    });
    let server = proxied(Proxy::to(upstream.url()).timeout(Duration::from_millis(200)));
    let client = Http2::to(server.address());
    let head = failed(call(&client, "application/grpc"));
    assert_eq!(head.field("grpc-status"), Some("4"));
    assert_eq!(server.failures("upstream_head_timeout"), 1);
}

#[test]
fn a_limit_that_was_reached_is_a_resource_that_is_exhausted() {
    let upstream = http2_upstream(Settings::plain(), |asked| {
        asked.was_reset();
    });
    let server = proxied(Proxy::to(Group::from(upstream.url()).max_requests(1)).body_limit(1000));
    let client = Http2::to(server.address());
    let first = call(&client, "application/grpc");
    eventually("the first is with the upstream", || upstream.count() == 1);
    let head = failed(call(&client, "application/grpc"));
    assert_eq!((head.field("grpc-status"), head.field("retry-after")), (Some("8"), Some("1")));
    first.reset(Reason::CANCEL);
    eventually("there is room", || server.failures("downstream_gone") == 1);
    // A message that is too long.
    let mut long = client.request("POST", "/test.Test/Call");
    long.headers_mut().insert("content-type", "application/grpc".parse().expect("a value"));
    let mut long = client.begin_request(long, false);
    // The rest of it is not wanted.
    let _gone = long.try_send(vec![0; 2000], true);
    assert_eq!(failed(long).field("grpc-status"), Some("8"));
    assert_eq!(server.failures("body_too_large"), 1);
}

#[test]
fn an_answer_that_breaks_off_is_a_stream_that_was_reset() {
    let (go, going) = channel();
    let going = Mutex::new(going);
    let upstream = http2_upstream(Settings::plain(), move |asked| {
        asked.head(200, &[("content-type", "application/grpc")], false);
        asked.send([0; 5]);
        going.lock().expect("nobody panics while holding this").recv().expect("the test goes on");
        asked.reset(Reason::INTERNAL_ERROR);
    });
    let server = proxied(Proxy::to(upstream.url()));
    let client = Http2::to(server.address());
    let mut call = call(&client, "application/grpc");
    assert_eq!((call.head().status, call.at_least(5)), (200, vec![0; 5]));
    go.send(()).expect("the upstream waits");
    assert_eq!(call.rest(), (Vec::new(), Err(Some(Reason::INTERNAL_ERROR))));
}
