//! RFC 9112 §6.2 and §6.3, the length of a request's body, and RFC 9110 §8.6: one number, the same for both sides.

use crate::table::{bytes, post_with};

use super::table::{Want, check, each_with, passed};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_body_has_the_length_that_is_said_and_it_is_said_again() {
    let want = |fields: &str, body: &str| passed(format!("POST / [Host: test|{fields}] {body}"));
    check(&[
        ("five bytes", post_with("Content-Length: 5\r\n", "hello"), want("Content-Length: 5", "hello")),
        // RFC 9110 §8.6: a length of none stays one that was said.
        ("none", post_with("Content-Length: 0\r\n", ""), want("Content-Length: 0", "")),
        ("nothing said", post_with("", ""), passed("POST / [Host: test] ")),
        (
            "white space",
            post_with("Content-Length:\t  5 \t\r\n", "hello"),
            want("Content-Length: 5", "hello"),
        ),
        (
            "leading zeros",
            post_with("Content-Length: 0005\r\n", "hello"),
            want("Content-Length: 0005", "hello"),
        ),
        (
            "named by Connection",
            post_with("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
            want("Content-Length: 5", "hello"),
        ),
        // §6.3: either a refusal or the one value.
        (
            "the same twice",
            post_with("Content-Length: 5\r\nX-A: b\r\ncontent-length: 5\r\n", "hello"),
            want("Content-Length: 5|X-A: b", "hello"),
        ),
    ]);
}

#[test]
fn a_body_is_never_taken_for_a_request_whatever_the_method() {
    let length = SMUGGLED.len();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "FOO"] {
        let start = format!("{method} / HTTP/1.1\r\nHost: test\r\n");
        let plain = bytes(&format!("{start}Content-Length: {length}\r\n\r\n{SMUGGLED}"));
        let coded = format!("{start}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
        check(&[
            (method, plain, passed(format!("{method} / [Host: test|Content-Length: {length}] {SMUGGLED}"))),
            (
                method,
                bytes(&coded),
                passed(format!("{method} / [Host: test|Transfer-Encoding: chunked] {SMUGGLED}")),
            ),
        ]);
    }
}

#[test]
fn lengths_that_are_not_one_number_are_refused() {
    let cases = [
        (" +5", "bad_content_length"),
        (" -5", "bad_content_length"),
        (" 0x5", "bad_content_length"),
        (" 0 5", "bad_content_length"),
        (" 5.0", "bad_content_length"),
        (" 5e0", "bad_content_length"),
        (" abc", "bad_content_length"),
        ("", "bad_content_length"),
        (" 0_5", "bad_content_length"),
        (" 9223372036854775813", "bad_content_length"),
        (" 18446744073709551621", "bad_content_length"),
        (" 5, 6", "bad_content_length"),
        (" 5, 5", "bad_content_length"),
        (" 0, 5", "bad_content_length"),
        (" 5, 0", "bad_content_length"),
        (" \u{a0}5", "bad_content_length"),
        (" \"5\"", "bad_content_length"),
        (" 5;", "bad_content_length"),
        (" 5\r", "bare_line_feed"),
        (" 5\u{b}", "bad_header_value"),
        ("\r\n 5", "folded_header"),
    ];
    check(&cases.map(|(value, name)| {
        (value, post_with(&format!("Content-Length:{value}\r\n"), "hello"), Want::Refused(400, name))
    }));
    let bad = || Want::Refused(400, "bad_content_length");
    check(&[
        ("two that differ", post_with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), bad()),
        ("zero first", post_with("Content-Length: 0\r\nContent-Length: 5\r\n", "hello"), bad()),
        ("an empty one first", post_with("Content-Length: \r\nContent-Length: 5\r\n", "hello"), bad()),
        (
            "a space before the colon",
            post_with("Content-Length : 5\r\n", "hello"),
            Want::Refused(400, "bad_header_name"),
        ),
        (
            "folded under another",
            post_with("Foo: bar\r\n Content-Length: 38\r\n", ""),
            Want::Refused(400, "folded_header"),
        ),
    ]);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_passed_on() {
    let too_large = |body: &str| post_with(&format!("Content-Length: {}\r\n", body.len()), body);
    let coded = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let most = "x".repeat(1000);
    let more = "x".repeat(1001);
    let chunked = |body: &str| post_with("Transfer-Encoding: chunked\r\n", &coded(body));
    each_with(
        |proxy| proxy.body_limit(1000),
        |relay| {
            relay.check(&[
                ("just so many", too_large(&most), {
                    passed(format!("POST / [Host: test|Content-Length: 1000] {most}"))
                }),
                ("one more", too_large(&more), Want::Refused(413, "body_too_large")),
                ("far more", post_with("Content-Length: 9223372036854775807\r\n", "hello"), {
                    Want::Refused(413, "body_too_large")
                }),
                ("more than 32 bits", post_with("Content-Length: 4294967301\r\n", "hello"), {
                    Want::Refused(413, "body_too_large")
                }),
                (
                    "one that waits to be told",
                    post_with("Expect: 100-continue\r\nContent-Length: 1001\r\n", ""),
                    Want::Refused(413, "body_too_large"),
                ),
                ("just so many, chunked", chunked(&most), {
                    passed(format!("POST / [Host: test|Transfer-Encoding: chunked] {most}"))
                }),
                // How long it is turns out on the way.
                ("one more, chunked", chunked(&more), Want::Broken(413, "body_too_large")),
            ]);
        },
    );
}
