//! RFC 9113 §8.1, HTTP Message Framing: requests and answers, their bodies, trailers and interim answers; and RFC 9110 §6.4
//! and §9.3.2 on those without a body.

use crate::h2::check::{Want, answered, check, get, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::block;
use crate::h2::site::{Site, pattern};
use crate::support::eventually;

#[test]
fn requests_are_seen_as_they_were_meant() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    for (method, path) in [
        ("GET", "/"),
        ("DELETE", "/a/b?c=d&e"),
        ("PROPFIND", "/%20%e2"),
        ("M-SEARCH", "/..;/x"),
        ("get", "/?"),
    ] {
        let stream = client.request(&head(method, path), true);
        assert_eq!(client.answer(stream).text(), format!("{method} {path} [] "));
    }
    let long = format!("/{}", "x".repeat(7999));
    assert_eq!(client.ask(&long).text(), format!("GET {long} [] "));
    let stream = client.request(&head("OPTIONS", "/o"), true);
    assert_eq!(client.answer(stream).text(), "OPTIONS /o [] ");
    // RFC 9110 §9.1: methods are tokens of any kind.
    let stream = client.request(&head("M!#$%&'*+-.^_`|~9z", "/"), true);
    assert_eq!(client.answer(stream).text(), "M!#$%&'*+-.^_`|~9z / [] ");
}

#[test]
fn the_handler_is_told_the_version_and_the_authority() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    assert_eq!(client.ask("/facts?q=1").text(), "HTTP/2 GET /facts Some(\"test\") Some(\"q=1\") []");
    // §8.3.1: without :authority a Host says it.
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/facts"), ("host", "elsewhere")];
    let stream = client.request(&fields, true);
    assert_eq!(client.answer(stream).text(), "HTTP/2 GET /facts Some(\"elsewhere\") None []");
    let both = [&head("GET", "/facts")[..], &[("host", "test")]].concat();
    let stream = client.request(&both, true);
    assert_eq!(client.answer(stream).text(), "HTTP/2 GET /facts Some(\"test\") None []");
}

#[test]
fn cookie_crumbs_are_joined() {
    // §8.2.3: with "; ", before they are passed to anything that is not HTTP/2.
    let site = Site::start();
    let mut client = Client::to(site.address());
    let crumbs = [&head("GET", "/facts")[..], &[("cookie", "a=1"), ("x-y", "z"), ("cookie", "b=2; c=3")]];
    let stream = client.request(&crumbs.concat(), true);
    assert_eq!(client.answer(stream).text(), "HTTP/2 GET /facts Some(\"test\") None [\"a=1; b=2; c=3\"]");
}

#[test]
fn bodies_come_with_a_length_and_without() {
    let answer = |body: &str| answered(1, &format!("POST / [] {body}"));
    check(&[
        ("no length", [post(1, "/", &[]), data(1, END_STREAM, "body")].concat(), answer("body")),
        (
            "the right length",
            [post(1, "/", &[("content-length", "4")]), data(1, 0, "bo"), data(1, END_STREAM, "dy")].concat(),
            answer("body"),
        ),
        (
            "an end of its own",
            [post(1, "/", &[("content-length", "4")]), data(1, 0, "body"), data(1, END_STREAM, "")].concat(),
            answer("body"),
        ),
        ("no body", headers(1, END, &block(&head("POST", "/"))), answer("")),
        (
            "a length of 0",
            headers(1, END, &block(&[&head("POST", "/")[..], &[("content-length", "0")]].concat())),
            answer(""),
        ),
        (
            "of a GET",
            [headers(1, END_HEADERS, &block(&head("GET", "/"))), data(1, END_STREAM, "body")].concat(),
            answered(1, "GET / [] body"),
        ),
    ]);
}

