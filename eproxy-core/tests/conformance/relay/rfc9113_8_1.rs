//! RFC 9113 §8.1, HTTP Message Framing, of exchanges that come by HTTP/2 and are passed on by HTTP/1.1: answers, interim ones
//! among them, bodies, and what breaks off.

use crate::h2::answer::Answer;
use crate::h2::check::fields;
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::site::pattern;
use crate::support::eventually;
use crate::table::bytes;

use super::rfc9113_8::ask;
use super::seen::one_line;
use super::table::{Told, closes, each, server, stays};
use super::upstream::{echo, gate, upstream};

/// An answer in one line: `STATUS [name: value|name: value] BODY {trailer: value}`, without its Date.
fn text(answer: &Answer) -> String {
    let latin = |fields: &[(String, String)]| -> Vec<(String, Vec<u8>)> {
        fields.iter().map(|(name, value)| (name.clone(), bytes(value))).collect()
    };
    let fields = latin(&answer.fields);
    let fields = fields.iter().filter(|(name, _)| name != "date");
    one_line(&answer.status.to_string(), fields, &answer.body, &latin(&answer.trailers))
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
