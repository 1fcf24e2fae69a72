//! RFC 9113 §8, of requests that come by HTTP/2 and are passed on by HTTP/1.1: what is translated, what has no translation,
//! and that nothing of a request can become part of another.

use crate::h2::answer::Answer;
use crate::h2::check::{fields, get_with, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::block;
use crate::h2::site::pattern;
use crate::support::eventually;

use super::seen::one_line;
use super::table::{Relay, Told, closes, each, server, stays};
use super::upstream::{echo, gate, upstream};

/// Sends these frames on a connection of their own, and gives back what is answered on stream 1.
fn ask(relay: &Relay, frames: &[u8]) -> Answer {
    let mut client = Client::to(relay.server.address());
    client.send(frames);
    client.answer(1)
}

/// An answer in one line: `STATUS [name: value|name: value] BODY {trailer: value}`, without its Date.
fn text(answer: &Answer) -> String {
    let latin = |fields: &[(String, String)]| -> Vec<(String, Vec<u8>)> {
        fields.iter().map(|(name, value)| (name.clone(), crate::table::bytes(value))).collect()
    };
    let fields = latin(&answer.fields);
    let fields = fields.iter().filter(|(name, _)| name != "date");
    one_line(&answer.status.to_string(), fields, &answer.body, &latin(&answer.trailers))
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

#[test]
fn answers_are_put_into_the_words_of_http_2() {
    let cases: [(&str, Told, &str); 10] = [
        (
            "fields as they came, names in lower case",
            stays(
                "HTTP/1.1 200 OK\r\nX-Caf\u{65}: Caf\u{e9}\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
            ),
            "200 [x-cafe: Caf\u{e9}|set-cookie: a|set-cookie: b|content-length: 2] ok",
        ),
        (
            "fields of the connection stay there",
            stays(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                 Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
            ),
            "200 [content-length: 2] ok",
        ),
        (
            "chunks",
            stays("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\n\r\n"),
            "200 [] ok",
        ),
        (
            "trailers",
            stays(
                "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n",
            ),
            "200 [trailer: X-Sum] ok {x-sum: 2}",
        ),
        ("a body up to the end of the connection", closes("HTTP/1.1 200 OK\r\n\r\nok"), "200 [] ok"),
        ("of HTTP/1.0", closes("HTTP/1.0 200 OK\r\n\r\nok"), "200 [] ok"),
        ("204", stays("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"), "204 [x-a: b] "),
        (
            "304 with the length of what it leaves out",
            stays("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            "304 [content-length: 5] ",
        ),
        ("nothing", stays("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "200 [content-length: 0] "),
        (
            "a status that nobody knows",
            stays("HTTP/1.1 799 What\r\nContent-Length: 2\r\n\r\nno"),
            "799 [content-length: 2] no",
        ),
    ];
    each(|relay| {
        for (name, told, got) in &cases {
            relay.says(told);
            let answer = ask(relay, &fields(&head("GET", "/told")));
            assert!(answer.is_whole, "{name}: {answer:?}");
            assert_eq!(text(&answer), *got, "{name}");
        }
        relay.says(&stays("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
        let answer = ask(relay, &fields(&head("HEAD", "/told")));
        assert_eq!(text(&answer), "200 [content-length: 5] ", "an answer to HEAD");
    });
}

#[test]
fn interim_answers_are_passed_on() {
    let told = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    each(|relay| {
        relay.says(&stays(told));
        let answer = ask(relay, &fields(&head("GET", "/told")));
        assert_eq!((answer.status, answer.text()), (200, "ok"));
        let interim = answer.interim;
        let codes: Vec<_> = interim.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [103, 102]);
        assert_eq!(interim[0].1, [("link".to_owned(), "</a.css>".to_owned())]);
    });
}

#[test]
fn a_client_that_waits_to_be_told_is_told_by_the_upstream() {
    // RFC 9110 §10.1.1.
    let upstream = upstream(|peer| {
        while let Some(mut seen) = peer.next_head() {
            peer.say("HTTP/1.1 100 Continue\r\n\r\n");
            peer.body(&mut seen);
            peer.say(echo(&seen));
        }
    });
    let server = server(&upstream);
    let mut client = Client::to(server.address());
    let stream = client.request(&[&head("POST", "/")[..], &[("expect", "100-continue")]].concat(), false);
    client.until("100", |heard| {
        heard.answers.get(&stream).is_some_and(|answer| answer.interim.iter().any(|(code, _)| *code == 100))
    });
    assert!(client.body(stream, b"hello", true));
    assert_eq!(client.answer(stream).text(), "hello");
    assert_eq!(
        upstream.last().text(),
        "POST / [Host: test|Transfer-Encoding: chunked|Expect: 100-continue] hello"
    );
}

#[test]
fn an_answer_before_the_end_of_the_request_is_whole() {
    let (stop, stops) = gate();
    let upstream = upstream(move |peer| {
        peer.head();
        peer.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig");
        stops.wait();
    });
    let server = server(&upstream);
    let mut client = Client::to(server.address());
    let stream = client.request(&head("POST", "/"), false);
    assert!(client.body(stream, b"the beginning", false));
    let answer = client.answer(stream);
    assert!(answer.is_whole, "{answer:?}");
    assert_eq!((answer.status, answer.text()), (413, "big"));
    // §8.1: the rest is not wanted; the stream costs nobody else anything.
    client.body(stream, &vec![b'x'; 100_000], false);
    assert!(client.is_alive());
    let reset = client.heard.answers[&stream].reset;
    assert!(matches!(reset, None | Some(NO_ERROR)), "{reset:?}");
    stop.send(()).unwrap();
    eventually("the upstream's connection ends", || upstream.open() == 0);
}

#[test]
fn an_upstream_that_breaks_off_is_told_by_a_reset() {
    let cases = [
        ("a length that is not reached", closes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")),
        ("no last chunk", closes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")),
        (
            "a chunk that is none",
            closes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n"),
        ),
    ];
    each(|relay| {
        for (name, told) in &cases {
            relay.says(told);
            let mut client = Client::to(relay.server.address());
            let stream = client.get("/told");
            let answer = client.answer(stream);
            // §8.1: an answer that is not complete must not look so. One that is short may have been turned into a 502.
            let is_broken = !answer.is_whole && answer.reset.is_some_and(|code| code != NO_ERROR);
            assert!(is_broken || answer.status == 502, "{name}: {answer:?}");
            assert_eq!(client.ask("/next").text(), "/next", "{name}: the connection goes on");
        }
        for (name, told) in [
            ("no answer", closes("")),
            ("half a head", closes("HTTP/1.1 200 OK\r\nX-")),
            ("no HTTP", closes("SSH-2.0-x\r\n\r\n")),
            ("a line end in a field", closes("HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n")),
            ("NUL in a field", closes("HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 0\r\n\r\n")),
            ("a pseudo-header field", closes("HTTP/1.1 200 OK\r\n:status: 500\r\nContent-Length: 0\r\n\r\n")),
            ("a status of two digits", closes("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n")),
        ] {
            relay.says(&told);
            let answer = ask(relay, &fields(&head("GET", "/told")));
            assert_eq!((answer.status, answer.is_whole), (502, true), "{name}: {answer:?}");
        }
    });
}

#[test]
fn a_client_that_resets_its_stream_takes_its_request_along() {
    let upstream = upstream(|peer| {
        let Some(seen) = peer.next() else { return };
        if seen.target == "/answering" {
            // More than the client's window lets through.
            let _gone = peer.try_say("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
                && peer.try_say(vec![b'x'; 10_000_000]);
        }
        peer.rest();
    });
    let server = server(&upstream);
    let mut client = Client::to(server.address());
    client.refills = false;
    for path in ["/waiting", "/uploading", "/answering"] {
        let method = if path == "/uploading" { "POST" } else { "GET" };
        let stream = client.request(&head(method, path), path != "/uploading");
        eventually("it is with the upstream", || upstream.open() == 1);
        match path {
            "/uploading" => assert!(client.body(stream, b"half of", false)),
            "/answering" => client.until("a part of the answer", |heard| {
                heard.answers.get(&stream).is_some_and(|answer| !answer.body.is_empty())
            }),
            _ => eventually("it was read", || upstream.count() == 1),
        }
        client.send(rst_stream(stream, CANCEL));
        eventually("the upstream is told", || upstream.open() == 0);
        assert!(client.is_alive());
    }
}

#[test]
fn large_bodies_pass_in_both_directions_within_the_windows() {
    each(|relay| {
        let mut client = Client::to(relay.server.address());
        let body = pattern(2_000_000);
        let mut streams = Vec::new();
        for _ in 0..2 {
            let stream = client.request(&head("POST", "/large"), false);
            assert!(client.body(stream, &body, true));
            streams.push(stream);
        }
        for stream in streams {
            let answer = client.answer(stream);
            assert!(answer.is_whole && answer.body == body, "{:?} {}", answer.reset, answer.body.len());
        }
    });
}

#[test]
fn a_client_that_takes_little_holds_its_upstream_back() {
    let (stop, stops) = gate();
    let upstream = upstream(move |peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let mut said = 0_usize;
        // As much as buffers of the system's and ours hold.
        while said < 1_000_000_000 && peer.say_within(&[b'x'; 100_000], 300) {
            said += 100_000;
        }
        assert!(said < 100_000_000, "{said} bytes were taken that no client has asked for");
        stops.wait();
    });
    let server = server(&upstream);
    let mut client = Client::to(server.address());
    client.refills = false;
    let stream = client.get("/");
    client.until("the window is used up", |heard| {
        heard.answers.get(&stream).is_some_and(|answer| answer.body.len() == 65_535)
    });
    stop.send(()).unwrap();
    eventually("the upstream has ended", || upstream.open() == 0);
}

#[test]
fn streams_of_one_connection_are_requests_of_their_own() {
    each(|relay| {
        let mut client = Client::to(relay.server.address());
        let streams: Vec<_> = (0..100).map(|number| client.get(&format!("/{number}"))).collect();
        for (number, stream) in streams.into_iter().enumerate() {
            assert_eq!(client.answer(stream).text(), format!("/{number}"));
        }
    });
}

#[test]
fn a_websocket_is_passed_on_as_an_upgrade() {
    // RFC 8441 §5: the key is of HTTP/1.1 only, so the proxy makes one and checks what is answered.
    let upstream = upstream(|peer| {
        let seen = peer.request();
        let key = &seen.values("sec-websocket-key")[0];
        let accept = accept(key);
        peer.say(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\nfirst"
        ));
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
    });
    let server = server(&upstream);
    let mut client = Client::to(server.address());
    let request = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "test"),
        (":path", "/chat?a"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "http://a.example"),
    ];
    let stream = client.request(&request, false);
    client.until("the first bytes", |heard| {
        heard.answers.get(&stream).is_some_and(|answer| answer.body == b"first")
    });
    let answer = client.heard.answers[&stream].clone();
    assert_eq!((answer.status, answer.field("sec-websocket-protocol")), (200, Some("chat")));
    assert_eq!(answer.field("sec-websocket-accept"), None);
    assert!(client.body(stream, b"ping", false));
    client.until("the echo", |heard| heard.answers[&stream].body == b"firstping");
    client.send(data(stream, END_STREAM, ""));
    let answer = client.answer(stream);
    assert!(answer.is_whole, "{answer:?}");
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/chat?a"));
    assert_eq!(
        (seen.values("host"), seen.values("upgrade")),
        (vec!["test".into()], vec!["websocket".into()])
    );
    eventually("the upstream's connection ends", || upstream.open() == 0);
}

/// RFC 6455 §4.2.2.
fn accept(key: &str) -> String {
    let digest = sha1_smol::Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::encode(digest.digest().bytes())
}

#[test]
fn a_websocket_that_the_upstream_refuses_is_refused() {
    let cases = [
        ("a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
        (
            "the answer to another key",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            502,
        ),
    ];
    each(|relay| {
        for (name, told, status) in cases {
            relay.says(&stays(told));
            let mut client = Client::to(relay.server.address());
            let request = [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "test"),
                (":path", "/told"),
                ("sec-websocket-version", "13"),
            ];
            let stream = client.request(&request, false);
            let answer = client.answer(stream);
            assert_eq!((answer.status, answer.is_whole), (status, true), "{name}: {answer:?}");
        }
    });
}

#[test]
fn connect_opens_a_tunnel_through_a_forward_proxy() {
    // §8.5: DATA is the bytes of the connection; END_STREAM is its end, a direction at a time.
    let upstream = upstream(|peer| {
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
        peer.say("bye");
    });
    let forward = eproxy_core::Forward::new().allow("127.0.0.1").connect_ports([upstream.address().port()]);
    let server = crate::support::start(eproxy_core::Server::builder().workers(1).forward(forward));
    let mut client = Client::to(server.address());
    let authority = upstream.address().to_string();
    let stream = client.request(&[(":method", "CONNECT"), (":authority", &authority)], false);
    client.until("it is open", |heard| heard.answers.get(&stream).is_some_and(|answer| answer.status > 0));
    let answer = client.heard.answers[&stream].clone();
    assert_eq!((answer.status, answer.is_whole), (200, false), "{answer:?}");
    assert_eq!(answer.field("content-length"), None);
    assert!(client.body(stream, b"any \0 bytes \r\n\r\n", false));
    client.until("the echo", |heard| heard.answers[&stream].body == b"any \0 bytes \r\n\r\n");
    client.send(data(stream, END_STREAM, ""));
    let answer = client.answer(stream);
    assert!(answer.is_whole && answer.body.ends_with(b"bye"), "{answer:?}");
    // And a request with an absolute target in HTTP/1 is one like any other here.
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "127.0.0.1:1"), (":path", "/")];
    let stream = client.request(&fields, true);
    let answer = client.answer(stream);
    assert!(matches!(answer.status, 403 | 502), "{answer:?}");
    // §8.5: a tunnel whose other end breaks is reset.
    let refused = client.request(&[(":method", "CONNECT"), (":authority", "127.0.0.1:1")], false);
    let answer = client.answer(refused);
    assert!(matches!(answer.status, 403 | 502) || answer.reset.is_some(), "{answer:?}");
}
