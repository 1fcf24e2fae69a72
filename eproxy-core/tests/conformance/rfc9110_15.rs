//! RFC 9110 §15, Status Codes, and RFC 6585 §5: the server's own answers are well-formed and say what is wrong.

use crate::table::{Mirror, Want, get_with, line, post_with};

#[test]
fn each_refusal_has_its_status() {
    Mirror::start().check(&[
        ("400", line("GET / HTTP/1.1\r\nBad Name: x"), Want::Refused(&[400])),
        ("413", post_with("Content-Length: 99999999\r\n", ""), Want::Refused(&[413])),
        ("414", line(&format!("GET /{} HTTP/1.1", "a".repeat(9000))), Want::Refused(&[414])),
        ("417", get_with("Expect: x\r\n"), Want::Refused(&[417])),
        ("431", get_with(&"A: b\r\n".repeat(101)), Want::Refused(&[431])),
        ("501", post_with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), Want::Refused(&[501])),
        ("505", line("GET / HTTP/3.0"), Want::Refused(&[505])),
    ]);
}

#[test]
fn a_refusal_says_no_more_than_its_status() {
    let mirror = Mirror::start();
    let reply = mirror.server.ask(line("GET / HTTP/1.1\r\nX-Secret\0: x"));
    assert_eq!(
        (reply.text(), reply.header("content-type")),
        ("400 Bad Request\n", Some("text/plain; charset=utf-8"))
    );
}
