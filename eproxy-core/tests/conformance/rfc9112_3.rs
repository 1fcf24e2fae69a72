//! RFC 9112 §3, Request Line: method, one space, target, one space, version.

use crate::table::{BAD, Mirror, Want, line, seen};

#[test]
fn parts_are_separated_by_one_space() {
    Mirror::start().check(&[
        ("tabs", line("GET\t/\tHTTP/1.1"), BAD),
        ("two spaces before the target", line("GET  / HTTP/1.1"), BAD),
        ("two spaces before the version", line("GET /  HTTP/1.1"), BAD),
        ("a space at the end", line("GET / HTTP/1.1 "), BAD),
        ("vertical tab", line("GET\u{b}/ HTTP/1.1"), BAD),
        ("no version", line("GET / "), BAD),
        ("no target", line("GET HTTP/1.1"), BAD),
        ("an empty target", line("GET  HTTP/1.1"), BAD),
        ("a space inside the target", line("GET /a b HTTP/1.1"), BAD),
    ]);
}

#[test]
fn a_method_is_a_token_and_passes_as_it_came() {
    let all = "M!#$%&'*+-.^_`|~9z";
    let mut cases = vec![
        ("a parenthesis", line("GE(T / HTTP/1.1"), BAD),
        ("separators", line("G=\":<>(e),[T];?\" / HTTP/1.1"), BAD),
        ("a byte above ASCII", line("G\u{c9}T / HTTP/1.1"), BAD),
        ("none", line(" / HTTP/1.1"), BAD),
        (
            "ten thousand letters",
            line(&format!("{} / HTTP/1.1", "A".repeat(10_240))),
            Want::Seen(format!("{} / [] ", "A".repeat(10_240))),
        ),
    ];
    for method in ["FOO", "PROPFIND", "REPORT", "BASELINE-CONTROL", "M-SEARCH", "get", all] {
        cases.push((method, line(&format!("{method} / HTTP/1.1")), seen(format!("{method} / [] "))));
    }
    Mirror::start().check(&cases);
}

#[test]
fn long_targets_are_taken_up_to_8000_bytes_and_refused_far_beyond() {
    let target = |n: usize| format!("/{}", "x".repeat(n - 1));
    Mirror::start().check(&[
        (
            "8000 bytes",
            line(&format!("GET {} HTTP/1.1", target(8000))),
            seen(format!("GET {} [] ", target(8000))),
        ),
        ("64 KiB", line(&format!("GET {} HTTP/1.1", target(65_536))), Want::Refused(&[414])),
    ]);
}
