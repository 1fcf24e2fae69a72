//! RFC 9112 §3, Request Line: method, one space, target, one space, version; anything else goes no further.

use crate::table::{bytes, line};

use super::table::{Want, check, passed};

const BAD: Want = Want::Refused(400, "bad_request_line");

#[test]
fn parts_are_separated_by_one_space() {
    check(&[
        ("tabs", line("GET\t/\tHTTP/1.1"), BAD),
        ("two spaces before the target", line("GET  / HTTP/1.1"), BAD),
        ("two spaces before the version", line("GET /  HTTP/1.1"), BAD),
        ("a space at the end", line("GET / HTTP/1.1 "), BAD),
        ("vertical tab", line("GET\u{b}/ HTTP/1.1"), BAD),
        ("no version", line("GET / "), BAD),
        ("no target", line("GET HTTP/1.1"), BAD),
        ("an empty target", line("GET  HTTP/1.1"), BAD),
        ("a space inside the target", line("GET /a b HTTP/1.1"), BAD),
        ("no method", line(" / HTTP/1.1"), BAD),
    ]);
}

#[test]
fn a_method_is_a_token_and_is_passed_on_as_it_came() {
    let all = "M!#$%&'*+-.^_`|~9z";
    let long = "A".repeat(10_240);
    let mut cases = vec![
        ("a parenthesis", line("GE(T / HTTP/1.1"), BAD),
        ("separators", line("G=\":<>(e),[T];?\" / HTTP/1.1"), BAD),
        ("a byte above ASCII", line("G\u{c9}T / HTTP/1.1"), BAD),
        ("NUL", line("G\0T / HTTP/1.1"), BAD),
    ];
    for method in ["FOO", "PROPFIND", "REPORT", "BASELINE-CONTROL", "M-SEARCH", "get", all, &long] {
        let request = bytes(&format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n<a/>"));
        let want = passed(format!("{method} / [Host: test|Content-Length: 4] <a/>"));
        cases.push((&method[..method.len().min(20)], request, want));
    }
    check(&cases);
}

#[test]
fn long_targets_are_passed_on_up_to_8000_bytes_and_refused_far_beyond() {
    let target = |n: usize| format!("/{}", "x".repeat(n - 1));
    let request = |n| line(&format!("GET {} HTTP/1.1", target(n)));
    let too_long = || Want::Refused(414, "target_too_long");
    check(&[
        ("8000 bytes", request(8000), passed(format!("GET {} [Host: test] ", target(8000)))),
        ("8193 bytes", request(8193), too_long()),
        ("64 KiB", request(65_536), too_long()),
    ]);
}
