//! RFC 9112 §6.1, Transfer-Encoding: `chunked`, or nothing that could be read in two ways.

use crate::table::{BAD, Mirror, Want, bytes, post_with, seen};

/// What ends a chunked body at once, with a request behind it that only one reading would see.
const BODY: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

/// Codings that must be refused, with a Content-Length that covers [`BODY`] and without one.
const CODINGS: [&str; 33] = [
    "Transfer-Encoding: chunk",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: cow chunked bar",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding:\u{ff}chunked",
    "Transfer-Encoding: chunked\r",
    "Transfer-Encoding: ch\u{96}nked",
    "Transfer-Encoding: =?iso-8859-1?B?Y2h1bmtlZA==?=",
    "Transfer-Encoding:",
    "Transfer-Encoding: ,",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked, identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunkedchunked",
    "Transfer-Encoding: chunked, gzip, chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding x: chunked",
    "Transfer Encoding: chunked",
    "Transfer\\Encoding: chunked",
    "Transfer-Encoding\u{85}: chunked",
    "Tra\rnsfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\n chunked",
    "Foo: bar\r\n Transfer-Encoding: chunked",
    "Foo: bar\rTransfer-Encoding: chunked",
    "Foo: bar\nTransfer-Encoding: chunked",
];

#[test]
fn codings_that_leave_the_end_open_are_refused_with_and_without_a_length() {
    let mirror = Mirror::start();
    let length = format!("Content-Length: {}\r\n", BODY.len());
    mirror.check(&CODINGS.map(|coding| (coding, post_with(&format!("{coding}\r\n"), BODY), BAD)));
    mirror.check(&CODINGS.map(|coding| (coding, post_with(&format!("{length}{coding}\r\n"), BODY), BAD)));
    mirror.check(&CODINGS.map(|coding| (coding, post_with(&format!("{coding}\r\n{length}"), BODY), BAD)));
}

#[test]
fn a_coding_beside_a_length_is_refused() {
    let length = format!("Content-Length: {}\r\n", BODY.len());
    let codings = [
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "TrAnSFer-EnCODinG: cHuNkeD",
        "Transfer-Encoding: chunked\t",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    ];
    Mirror::start()
        .check(&codings.map(|coding| (coding, post_with(&format!("{length}{coding}\r\n"), BODY), BAD)));
    let get =
        bytes(&format!("GET / HTTP/1.1\r\nHost: test\r\n{length}Transfer-Encoding: chunked\r\n\r\n{BODY}"));
    Mirror::start().check(&[("in a GET", get, BAD)]);
}

#[test]
fn a_coding_in_http_1_0_is_refused() {
    let request =
        bytes(&format!("POST / HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}"));
    Mirror::start().check(&[("chunked", request, BAD)]);
}

#[test]
fn an_unknown_coding_under_chunked_is_not_implemented() {
    let not_implemented = Want::Refused(&[501]);
    Mirror::start().check(&[
        ("gzip", post_with("Transfer-Encoding: gzip, chunked\r\n", BODY), not_implemented.clone()),
        (
            "on two lines",
            post_with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", BODY),
            not_implemented,
        ),
    ]);
}

#[test]
fn fields_that_only_look_like_it_frame_nothing() {
    for field in ["Transfer_Encoding: chunked", "Transfer-%45ncoding: chunked", "Content-Encoding: chunked"] {
        let request = post_with(&format!("{field}\r\nContent-Length: 5\r\n"), "hello");
        Mirror::start().check(&[(field, request, seen("POST / [] hello"))]);
    }
}

#[test]
fn chunked_is_understood_in_any_case() {
    for coding in ["chunked", "CHUNKED", " \tChunked\t"] {
        let request = post_with(&format!("Transfer-Encoding:{coding}\r\n"), "5\r\nhello\r\n0\r\n\r\n");
        Mirror::start().check(&[(coding, request, seen("POST / [] hello"))]);
    }
}

/// An expected difference: RFC 9110 §5.6.1.2 would have empty members of a list ignored. Nobody sends such a coding in
/// good faith, parsers disagree about it, and the price of a disagreement here is a smuggled request.
#[test]
fn empty_members_are_refused_here_where_the_rfc_ignores_them() {
    for coding in ["chunked,", ", chunked", "chunked, ,"] {
        let request = post_with(&format!("Transfer-Encoding:{coding}\r\n"), BODY);
        Mirror::start().check(&[(coding, request, BAD)]);
    }
}
