//! RFC 9110 §7.2, Host, and RFC 9112 §3.2: exactly one, and an upstream gets the one that the request was checked by.

use crate::table::bytes;

use super::table::{Want, check, passed};

const BAD: Want = Want::Refused(400, "bad_host");

fn with_host(host: &str) -> Vec<u8> {
    bytes(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn valid_hosts_are_passed_on_as_they_came() {
    let hosts = [
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
    check(&hosts.map(|host| (host, with_host(host), passed(format!("GET / [Host: {host}] ")))));
}

#[test]
fn what_is_no_host_is_not_passed_on() {
    let hosts = [
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
    check(&hosts.map(|host| (host, with_host(host), BAD)));
}

#[test]
fn exactly_one_host_is_needed() {
    check(&[
        ("none", bytes("GET / HTTP/1.1\r\n\r\n"), BAD),
        ("two", bytes("GET / HTTP/1.1\r\nHost: test\r\nHost: other.example\r\n\r\n"), BAD),
        ("the same twice", bytes("GET / HTTP/1.1\r\nHost: test\r\nhost: test\r\n\r\n"), BAD),
        (
            "one that is empty and one that is not",
            bytes("GET / HTTP/1.1\r\nHost:\r\nHost: test\r\n\r\n"),
            BAD,
        ),
        ("two in HTTP/1.0", bytes("GET / HTTP/1.0\r\nHost: test\r\nHost: test\r\n\r\n"), BAD),
        (
            "one named by Connection",
            bytes("GET / HTTP/1.1\r\nHost: test\r\nConnection: Host\r\n\r\n"),
            passed("GET / [Host: test] "),
        ),
    ]);
}
