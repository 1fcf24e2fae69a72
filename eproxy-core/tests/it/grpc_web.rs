//! gRPC-Web: calls as browsers make them, for upstreams that speak gRPC.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use eproxy_core::{Proxy, ProxyRequest, Server};

use crate::support::http2::{Answer, Http2};
use crate::support::http2_upstream::{Asked, Http2Upstream, Settings, http2_upstream};
use crate::support::wire::Reply;
use crate::support::{Running, crlf, start};

/// A message of five bytes, in its frame.
const HELLO: &[u8] = b"\0\0\0\0\x05hello";

/// The trailers of a call that went well, in their frame.
const WELL: &[u8] = b"\x80\0\0\0\x1egrpc-status: 0\r\nx-final: yes\r\n";

const NATIVE: (&str, &str) = ("content-type", "application/grpc+proto");

/// Says again what it was told, and that all is well.
fn echo(asked: &mut Asked) {
    asked.read();
    asked.head(200, &[NATIVE, ("trailer", "grpc-status")], false);
    asked.send(asked.seen.body.clone());
    asked.send_trailers(&[("grpc-status", "0"), ("x-final", "yes")]);
}

fn proxied(upstream: &Http2Upstream) -> Running {
    start(Server::builder().workers(1).at("/*path", Proxy::to(upstream.url()).grpc_web()))
}

fn post(content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let (body, length) = (body.as_ref(), body.as_ref().len());
    let head = crlf(&format!(
        "POST /test.Test/Call HTTP/1.1\nHost: test\nContent-Type: {content_type}\nContent-Length: {length}\n\n"
    ));
    [&head, body].concat()
}

fn call(server: &Running, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    server.ask(post(content_type, body))
}

fn call_by_http2(server: &Running, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let client = Http2::to(server.address());
    let mut request = client.request("POST", "/test.Test/Call");
    request.headers_mut().insert("content-type", content_type.parse().expect("a value"));
    let mut exchange = client.begin_request(request, false);
    exchange.send_end(body);
    exchange.whole()
}

/// What pieces in base64, each of them padded, stand for.
fn decoded(text: &[u8]) -> Vec<u8> {
    assert!(text.len().is_multiple_of(4), "{text:?}");
    text.chunks(4).flat_map(|group| base64::decode(group).expect("base64")).collect()
}

#[test]
fn a_call_becomes_one_of_grpc_and_its_trailers_the_last_frame() {
    let upstream = http2_upstream(Settings::plain(), echo);
    let server = proxied(&upstream);
    for _ in 0..2 {
        let reply = call(&server, "application/grpc-web+proto", HELLO);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/grpc-web+proto")));
        assert_eq!((reply.body, reply.trailers), ([HELLO, WELL].concat(), Vec::new()));
        assert!(!reply.headers.iter().any(|(name, _)| name == "trailer"));
        let seen = upstream.last();
        assert_eq!((seen.field("content-type"), seen.field("te")), (Some(NATIVE.1), Some("trailers")));
        assert_eq!(seen.body, HELLO);
    }
}

#[test]
fn a_client_of_http2_gets_the_same() {
    let upstream = http2_upstream(Settings::plain(), echo);
    let server = proxied(&upstream);
    let answer = call_by_http2(&server, "application/grpc-web", HELLO);
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/grpc-web+proto")));
    assert_eq!(answer.body, [HELLO, WELL].concat());
    assert!(answer.trailers.is_empty());
    assert_eq!(upstream.last().field("content-type"), Some("application/grpc"));
}

