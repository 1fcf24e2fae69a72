//! RFC 9113 §8, of requests that come by HTTP/2 and are passed on by HTTP/1.1: what is translated, what has no translation,
//! and that nothing of a request can become part of another.

use crate::h2::answer::Answer;
use crate::h2::check::{fields, get_with, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::block;
use crate::support::eventually;

use super::table::{Relay, each};

/// Sends these frames on a connection of their own, and gives back what is answered on stream 1.
pub(super) fn ask(relay: &Relay, frames: &[u8]) -> Answer {
    let mut client = Client::to(relay.server.address());
    client.send(frames);
    client.answer(1)
}

#[test]
fn requests_are_put_into_the_words_of_http_1() {
    let with = |fields: &[(&str, &str)]| get_with(1, fields);
    let upload =
        |fields: &[(&str, &str)], body: &str| [post(1, "/", fields), data(1, END_STREAM, body)].concat();
    let cases: [(&str, Vec<u8>, &str); 13] = [
        ("a GET", with(&[]), "GET / [Host: test] "),
        (
            "fields as they came",
            with(&[("x-a", "1"), ("accept", "*/*"), ("x-a", "caf\u{e9}")]),
            "GET / [Host: test|x-a: 1|x-a: caf\u{e9}|accept: */*] ",
        ),
        (
            "a path and a query",
            fields(&head("GET", "/a%20b/../c;d?e=f&g")),
            "GET /a%20b/../c;d?e=f&g [Host: test] ",
        ),
        ("another method", fields(&head("PROPFIND", "/x")), "PROPFIND /x [Host: test] "),
        (
            "an authority with a port",
            fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "test:81"), (":path", "/")]),
            "GET / [Host: test:81] ",
        ),
        (
            "§8.3.1: a Host instead of it",
            fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "elsewhere")]),
            "GET / [host: elsewhere] ",
        ),
        ("§8.3.1: both", with(&[("host", "test")]), "GET / [Host: test] "),
        (
            "a body with a length",
            upload(&[("content-length", "4")], "body"),
            "POST / [Host: test|content-length: 4] body",
        ),
        ("a body without", upload(&[], "body"), "POST / [Host: test|Transfer-Encoding: chunked] body"),
        (
            "no body, and a length that says so",
            headers(1, END, &block(&[&head("POST", "/")[..], &[("content-length", "0")]].concat())),
            "POST / [Host: test|content-length: 0] ",
        ),
        (
            "trailers",
            [
                post(1, "/", &[("trailer", "x-sum")]),
                data(1, 0, "body"),
                headers(1, END, &block(&[("x-sum", "4"), ("host", "evil"), ("content-length", "99")])),
            ]
            .concat(),
            "POST / [Host: test|trailer: x-sum|Transfer-Encoding: chunked] body {x-sum: 4}",
        ),
        (
            "§8.2.3: crumbs",
            with(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3; d=4")]),
            "GET / [Host: test|cookie: a=1; b=2; c=3; d=4] ",
        ),
        (
            "http2-settings, which no request has",
            with(&[("http2-settings", "AAMAAABk")]),
            "GET / [Host: test] ",
        ),
    ];
    each(|relay| {
        for (name, frames, seen) in &cases {
            let answer = ask(relay, frames);
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            assert_eq!(relay.upstream.last().text(), *seen, "{name}");
        }
    });
}

#[test]
fn an_upstream_is_told_by_whom_and_how_a_request_came() {
    each(|relay| {
        assert_eq!(ask(relay, &get_with(1, &[("via", "1.1 before")])).status, 200);
        let seen = relay.upstream.last();
        // RFC 9110 §7.6.3: the version in which it was received.
        assert_eq!(seen.values("via"), ["1.1 before", "2.0 eproxy"]);
        assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.values("x-forwarded-proto"), ["http"]);
        assert_eq!(seen.values("x-forwarded-host"), ["test"]);
        assert_eq!(seen.values("forwarded"), ["for=127.0.0.1;host=\"test\";proto=http"]);
        // What a client claims of that is nobody's word here, either.
        let claims = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
        assert_eq!(ask(relay, &get_with(1, &claims)).status, 200);
        assert_eq!(relay.upstream.last().values("x-forwarded-for"), ["127.0.0.1"]);
    });
}

#[test]
fn te_is_passed_on_as_an_option_of_the_next_connection() {
    // §8.2.2: te: trailers is the one that HTTP/2 has; RFC 9110 §10.1.4 has it named by Connection.
    each(|relay| {
        assert_eq!(ask(relay, &get_with(1, &[("te", "trailers")])).status, 200);
        let seen = relay.upstream.last();
        let te = (seen.values("te"), seen.values("connection"));
        // That both go together is asserted of all that an upstream sees.
        assert!(te.0.is_empty() || te.0 == ["trailers"], "{te:?}");
    });
}

