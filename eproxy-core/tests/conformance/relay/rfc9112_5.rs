//! RFC 9112 §5, Field Syntax: a name, a colon right behind it, a value; no folding (§5.2). In both directions, what does
//! not keep to it goes no further.

use crate::table::{bytes, get_with};

use super::table::{BAD_ANSWER, Want, check, got, passed, stays, tell};

const BAD_NAME: Want = Want::Refused(400, "bad_header_name");
const FOLDED: Want = Want::Refused(400, "folded_header");

#[test]
fn white_space_around_a_value_is_not_part_of_it() {
    check(&[
        ("none", get_with("X-A:a\r\n"), passed("GET / [Host: test|X-A: a] ")),
        ("spaces and tabs", get_with("X-A: \t a b \t\r\n"), passed("GET / [Host: test|X-A: a b] ")),
        ("nothing else", get_with("X-A:\t \r\nX-B:\r\n"), passed("GET / [Host: test|X-A: |X-B: ] ")),
    ]);
    let answer = stays("HTTP/1.1 200 OK\r\nX-A: \t a b \t\r\nX-B:\r\nContent-Length:\t2 \r\n\r\nok");
    tell(&[("an answer", answer, got("200 OK [X-A: a b|X-B: |Content-Length: 2] ok"))]);
}

#[test]
fn names_are_tokens() {
    let all = "x!#$%&'*+-.^_`|~9: v";
    check(&[
        ("a space before the colon", get_with("X-A : b\r\n"), BAD_NAME),
        ("the same of Host", bytes("GET / HTTP/1.1\r\nHost : test\r\n\r\n"), BAD_NAME),
        ("a tab before the colon", get_with("X-A\t: b\r\n"), BAD_NAME),
        ("a space inside", get_with("X A: b\r\n"), BAD_NAME),
        ("no colon", get_with("NoColonHere\r\nX-A: 1\r\n"), BAD_NAME),
        ("no name", get_with(": b\r\n"), BAD_NAME),
        ("NUL", get_with("X-A\0: b\r\n"), BAD_NAME),
        ("parentheses", get_with("X(A): b\r\n"), BAD_NAME),
        ("a byte above ASCII first", get_with("\u{ef}foo: 1\r\n"), BAD_NAME),
        ("a byte above ASCII last", get_with("X-A\u{85}: 1\r\n"), BAD_NAME),
        ("CR", get_with("X\rA: 1\r\n"), BAD_NAME),
        (
            "all that a token may hold",
            get_with(&format!("{all}\r\n")),
            passed(format!("GET / [Host: test|{all}] ")),
        ),
    ]);
}

#[test]
fn folded_lines_are_refused() {
    check(&[
        ("a space", get_with("X-F: one\r\n  two\r\n"), FOLDED),
        ("a tab", get_with("X-F: one\r\n\ttwo\r\n"), FOLDED),
        ("a line of one space", get_with("X-F: one\r\n \r\n two\r\n"), FOLDED),
        ("inside a name", get_with("X-Na\r\n me: v\r\n"), BAD_NAME),
        ("at the end of the head", get_with("X-F: one\r\n \r\n"), FOLDED),
        ("a smuggled field", get_with("X-F: one\r\n Transfer-Encoding: chunked\r\n"), FOLDED),
    ]);
}

#[test]
fn fields_of_answers_are_no_better() {
    let answer = |field: &str| stays(&format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 2\r\n\r\nok"));
    let all = "x!#$%&'*+-.^_`|~9: v";
    tell(&[
        // §5.1: a proxy must not pass it on as it is.
        ("a space before the colon", answer("X-A : b"), BAD_ANSWER),
        ("a bad name", answer("X(A): b"), BAD_ANSWER),
        ("no name", answer(": b"), BAD_ANSWER),
        ("no colon", answer("NoColonHere"), BAD_ANSWER),
        ("a byte above ASCII in a name", answer("X-A\u{85}: b"), BAD_ANSWER),
        // §5.2
        ("folded", answer("X-A: a\r\n b"), BAD_ANSWER),
        ("folded with a tab", answer("X-A: a\r\n\tb"), BAD_ANSWER),
        ("NUL in a value", answer("X-A: a\0b"), BAD_ANSWER),
        ("a control character in a value", answer("X-A: a\u{1}b"), BAD_ANSWER),
        ("DEL in a value", answer("X-A: a\u{7f}b"), BAD_ANSWER),
        ("all that a token may hold", answer(all), got(format!("200 OK [{all}|Content-Length: 2] ok"))),
    ]);
}
