//! RFC 9110 §10.1.1, Expect.

use crate::support::get;
use crate::table::{Mirror, Want, bytes, get_with, post_with, seen};

#[test]
fn a_client_that_waits_is_told_to_go_on() {
    let mirror = Mirror::start();
    for expect in ["100-continue", "100-Continue", "100-CONTINUE"] {
        let mut client = mirror.server.connect();
        client.send(post_with(&format!("Expect: {expect}\r\nContent-Length: 5\r\n"), ""));
        assert_eq!(client.head().unwrap().status, 100);
        assert_eq!(client.ask("hello").text(), "POST / [] hello");
        assert_eq!(client.ask(get("/")).text(), "GET / [] ");
    }
}

#[test]
fn a_client_that_does_not_wait_is_served_alike() {
    Mirror::start().check(&[
        (
            "a body at once",
            post_with("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"),
            seen("POST / [] hello"),
        ),
        ("no body", get_with("Expect: 100-continue\r\n"), seen("GET / [] ")),
        (
            "an unknown expectation",
            post_with("Expect: x\r\nContent-Length: 5\r\n", "hello"),
            Want::Refused(&[417]),
        ),
    ]);
}

#[test]
fn an_http_1_0_client_gets_no_interim_answer() {
    let mirror = Mirror::start();
    let mut client = mirror.server.connect();
    client.send(bytes("POST / HTTP/1.0\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    client.hears_nothing_for(50);
    let reply = client.ask("hello");
    assert_eq!((reply.text(), reply.interim.len()), ("POST / [] hello", 0));
}