#[test]
fn a_length_that_the_body_does_not_have_is_an_error() {
    let long = |length: &str| post(1, "/", &[("content-length", length)]);
    check(&[
        ("§8.1.1: too short", [long("5"), data(1, END_STREAM, "four")].concat(), Want::Broken(1)),
        ("§8.1.1: too long", [long("3"), data(1, END_STREAM, "four")].concat(), Want::Broken(1)),
        (
            "§8.1.1: too long, in parts",
            [long("3"), data(1, 0, "two"), data(1, END_STREAM, "x")].concat(),
            Want::Broken(1),
        ),
        ("§8.1.1: nothing behind the head", [long("3"), data(1, END_STREAM, "")].concat(), Want::Broken(1)),
        (
            "§8.1.1: a head that is the end",
            headers(1, END, &block(&[&head("POST", "/")[..], &[("content-length", "3")]].concat())),
            Want::Malformed(1),
        ),
        (
            "§8.1.1: trailers before so much has come",
            [long("5"), data(1, 0, "four"), headers(1, END, &block(&[("x-t", "1")]))].concat(),
            Want::Broken(1),
        ),
        (
            "RFC 9110 §8.6: two lengths",
            [post(1, "/", &[("content-length", "4"), ("content-length", "5")]), data(1, 1, "four")].concat(),
            Want::Malformed(1),
        ),
        ("RFC 9110 §8.6: no number", [long("four"), data(1, 1, "four")].concat(), Want::Malformed(1)),
        ("RFC 9110 §8.6: a sign", [long("+4"), data(1, 1, "four")].concat(), Want::Malformed(1)),
        ("RFC 9110 §8.6: negative", [long("-1"), data(1, 1, "four")].concat(), Want::Malformed(1)),
        ("RFC 9110 §8.6: hexadecimal", [long("0x4"), data(1, 1, "four")].concat(), Want::Malformed(1)),
        ("RFC 9110 §8.6: a list", [long("4, 5"), data(1, 1, "four")].concat(), Want::Malformed(1)),
        ("RFC 9110 §8.6: nothing", [long(""), data(1, 1, "four")].concat(), Want::Malformed(1)),
        (
            "RFC 9110 §8.6: more than there are numbers",
            [long("18446744073709551620"), data(1, 1, "four")].concat(),
            Want::Refused(1, &[400, 413]),
        ),
    ]);
}

#[test]
fn trailers_end_a_request() {
    let begun = || [post(1, "/", &[]), data(1, 0, "body")].concat();
    let trailer = |flags, fields: &[(&str, &str)]| headers(1, flags, &block(fields));
    check(&[
        (
            "§8.1: trailers",
            [begun(), trailer(END, &[("x-sum", "4"), ("x-t", "")])].concat(),
            answered(1, "POST / [] body {x-sum: 4} {x-t: }"),
        ),
        (
            "§8.1: trailers without a body",
            [post(1, "/", &[]), trailer(END, &[("x-sum", "0")])].concat(),
            answered(1, "POST / []  {x-sum: 0}"),
        ),
        ("§8.1: an empty trailer section", [begun(), trailer(END, &[])].concat(), {
            answered(1, "POST / [] body")
        }),
        (
            "§8.1: a second head that does not end the stream",
            [begun(), trailer(END_HEADERS, &[("x-sum", "4")]), data(1, END_STREAM, "")].concat(),
            Want::Broken(1),
        ),
        (
            "§8.1: and right behind the first",
            [post(1, "/", &[]), trailer(END_HEADERS, &[("x-sum", "4")])].concat(),
            Want::Broken(1),
        ),
        (
            "§8.1: a pseudo-header field in trailers",
            [begun(), trailer(END, &[(":path", "/other")])].concat(),
            Want::LeftOut(1, "POST / [] body"),
        ),
        (
            "§8.1: the pseudo-header field of answers in trailers",
            [begun(), trailer(END, &[(":status", "200")])].concat(),
            Want::LeftOut(1, "POST / [] body"),
        ),
        (
            "§8.2.1: a field name in upper case in trailers",
            [begun(), trailer(END, &[("X-Sum", "4")])].concat(),
            Want::Broken(1),
        ),
        (
            "§8.2.2: a field of connections in trailers",
            [begun(), trailer(END, &[("connection", "close")])].concat(),
            Want::Broken(1),
        ),
        (
            "§8.2.1: a line end in trailers",
            [begun(), trailer(END, &[("x-sum", "4\r\nx: y")])].concat(),
            Want::Broken(1),
        ),
    ]);
}

