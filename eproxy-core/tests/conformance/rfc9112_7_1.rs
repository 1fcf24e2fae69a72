//! RFC 9112 §7.1, Chunked Transfer Coding: sizes, extensions (§7.1.1), trailer section (§7.1.2).

use std::thread;
use std::time::Duration;

use crate::table::{Mirror, chunked, seen};

#[test]
fn chunks_are_put_together() {
    let many = "1\r\nx\r\n".repeat(5000) + "0\r\n\r\n";
    Mirror::start().check(&[
        ("one", chunked("5\r\nhello\r\n0\r\n\r\n"), seen("POST / [] hello")),
        ("none", chunked("0\r\n\r\n"), seen("POST / [] ")),
        (
            "both cases",
            chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
            seen("POST / [] 01234567890123456789"),
        ),
        ("leading zeros", chunked("0005\r\nhello\r\n000\r\n\r\n"), seen("POST / [] hello")),
        ("CR LF inside", chunked("4\r\n\r\n\r\n\r\n0\r\n\r\n"), seen("POST / [] \\r\\n\\r\\n")),
        ("five thousand of one byte", chunked(&many), seen(format!("POST / [] {}", "x".repeat(5000)))),
    ]);
}

#[test]
fn sizes_are_hexadecimal_digits_alone() {
    let zeros = "0".repeat(1 << 20);
    let coded = [
        "g\r\nhello\r\n0\r\n\r\n",
        "5these-bytes\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "+0\r\n\r\n",
        "-0x0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "0_5\r\nhello\r\n0\r\n\r\n",
        "0 5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5.0\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFB\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        "8000000000000000\r\nhello\r\n0\r\n\r\n",
        &zeros,
    ];
    refused(&coded);
}

#[test]
fn chunks_and_lines_end_with_cr_lf() {
    refused(&[
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello\rX0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "2;\nxx\r\n4c\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n\r\n0\r\n\r\n",
    ]);
}

#[test]
fn extensions_are_checked_and_dropped() {
    Mirror::start().check(&[
        ("simple", chunked("5;a=b;c\r\nhello\r\n0;d\r\n\r\n"), seen("POST / [] hello")),
        ("white space", chunked("5 ; a = b\r\nhello\r\n0\r\n\r\n"), seen("POST / [] hello")),
        ("quoted", chunked("5;a=\"b;\\\"c\"\r\nhello\r\n0\r\n\r\n"), seen("POST / [] hello")),
    ]);
    let long = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "v".repeat(512 * 1024));
    refused(&[
        "5;\0x\r\nhello\r\n0\r\n\r\n",
        "5;[=x\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        &long,
    ]);
}

#[test]
fn trailer_sections_are_checked_and_bounded() {
    let long = format!("5\r\nhello\r\n0\r\n{}\r\n", format!("X-T: {}\r\n", "v".repeat(1000)).repeat(1024));
    let many = format!("5\r\nhello\r\n0\r\n{}\r\n", "A: b\r\n".repeat(1000));
    refused(&[
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\0\r\n\r\n",
        "5\r\nhello\r\n0\r\nnone\r\n\r\n",
        &long,
        &many,
    ]);
}

#[test]
fn a_chunked_body_may_come_in_two_pieces_cut_anywhere() {
    let mirror = Mirror::start();
    let request = chunked("5;x=\"y\"\r\nhello\r\n0\r\nX-Sum: 12345\r\nX-Two: 2\r\n\r\n");
    let start = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    for cut in start..request.len() {
        let mut client = mirror.server.connect();
        client.send(&request[..cut]);
        thread::sleep(Duration::from_millis(2));
        client.send(&request[cut..]);
        assert_eq!(client.reply().text(), "POST / [] hello {X-Sum: 12345} {X-Two: 2}", "cut at {cut}");
    }
}

/// The handler has been asked before the body turned out malformed: it fails, and nothing behind it is seen.
fn refused(coded: &[&str]) {
    let mirror = Mirror::start();
    for coded in coded {
        let name = &coded[..coded.len().min(60)];
        let before = mirror.calls();
        let mut client = mirror.server.connect();
        let _cut = client
            .try_send([chunked(coded), b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()].concat());
        let reply = client.reply();
        assert!(reply.status == 400 && reply.says_close(), "{name:?}: {reply:?}");
        client.is_closed();
        assert_eq!(mirror.calls(), before + 1, "{name:?}");
    }
}
