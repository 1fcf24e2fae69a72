//! RFC 9110 §9, Methods: all are passed on, with their bodies, and none means more to the proxy than it has to.

use crate::support::get;
use crate::table::{bytes, line};

use super::table::{Want, check, each, passed, stays};

#[test]
fn methods_are_passed_on_with_and_without_a_body() {
    for method in
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL", "FOO", "get"]
    {
        let start = format!("{method} /a HTTP/1.1\r\nHost: test\r\n");
        let seen = |rest: &str| passed(format!("{method} /a [Host: test{rest}"));
        check(&[
            (method, bytes(&format!("{start}\r\n")), seen("] ")),
            (method, bytes(&format!("{start}Content-Length: 3\r\n\r\nxyz")), seen("|Content-Length: 3] xyz")),
            (
                method,
                bytes(&format!("{start}Transfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n")),
                seen("|Transfer-Encoding: chunked] xyz"),
            ),
        ]);
    }
}

#[test]
fn a_trace_is_passed_on_without_a_body_only() {
    // §9.3.8: a client must not send one; whoever echoes the request could echo another.
    let start = "TRACE /a HTTP/1.1\r\nHost: test\r\n";
    check(&[
        ("none", line("TRACE /a HTTP/1.1"), passed("TRACE /a [Host: test] ")),
        (
            "a length of none",
            bytes(&format!("{start}Content-Length: 0\r\n\r\n")),
            passed("TRACE /a [Host: test|Content-Length: 0] "),
        ),
        (
            "a length",
            bytes(&format!("{start}Content-Length: 5\r\n\r\nhello")),
            Want::Refused(400, "body_with_trace"),
        ),
        (
            "chunked",
            bytes(&format!("{start}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")),
            Want::Refused(400, "body_with_trace"),
        ),
    ]);
}

#[test]
fn an_error_of_our_own_has_no_body_where_the_client_asked_for_the_head() {
    // §9.3.2.
    each(|relay| {
        relay.says(&stays("NONSENSE\r\n\r\n"));
        let mut client = relay.server.connect();
        client.send("HEAD /told HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.reply_to_head().status, 502);
        assert_eq!(client.ask(get("/next")).text(), "/next");
    });
}