#[test]
fn answers_end_with_trailers() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let answer = client.ask("/trailers");
    assert_eq!((answer.status, answer.text()), (200, "text"));
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "4".to_owned())]);
}

#[test]
fn answers_have_lengths_where_they_are_known_and_a_date() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let answer = client.ask("/bytes/10");
    assert_eq!((answer.field("content-length"), &*answer.body), (Some("10"), &*pattern(10)));
    let answer = client.ask("/stream/10");
    assert_eq!((answer.field("content-length"), &*answer.body), (None, &*pattern(10)));
    // RFC 9110 §6.6.1.
    assert!(answer.field("date").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    for (method, path, status, length) in [
        ("GET", "/status/204", 204, None),
        ("GET", "/status/304", 304, None),
        ("HEAD", "/bytes/10", 200, Some("10")),
        ("HEAD", "/stream/10", 200, None),
        ("HEAD", "/status/204", 204, None),
    ] {
        let stream = client.request(&head(method, path), true);
        let answer = client.answer(stream);
        assert!(answer.is_whole && answer.body.is_empty(), "{method} {path}: {answer:?}");
        assert_eq!((answer.status, answer.field("content-length")), (status, length), "{method} {path}");
    }
    let answer = client.ask("/status/205");
    assert!(answer.is_whole && answer.body.is_empty(), "RFC 9110 §15.3.6: {answer:?}");
}

#[test]
fn large_bodies_pass_in_both_directions() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    for path in ["/bytes/3000000", "/stream/3000000"] {
        let answer = client.ask(path);
        assert!(answer.is_whole && answer.body == pattern(3_000_000), "{path}");
    }
    // Both at once: the body comes back while it is sent.
    let body = pattern(1_000_000);
    let streams: Vec<_> = (0..3).map(|_| client.request(&head("POST", "/"), false)).collect();
    for part in body.chunks(100_000) {
        for stream in &streams {
            assert!(client.body(*stream, part, false));
        }
    }
    for stream in streams {
        client.send(data(stream, END_STREAM, ""));
        assert_eq!(client.answer(stream).body.len(), "POST / [] ".len() + body.len());
    }
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let limits = eproxy_core::Limits { body: 1000, ..eproxy_core::Limits::default() };
    let site = Site::with(eproxy_core::Server::builder().limits(limits));
    for length in [Some("1001"), None] {
        let mut client = Client::to(site.address());
        let length: Vec<_> = length.map(|length| ("content-length", length)).into_iter().collect();
        let stream = client.request(&[&head("POST", "/")[..], &length].concat(), false);
        let _refused = client.body(stream, &[b'x'; 1001], true);
        let answer = client.answer(stream);
        assert_eq!(answer.status, 413, "{length:?}: {answer:?}");
        assert_eq!(client.ask("/next").text(), "GET /next [] ");
    }
}

#[test]
fn a_body_that_is_waited_for_is_asked_for_by_100_continue() {
    // RFC 9110 §10.1.1.
    let site = Site::start();
    let mut client = Client::to(site.address());
    let expecting = [&head("POST", "/")[..], &[("expect", "100-continue"), ("content-length", "4")]].concat();
    let stream = client.request(&expecting, false);
    client.until("100", |heard| {
        heard.answers.get(&stream).is_some_and(|answer| answer.interim.iter().any(|(code, _)| *code == 100))
    });
    assert!(client.body(stream, b"body", true));
    let answer = client.answer(stream);
    assert_eq!((answer.text(), answer.interim.len()), ("POST / [] body", 1));
    // One that nobody reads is not asked for.
    let expecting = [&head("POST", "/early")[..], &[("expect", "100-continue")]].concat();
    let stream = client.request(&expecting, false);
    let answer = client.answer(stream);
    assert_eq!((answer.text(), answer.interim.len()), ("early", 0));
}

