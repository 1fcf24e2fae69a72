//! Messages that parties have been known to read in different ways are refused, and the connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use eproxy_core::{Request, Response, Server};

use crate::support::{Running, start};

/// A request line and a Host, before what is wrong.
const START: &str = "POST / HTTP/1.1\r\nHost: test\r\n";

/// A request that must not be seen behind one that was refused.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

fn server() -> (Running, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let server = start(Server::builder().at("/*rest", move |_: Request, res: Response| {
        count.fetch_add(1, Ordering::Relaxed);
        res.send("seen");
    }));
    (server, calls)
}

/// Sends each request on a connection of its own, another behind it.
fn refuses(cases: &[(&str, u16, &str)]) {
    let (server, calls) = server();
    for (request, status, name) in cases {
        let before = server.failures(name);
        let mut client = server.connect();
        // Each byte above 0x7F stands for itself.
        let bytes: Vec<u8> = request.chars().map(|c| u8::try_from(u32::from(c)).expect("one byte")).collect();
        client.send([&bytes, SMUGGLED.as_bytes()].concat());
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (*status, true), "{request:?}");
        client.is_closed();
        assert_eq!(server.failures(name), before + 1, "{name} for {request:?}");
    }
    let counted: u64 = server.stats().failures().map(|(_, count)| count).sum();
    assert_eq!((calls.load(Ordering::Relaxed), counted), (0, cases.len() as u64));
    assert_eq!(server.ask(crate::support::get("/")).text(), "seen");
}

/// Cases that differ in what follows the first lines.
fn refuses_fields(cases: &[(&str, u16, &str)]) {
    let requests: Vec<_> =
        cases.iter().map(|(fields, ..)| format!("{START}{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")).collect();
    let cases: Vec<_> = requests
        .iter()
        .zip(cases)
        .map(|(request, (_, status, name))| (request.as_str(), *status, *name))
        .collect();
    refuses(&cases);
}

#[test]
fn a_length_beside_a_coding_is_refused() {
    refuses_fields(&[
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "length_and_coding"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "length_and_coding"),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked", 400, "length_and_coding"),
        ("Content-Length: 5\r\nTransfer-Encoding: identity", 400, "length_and_coding"),
        ("content-length:5\r\ntransfer-encoding:", 400, "length_and_coding"),
        ("Content-Length: 5\r\nTRANSFER-ENCODING: cHuNkeD\t", 400, "length_and_coding"),
        (
            "Connection: Transfer-Encoding\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            400,
            "length_and_coding",
        ),
    ]);
}

#[test]
fn a_coding_whose_last_is_not_chunked_is_refused() {
    refuses_fields(&[
        ("Transfer-Encoding: gzip", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked, gzip", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked, chunked", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked, gzip, chunked", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked, identity", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: identity", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding:", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: ,", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunkedx", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: xchunked", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: \"chunked\"", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: chunked;q=1", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: cow chunked", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding:\u{ff}chunked", 400, "bad_transfer_encoding"),
        ("Transfer-Encoding: ch\u{96}nked", 400, "bad_transfer_encoding"),
    ]);
}

#[test]
fn an_unknown_coding_under_chunked_is_not_implemented() {
    refuses_fields(&[
        ("Transfer-Encoding: gzip, chunked", 501, "unknown_coding"),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501, "unknown_coding"),
        ("Transfer-Encoding: identity, chunked", 501, "unknown_coding"),
    ]);
}

#[test]
fn a_coding_in_http_1_0_is_refused() {
    refuses(&[(
        "POST / HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        400,
        "bad_transfer_encoding",
    )]);
}

#[test]
fn a_length_that_is_not_digits_or_not_one_is_refused() {
    refuses_fields(&[
        ("Content-Length:", 400, "bad_content_length"),
        ("Content-Length: +5", 400, "bad_content_length"),
        ("Content-Length: -5", 400, "bad_content_length"),
        ("Content-Length: 0x5", 400, "bad_content_length"),
        ("Content-Length: 5.0", 400, "bad_content_length"),
        ("Content-Length: 5e0", 400, "bad_content_length"),
        ("Content-Length: 0 5", 400, "bad_content_length"),
        ("Content-Length: 0_5", 400, "bad_content_length"),
        ("Content-Length: abc", 400, "bad_content_length"),
        ("Content-Length: \"5\"", 400, "bad_content_length"),
        ("Content-Length: \u{a0}5", 400, "bad_content_length"),
        ("Content-Length: 5, 6", 400, "bad_content_length"),
        ("Content-Length: 0, 5", 400, "bad_content_length"),
        ("Content-Length: 18446744073709551621", 400, "bad_content_length"),
        ("Content-Length: 99999999999999999999999999", 400, "bad_content_length"),
        ("Content-Length: 5\r\nContent-Length: 6", 400, "bad_content_length"),
        ("Content-Length: 0\r\nContent-Length: 5", 400, "bad_content_length"),
        ("Content-Length: \r\nContent-Length: 5", 400, "bad_content_length"),
    ]);
}

