//! RFC 9110 §7.6.2, Max-Forwards: counted down on its way, and where it has run out the request goes no further.

use crate::table::bytes;

use super::table::{Want, check, each, passed};

#[test]
fn it_is_one_less_at_the_next_one() {
    for method in ["TRACE", "OPTIONS"] {
        for (left, then) in [("1", "0"), ("10", "9"), ("007", "6")] {
            let request =
                bytes(&format!("{method} /a HTTP/1.1\r\nHost: test\r\nMax-Forwards: {left}\r\n\r\n"));
            check(&[(method, request, passed(format!("{method} /a [Host: test|Max-Forwards: {then}] ")))]);
        }
    }
}

#[test]
fn other_methods_have_no_last_one() {
    let request = bytes("GET /a HTTP/1.1\r\nHost: test\r\nMax-Forwards: 5\r\n\r\n");
    check(&[("GET", request, passed("GET /a [Host: test|Max-Forwards: 4] "))]);
}

#[test]
fn a_request_that_may_go_no_further_is_answered_here() {
    for (method, target, status) in [("TRACE", "/a", 200), ("OPTIONS", "/a", 204), ("OPTIONS", "*", 204)] {
        for left in ["0", "00"] {
            let request =
                bytes(&format!("{method} {target} HTTP/1.1\r\nHost: test\r\nMax-Forwards: {left}\r\n\r\n"));
            check(&[(method, request, Want::Answered(status, ""))]);
        }
    }
    // One with a body is none that could be answered.
    let start = "Host: test\r\nMax-Forwards: 0\r\nContent-Length: 2\r\n\r\nhi";
    check(&[
        ("TRACE", bytes(&format!("TRACE / HTTP/1.1\r\n{start}")), Want::Refused(400, "body_with_trace")),
        ("OPTIONS", bytes(&format!("OPTIONS / HTTP/1.1\r\n{start}")), Want::Answered(204, "")),
    ]);
}

#[test]
fn other_methods_are_passed_on_even_then() {
    for method in ["GET", "POST", "PUT", "DELETE", "trace", "FOO"] {
        let request = bytes(&format!("{method} /a HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n"));
        check(&[(method, request, passed(format!("{method} /a [Host: test|Max-Forwards: 0] ")))]);
    }
}

#[test]
fn what_is_no_number_limits_nothing() {
    for method in ["TRACE", "OPTIONS"] {
        for left in ["", "-1", "x", "1 0", "0x0", "0, 0"] {
            let request =
                bytes(&format!("{method} /a HTTP/1.1\r\nHost: test\r\nMax-Forwards: {left}\r\n\r\n"));
            check(&[(method, request, passed(format!("{method} /a [Host: test] ")))]);
        }
    }
}

#[test]
fn a_trace_shows_the_request_as_it_came_but_for_what_is_secret() {
    // §9.3.8.
    each(|relay| {
        let start = "TRACE /a?b HTTP/1.1\r\nHost: test\r\nx-A:  1\r\nMax-Forwards: 0\r\nVia: 1.1 other\r\n";
        let secrets = "Cookie: a=1\r\nauthorization: Basic YTpi\r\nProxy-Authorization: Basic YTpi\r\n";
        let reply = relay.server.ask(format!("{start}{secrets}\r\n"));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("message/http")));
        assert_eq!(reply.text(), format!("{start}\r\n"));
    });
}
