//! RFC 9110 §7.2, Host.

use crate::table::{BAD, Mirror, bytes, seen};

#[test]
fn hosts_are_names_or_addresses_with_or_without_a_port() {
    let valid = [
        "test",
        "test:8080",
        "127.0.0.1:81",
        "[::1]:80",
        "[::1]",
        "T.Example",
        "a_b.example",
        "xn--bcher-kva.example",
        "test:",
        "",
    ];
    Mirror::start()
        .check(&valid.map(|host| {
            (host, bytes(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), seen("GET / [] "))
        }));
    let invalid = [
        "test evil",
        "test/evil",
        "user@test",
        "test, other",
        "test:8x",
        "te\tst",
        "test#x",
        "test?x",
        "t\u{e9}.example",
        "test:65536",
        "[::1",
        "[::1]x",
        "[zz]",
        "te\\st",
        "test%4",
        "a:1:2",
        "http://test",
    ];
    Mirror::start()
        .check(&invalid.map(|host| (host, bytes(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), BAD)));
}
