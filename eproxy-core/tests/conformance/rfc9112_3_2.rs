//! RFC 9112 §3.2, Request Target: its four forms, its bytes, and the Host that goes with it.

use crate::table::{BAD, Mirror, Want, bytes, line, seen};

#[test]
fn targets_pass_byte_for_byte() {
    let long = format!("/a?{}", "k=v&".repeat(500));
    let targets = [
        "/a/b?x=1&y=2",
        "/a%2Fb%2fc",
        "/%2e%2e/%2E/x",
        "/a/./b/c/../d",
        "//a///b",
        "/a/",
        "/a?",
        "/a?p=/etc/../x//y",
        "/a;v=1,2;w/b",
        "/a!$&'()*+,;=:@b-._~?!$&'()*+,;=:@/?",
        "/%c3%a9?%e2%82%ac",
        "/a%3Fb%23c",
        "/a%00b",
        "/a?x[]=1|2^`{}\"<>",
        "/@other.example/..;/x",
        &long,
    ];
    let case = |target: &'static str| {
        (target, line(&format!("GET {target} HTTP/1.1")), seen(format!("GET {target} [] ")))
    };
    let fixed = targets
        .map(|target| (target, line(&format!("GET {target} HTTP/1.1")), seen(format!("GET {target} [] "))));
    Mirror::start().check(&fixed);
    // §3.2.2: a server takes the absolute form, whatever the case of its scheme.
    Mirror::start().check(
        &["http://test/a", "HTTP://TEST/a", "https://test:443/a?b", "http://test", "http://test?q"].map(case),
    );
}

#[test]
fn bytes_that_no_target_holds_are_refused() {
    Mirror::start().check(&[
        ("NUL", line("GET /a\0b HTTP/1.1"), BAD),
        ("a control character", line("GET /a\u{1}b HTTP/1.1"), BAD),
        ("vertical tab", line("GET /a\u{b}b HTTP/1.1"), BAD),
        ("DEL", line("GET /a\u{7f}b HTTP/1.1"), BAD),
        ("bytes above ASCII", line("GET /caf\u{c3}\u{a9} HTTP/1.1"), BAD),
        ("a fragment", line("GET /a#frag HTTP/1.1"), BAD),
    ]);
}

#[test]
fn forms_are_for_their_methods() {
    Mirror::start().check(&[
        ("no slash", line("GET a HTTP/1.1"), BAD),
        ("the authority form", line("GET test:80 HTTP/1.1"), BAD),
        ("the asterisk form", line("GET * HTTP/1.1"), BAD),
        ("an empty authority", line("GET http:///a HTTP/1.1"), BAD),
        ("user information", line("GET http://user@test/ HTTP/1.1"), BAD),
        ("another scheme", line("GET ftp://test/ HTTP/1.1"), BAD),
        ("CONNECT with a path", line("CONNECT /a HTTP/1.1"), BAD),
        ("CONNECT without a port", line("CONNECT test HTTP/1.1"), BAD),
        ("OPTIONS for the whole server", line("OPTIONS * HTTP/1.1"), Want::Answered(204)),
    ]);
}

#[test]
fn exactly_one_host_is_needed() {
    Mirror::start().check(&[
        ("none", bytes("GET / HTTP/1.1\r\n\r\n"), BAD),
        ("none beside an absolute target", bytes("GET http://test/ HTTP/1.1\r\n\r\n"), BAD),
        ("two", bytes("GET / HTTP/1.1\r\nHost: test\r\nHost: other\r\n\r\n"), BAD),
        ("the same twice", bytes("GET / HTTP/1.1\r\nHost: test\r\nhost: test\r\n\r\n"), BAD),
        (
            "another than the target's",
            bytes("GET http://test/ HTTP/1.1\r\nHost: other\r\n\r\n"),
            seen("GET http://test/ [] "),
        ),
    ]);
}
