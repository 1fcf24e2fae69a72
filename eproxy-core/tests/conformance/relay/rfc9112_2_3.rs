//! RFC 9112 §2.3, HTTP Version, and RFC 9110 §2.5: whatever version a message came in, it is passed on in ours.

use crate::table::{bytes, line, post_with};

use super::table::{BAD_ANSWER, Got, Relay, Want, check, closes, each, got, passed, stays, tell, text};

#[test]
fn requests_of_every_1_x_are_passed_on_as_1_1() {
    // The reader of the upstream takes nothing else than HTTP/1.1.
    check(&[
        ("1.1", line("GET / HTTP/1.1"), passed("GET / [Host: test] ")),
        ("a higher minor version", line("GET / HTTP/1.2"), passed("GET / [Host: test] ")),
        ("1.0", line("GET / HTTP/1.0"), Want::PassedLast("GET / [Host: test] ".into())),
        (
            "1.0 with a body",
            bytes("POST / HTTP/1.0\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"),
            Want::PassedLast("POST / [Host: test|Content-Length: 5] hello".into()),
        ),
        (
            "1.0 kept alive",
            bytes("GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n"),
            passed("GET / [Host: test] "),
        ),
    ]);
}

#[test]
fn a_request_without_a_host_is_given_that_of_the_upstream() {
    each(|relay| {
        let mut client = relay.server.connect();
        let reply = client.ask("GET /a HTTP/1.0\r\n\r\n");
        assert_eq!((reply.text(), reply.version, reply.says_close()), ("/a", 1, true));
        client.is_closed();
        let expected = format!("GET /a [Host: {}] ", relay.upstream.address());
        assert_eq!(relay.upstream.texts().pop(), Some(expected));
    });
}

#[test]
fn requests_of_other_versions_are_not_passed_on() {
    let unsupported = || Want::Refused(505, "bad_version");
    let bad = || Want::Refused(400, "bad_request_line");
    check(&[
        ("2.0", line("GET / HTTP/2.0"), unsupported()),
        ("9.9", line("GET / HTTP/9.9"), unsupported()),
        ("0.9", line("GET / HTTP/0.9"), unsupported()),
        ("one that only begins as HTTP/2 does", line("PRI * HTTP/2.0"), unsupported()),
        ("in lower case", line("GET / http/1.1"), bad()),
        ("a leading zero", line("GET / HTTP/01.1"), bad()),
        ("two digits", line("GET / HTTP/1.10"), bad()),
        ("a space inside", line("GET / HTTP /1.1"), bad()),
        ("RTSP", line("GET / RTSP/1.0"), bad()),
        ("IHTTP", line("GET / IHTTP/1.0"), bad()),
        ("a request of HTTP/0.9", bytes("GET /\r\n\r\n"), bad()),
        ("one with fields behind it", bytes("GET /\r\nHost: test\r\n\r\n"), bad()),
    ]);
}

#[test]
fn answers_of_every_1_x_are_passed_on_as_1_1() {
    let expected = "200 OK [X-A: b|Content-Length: 2] ok";
    let answer = |version: &str| stays(&format!("{version} 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"));
    tell(&[
        ("1.1", answer("HTTP/1.1"), got(expected)),
        ("a higher minor version", answer("HTTP/1.7"), got(expected)),
        // §9.3: unless it says otherwise, such an upstream closes the connection.
        ("1.0", answer("HTTP/1.0"), Got::PassedOnce(expected.into())),
        (
            "1.0 kept alive",
            stays("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"),
            got(expected),
        ),
        ("5.6", answer("HTTP/5.6"), BAD_ANSWER),
        ("2", answer("HTTP/2"), BAD_ANSWER),
        ("misspelt", answer("HTP/1.1"), BAD_ANSWER),
        ("in lower case", answer("http/1.1"), BAD_ANSWER),
        ("SHOUTcast", answer("ICY"), BAD_ANSWER),
    ]);
}

#[test]
fn a_client_of_http_1_0_gets_what_it_can_read() {
    // RFC 9112 §6.1: no Transfer-Encoding; §6.3: the end of the connection is the end of the body.
    let old = "GET /told HTTP/1.0\r\nHost: test\r\n\r\n";
    let kept = "GET /told HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n";
    let chunked =
        stays("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n");
    let until_close = closes("HTTP/1.1 200 OK\r\n\r\nhello");
    let length = stays("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    for keeps in [true, false] {
        let relay = Relay::start(keeps);
        for request in [old, kept] {
            let until_end = got("200 OK [Connection: close] hello");
            relay.tell_to("chunked", request.as_bytes(), &chunked, &until_end);
            relay.tell_to("until the end", request.as_bytes(), &until_close, &until_end);
        }
        relay.tell_to(
            "a length",
            old.as_bytes(),
            &length,
            &got("200 OK [Content-Length: 5|Connection: close] hello"),
        );
        let kept_alive = got("200 OK [Content-Length: 5|Connection: keep-alive] hello");
        relay.tell_to("a length, kept alive", kept.as_bytes(), &length, &kept_alive);
    }
}

#[test]
fn a_body_of_http_1_0_has_a_length_or_there_is_none() {
    let coded = "POST / HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let kept = "POST / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n";
    check(&[
        ("chunked", bytes(coded), Want::Refused(400, "bad_transfer_encoding")),
        ("no length", bytes(kept), passed("POST / [Host: test] ")),
        ("1.1 beside it", post_with("", ""), passed("POST / [Host: test] ")),
    ]);
    let relay = Relay::start(true);
    let reply = relay.server.ask("POST / HTTP/1.0\r\nHost: test\r\n\r\nGET /smuggled HTTP/1.0\r\n\r\n");
    assert_eq!(text(&reply), "200 OK [Content-Length: 1|Connection: close] /");
    assert_eq!(relay.probe().connection, 0);
    assert_eq!(relay.upstream.count(), 3);
}
