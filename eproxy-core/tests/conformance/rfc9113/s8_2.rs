//! RFC 9113 §8.2, HTTP Fields: what their names and values may be, and which belong to HTTP/1 only.

use crate::h2::check::{Want, answered, check, get_with};

#[test]
fn field_names_are_lower_case_tokens() {
    let names = [
        ("upper case", "X-A"),
        ("one letter in upper case", "x-A"),
        ("none", ""),
        ("a space", "x a"),
        ("a space at the end", "x-a "),
        ("a space in front", " x-a"),
        ("a tab", "x\ta"),
        ("a colon", "x:a"),
        ("a colon at the end", "x-a:"),
        ("a carriage return", "x\ra"),
        ("a line feed", "x\na"),
        ("NUL", "x\u{0}a"),
        ("DEL", "x\u{7f}a"),
        ("a byte above ASCII", "x\u{e9}a"),
        ("a byte at the top", "x\u{ff}a"),
        ("a parenthesis", "x(a"),
        ("a comma", "x,a"),
        ("a slash", "x/a"),
        ("a quote", "x\"a"),
        ("a bracket", "x[a"),
        ("an at sign", "x@a"),
        ("a smuggled line", "x: y\r\nhost"),
    ];
    let cases: Vec<_> = names
        .iter()
        .map(|(name, field)| (*name, get_with(1, &[(*field, "v")]), Want::Malformed(1)))
        .collect();
    check(&cases);
    let all = "!#$%&'*+-.^_`|~09az";
    check(&[("§8.2.1: all that a token has", get_with(1, &[(all, "v")]), answered(1, "GET / [] "))]);
}

#[test]
fn field_values_have_no_line_ends_and_no_space_around_them() {
    let values = [
        ("NUL", "a\u{0}b"),
        ("a carriage return", "a\rb"),
        ("a line feed", "a\nb"),
        ("a line end", "a\r\nb"),
        ("a smuggled field", "a\r\ntransfer-encoding: chunked"),
        ("a smuggled request", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("NUL at the end", "a\u{0}"),
        ("a line feed at the end", "a\n"),
        ("a space in front", " a"),
        ("a space at the end", "a "),
        ("a tab in front", "\ta"),
        ("a tab at the end", "a\t"),
        ("nothing but a space", " "),
        // RFC 9110 §5.5: other control characters are no part of a value, either.
        ("a control character", "a\u{1}b"),
        ("DEL", "a\u{7f}b"),
    ];
    let cases: Vec<_> = values
        .iter()
        .map(|(name, value)| (*name, get_with(1, &[("x-see", *value)]), Want::Malformed(1)))
        .collect();
    check(&cases);
    check(&[
        ("nothing", get_with(1, &[("x-see", "")]), answered(1, "GET / [] ")),
        ("spaces and tabs inside", get_with(1, &[("x-see", "a \t b")]), answered(1, "GET / [a \\t b] ")),
        ("bytes above ASCII", get_with(1, &[("x-see", "\u{e9}\u{ff}")]), answered(1, "GET / [\\xe9\\xff] ")),
        ("several", get_with(1, &[("x-see", "a"), ("x-see", "b")]), answered(1, "GET / [a|b] ")),
    ]);
}

#[test]
fn fields_of_connections_are_malformed() {
    check(&[
        ("§8.2.2: connection", get_with(1, &[("connection", "close")]), Want::Malformed(1)),
        ("§8.2.2: connection that names one", get_with(1, &[("connection", "x-see")]), Want::Malformed(1)),
        ("§8.2.2: keep-alive", get_with(1, &[("keep-alive", "timeout=5")]), Want::Malformed(1)),
        ("§8.2.2: proxy-connection", get_with(1, &[("proxy-connection", "keep-alive")]), Want::Malformed(1)),
        ("§8.2.2: transfer-encoding", get_with(1, &[("transfer-encoding", "chunked")]), Want::Malformed(1)),
        (
            "§8.2.2: transfer-encoding with a length",
            get_with(1, &[("transfer-encoding", "chunked"), ("content-length", "0")]),
            Want::Malformed(1),
        ),
        ("§8.2.2: upgrade", get_with(1, &[("upgrade", "websocket")]), Want::Malformed(1)),
        ("§8.2.2: te: gzip", get_with(1, &[("te", "gzip")]), Want::Malformed(1)),
        ("§8.2.2: te: trailers, gzip", get_with(1, &[("te", "trailers, gzip")]), Want::Malformed(1)),
        ("§8.2.2: te: trailers;q=0.5", get_with(1, &[("te", "trailers;q=0.5")]), Want::Malformed(1)),
        ("§8.2.2: te: trailers", get_with(1, &[("te", "trailers")]), answered(1, "GET / [] ")),
        ("§8.2.2: two of te", get_with(1, &[("te", "trailers"), ("te", "gzip")]), Want::Malformed(1)),
        ("the obsolete http2-settings", get_with(1, &[("http2-settings", "AAMAAABk")]), {
            answered(1, "GET / [] ")
        }),
    ]);
}
