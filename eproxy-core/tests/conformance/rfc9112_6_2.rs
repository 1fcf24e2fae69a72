//! RFC 9112 §6.2 and §6.3, Content-Length and the length of a body; RFC 9110 §8.6.

use crate::table::{BAD, Mirror, Want, bytes, post_with, seen};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_body_has_the_length_that_is_said() {
    Mirror::start().check(&[
        ("five bytes", post_with("Content-Length: 5\r\n", "hello"), seen("POST / [] hello")),
        ("none", post_with("Content-Length: 0\r\n", ""), seen("POST / [] ")),
        ("nothing said", post_with("", ""), seen("POST / [] ")),
        ("white space", post_with("Content-Length:\t  5 \t\r\n", "hello"), seen("POST / [] hello")),
        ("leading zeros", post_with("Content-Length: 0005\r\n", "hello"), seen("POST / [] hello")),
        (
            "named by Connection",
            post_with("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
            seen("POST / [] hello"),
        ),
        // §6.3: either a refusal or the one value.
        (
            "the same twice",
            post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            seen("POST / [] hello"),
        ),
    ]);
}

#[test]
fn a_body_is_never_taken_for_a_request_whatever_the_method() {
    let mirror = Mirror::start();
    let escaped = SMUGGLED.escape_default().to_string();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"] {
        let length = bytes(&format!(
            "{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
            SMUGGLED.len()
        ));
        let chunked = bytes(&format!(
            "{method} / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n",
            SMUGGLED.len()
        ));
        let want = seen(format!("{method} / [] {escaped}"));
        mirror.check(&[(method, length, want.clone()), (method, chunked, want)]);
    }
    let head = bytes(&format!(
        "HEAD / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
        SMUGGLED.len()
    ));
    mirror.check(&[("HEAD", head, seen(""))]);
}

#[test]
fn lengths_that_are_not_one_number_are_refused() {
    let values = [
        " +5",
        " -5",
        " 0x5",
        " 0 5",
        " 5.0",
        " 5e0",
        " abc",
        "",
        " 0_5",
        " 18446744073709551621",
        " 5, 6",
        " 0, 5",
        " 5, 0",
        " \u{a0}5",
        " \"5\"",
        " 5\r",
        "\r\n 5",
        " 5\u{b}",
        " 5;",
    ];
    Mirror::start()
        .check(&values.map(|value| (value, post_with(&format!("Content-Length:{value}\r\n"), "hello"), BAD)));
    Mirror::start().check(&[
        ("two that differ", post_with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), BAD),
        ("zero first", post_with("Content-Length: 0\r\nContent-Length: 5\r\n", "hello"), BAD),
        ("an empty one first", post_with("Content-Length: \r\nContent-Length: 5\r\n", "hello"), BAD),
        ("a space before the colon", post_with("Content-Length : 5\r\n", "hello"), BAD),
        ("folded under another", post_with("Foo: bar\r\n Content-Length: 38\r\n", ""), BAD),
    ]);
}

#[test]
fn lengths_beyond_every_limit_are_refused_at_once() {
    let values = ["4294967301", "9223372036854775807", "999999999999999999"];
    Mirror::start().check(&values.map(|value| {
        (value, post_with(&format!("Content-Length: {value}\r\n"), "hello"), Want::Refused(&[413, 400]))
    }));
}