#[test]
fn text_is_decoded_on_its_way_and_encoded_on_its_way_back() {
    let upstream = http2_upstream(Settings::plain(), echo);
    let server = proxied(&upstream);
    let text = base64::encode(HELLO);
    let reply = call(&server, "application/grpc-web-text+proto", &text);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/grpc-web-text+proto")));
    assert_eq!(decoded(&reply.body), [HELLO, WELL].concat());
    assert_eq!((upstream.last().body, upstream.last().field("content-length")), (HELLO.to_vec(), None));
    let answer = call_by_http2(&server, "application/grpc-web-text", text);
    assert_eq!(decoded(&answer.body), [HELLO, WELL].concat());
    // In chunks that are cut anywhere, of pieces that are padded.
    let head = "POST /a HTTP/1.1\nHost: test\nContent-Type: application/grpc-web-text\nTransfer-Encoding: chunked\n\n";
    let mut client = server.connect();
    client.send(crlf(head));
    client.send("1\r\nA\r\n6\r\nAAAAAV\r\n5\r\noZQ==\r\n8\r\nbGxvAA==\r\n0\r\n\r\n");
    let reply = client.reply();
    assert_eq!(upstream.last().body, b"\0\0\0\0\x05hello\0");
    assert_eq!(decoded(&reply.body), [HELLO, b"\0", WELL].concat());
}

#[test]
fn a_long_message_passes_in_text() {
    let upstream = http2_upstream(Settings::plain(), echo);
    let server = proxied(&upstream);
    let message: Vec<u8> = (0..1_000_003_u32).map(|number| number as u8).collect();
    let answer = call_by_http2(&server, "application/grpc-web-text", base64::encode(&message));
    assert!(decoded(&answer.body) == [&message, WELL].concat(), "{} bytes", answer.body.len());
    assert!(upstream.last().body == message);
}

#[test]
fn what_a_call_fails_with_stays_in_the_head_where_there_is_nothing_else() {
    let upstream = http2_upstream(Settings::plain(), |asked| {
        asked.read();
        asked.head(200, &[NATIVE, ("grpc-status", "5"), ("grpc-message", "gone")], true);
    });
    let server = proxied(&upstream);
    for (content_type, body) in [
        ("application/grpc-web", HELLO.to_vec()),
        ("application/grpc-web-text", base64::encode(HELLO).into()),
    ] {
        let reply = call(&server, content_type, body);
        assert_eq!((reply.status, reply.header("grpc-status"), reply.body.len()), (200, Some("5"), 0));
        assert_eq!(reply.header("content-type"), Some(&*format!("{content_type}+proto")));
    }
}

#[test]
fn messages_come_one_by_one() {
    let (go, going): (Sender<()>, Receiver<()>) = channel();
    let going = Mutex::new(going);
    let upstream = http2_upstream(Settings::plain(), move |asked| {
        asked.read();
        asked.head(200, &[NATIVE], false);
        for _ in 0..3 {
            asked.send(HELLO);
            going.lock().expect("nobody panics while holding this").recv().expect("the test goes on");
        }
        asked.send_trailers(&[("grpc-status", "0"), ("x-final", "yes")]);
    });
    let server = proxied(&upstream);
    let client = Http2::to(server.address());
    let mut request = client.request("POST", "/test.Test/Call");
    let content_type = "application/grpc-web-text".parse().expect("a value");
    request.headers_mut().insert("content-type", content_type);
    let mut exchange = client.begin_request(request, false);
    exchange.send_end(base64::encode(HELLO));
    exchange.head();
    for _ in 0..3 {
        assert_eq!(decoded(&exchange.at_least(16)), HELLO);
        go.send(()).expect("the upstream waits");
    }
    assert_eq!(decoded(&exchange.rest().0), WELL);
}

#[test]
fn what_is_no_base64_is_refused() {
    let upstream = http2_upstream(Settings::plain(), |asked| {
        let _broken = asked.try_read();
    });
    let server = proxied(&upstream);
    let reply = call(&server, "application/grpc-web-text", "no base64 at all");
    assert_eq!((reply.status, reply.header("grpc-status"), reply.says_close()), (200, Some("13"), true));
    assert_eq!(reply.header("content-type"), Some("application/grpc-web-text"));
    assert_eq!(server.failures("bad_grpc_web"), 1);
}