#[test]
fn an_answer_before_the_end_of_the_body_is_whole() {
    // §8.1: the server may then ask by NO_ERROR that the rest be not sent; the answer is not lost by that.
    let site = Site::start();
    let mut client = Client::to(site.address());
    let stream = client.request(&head("POST", "/early"), false);
    let answer = client.answer(stream);
    assert!(answer.is_whole && answer.text() == "early", "{answer:?}");
    assert!(client.is_alive());
    let reset = client.heard.answers[&stream].reset;
    assert!(matches!(reset, None | Some(NO_ERROR)), "{reset:?}");
    client.send(data(stream, END_STREAM, "late"));
    assert_eq!(client.ask("/next").text(), "GET /next [] ");
}

#[test]
fn an_answer_that_breaks_off_ends_with_a_reset() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let answer = client.ask("/broken");
    assert!(!answer.is_whole, "{answer:?}");
    assert!(answer.reset.is_some_and(|code| code != NO_ERROR), "{answer:?}");
    for (path, status) in [("/panic", 500), ("/forgotten", 500), ("/status/1000", 500)] {
        let answer = client.ask(path);
        assert_eq!((answer.status, answer.is_whole), (status, true), "{path}");
    }
    assert_eq!(client.ask("/next").text(), "GET /next [] ");
}

#[test]
fn answers_carry_nothing_of_connections_and_names_in_lower_case() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    // Every answer is held against §8.2; this one was given such fields.
    let answer = client.ask("/fields");
    assert_eq!(answer.text(), "fields");
    assert_eq!(answer.field("x-mixed-case"), Some("Kept"));
    assert_eq!(answer.field("set-cookie"), Some("a=1"));
    let refused = client.request(&head("GET", "/bytes/1")[..], true);
    assert_eq!(client.answer(refused).status, 200);
}

#[test]
fn a_client_that_ends_its_side_of_the_connection_has_ended_it() {
    // A request has an end of its own (§8.1), so that there is no need to wait for one that will not be read.
    let site = Site::start();
    let mut client = Client::to(site.address());
    client.get("/held");
    client.finish();
    client.read_to_end();
    eventually("it is gone", || site.server.stats().open == 0);
    site.release();
}

#[test]
fn a_head_over_32_kib_is_refused() {
    let of = |bytes: usize| {
        let value = "v".repeat(1000);
        let fields = vec![("x-long", &*value); bytes / 1000];
        let all = block(&[&head("GET", "/")[..], &fields].concat());
        let mut frames = headers(1, END_STREAM, &all[..10]);
        let parts: Vec<_> = all[10..].chunks(16_000).collect();
        for (number, part) in parts.iter().enumerate() {
            let flags = if number + 1 == parts.len() { END_HEADERS } else { 0 };
            frames.extend(continuation(1, flags, part));
        }
        frames
    };
    check(&[
        ("§6.5.2: 30,000 bytes", of(29_000), answered(1, "GET / [] ")),
        ("§10.5.1: 40,000 bytes", of(40_000), Want::Refused(1, &[431])),
        ("§10.5.1: 80,000 bytes", of(80_000), Want::Refused(1, &[431])),
        ("RFC 9110 §15.5.15: a long path", get(1, &format!("/{}", "x".repeat(9000))), {
            Want::Refused(1, &[414, 431])
        }),
        (
            "more fields than there may be",
            headers(1, END, &block(&[&head("GET", "/")[..], &[("x", "y"); 101]].concat())),
            Want::Refused(1, &[431]),
        ),
    ]);
}
