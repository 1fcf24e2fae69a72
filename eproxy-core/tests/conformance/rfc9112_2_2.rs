//! RFC 9112 §2.2, Message Parsing: lines end with CR LF; empty lines before a request line are ignored.

use crate::table::{BAD, Mirror, bytes, get_with, line, seen};

#[test]
fn lines_end_with_cr_lf() {
    let plain = "GET / HTTP/1.1\r\nHost: test\r\nA: b\r\n\r\n";
    Mirror::start().check(&[
        ("CR LF everywhere", bytes(plain), seen("GET / [] ")),
        ("LF everywhere", bytes(&plain.replace('\r', "")), BAD),
        ("LF after the request line", bytes(&plain.replacen("\r\n", "\n", 1)), BAD),
        ("CR after the request line", bytes(&plain.replacen("\r\n", "\r", 1)), BAD),
        ("LF after the head", bytes("GET / HTTP/1.1\r\nHost: test\r\n\n"), BAD),
        ("LF inside a value", get_with("A: b\nB: c\r\n"), BAD),
        ("CR inside a value", get_with("A: b\rB: c\r\n"), BAD),
        ("CR CR LF", get_with("A: b\r\r\n"), BAD),
        (
            "CR CR before what looks like a request",
            get_with("\r\rZGET /smuggled HTTP/1.1\r\nHost: test\r\n"),
            BAD,
        ),
        ("LF before the version", line("GET /\nHTTP/1.1"), BAD),
        ("CR inside the target", line("GET /a\rX: 1 HTTP/1.1"), BAD),
    ]);
}

#[test]
fn empty_lines_before_a_request_are_ignored_and_nothing_else_is() {
    Mirror::start().check(&[
        ("one", bytes("\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n"), seen("GET / [] ")),
        ("two", bytes("\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n"), seen("GET / [] ")),
        ("a bare LF", bytes("\nGET / HTTP/1.1\r\nHost: test\r\n\r\n"), BAD),
        ("a space", bytes(" GET / HTTP/1.1\r\nHost: test\r\n\r\n"), BAD),
        ("NUL", bytes("\0GET / HTTP/1.1\r\nHost: test\r\n\r\n"), BAD),
    ]);
}

#[test]
fn white_space_between_the_request_line_and_the_first_field_is_refused() {
    Mirror::start().check(&[
        ("a field", bytes("GET / HTTP/1.1\r\n X-W: 1\r\nHost: test\r\n\r\n"), BAD),
        ("Host", bytes("GET / HTTP/1.1\r\n Host: test\r\n\r\n"), BAD),
        ("a tab", bytes("GET / HTTP/1.1\r\n\tHost: test\r\n\r\n"), BAD),
    ]);
}

#[test]
fn what_is_not_http_is_refused() {
    let hello: String =
        "\u{16}\u{3}\u{1}\0\u{c8}\u{1}\0\0\u{c4}\u{3}\u{3}".chars().chain((1..190).map(char::from)).collect();
    Mirror::start().check(&[
        ("a TLS client hello", bytes(&(hello + "\r\n\r\n")), BAD),
        ("an answer", bytes("HTTP/1.1 200 OK\r\nHost: test\r\nContent-Length: 0\r\n\r\n"), BAD),
    ]);
}
