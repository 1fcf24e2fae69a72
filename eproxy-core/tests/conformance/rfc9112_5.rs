//! RFC 9112 §5, Field Syntax: a name, a colon right behind it, a value; no folding (§5.2).

use crate::table::{BAD, Mirror, bytes, get_with, seen};

#[test]
fn white_space_around_a_value_is_not_part_of_it() {
    Mirror::start().check(&[
        ("none", get_with("X-See:a\r\n"), seen("GET / [a] ")),
        ("spaces and tabs", get_with("X-See: \t a b \t\r\n"), seen("GET / [a b] ")),
        ("nothing else", get_with("X-See:\t \r\n"), seen("GET / [] ")),
    ]);
}

#[test]
fn names_are_tokens() {
    Mirror::start().check(&[
        ("a space before the colon", get_with("X-A : b\r\n"), BAD),
        ("the same of Host", bytes("GET / HTTP/1.1\r\nHost : test\r\n\r\n"), BAD),
        ("a tab before the colon", get_with("X-A\t: b\r\n"), BAD),
        ("a space inside", get_with("X A: b\r\n"), BAD),
        ("no colon", get_with("NoColonHere\r\nX-A: 1\r\n"), BAD),
        ("no name", get_with(": b\r\n"), BAD),
        ("NUL", get_with("X-A\0: b\r\n"), BAD),
        ("a byte above ASCII first", get_with("\u{ef}foo: 1\r\n"), BAD),
        ("a byte above ASCII last", get_with("X-A\u{85}: 1\r\n"), BAD),
        ("CR", get_with("X\rA: 1\r\n"), BAD),
        ("all that a token may hold", get_with("x!#$%&'*+-.^`|~9: v\r\n"), seen("GET / [] ")),
    ]);
}

#[test]
fn folded_lines_are_refused() {
    Mirror::start().check(&[
        ("a space", get_with("X-F: one\r\n  two\r\n"), BAD),
        ("a tab", get_with("X-F: one\r\n\ttwo\r\n"), BAD),
        ("a line of one space", get_with("X-F: one\r\n \r\n two\r\n"), BAD),
        ("inside a name", get_with("X-Na\r\n me: v\r\n"), BAD),
        ("at the end of the head", get_with("X-F: one\r\n \r\n"), BAD),
    ]);
}
