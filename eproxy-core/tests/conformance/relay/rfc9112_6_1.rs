//! RFC 9112 §6.1, Transfer-Encoding: `chunked`, or nothing that two parties could read in two ways. The price of a
//! disagreement is a request that one of them never saw.

use crate::table::{bytes, get_with, post_with};

use super::table::{BAD_ANSWER, Want, check, got, passed, stays, tell};

/// What ends a chunked body at once, with a request behind it that only one reading would see.
const BODY: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

/// Fields that must be refused, and under which names: alone, and beside a Content-Length that covers [`BODY`].
const CODINGS: [(&str, &str, &str); 34] = [
    ("Transfer-Encoding: chunk", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunkedx", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: identity", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: \"chunked\"", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: cow chunked bar", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunked;q=1", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: \u{b}chunked", "bad_header_value", "bad_header_value"),
    ("Transfer-Encoding: chunked\u{b}", "bad_header_value", "bad_header_value"),
    ("Transfer-Encoding: \u{c}chunked", "bad_header_value", "bad_header_value"),
    ("Transfer-Encoding:\u{ff}chunked", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunked\r", "bare_line_feed", "bare_line_feed"),
    ("Transfer-Encoding: ch\u{96}nked", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: =?iso-8859-1?B?Y2h1bmtlZA==?=", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding:", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: ,", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunked, identity", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: identity, chunked, identity", "bad_transfer_encoding", "length_and_coding"),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "bad_transfer_encoding",
        "length_and_coding",
    ),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "bad_transfer_encoding",
        "length_and_coding",
    ),
    ("Transfer-Encoding: gzip", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunked, gzip", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunked, chunked", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunkedchunked", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding: chunked, gzip, chunked", "bad_transfer_encoding", "length_and_coding"),
    ("Transfer-Encoding : chunked", "bad_header_name", "bad_header_name"),
    ("Transfer-Encoding x: chunked", "bad_header_name", "bad_header_name"),
    ("Transfer Encoding: chunked", "bad_header_name", "bad_header_name"),
    ("Transfer\\Encoding: chunked", "bad_header_name", "bad_header_name"),
    ("Transfer-Encoding\u{85}: chunked", "bad_header_name", "bad_header_name"),
    ("Tra\rnsfer-Encoding: chunked", "bad_header_name", "bad_header_name"),
    ("Transfer-Encoding:\r\n chunked", "folded_header", "folded_header"),
    ("Transfer-Encoding:\n chunked", "bare_line_feed", "bare_line_feed"),
    ("Foo: bar\r\n Transfer-Encoding: chunked", "folded_header", "folded_header"),
    ("Foo: bar\rTransfer-Encoding: chunked", "bare_line_feed", "bare_line_feed"),
];

fn length() -> String {
    format!("Content-Length: {}\r\n", BODY.len())
}

#[test]
fn codings_that_leave_the_end_open_are_not_passed_on_alone() {
    check(&CODINGS.map(|(coding, name, _)| {
        (coding, post_with(&format!("{coding}\r\n"), BODY), Want::Refused(400, name))
    }));
}

#[test]
fn nor_in_front_of_a_length_nor_behind_one() {
    check(&CODINGS.map(|(coding, _, name)| {
        (coding, post_with(&format!("{}{coding}\r\n", length()), BODY), Want::Refused(400, name))
    }));
    check(&CODINGS.map(|(coding, _, name)| {
        // What stands first is refused first.
        (coding, post_with(&format!("{coding}\r\n{}", length()), BODY), Want::Refused(400, name))
    }));
}

#[test]
fn a_coding_beside_a_length_is_refused_whatever_its_spelling() {
    let codings = [
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "TrAnSFer-EnCODinG: cHuNkeD",
        "Transfer-Encoding: chunked\t",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "Connection: Content-Length\r\nTransfer-Encoding: chunked",
    ];
    let refused = || Want::Refused(400, "length_and_coding");
    check(&codings.map(|coding| (coding, post_with(&format!("{}{coding}\r\n", length()), BODY), refused())));
    let get = format!("GET / HTTP/1.1\r\nHost: test\r\n{}Transfer-Encoding: chunked\r\n\r\n{BODY}", length());
    check(&[
        ("in a GET", bytes(&get), refused()),
        (
            "a length of none",
            post_with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", BODY),
            refused(),
        ),
    ]);
}

#[test]
fn an_unknown_coding_under_chunked_is_not_implemented() {
    let refused = || Want::Refused(501, "unknown_coding");
    check(&[
        ("gzip", post_with("Transfer-Encoding: gzip, chunked\r\n", BODY), refused()),
        ("identity", post_with("Transfer-Encoding: identity, chunked\r\n", BODY), refused()),
        (
            "on two lines",
            post_with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", BODY),
            refused(),
        ),
    ]);
}

#[test]
fn fields_that_only_look_like_it_frame_nothing() {
    let fields = ["Transfer_Encoding: chunked", "Transfer-%45ncoding: chunked", "Content-Encoding: chunked"];
    check(&fields.map(|field| {
        let request = post_with(&format!("{field}\r\nContent-Length: 5\r\n"), "hello");
        (field, request, passed(format!("POST / [Host: test|{field}|Content-Length: 5] hello")))
    }));
}

#[test]
fn chunked_is_understood_in_any_case_and_written_in_one() {
    let want = passed("POST / [Host: test|Transfer-Encoding: chunked] hello");
    let codings =
        ["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-Encoding: \tChunked\t"];
    check(&codings.map(|coding| {
        (coding, post_with(&format!("{coding}\r\n"), "5\r\nhello\r\n0\r\n\r\n"), want.clone())
    }));
    check(&[(
        "in a GET",
        bytes("GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        { passed("GET / [Host: test|Transfer-Encoding: chunked] ") },
    )]);
    check(&[("a TE that asks for it", get_with("TE: chunked\r\n"), passed("GET / [Host: test] "))]);
}

#[test]
fn an_answer_that_can_be_read_in_two_ways_is_not_passed_on() {
    let answer = |fields: &str| stays(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
    let plain = got("200 OK [Transfer-Encoding: chunked] hello");
    tell(&[
        ("chunked", answer("Transfer-Encoding: chunked"), plain.clone()),
        ("in capitals", answer("TRANSFER-ENCODING: CHUNKED"), plain),
        ("beside a length", answer("Content-Length: 3\r\nTransfer-Encoding: chunked"), BAD_ANSWER),
        ("before a length", answer("Transfer-Encoding: chunked\r\nContent-Length: 15"), BAD_ANSWER),
        ("twice", answer("Transfer-Encoding: chunked, chunked"), BAD_ANSWER),
        (
            "twice on two lines",
            answer("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            BAD_ANSWER,
        ),
        ("not last", answer("Transfer-Encoding: chunked, identity"), BAD_ANSWER),
        (
            "not last on two lines",
            answer("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
            BAD_ANSWER,
        ),
        ("another", answer("Transfer-Encoding: gzip"), BAD_ANSWER),
        ("over another", answer("Transfer-Encoding: gzip, chunked"), BAD_ANSWER),
        ("misspelt", answer("Transfer-Encoding: xchunked"), BAD_ANSWER),
        ("empty", answer("Transfer-Encoding:"), BAD_ANSWER),
        ("a space before the colon", answer("Transfer-Encoding : chunked\r\nContent-Length: 15"), BAD_ANSWER),
        (
            "in HTTP/1.0",
            stays("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            BAD_ANSWER,
        ),
    ]);
}