#[test]
fn nothing_of_a_request_becomes_another() {
    const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";
    let smuggled = format!("x\r\n\r\n{SMUGGLED}");
    let path = format!("/ HTTP/1.1\r\nHost: test\r\n\r\n{SMUGGLED}");
    let method = format!("GET / HTTP/1.1\r\nHost: test\r\n\r\n{SMUGGLED}");
    let authority = |authority| {
        fields(&[(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/")])
    };
    let chunks = |fields: &[(&str, &str)]| {
        [post(1, "/", fields), data(1, END_STREAM, format!("0\r\n\r\n{SMUGGLED}"))].concat()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a line end in a value", get_with(1, &[("x-a", &smuggled)])),
        ("a line feed in a value", get_with(1, &[("x-a", "b\nx-c: d")])),
        ("a carriage return in a value", get_with(1, &[("x-a", "b\rx-c: d")])),
        ("NUL in a value", get_with(1, &[("x-a", "b\u{0}c")])),
        ("a line end in a name", get_with(1, &[("x-a: b\r\nx-c", "d")])),
        ("a colon in a name", get_with(1, &[("transfer-encoding:", "chunked")])),
        ("a colon and a value in a name", get_with(1, &[("transfer-encoding: chunked", "")])),
        ("a space in a name", get_with(1, &[("transfer-encoding ", "chunked")])),
        ("a tab in front of a name", get_with(1, &[("\ttransfer-encoding", "chunked")])),
        ("a name in upper case", get_with(1, &[("Transfer-Encoding", "chunked")])),
        ("an empty name", get_with(1, &[("", "x")])),
        ("a request in the path", fields(&head("GET", &path))),
        ("a request in the method", fields(&head(&method, "/"))),
        ("a request in the authority", authority(&smuggled)),
        ("a space in the path", fields(&head("GET", "/a HTTP/1.1"))),
        ("a tab in the path", fields(&head("GET", "/a\tHTTP/1.1"))),
        ("a second authority in the path", fields(&head("GET", "@evil/"))),
        ("user information in the authority", authority("test@evil")),
        ("another Host", get_with(1, &[("host", "evil")])),
        ("two of Host", get_with(1, &[("host", "test"), ("host", "evil")])),
        ("transfer-encoding", chunks(&[("transfer-encoding", "chunked")])),
        (
            "transfer-encoding with a length",
            chunks(&[("transfer-encoding", "chunked"), ("content-length", "5")]),
        ),
        (
            "a length, and transfer-encoding behind it",
            chunks(&[("content-length", "5"), ("transfer-encoding", "chunked")]),
        ),
        ("transfer-encoding: identity", chunks(&[("transfer-encoding", "identity")])),
        ("two lengths", chunks(&[("content-length", "0"), ("content-length", "5")])),
        ("a length that is a list", chunks(&[("content-length", "0, 5")])),
        ("a length with a sign", chunks(&[("content-length", "+0")])),
        ("connection", get_with(1, &[("connection", "x-a"), ("x-a", "b")])),
        ("upgrade", get_with(1, &[("upgrade", "h2c"), ("connection", "upgrade")])),
        ("an unknown pseudo-header field", get_with(1, &[(":x", "y")])),
    ];
    each(|relay| {
        for (name, frames) in &cases {
            let bytes = relay.upstream.bytes();
            let answer = ask(relay, frames);
            assert!(answer.status == 0 || (400..500).contains(&answer.status), "{name}: {answer:?}");
            let probe = relay.probe();
            assert_eq!(relay.upstream.bytes(), bytes + probe.head.len(), "{name}: bytes that were passed on");
        }
    });
}

#[test]
fn the_bytes_of_a_body_stay_a_body() {
    // A chunk that seems to end, a request behind it: in chunks they are content (RFC 9112 §7.1).
    let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";
    each(|relay| {
        for fields in [vec![], vec![("content-length", "43")]] {
            let answer = ask(relay, &[post(1, "/", &fields), data(1, END_STREAM, body)].concat());
            assert_eq!(answer.text(), body);
            assert_eq!(relay.upstream.last().body, body.as_bytes());
            relay.probe();
        }
    });
}

#[test]
fn a_body_that_is_not_what_its_head_says_is_never_whole() {
    let short = [post(1, "/", &[("content-length", "5")]), data(1, END_STREAM, "four")].concat();
    let long = [post(1, "/", &[("content-length", "3")]), data(1, END_STREAM, "four")].concat();
    let reset = [post(1, "/", &[]), data(1, 0, "half"), rst_stream(1, CANCEL)].concat();
    let bad_trailers =
        [post(1, "/", &[]), data(1, 0, "body"), headers(1, END, &block(&[("X-Sum", "4")]))].concat();
    let second_head =
        [post(1, "/", &[]), data(1, 0, "body"), headers(1, END_HEADERS, &block(&[("x", "y")]))].concat();
    for (name, frames) in [
        ("too short", short),
        ("too long", long),
        ("reset", reset),
        ("malformed trailers", bad_trailers),
        ("a second head", second_head),
    ] {
        each(|relay| {
            let whole = |relay: &Relay| relay.upstream.seen().iter().filter(|seen| seen.is_whole).count();
            let before = whole(relay);
            let mut client = Client::to(relay.server.address());
            client.send(&frames);
            client.is_alive();
            eventually("nothing is under way", || relay.upstream.open() <= 1);
            relay.probe();
            assert_eq!(whole(relay), before + 1, "{name}: only the probe came to its end");
            let answer = client.heard.answers.get(&1).cloned().unwrap_or_default();
            assert!(matches!(answer.status, 0 | 400 | 502), "{name}: {answer:?}");
        });
    }
}
