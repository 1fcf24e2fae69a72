//! RFC 9112 §2.3, HTTP Version, and RFC 9110 §2.5.

use crate::table::{BAD, Mirror, Want, bytes, line, seen};

const UNSUPPORTED: Want = Want::Refused(&[505]);

#[test]
fn versions_of_http_1_are_spoken() {
    Mirror::start().check(&[
        ("1.1", line("GET / HTTP/1.1"), seen("GET / [] ")),
        ("a higher minor version", line("GET / HTTP/1.2"), seen("GET / [] ")),
        ("1.0", line("GET / HTTP/1.0"), Want::SeenLast("GET / [] ".into())),
        ("1.0 without Host", bytes("GET / HTTP/1.0\r\n\r\n"), Want::SeenLast("GET / [] ".into())),
        ("1.0 kept alive", bytes("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), seen("GET / [] ")),
    ]);
}

#[test]
fn other_versions_are_refused() {
    Mirror::start().check(&[
        ("2.0", line("GET / HTTP/2.0"), UNSUPPORTED),
        ("9.9", line("GET / HTTP/9.9"), UNSUPPORTED),
        ("0.9", line("GET / HTTP/0.9"), UNSUPPORTED),
        ("in lower case", line("GET / http/1.1"), BAD),
        ("a leading zero", line("GET / HTTP/01.1"), BAD),
        ("two digits", line("GET / HTTP/1.10"), BAD),
        ("a space inside", line("GET / HTTP /1.1"), BAD),
        ("RTSP", line("GET / RTSP/1.0"), BAD),
        ("IHTTP", line("GET / IHTTP/1.0"), BAD),
        ("no minor version", line("GET / HTTP/1"), BAD),
        ("a comma", line("GET / HTTP/1,1"), BAD),
        ("one that only begins as HTTP/2 does", line("PRI * HTTP/2.0"), UNSUPPORTED),
        ("a request of HTTP/0.9", bytes("GET /\r\n\r\n"), BAD),
        ("one with fields behind it", bytes("GET /\r\nHost: test\r\n\r\n"), BAD),
    ]);
}

#[test]
fn answers_are_of_the_servers_own_version() {
    let mirror = Mirror::start();
    for version in ["HTTP/1.0", "HTTP/1.1", "HTTP/1.2"] {
        assert_eq!(mirror.server.ask(line(&format!("GET / {version}"))).version, 1);
    }
}
