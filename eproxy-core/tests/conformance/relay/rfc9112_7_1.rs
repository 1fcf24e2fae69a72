//! RFC 9112 §7.1, Chunked Transfer Coding, in both directions: decoded, checked, and written anew, so that neither
//! extensions (§7.1.1) nor odd sizes reach the other side. The reader of the upstream takes plain sizes only.

use crate::support::{eventually, pause};
use crate::table::{chunked, post_with};

use super::table::{Got, Want, check, each, got, passed, stays, tell};

/// Codings of bodies, and what is in them.
fn good() -> Vec<(&'static str, String, String)> {
    let long = "0123456789abcdef".repeat(2000);
    vec![
        ("one chunk", "5\r\nhello\r\n0\r\n\r\n".into(), "hello".into()),
        ("none", "0\r\n\r\n".into(), String::new()),
        (
            "both cases",
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n".into(),
            "01234567890123456789".into(),
        ),
        ("leading zeros", "0005\r\nhello\r\n000\r\n\r\n".into(), "hello".into()),
        ("CR LF inside", "4\r\n\r\n\r\n\r\n0\r\n\r\n".into(), "\r\n\r\n".into()),
        ("what looks like the end", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n".into(), "\r\n0\r\n\r\n".into()),
        ("extensions", "5;a=b;c\r\nhello\r\n0;d\r\n\r\n".into(), "hello".into()),
        ("white space in them", "5 ; a = b\r\nhello\r\n0\r\n\r\n".into(), "hello".into()),
        ("a quoted value", "5;a=\"b;\\\"c\"\r\nhello\r\n0\r\n\r\n".into(), "hello".into()),
        ("a thousand of one byte", "1\r\nx\r\n".repeat(1000) + "0\r\n\r\n", "x".repeat(1000)),
        ("one of 32 KB", format!("{:X}\r\n{long}\r\n0\r\n\r\n", long.len()), long.clone()),
    ]
}

/// Codings that are wrong, and the names under which requests with them are counted.
fn bad() -> Vec<(String, &'static str)> {
    let long_extension = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "v".repeat(64 * 1024));
    let long_trailers =
        format!("5\r\nhello\r\n0\r\n{}\r\n", format!("X-T: {}\r\n", "v".repeat(1000)).repeat(100));
    let many_trailers = format!("5\r\nhello\r\n0\r\n{}\r\n", "A: b\r\n".repeat(1000));
    let sizes = [
        "g\r\nhello\r\n0\r\n\r\n",
        "5these-bytes\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
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
        &"0".repeat(4096),
    ];
    let line_ends = [
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
    ];
    let extensions = [
        "5;\0x\r\nhello\r\n0\r\n\r\n",
        "5;[=x\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        &long_extension,
    ];
    // §7.1.2: a trailer section is as strict as a head.
    let trailers = [
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\0\r\n\r\n",
        "5\r\nhello\r\n0\r\nnone\r\n\r\n",
        "5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
        &long_trailers,
        &many_trailers,
    ];
    let chunks =
        sizes.iter().chain(&line_ends).chain(&extensions).map(|coded| (coded.to_string(), "bad_chunk"));
    chunks.chain(trailers.iter().map(|coded| (coded.to_string(), "bad_trailer"))).collect()
}

#[test]
fn a_request_is_decoded_and_coded_anew() {
    for (name, coded, body) in good() {
        let want = passed(format!("POST / [Host: test|Transfer-Encoding: chunked] {body}"));
        check(&[(name, chunked(&coded), want)]);
    }
}

#[test]
fn an_answer_is_decoded_and_coded_anew() {
    for (name, coded, body) in good() {
        let answer = stays(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{coded}"));
        tell(&[(name, answer, got(format!("200 OK [Transfer-Encoding: chunked] {body}")))]);
    }
}

#[test]
fn a_request_that_is_wrongly_coded_never_comes_to_its_end_at_the_upstream() {
    for (coded, failure) in bad() {
        check(&[(&coded[..coded.len().min(60)], chunked(&coded), Want::Broken(400, failure))]);
    }
}

#[test]
fn an_answer_that_is_wrongly_coded_never_comes_to_its_end_at_the_client() {
    for (coded, _) in bad() {
        let answer = stays(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{coded}"));
        tell(&[(&coded[..coded.len().min(60)], answer, Got::Broken(200, "bad_answer"))]);
    }
}

#[test]
fn a_request_that_goes_wrong_when_much_of_it_was_passed_on_is_broken_off() {
    each(|relay| {
        let mut client = relay.server.connect();
        client.send(post_with("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"));
        let last = || relay.upstream.heard(relay.upstream.accepted() - 1);
        eventually("the first chunk is passed on", || last().ends_with(b"hello\r\n"));
        client.send("zz\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n");
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (400, true));
        client.is_closed();
        eventually("the upstream's connection ends", || relay.upstream.open() == 0);
        assert!(last().ends_with(b"\r\n5\r\nhello\r\n"), "{:?}", last().escape_ascii().to_string());
        assert_eq!(relay.server.failures("bad_chunk"), 1);
        relay.probe();
    });
}

#[test]
fn chunks_are_passed_on_as_they_come_cut_anywhere() {
    let request = chunked("5;x=\"y\"\r\nhello\r\n0\r\nX-Sum: 12345\r\nX-Two: 2\r\n\r\n");
    let start = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    each(|relay| {
        for cut in start..request.len() {
            let mut client = relay.server.connect();
            client.send(&request[..cut]);
            pause(1);
            assert_eq!(client.ask(&request[cut..]).text(), "hello", "cut at {cut}");
            let seen = relay.upstream.last().text();
            let expected = "POST / [Host: test|Transfer-Encoding: chunked] hello {X-Sum: 12345} {X-Two: 2}";
            assert_eq!(seen, expected, "cut at {cut}");
        }
    });
}
