//! RFC 9112 §9, Connection Management: persistence (§9.3), pipelining (§9.3.2), tear-down (§9.6).

use crate::support::{get, post, post_chunked};
use crate::table::{Mirror, Want, bytes, get_with, line, seen};

#[test]
fn connections_are_kept_unless_somebody_says_close() {
    let last = || Want::SeenLast("GET / [] ".into());
    Mirror::start().check(&[
        ("nothing said", get_with(""), seen("GET / [] ")),
        ("keep-alive", get_with("Connection: keep-alive\r\n"), seen("GET / [] ")),
        ("close", get_with("Connection: close\r\n"), last()),
        ("in a list", get_with("Connection: foo, CLOSE\r\n"), last()),
        ("on a second line", get_with("Connection: foo\r\nConnection: close\r\n"), last()),
        ("with white space", get_with("connection:close\t\r\n"), last()),
        ("beside keep-alive", get_with("Connection: keep-alive, close\r\n"), last()),
        ("only like close", get_with("Connection: closed, x-close\r\n"), seen("GET / [] ")),
        ("empty members", get_with("Connection: foo, ,bar\r\n"), seen("GET / [] ")),
        ("a comma", get_with("Connection: ,\r\n"), seen("GET / [] ")),
        ("parameters", get_with("Connection: keep-alive, foo;x=1\r\n"), seen("GET / [] ")),
        ("quotes", get_with("Connection: \"quoted\"\r\n"), seen("GET / [] ")),
        ("HTTP/1.0", line("GET / HTTP/1.0"), last()),
        ("HTTP/1.0 kept", bytes("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), seen("GET / [] ")),
    ]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mirror = Mirror::start();
    let mut client = mirror.server.connect();
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for number in 0..10 {
        let body = format!("B{number}").repeat(50);
        let target = format!("/{number}");
        match number % 3 {
            0 => {
                requests.extend(get(&target));
                expected.push(format!("GET {target} [] "));
            }
            1 => {
                requests.extend(post(&target, &body));
                expected.push(format!("POST {target} [] {body}"));
            }
            _ => {
                requests.extend(post_chunked(&target, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())));
                expected.push(format!("POST {target} [] {body}"));
            }
        }
    }
    client.send(requests);
    for expected in expected {
        assert_eq!(client.reply().text(), expected);
    }
}

#[test]
fn a_client_that_ends_its_side_is_still_answered() {
    let mirror = Mirror::start();
    let mut client = mirror.server.connect();
    client.send(get("/1"));
    client.finish();
    assert_eq!(client.reply().text(), "GET /1 [] ");
    client.is_closed();
}
