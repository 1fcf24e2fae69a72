//! RFC 9113 §6.5, §6.7, §6.8, SETTINGS, PING, GOAWAY: what is said of the connection.

use crate::h2::check::{WRONG_SIZE, Want, answered, check, get};
use crate::h2::client::Client;
use crate::h2::frame::*;
use crate::h2::site::Site;

const PROTOCOL: Want = Want::Connection(&[PROTOCOL_ERROR]);

#[test]
fn settings_are_of_the_connection_and_in_their_bounds() {
    check(&[
        (
            "§6.5: an acknowledgement with a payload",
            frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 9]),
            Want::Connection(WRONG_SIZE),
        ),
        ("§6.5: of a stream", frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 9]), PROTOCOL),
        ("§6.5: of a stream that is open", [get(1, "/held"), frame(SETTINGS, 0, 1, &[])].concat(), PROTOCOL),
        ("§6.5.2: ENABLE_PUSH 2", settings(&[(ENABLE_PUSH, 2)]), PROTOCOL),
        (
            "§6.5.2: INITIAL_WINDOW_SIZE over 2^31-1",
            settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)]),
            // The codec has the general code.
            Want::Connection(&[FLOW_CONTROL_ERROR, PROTOCOL_ERROR]),
        ),
        ("§6.5.2: MAX_FRAME_SIZE under 16,384", settings(&[(MAX_FRAME_SIZE, 16_383)]), PROTOCOL),
        ("§6.5.2: MAX_FRAME_SIZE over 16,777,215", settings(&[(MAX_FRAME_SIZE, 1 << 24)]), PROTOCOL),
        // RFC 8441 §3: a client does not announce it, or the value does not matter.
        (
            "RFC 8441 §3: ENABLE_CONNECT_PROTOCOL 2",
            settings(&[(ENABLE_CONNECT_PROTOCOL, 2)]),
            Want::IgnoredOr(&[PROTOCOL_ERROR]),
        ),
    ]);
}

#[test]
fn every_settings_frame_is_acknowledged_once_and_in_its_order() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let values: [&[(u16, u32)]; 10] = [
        &[],
        &[(ENABLE_PUSH, 0)],
        &[(ENABLE_PUSH, 1)],
        &[(MAX_FRAME_SIZE, 16_384)],
        &[(MAX_FRAME_SIZE, (1 << 24) - 1)],
        &[(INITIAL_WINDOW_SIZE, 0)],
        &[(INITIAL_WINDOW_SIZE, (1 << 31) - 1)],
        &[(INITIAL_WINDOW_SIZE, 65_535), (HEADER_TABLE_SIZE, 100), (MAX_CONCURRENT_STREAMS, 0)],
        // §6.5.2: what is not known is ignored.
        &[(0, 1), (0xff, u32::MAX), (0xf000, 7)],
        // The same twice: the last holds.
        &[(INITIAL_WINDOW_SIZE, 1), (INITIAL_WINDOW_SIZE, 65_535)],
    ];
    for (number, values) in values.into_iter().enumerate() {
        client.set(values);
        client.until("it is acknowledged", |heard| heard.settings_acks == number + 2);
        assert_eq!(client.ask("/status/204").status, 204, "behind {values:?}");
    }
    assert!(client.is_alive());
}

#[test]
fn a_server_whose_header_table_is_taken_away_does_without() {
    // RFC 7541 §4.2: the decoder of this client asserts that the server keeps to what it is told.
    let site = Site::start();
    let mut client = Client::with(site.address(), &[(HEADER_TABLE_SIZE, 0)]);
    client.limit_table(0);
    for _ in 0..5 {
        assert_eq!(client.ask("/fields").text(), "fields");
    }
    client.limit_table(4096);
    client.set(&[(HEADER_TABLE_SIZE, 4096)]);
    assert_eq!(client.ask("/fields").text(), "fields");
}

#[test]
fn answers_keep_to_the_frame_size_of_the_client() {
    // Every frame that comes is held against 16,384 bytes: a client that takes no more has to get no more.
    let site = Site::start();
    let mut client = Client::with(site.address(), &[(MAX_FRAME_SIZE, 16_384)]);
    for path in ["/bytes/200000", "/stream/200000"] {
        assert_eq!(client.ask(path).body.len(), 200_000);
    }
}

#[test]
fn pings_are_answered_with_what_they_carry() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    for opaque in [[0; 8], [0xff; 8], *b"eproxy!!"] {
        client.send(ping(opaque));
        client.until("its echo", |heard| heard.pongs.last() == Some(&opaque));
    }
    // §6.7: an acknowledgement is not answered.
    let echoes = client.heard.pongs.len();
    client.send(frame(PING, ACK, 0, &[3; 8]));
    assert!(client.is_alive());
    assert_eq!(client.heard.pongs.len(), echoes + 1);
    check(&[
        ("§6.7: of a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        ("§6.7: of a stream that is open", [get(1, "/held"), frame(PING, 0, 1, &[0; 8])].concat(), PROTOCOL),
        ("§6.7: between requests", [ping([1; 8]), get(1, "/"), ping([2; 8])].concat(), {
            answered(1, "GET / [] ")
        }),
    ]);
}

#[test]
fn goaway_is_of_the_connection() {
    check(&[("§6.8: of a stream", frame(GOAWAY, 0, 1, &[0; 8]), PROTOCOL)]);
}

#[test]
fn a_client_that_says_goaway_is_given_what_it_has_asked_for() {
    // §6.8: GOAWAY of a client is about streams of the server's, of which there are none.
    let site = Site::start();
    for code in [NO_ERROR, ENHANCE_YOUR_CALM, 0xdead] {
        let mut client = Client::to(site.address());
        let stream = client.get("/held");
        crate::support::eventually("it is with the handler", || site.held() == 1);
        client.send(goaway(0, code));
        site.release();
        let answer = client.answer(stream);
        // With an error the client may not wait for it.
        let is_right = answer.is_whole && answer.text() == "released";
        assert!(is_right || code != NO_ERROR && client.heard.is_closed, "{code}: {answer:?}");
    }
}
