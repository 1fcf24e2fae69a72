//! RFC 9113 §8.3, HTTP Control Data, and §8.5, The CONNECT Method: pseudo-header fields.

use crate::h2::check::{Want, answered, check, fields, get_with};
use crate::h2::client::head;

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "test");
const PATH: (&str, &str) = (":path", "/");

#[test]
fn pseudo_header_fields_are_there_once_and_in_front() {
    let malformed = || Want::Malformed(1);
    let ok = || answered(1, "GET / [] ");
    check(&[
        ("§8.3.1: no :method", fields(&[SCHEME, AUTHORITY, PATH]), malformed()),
        ("§8.3.1: no :scheme", fields(&[METHOD, AUTHORITY, PATH]), malformed()),
        ("§8.3.1: no :path", fields(&[METHOD, SCHEME, AUTHORITY]), malformed()),
        ("§8.3.1: none at all", fields(&[("x-a", "b")]), malformed()),
        ("§8.3.1: an empty block", fields(&[]), malformed()),
        ("§8.3: two of :method", fields(&[METHOD, METHOD, SCHEME, AUTHORITY, PATH]), malformed()),
        ("§8.3: two of :scheme", fields(&[METHOD, SCHEME, SCHEME, AUTHORITY, PATH]), malformed()),
        ("§8.3: two of :authority", fields(&[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]), malformed()),
        ("§8.3: two of :path", fields(&[METHOD, SCHEME, AUTHORITY, PATH, PATH]), malformed()),
        ("§8.3: two that differ", fields(&[METHOD, SCHEME, AUTHORITY, PATH, (":path", "/b")]), malformed()),
        ("§8.3: behind a field", fields(&[METHOD, SCHEME, AUTHORITY, ("x-a", "b"), PATH]), malformed()),
        ("§8.3: an unknown one", get_with(1, &[(":test", "x")]), malformed()),
        ("§8.3: that of answers", get_with(1, &[(":status", "200")]), malformed()),
        ("§8.3: one in upper case", fields(&[(":METHOD", "GET"), SCHEME, AUTHORITY, PATH]), malformed()),
        ("§8.3: one of no name", get_with(1, &[(":", "x")]), malformed()),
        (
            "RFC 8441 §4: :protocol without CONNECT",
            fields(&[METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")]),
            malformed(),
        ),
        ("§8.3: any order", fields(&[PATH, AUTHORITY, SCHEME, METHOD]), ok()),
    ]);
}

#[test]
fn control_data_are_what_a_request_line_may_say() {
    let malformed = || Want::Malformed(1);
    let method = |method: &'static str| fields(&[(":method", method), SCHEME, AUTHORITY, PATH]);
    let path = |path: &str| fields(&head("GET", path));
    let scheme = |scheme: &'static str| fields(&[METHOD, (":scheme", scheme), AUTHORITY, PATH]);
    check(&[
        ("§8.3.1: an empty :method", method(""), malformed()),
        ("§8.3.1: a :method that is no token", method("GE T"), malformed()),
        ("§8.3.1: a :method with a line end", method("GET / HTTP/1.1\r\nx: y"), malformed()),
        ("§8.3.1: an empty :path", path(""), malformed()),
        ("§8.3.1: a :path without a slash", path("index"), malformed()),
        ("§8.3.1: a :path with a space", path("/a b"), malformed()),
        ("§8.3.1: a :path with a line end", path("/a HTTP/1.1\r\nx: y"), malformed()),
        ("§8.3.1: a :path with a tab", path("/a\tb"), malformed()),
        ("§8.3.1: a :path with NUL", path("/a\u{0}b"), malformed()),
        ("§8.3.1: a :path with a byte above ASCII", path("/caf\u{e9}"), malformed()),
        ("§8.3.1: a :path with a fragment", path("/a#b"), Want::LeftOut(1, "GET /a [] ")),
        ("§8.3.1: a :path that is a URL", path("http://test/a"), malformed()),
        ("§8.3.1: a :path of * with GET", path("*"), malformed()),
        ("§8.3.1: an empty :scheme", scheme(""), malformed()),
        ("§8.3.1: a :scheme that is none", scheme("ht tp"), malformed()),
        ("§8.3.1: a :scheme with a line end", scheme("http\r\nx: y"), malformed()),
    ]);
}

#[test]
fn the_authority_is_one() {
    let malformed = || Want::Malformed(1);
    let ok = || answered(1, "GET / [] ");
    let authority = |authority: &'static str| fields(&[METHOD, SCHEME, (":authority", authority), PATH]);
    check(&[
        ("§8.3.1: :authority and Host that differ", get_with(1, &[("host", "other")]), malformed()),
        ("§8.3.1: the same twice", get_with(1, &[("host", "test")]), ok()),
        (
            "RFC 9110 §7.2: two of Host",
            fields(&[METHOD, SCHEME, PATH, ("host", "test"), ("host", "test")]),
            malformed(),
        ),
        ("§8.3.1: Host only", fields(&[METHOD, SCHEME, PATH, ("host", "test")]), ok()),
        // §8.3.1: a request of HTTP needs one of both.
        ("§8.3.1: neither", fields(&[METHOD, SCHEME, PATH]), malformed()),
        ("§8.3.1: user information", authority("user@test"), malformed()),
        ("§8.3.1: a space", authority("te st"), malformed()),
        ("§8.3.1: a line end", authority("test\r\nx: y"), malformed()),
        ("§8.3.1: a path", authority("test/x"), malformed()),
        ("§8.3.1: a port that is none", authority("test:x"), malformed()),
        ("§8.3.1: an empty Host beside :authority", get_with(1, &[("host", "")]), malformed()),
        ("§8.3.1: an IPv6 address", authority("[::1]:80"), ok()),
        ("§8.3.1: a port", authority("test:8080"), ok()),
    ]);
}

#[test]
fn connect_names_a_place_and_nothing_else() {
    // §8.5. No route of this server takes CONNECT, so that a well-formed one is refused by a status.
    const CONNECT: (&str, &str) = (":method", "CONNECT");
    const PLACE: (&str, &str) = (":authority", "127.0.0.1:9");
    check(&[
        ("§8.5: no :authority", fields(&[CONNECT]), Want::Malformed(1)),
        ("§8.5: :scheme", fields(&[CONNECT, SCHEME, PLACE]), Want::Malformed(1)),
        ("§8.5: :path", fields(&[CONNECT, PLACE, PATH]), Want::Malformed(1)),
        ("§8.5: both", fields(&[CONNECT, SCHEME, PLACE, PATH]), Want::Malformed(1)),
        ("§8.5: no port", fields(&[CONNECT, (":authority", "127.0.0.1")]), Want::Malformed(1)),
        ("§8.5: a place", fields(&[CONNECT, PLACE]), Want::Refused(1, &[400, 404, 405, 501])),
    ]);
}

#[test]
fn options_may_ask_about_the_server() {
    let star = fields(&[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")]);
    let site = crate::h2::site::Site::start();
    let mut client = crate::h2::client::Client::to(site.address());
    client.send(star);
    let answer = client.answer(1);
    // §8.3.1: well-formed; what it is answered with is up to the routes, as in HTTP/1.
    let old = site.server.ask("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(answer.status, old.status, "{answer:?}");
}
