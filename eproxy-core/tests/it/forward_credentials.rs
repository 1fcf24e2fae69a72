//! A forward proxy that asks who its clients are (RFC 9110 §11.7, RFC 7617).

use eproxy_core::Forward;

use crate::forward::{forwarding, get_at, open_to_loopback};
use crate::support::{Running, crlf};
use crate::upstream::{Upstream, echoing, upstream};

/// `ada:open:sesame`
const ADA: &str = "Basic YWRhOm9wZW46c2VzYW1l";

/// `grace:` and `grëta:pä`
const GRACE: &str = "Basic Z3JhY2U6";
const GRETA: &str = "Basic Z3LDq3RhOnDDpA==";

fn closed() -> Forward {
    open_to_loopback().user("ada", "open:sesame").user("grace", "").user("grëta", "pä")
}

fn request(upstream: &Upstream, credentials: &str) -> Vec<u8> {
    let authority = upstream.address();
    crlf(&format!(
        "GET http://{authority}/ HTTP/1.1\nHost: {authority}\nProxy-Authorization: {credentials}\n\n"
    ))
}

/// Asserts that a request is refused, with a challenge, and that the connection goes on.
fn is_challenged(server: &Running, request: Vec<u8>) {
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(&request);
        assert_eq!((reply.status, reply.says_close()), (407, false));
        let challenge = "Basic realm=\"eproxy\", charset=\"UTF-8\"";
        assert_eq!(reply.header("proxy-authenticate"), Some(challenge));
        assert_eq!(reply.header("proxy-status"), Some("eproxy; error=http_request_denied"));
    }
}

#[test]
fn who_has_not_said_who_they_are_is_asked_and_may_say_so_on_the_same_connection() {
    let upstream = echoing();
    let server = forwarding(closed());
    let mut client = server.connect();
    let reply = client.ask(get_at(&upstream, "/"));
    assert_eq!((reply.status, reply.says_close()), (407, false));
    assert_eq!((upstream.count(), server.stats().upstream_connects), (0, 0));
    assert_eq!(client.ask(request(&upstream, ADA)).status, 200);
    // Each request says it anew.
    assert_eq!(client.ask(get_at(&upstream, "/")).status, 407);
    assert_eq!(server.failures("proxy_authentication"), 2);
}

#[test]
fn everybody_who_is_known_may_pass() {
    let upstream = echoing();
    let server = forwarding(closed());
    for credentials in [ADA, GRACE, GRETA, "bAsIc YWRhOm9wZW46c2VzYW1l", "Basic   YWRhOm9wZW46c2VzYW1l"] {
        assert_eq!(server.ask(request(&upstream, credentials)).status, 200, "{credentials}");
    }
}

#[test]
fn wrong_and_malformed_credentials_are_as_good_as_none() {
    let upstream = echoing();
    let server = forwarding(closed());
    for credentials in [
        "",
        "Basic",
        "Basic ",
        "Basic YWRh",                     // ada
        "Basic YWRhOg==",                 // ada:
        "Basic YWRhOm9wZW4=",             // ada:open
        "Basic YWRhOm9wZW46c2VzYW1lIQ==", // ada:open:sesame!
        "Basic QURBOm9wZW46c2VzYW1l",     // ADA:open:sesame
        "Basic YWRhOm9wZW46c2VzYW1l YQ==",
        "Basic YWRhOm9wZW46c2VzYW1l, Basic x",
        "Basic =YWRhOm9wZW46c2VzYW1l",
        "Basic ada:open:sesame",
        "Bearer YWRhOm9wZW46c2VzYW1l",
        "BasicYWRhOm9wZW46c2VzYW1l",
        "YWRhOm9wZW46c2VzYW1l",
        "Basic \u{FF}\u{FE}",
    ] {
        is_challenged(&server, request(&upstream, credentials));
    }
    // Two of them leave open who it is, and credentials for the origin are not ours.
    let twice = format!("{ADA}\nProxy-Authorization: {ADA}");
    is_challenged(&server, request(&upstream, &twice));
    let authority = upstream.address();
    let other = format!("GET http://{authority}/ HTTP/1.1\nHost: {authority}\nAuthorization: {ADA}\n\n");
    is_challenged(&server, crlf(&other));
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn the_body_of_a_request_that_is_refused_is_not_taken_for_the_next_one() {
    let upstream = echoing();
    let server = forwarding(closed());
    let evil = request(&upstream, ADA);
    let head = format!("POST http://{}/ HTTP/1.1\r\nHost: x\r\n", upstream.address());
    let mut client = server.connect();
    client.send(format!("{head}Content-Length: {}\r\n\r\n", evil.len()));
    client.send(&evil);
    assert_eq!(client.reply().status, 407);
    assert_eq!(client.ask(get_at(&upstream, "/")).status, 407);
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn a_body_that_is_held_back_is_not_asked_for_in_vain() {
    let upstream = echoing();
    let server = forwarding(closed());
    let head = format!("POST http://{}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n", upstream.address());
    let mut client = server.connect();
    let reply = client.ask(format!("{head}Expect: 100-continue\r\n\r\n"));
    assert_eq!((reply.status, reply.interim, upstream.accepted()), (407, vec![], 0));
}

#[test]
fn credentials_for_the_proxy_go_no_further() {
    let upstream = echoing();
    let authority = upstream.address();
    // Whether they are asked for or not.
    for server in [forwarding(closed()), forwarding(open_to_loopback())] {
        let request = format!(
            "GET http://{authority}/ HTTP/1.1\nHost: {authority}\nproxy-authorization: {ADA}\n\
             Authorization: Basic b3RoZXI=\n\n"
        );
        assert_eq!(server.ask(crlf(&request)).status, 200);
        let seen = upstream.last();
        assert_eq!(seen.values("proxy-authorization"), [] as [&str; 0]);
        assert_eq!(seen.values("authorization"), ["Basic b3RoZXI="]);
    }
}

#[test]
fn a_tunnel_is_for_those_who_may_pass_and_knows_nothing_of_who_they_are() {
    let upstream = upstream(|peer| {
        assert_eq!(peer.raw(4), b"ping");
        peer.say("pong");
        assert_eq!(peer.rest(), b"");
    });
    let authority = upstream.address();
    let server = forwarding(closed().connect_ports([authority.port()]));
    let connect =
        |fields: &str| crlf(&format!("CONNECT {authority} HTTP/1.1\nHost: {authority}\n{fields}\n"));
    is_challenged(&server, connect(""));
    is_challenged(&server, connect("Proxy-Authorization: Basic YWRh\n"));
    assert_eq!(upstream.accepted(), 0);
    let mut client = server.connect();
    assert_eq!(client.ask(connect("")).status, 407);
    client.send(connect(&format!("Proxy-Authorization: {ADA}\n")));
    assert_eq!(client.head().expect("an answer comes").status, 200);
    client.send("ping");
    assert_eq!(client.raw(4), b"pong");
}
