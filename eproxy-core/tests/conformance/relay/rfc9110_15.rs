//! RFC 9110 §15, Status Codes: an upstream's are passed on, known or not; ours say on which side something is wrong.

use crate::support::get;
use crate::table::{get_with, line, post_with};

use super::table::{BAD_ANSWER, Relay, Want, check, closes, got, stays, tell};

#[test]
fn every_status_is_passed_on() {
    let statuses = [
        200, 201, 206, 226, 299, 301, 307, 399, 400, 401, 407, 418, 421, 429, 451, 499, 500, 501, 502, 503,
        507, 511, 599, 600, 999,
    ];
    for status in statuses {
        let name = status.to_string();
        let answer = format!("HTTP/1.1 {status} Some Reason\r\nContent-Length: 2\r\n\r\nok");
        tell(&[(&name, stays(&answer), got(format!("{status} Some Reason [Content-Length: 2] ok")))]);
    }
}

#[test]
fn each_refusal_has_its_status_and_its_name() {
    check(&[
        ("400", line("GET / HTTP/1.1\r\nBad Name: x"), Want::Refused(400, "bad_header_name")),
        ("414", line(&format!("GET /{} HTTP/1.1", "a".repeat(9000))), Want::Refused(414, "target_too_long")),
        ("417", get_with("Expect: x\r\n"), Want::Refused(417, "bad_expectation")),
        ("431", get_with(&"A: b\r\n".repeat(101)), Want::Refused(431, "too_many_headers")),
        (
            "501",
            post_with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            Want::Refused(501, "unknown_coding"),
        ),
        ("505", line("GET / HTTP/3.0"), Want::Refused(505, "bad_version")),
    ]);
}

#[test]
fn a_failure_of_the_upstream_is_told_without_its_insides() {
    // §15.6.3; RFC 9209: what kind of failure it was, and no more.
    tell(&[("nonsense", stays("NONSENSE\r\n\r\n"), BAD_ANSWER)]);
    let relay = Relay::start(false);
    for (told, error) in [
        (stays("NONSENSE\r\n\r\n"), "http_protocol_error"),
        (closes(""), "connection_terminated"),
        (closes("HTTP/1.1 200"), "http_response_incomplete"),
        (
            stays(&format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(1 << 17))),
            "http_response_header_section_size",
        ),
        (stays("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "http_upgrade_failed"),
    ] {
        relay.says(&told);
        let reply = relay.server.ask(get("/told"));
        assert_eq!((reply.status, reply.text()), (502, "502 Bad Gateway\n"));
        assert_eq!(reply.header("proxy-status"), Some(&*format!("eproxy; error={error}")));
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}
