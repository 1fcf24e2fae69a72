//! RFC 9110 §7.6.1, Connection: fields that concern one connection only are left out in both directions, those that
//! `Connection` names among them; and it may not name what others rely on.

use crate::table::{get_with, post_with};

use super::table::{Want, check, each, got, passed, stays, tell};

#[test]
fn fields_of_the_clients_connection_are_not_passed_on() {
    check(&[
        (
            "the fixed ones",
            get_with(
                "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\nProxy-Connection: keep-alive\r\n\
                 TE: gzip\r\nX-B: 2\r\n",
            ),
            passed("GET / [Host: test|X-A: 1|X-B: 2] "),
        ),
        (
            "without being named",
            get_with("Keep-Alive: timeout=5\r\nTE: deflate\r\nProxy-Connection: close\r\n"),
            passed("GET / [Host: test] "),
        ),
        (
            "those that are named",
            get_with("Connection: X-Hop, x-two\r\nX-Hop: 1\r\nX-Two: 2\r\nX-Two: 3\r\nX-End: 4\r\n"),
            passed("GET / [Host: test|X-End: 4] "),
        ),
        (
            "named afterwards and twice",
            get_with("X-Hop: 1\r\nX-End: 2\r\nConnection: x-hop\r\nconnection: X-HOP , x-none\r\n"),
            passed("GET / [Host: test|X-End: 2] "),
        ),
        (
            "those that look alike",
            get_with("Connection: X-Hop\r\nX-Hop2: 1\r\nX-Ho: 2\r\nX_Hop: 3\r\n"),
            passed("GET / [Host: test|X-Hop2: 1|X-Ho: 2|X_Hop: 3] "),
        ),
        // §11.7.2: meant for us.
        (
            "credentials for a proxy",
            get_with("Proxy-Authorization: Basic eDp5\r\nAuthorization: Basic eDp6\r\n"),
            passed("GET / [Host: test|Authorization: Basic eDp6] "),
        ),
    ]);
}

#[test]
fn fields_of_the_upstreams_connection_are_not_passed_on() {
    let answer = |fields: &str| stays(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"));
    tell(&[
        (
            "the fixed ones",
            answer(
                "Connection: keep-alive\r\nX-A: 1\r\nKeep-Alive: timeout=77\r\nProxy-Connection: x\r\nTE: x\r\n",
            ),
            got("200 OK [X-A: 1|Content-Length: 2] ok"),
        ),
        (
            "those that are named",
            answer("X-Hop: 1\r\nConnection: x-hop\r\nX-Two: 2\r\nConnection: X-TWO\r\nX-End: 3\r\n"),
            got("200 OK [X-End: 3|Content-Length: 2] ok"),
        ),
        // §7.8: another protocol may be offered only on this connection.
        (
            "an offer to upgrade",
            answer("Connection: upgrade\r\nUpgrade: h2c\r\n"),
            got("200 OK [Content-Length: 2] ok"),
        ),
    ]);
}

#[test]
fn what_frames_or_routes_a_message_or_says_where_it_comes_from_can_not_be_named() {
    check(&[
        ("Host", get_with("Connection: Host\r\n"), passed("GET / [Host: test] ")),
        (
            "Content-Length",
            post_with("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
            passed("POST / [Host: test|Content-Length: 5] hello"),
        ),
        (
            "Transfer-Encoding",
            post_with(
                "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            passed("POST / [Host: test|Transfer-Encoding: chunked] hello"),
        ),
        (
            "Max-Forwards",
            get_with("Connection: Max-Forwards\r\nMax-Forwards: 9\r\n"),
            passed("GET / [Host: test|Max-Forwards: 8] "),
        ),
    ]);
    // Nor what this proxy says of itself and of its client.
    each(|relay| {
        let names =
            "Connection: Via, Forwarded, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-IP";
        let via = "Via: 1.1 other\r\n";
        assert_eq!(relay.server.ask(get_with(&format!("{names}\r\n{via}"))).status, 200);
        let seen = relay.upstream.last();
        assert_eq!(seen.values("via"), ["1.1 other", "1.1 eproxy"]);
        for name in ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"] {
            assert_eq!(seen.values(name).len(), 1, "{name}: {seen:?}");
        }
    });
    let answer =
        stays("HTTP/1.1 200 OK\r\nConnection: Content-Length, X-A\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok");
    tell(&[("the length of an answer", answer, got("200 OK [Content-Length: 2] ok"))]);
}

#[test]
fn odd_options_do_no_harm() {
    let seen = || passed("GET / [Host: test] ");
    check(&[
        ("empty members", get_with("Connection: foo, ,bar\r\n"), seen()),
        ("a comma", get_with("Connection: ,\r\n"), seen()),
        ("nothing", get_with("Connection:\r\n"), seen()),
        ("parameters", get_with("Connection: keep-alive, foo;x=1\r\n"), seen()),
        ("quotes", get_with("Connection: \"quoted\"\r\n"), seen()),
        ("itself", get_with("Connection: Connection\r\n"), seen()),
    ]);
    let names = |count: usize| (0..count).map(|number| format!("x{number}")).collect::<Vec<_>>().join(",");
    check(&[
        ("sixty-four", get_with(&format!("Connection: {}\r\nX63: 1\r\n", names(64))), seen()),
        // Each is looked for among all fields.
        (
            "five hundred",
            get_with(&format!("Connection: {}\r\nX499: 1\r\n", names(500))),
            Want::Refused(400, "bad_connection_options"),
        ),
    ]);
}
