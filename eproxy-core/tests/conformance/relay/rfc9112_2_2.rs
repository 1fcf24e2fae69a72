//! RFC 9112 §2.2, Message Parsing: lines end with CR LF in both directions, and it does not matter in which pieces they
//! come.

use crate::support::pause;
use crate::table::{bytes, get_with, line, post_with};

use super::table::{BAD_ANSWER, Relay, Want, check, each, passed, stays, tell, text};
use super::upstream::upstream;

const BARE: Want = Want::Refused(400, "bare_line_feed");
const BAD_LINE: Want = Want::Refused(400, "bad_request_line");

#[test]
fn requests_with_other_line_ends_are_not_passed_on() {
    let plain = "GET / HTTP/1.1\r\nHost: test\r\nA: b\r\n\r\n";
    check(&[
        ("CR LF everywhere", bytes(plain), passed("GET / [Host: test|A: b] ")),
        ("LF everywhere", bytes(&plain.replace('\r', "")), BARE),
        ("LF after the request line", bytes(&plain.replacen("\r\n", "\n", 1)), BARE),
        ("LF after Host", bytes("GET / HTTP/1.1\r\nHost: test\n\r\n"), BARE),
        ("LF after the head", bytes("GET / HTTP/1.1\r\nHost: test\r\n\n"), BARE),
        ("LF inside a value", get_with("A: b\nB: c\r\n"), BARE),
        ("CR inside a value", get_with("A: b\rB: c\r\n"), BARE),
        ("CR CR LF", get_with("A: b\r\r\n"), BARE),
        ("CR after the request line", bytes(&plain.replacen("\r\n", "\r", 1)), BAD_LINE),
        ("CR everywhere", bytes(&plain.replace('\n', "")), BAD_LINE),
        ("CR inside the target", line("GET /a\rX: 1 HTTP/1.1"), BAD_LINE),
        ("LF before the version", line("GET /\nHTTP/1.1"), BARE),
        (
            "CR CR before what looks like a request",
            get_with("\r\rZGET /smuggled HTTP/1.1\r\nHost: test\r\n"),
            Want::Refused(400, "bad_header_name"),
        ),
    ]);
}

#[test]
fn answers_with_other_line_ends_are_not_passed_on() {
    let plain = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok";
    tell(&[
        ("LF everywhere", stays(&plain.replace('\r', "")), BAD_ANSWER),
        ("LF after the status line", stays(&plain.replacen("\r\n", "\n", 1)), BAD_ANSWER),
        ("LF after the head", stays(&plain.replace("\r\n\r\nok", "\r\n\nok")), BAD_ANSWER),
        ("LF inside a value", stays(&plain.replace("A: b", "A: b\nSet-Cookie: x=1")), BAD_ANSWER),
        ("CR inside a value", stays(&plain.replace("A: b", "A: b\rSet-Cookie: x=1")), BAD_ANSWER),
        ("CR CR LF", stays(&plain.replace("A: b", "A: b\r")), BAD_ANSWER),
    ]);
}

#[test]
fn empty_lines_before_a_request_are_not_passed_on_and_nothing_else_may_stand_there() {
    let good = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    check(&[
        ("one", bytes(&format!("\r\n{good}")), passed("GET / [Host: test] ")),
        ("two", bytes(&format!("\r\n\r\n{good}")), passed("GET / [Host: test] ")),
        (
            "behind a body",
            post_with("Content-Length: 4\r\n", "q=42\r\n"),
            passed("POST / [Host: test|Content-Length: 4] q=42"),
        ),
        ("a bare LF", bytes(&format!("\n{good}")), BARE),
        ("a space", bytes(&format!(" {good}")), BAD_LINE),
        ("NUL", bytes(&format!("\0{good}")), BAD_LINE),
    ]);
}

#[test]
fn what_is_not_http_is_not_passed_on() {
    let hello: String =
        "\u{16}\u{3}\u{1}\0\u{c8}\u{1}\0\0\u{c4}\u{3}\u{3}".chars().chain((1..190).map(char::from)).collect();
    check(&[
        ("a TLS client hello", bytes(&(hello + "\r\n\r\n")), BAD_LINE),
        ("an answer", bytes("HTTP/1.1 200 OK\r\nHost: test\r\nContent-Length: 0\r\n\r\n"), BAD_LINE),
    ]);
    tell(&[
        ("a word", stays("NONSENSE\r\n\r\n"), BAD_ANSWER),
        ("bytes above ASCII", stays(&(('\u{80}'..='\u{ff}').collect::<String>() + "\r\n\r\n")), BAD_ANSWER),
        ("a request", stays("GET / HTTP/1.1\r\nHost: test\r\n\r\n"), BAD_ANSWER),
        ("the greeting of another protocol", stays("SSH-2.0-OpenSSH_9.2\r\n\r\n"), BAD_ANSWER),
        ("an empty line first", stays("\r\nNONSENSE\r\n\r\n"), BAD_ANSWER),
    ]);
}

#[test]
fn white_space_before_the_first_field_is_refused_on_both_sides() {
    let folded = || Want::Refused(400, "folded_header");
    check(&[
        ("a field", bytes("GET / HTTP/1.1\r\n X-W: 1\r\nHost: test\r\n\r\n"), folded()),
        ("Host", bytes("GET / HTTP/1.1\r\n Host: test\r\n\r\n"), folded()),
        ("a tab", bytes("GET / HTTP/1.1\r\n\tHost: test\r\n\r\n"), folded()),
    ]);
    tell(&[("an answer", stays("HTTP/1.1 200 OK\r\n X-A: a\r\nContent-Length: 2\r\n\r\nok"), BAD_ANSWER)]);
}

#[test]
fn a_request_may_come_in_two_pieces_cut_anywhere() {
    let request = post_with("X-A: b\r\nContent-Length: 5\r\n", "hello");
    each(|relay| {
        for cut in 1..request.len() {
            let mut client = relay.server.connect();
            client.send(&request[..cut]);
            pause(1);
            assert_eq!(client.ask(&request[cut..]).text(), "hello", "cut at {cut}");
            let seen = relay.upstream.last().text();
            assert_eq!(seen, "POST / [Host: test|X-A: b|Content-Length: 5] hello", "cut at {cut}");
        }
    });
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let answer =
        "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n";
    let upstream = upstream(move |peer| {
        while peer.next().is_some() {
            peer.say_in_pieces(answer, 1);
        }
    });
    let server = super::table::server(&upstream);
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(text(&reply), "200 OK [A: b|Transfer-Encoding: chunked] hello {T: 1}");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let relay = Relay::start(true);
    let request = post_with(
        "Transfer-Encoding: chunked\r\n",
        "5;x=\"a b\"\r\nhello\r\n006\r\n world\r\n0\r\nT: 1\r\n\r\n",
    );
    let mut client = relay.server.connect();
    for byte in request {
        client.send([byte]);
        pause(1);
    }
    assert_eq!(client.reply().text(), "hello world");
    let seen = relay.upstream.last().text();
    assert_eq!(seen, "POST / [Host: test|Transfer-Encoding: chunked] hello world {T: 1}");
}