#[test]
fn lines_that_do_not_end_with_cr_lf_are_refused() {
    refuses(&[
        ("GET / HTTP/1.1\nHost: test\n\n", 400, "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: test\n\r\n", 400, "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: test\r\n\n", 400, "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: test\r\nA: b\nB: c\r\n\r\n", 400, "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: test\r\nA: b\rB: c\r\n\r\n", 400, "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: test\r\nA: b\r\r\n\r\n", 400, "bare_line_feed"),
        ("\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bare_line_feed"),
        ("GET / HTTP/1.1\rHost: test\r\n\r\n", 400, "bad_request_line"),
    ]);
}

#[test]
fn folded_lines_are_refused() {
    refuses_fields(&[
        ("A: b\r\n c", 400, "folded_header"),
        ("A: b\r\n\tc", 400, "folded_header"),
        ("A: b\r\n \r\n c", 400, "folded_header"),
        ("Content-Length:\r\n 5", 400, "folded_header"),
        ("Transfer-Encoding:\r\n chunked", 400, "folded_header"),
        ("A: b\r\n Content-Length: 5", 400, "folded_header"),
    ]);
    refuses(&[("GET / HTTP/1.1\r\n Host: test\r\n\r\n", 400, "folded_header")]);
}

#[test]
fn names_that_are_no_tokens_are_refused() {
    refuses_fields(&[
        ("A : b", 400, "bad_header_name"),
        ("Content-Length : 5", 400, "bad_header_name"),
        ("Transfer-Encoding : chunked", 400, "bad_header_name"),
        ("Transfer-Encoding\t: chunked", 400, "bad_header_name"),
        ("Transfer-Encoding x: chunked", 400, "bad_header_name"),
        ("A b: c", 400, "bad_header_name"),
        (": b", 400, "bad_header_name"),
        ("NoColon", 400, "bad_header_name"),
        ("A\0: b", 400, "bad_header_name"),
        ("A\u{85}: b", 400, "bad_header_name"),
        ("\u{ef}foo: 1", 400, "bad_header_name"),
        ("A\"b: c", 400, "bad_header_name"),
        ("A(b): c", 400, "bad_header_name"),
        ("A\\b: c", 400, "bad_header_name"),
        ("A\rb: c", 400, "bad_header_name"),
    ]);
}

#[test]
fn values_with_control_characters_are_refused() {
    refuses_fields(&[
        ("A: b\0c", 400, "bad_header_value"),
        ("A: b\u{1}c", 400, "bad_header_value"),
        ("A: \u{b}b", 400, "bad_header_value"),
        ("A: b\u{c}", 400, "bad_header_value"),
        ("A: b\u{7f}c", 400, "bad_header_value"),
        ("Transfer-Encoding: \u{b}chunked", 400, "bad_header_value"),
    ]);
}

#[test]
fn a_host_that_is_missing_repeated_or_invalid_is_refused() {
    refuses(&[
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad_host"),
        ("GET http://test/ HTTP/1.1\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "bad_host"),
        ("GET / HTTP/1.1\r\nHost: t\u{e9}.example\r\n\r\n", 400, "bad_host"),
    ]);
}

#[test]
fn request_lines_that_are_none_are_refused() {
    refuses(&[
        ("GET /\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET / \r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET  / HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET /\0 HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("\0GET / HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GE(T / HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET /\u{e9} HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET /a#b HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET / http/1.1\r\nHost: test\r\n\r\n", 400, "bad_request_line"),
        ("GET / HTTP/2.0\r\nHost: test\r\n\r\n", 505, "bad_version"),
        ("GET test HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_target"),
        ("GET * HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_target"),
        ("GET http:/// HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_target"),
        ("CONNECT / HTTP/1.1\r\nHost: test\r\n\r\n", 400, "bad_target"),
    ]);
}
