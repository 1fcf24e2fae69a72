//! RFC 9112 §6.3, Message Body Length, of answers: where one ends is decided by the request, the status and the head, and
//! what lies behind it never becomes the answer to another request.

use super::table::{BAD_ANSWER, Got, closes, each, got, stays, tell};

/// What a broken upstream sends where there is no body, and what would be an answer to whoever asks next.
const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";

fn once(text: impl Into<String>) -> Got {
    Got::PassedOnce(text.into())
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_says() {
    let head = b"HEAD /told HTTP/1.1\r\nHost: test\r\n\r\n";
    let answer = |fields: &str| stays(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
    each(|relay| {
        for (name, told, want) in [
            ("a length", answer("Content-Length: 12345\r\n"), got("200 OK [Content-Length: 12345] ")),
            ("a length of none", answer("Content-Length: 0\r\n"), got("200 OK [Content-Length: 0] ")),
            ("no length", answer("X-A: b\r\n"), got("200 OK [X-A: b] ")),
            ("chunked", answer("X-A: b\r\nTransfer-Encoding: chunked\r\n"), got("200 OK [X-A: b] ")),
            ("an error", stays("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"), {
                got("404 Not Found [Content-Length: 9] ")
            }),
            (
                "a body all the same",
                stays(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{EVIL}", EVIL.len())),
                once(format!("200 OK [Content-Length: {}] ", EVIL.len())),
            ),
        ] {
            relay.tell_to(name, head, &told, &want);
        }
    });
}

#[test]
fn statuses_without_a_body_have_none() {
    let with_evil = |status: &str| stays(&format!("HTTP/1.1 {status}\r\nContent-Length: 42\r\n\r\n{EVIL}"));
    tell(&[
        ("204", stays("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"), got("204 No Content [X-A: b] ")),
        // RFC 9110 §8.6: it has no length either.
        ("204 with a length", stays("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), {
            got("204 No Content [] ")
        }),
        ("204 with a length of none", stays("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), {
            got("204 No Content [] ")
        }),
        ("204 that is chunked", stays("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), {
            got("204 No Content [] ")
        }),
        ("204 with a body", with_evil("204 No Content"), once("204 No Content [] ")),
        ("304", stays("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n"), {
            got("304 Not Modified [ETag: \"e\"] ")
        }),
        (
            "304 with the length of another answer",
            stays("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 100\r\n\r\n"),
            got("304 Not Modified [ETag: \"e\"|Content-Length: 100] "),
        ),
        ("304 with a body", with_evil("304 Not Modified"), once("304 Not Modified [Content-Length: 42] ")),
    ]);
}

#[test]
fn a_length_says_where_the_body_ends() {
    let answer = |length: &str| stays(&format!("HTTP/1.1 200 OK\r\nContent-Length:{length}\r\n\r\nhello"));
    let large = "x".repeat(100_000);
    let plain = got("200 OK [Content-Length: 5] hello");
    tell(&[
        ("five bytes", answer(" 5"), plain.clone()),
        ("none", stays("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), got("200 OK [Content-Length: 0] ")),
        ("white space", answer("\t 5 \t"), plain),
        ("the same twice", answer(" 5\r\nX-A: b\r\nContent-Length: 5"), {
            got("200 OK [Content-Length: 5|X-A: b] hello")
        }),
        (
            "100 KB",
            stays(&format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{large}")),
            got(format!("200 OK [Content-Length: 100000] {large}")),
        ),
        ("two that differ", answer(" 5\r\nContent-Length: 6"), BAD_ANSWER),
        ("a list", answer(" 5, 5"), BAD_ANSWER),
        ("a word", answer(" abc"), BAD_ANSWER),
        ("below nothing", answer(" -1"), BAD_ANSWER),
        ("a sign", answer(" +5"), BAD_ANSWER),
        ("hexadecimal", answer(" 0x5"), BAD_ANSWER),
        ("empty", answer(""), BAD_ANSWER),
        ("more than 64 bits", answer(" 18446744073709551621"), BAD_ANSWER),
    ]);
}

#[test]
fn without_a_length_the_end_of_the_connection_is_the_end_of_the_body() {
    // §7.1: a client of HTTP/1.1 can tell the end of it from a connection that broke.
    let body = "body".repeat(1000);
    let chunked = |body: &str| once(format!("200 OK [Transfer-Encoding: chunked] {body}"));
    tell(&[
        ("of HTTP/1.1", closes(&format!("HTTP/1.1 200 OK\r\n\r\n{body}")), chunked(&body)),
        ("of HTTP/1.0", closes(&format!("HTTP/1.0 200 OK\r\n\r\n{body}")), chunked(&body)),
        ("empty", closes("HTTP/1.1 200 OK\r\n\r\n"), chunked("")),
        ("what looks like another answer", closes(&format!("HTTP/1.1 200 OK\r\n\r\n{EVIL}")), chunked(EVIL)),
    ]);
}

#[test]
fn what_comes_behind_an_answer_is_nobodys() {
    tell(&[
        (
            "behind a length",
            stays(&format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello{EVIL}")),
            once("200 OK [Content-Length: 5] hello"),
        ),
        (
            "behind nothing",
            stays(&format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{EVIL}")),
            once("200 OK [Content-Length: 0] "),
        ),
        (
            "behind the last chunk",
            stays(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}")),
            once("200 OK [Transfer-Encoding: chunked] "),
        ),
        (
            "an empty line",
            stays("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\r\n"),
            once("200 OK [Content-Length: 5] hello"),
        ),
    ]);
}
