//! RFC 9112 §3.2, Request Target: an upstream gets the origin form, byte for byte as the client wrote it, and the Host
//! that goes with it.

use crate::table::{bytes, line};

use super::table::{Want, check, each, passed};

const BAD_LINE: Want = Want::Refused(400, "bad_request_line");
const BAD_TARGET: Want = Want::Refused(400, "bad_target");

#[test]
fn targets_are_passed_on_byte_for_byte() {
    // RFC 9110 §7.7: neither decoded, nor merged, nor resolved, whatever the route was chosen by.
    let long = format!("/a?{}", "k=v&".repeat(500));
    let targets = [
        "/a/b?x=1&y=2",
        "/a%2Fb%2fc",
        "/%2e%2e/%2E/x",
        "/a/./b/c/../d",
        "/../../etc/passwd",
        "//a///b",
        "/a/",
        "/a?",
        "/?",
        "/a?p=/etc/../x//y",
        "/a?http://other.example/",
        "/a;v=1,2;w/b",
        "/a!$&'()*+,;=:@b-._~?!$&'()*+,;=:@/?",
        "/%c3%a9?%e2%82%ac",
        "/a%3Fb%23c",
        "/a%00b",
        "/a%5cb",
        "/a\\b",
        "/a?x[]=1|2^`{}\"<>",
        "/100%",
        "/@other.example/..;/x",
        &long,
    ];
    check(&targets.map(|target| {
        (target, line(&format!("GET {target} HTTP/1.1")), passed(format!("GET {target} [Host: test] ")))
    }));
}

#[test]
fn bytes_that_no_target_holds_are_refused() {
    check(&[
        ("NUL", line("GET /a\0b HTTP/1.1"), BAD_LINE),
        ("a control character", line("GET /a\u{1}b HTTP/1.1"), BAD_LINE),
        ("vertical tab", line("GET /a\u{b}b HTTP/1.1"), BAD_LINE),
        ("DEL", line("GET /a\u{7f}b HTTP/1.1"), BAD_LINE),
        ("bytes above ASCII", line("GET /caf\u{c3}\u{a9} HTTP/1.1"), BAD_LINE),
        ("a fragment", line("GET /a#frag HTTP/1.1"), BAD_LINE),
    ]);
}

#[test]
fn the_absolute_form_becomes_the_origin_form_and_its_authority_the_host() {
    // §3.2.2: the Host of the request is ignored, even where it agrees.
    let with_host =
        |target: &str, host: &str| bytes(&format!("GET {target} HTTP/1.1\r\nA: b\r\nHost: {host}\r\n\r\n"));
    check(&[
        ("the same host", with_host("http://test/a?b", "test"), passed("GET /a?b [Host: test|A: b] ")),
        ("another host", with_host("http://test/a", "other.example"), passed("GET /a [Host: test|A: b] ")),
        ("a port", with_host("http://test:8080/a", "test"), passed("GET /a [Host: test:8080|A: b] ")),
        ("capitals", with_host("HTTP://TEST/a", "test"), passed("GET /a [Host: TEST|A: b] ")),
        ("https", with_host("https://test/a", "test"), passed("GET /a [Host: test|A: b] ")),
        ("no path", with_host("http://test", "test"), passed("GET / [Host: test|A: b] ")),
        ("a query alone", with_host("http://test?q", "test"), passed("GET /?q [Host: test|A: b] ")),
        (
            "an odd path",
            with_host("http://test//a/../b%2f", "test"),
            passed("GET //a/../b%2f [Host: test|A: b] "),
        ),
        ("HTTP/1.0 without Host", bytes("GET http://test/a HTTP/1.0\r\n\r\n"), {
            Want::PassedLast("GET /a [Host: test] ".into())
        }),
        ("1.1 without Host", bytes("GET http://test/a HTTP/1.1\r\n\r\n"), Want::Refused(400, "bad_host")),
        ("an empty authority", with_host("http:///a", "test"), BAD_TARGET),
        ("user information", with_host("http://user@test/", "test"), BAD_TARGET),
        ("another scheme", with_host("ftp://test/", "test"), BAD_TARGET),
    ]);
}

#[test]
fn forms_are_for_their_methods() {
    check(&[
        ("no slash", line("GET a HTTP/1.1"), BAD_TARGET),
        ("the authority form", line("GET test:80 HTTP/1.1"), BAD_TARGET),
        ("the asterisk form", line("GET * HTTP/1.1"), BAD_TARGET),
        ("CONNECT with a path", line("CONNECT /a HTTP/1.1"), BAD_TARGET),
        ("CONNECT without a port", line("CONNECT test HTTP/1.1"), BAD_TARGET),
    ]);
}

#[test]
fn options_for_the_whole_server_asks_the_server_behind() {
    // §3.2.4: the last proxy writes an absolute form without path and query as the asterisk.
    check(&[
        ("the asterisk", line("OPTIONS * HTTP/1.1"), passed("OPTIONS * [Host: test] ")),
        (
            "an absolute form without a path",
            line("OPTIONS http://test HTTP/1.1"),
            passed("OPTIONS * [Host: test] "),
        ),
        ("with a path", line("OPTIONS http://test/ HTTP/1.1"), passed("OPTIONS / [Host: test] ")),
        ("with a query", line("OPTIONS http://test?q HTTP/1.1"), passed("OPTIONS /?q [Host: test] ")),
        ("another method", line("DELETE http://test HTTP/1.1"), passed("DELETE / [Host: test] ")),
    ]);
}

#[test]
fn connect_is_not_passed_on_and_what_follows_is_no_tunnel() {
    let connect = bytes("CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n");
    check(&[("CONNECT", connect.clone(), Want::Answered(405, ""))]);
    each(|relay| {
        let before = relay.upstream.bytes();
        let mut client = relay.server.connect();
        assert_eq!(client.ask(&connect).status, 405);
        let reply = client.ask(b"\x16\x03\x01\x00\x05hello\r\n\r\n");
        assert_eq!((reply.status, reply.says_close()), (400, true));
        assert_eq!(relay.upstream.bytes(), before);
    });
}