#[test]
fn hooks_see_what_the_upstream_gets_and_what_it_answers() {
    let upstream = http2_upstream(Settings::plain(), echo);
    let (seen, up, down) =
        (Arc::default(), Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<u8>>>::default());
    let (types, up2, down2): (Arc<Mutex<Vec<String>>>, _, _) = (Arc::clone(&seen), up.clone(), down.clone());
    let note = |types: &Arc<Mutex<Vec<String>>>, content_type: Option<&str>| {
        types.lock().expect("nobody panics").push(content_type.unwrap_or_default().to_owned());
    };
    let (types2, types3) = (types.clone(), types.clone());
    let proxy = Proxy::to(upstream.url())
        .grpc_web()
        .buffer_requests(20)
        .on_request(move |request: &mut ProxyRequest| {
            note(&types, request.headers().get_str("content-type"));
            let up = up2.clone();
            request.observe_body(move |bytes| up.lock().expect("nobody panics").extend_from_slice(bytes));
        })
        .on_upstream_request(move |request| note(&types2, request.headers().get_str("content-type")))
        .on_response(move |response| {
            note(&types3, response.headers().get_str("content-type"));
            let down = down2.clone();
            response.observe_body(move |bytes| down.lock().expect("nobody panics").extend_from_slice(bytes));
        });
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    // The second is longer than what is buffered, and does not tell its length.
    let long = "AAAAAAVoZWxsbw==".repeat(20);
    let chunks = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = "POST /a HTTP/1.1\nHost: test\nContent-Type: application/grpc-web-text\nTransfer-Encoding: chunked\n\n";
    let (short, long) =
        (post("application/grpc-web-text", base64::encode(HELLO)), [crlf(head), chunks.into()].concat());
    for (request, times) in [(short, 1), (long, 20)] {
        let reply = server.ask(request);
        assert_eq!(decoded(&reply.body), [HELLO.repeat(times), WELL.to_vec()].concat());
        assert_eq!(upstream.last().body, HELLO.repeat(times));
        assert_eq!(std::mem::take(&mut *up.lock().expect("nobody panics")), HELLO.repeat(times));
        assert_eq!(std::mem::take(&mut *down.lock().expect("nobody panics")), HELLO.repeat(times));
        let types = std::mem::take(&mut *seen.lock().expect("nobody panics"));
        assert_eq!(types, ["application/grpc-web-text", "application/grpc", NATIVE.1]);
    }
}

#[test]
fn what_is_not_to_be_translated_stays_as_it_is() {
    let upstream = http2_upstream(Settings::plain(), echo);
    // A proxy that does not translate.
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(upstream.url())));
    let answer = call_by_http2(&server, "application/grpc-web-text", base64::encode(HELLO));
    assert_eq!(
        (answer.field("content-type"), &answer.body),
        (Some(NATIVE.1), &base64::encode(HELLO).into_bytes())
    );
    assert_eq!(answer.trailers.len(), 2);
    assert_eq!(upstream.last().field("content-type"), Some("application/grpc-web-text"));
    // Calls of gRPC, and what is none.
    let server = proxied(&upstream);
    for content_type in ["application/grpc", "text/plain"] {
        let answer = call_by_http2(&server, content_type, HELLO);
        assert_eq!((answer.field("content-type"), &*answer.body), (Some(NATIVE.1), HELLO));
        assert_eq!(answer.trailers.len(), 2);
        assert_eq!(upstream.last().field("content-type"), Some(content_type));
    }
    // An answer that is not one of gRPC.
    let upstream = http2_upstream(Settings::plain(), |asked| {
        asked.read();
        asked.answer(404, &[("content-type", "text/plain")], "none");
    });
    let server = proxied(&upstream);
    let reply = call(&server, "application/grpc-web-text", base64::encode(HELLO));
    assert_eq!((reply.status, reply.header("content-type"), reply.text()), (404, Some("text/plain"), "none"));
}
