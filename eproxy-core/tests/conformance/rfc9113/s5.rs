//! RFC 9113 §5, Streams and Multiplexing: states (§5.1), numbers (§5.1.1), concurrency (§5.1.2), priority (§5.3), errors
//! (§5.4).

use crate::h2::check::{CLOSED, Want, answered, check, get, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::block;
use crate::h2::site::Site;
use crate::support::eventually;

const PROTOCOL: Want = Want::Connection(&[PROTOCOL_ERROR]);

#[test]
fn idle_streams_take_headers_and_priority_only() {
    check(&[
        ("§5.1: DATA", data(1, END_STREAM, "x"), PROTOCOL),
        ("§5.1: RST_STREAM", rst_stream(1, CANCEL), PROTOCOL),
        ("§5.1: WINDOW_UPDATE", window_update(1, 100), PROTOCOL),
        ("§5.1: CONTINUATION", continuation(1, END_HEADERS, &block(&head("GET", "/"))), PROTOCOL),
        ("§5.1: PRIORITY", priority(1, 0), Want::Ignored),
        ("§5.1: DATA beyond an open stream", [post(1, "/held", &[]), data(3, 0, "x")].concat(), PROTOCOL),
        (
            "§5.1: RST_STREAM beyond an open stream",
            [post(1, "/held", &[]), rst_stream(3, CANCEL)].concat(),
            PROTOCOL,
        ),
        (
            "§5.1: WINDOW_UPDATE beyond an open stream",
            [post(1, "/held", &[]), window_update(3, 1)].concat(),
            PROTOCOL,
        ),
    ]);
}

#[test]
fn a_stream_that_its_client_has_ended_takes_no_more_of_a_request() {
    let ended = || get(1, "/held");
    let closed = || Want::Stream(1, CLOSED);
    check(&[
        ("§5.1: DATA", [ended(), data(1, END_STREAM, "x")].concat(), closed()),
        ("§5.1: empty DATA", [ended(), data(1, 0, "")].concat(), closed()),
        ("§5.1: HEADERS", [ended(), get(1, "/held")].concat(), closed()),
        (
            "§5.1: CONTINUATION",
            [ended(), continuation(1, END_HEADERS, &block(&[("a", "b")]))].concat(),
            Want::Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "§5.1: DATA behind a body",
            [post(1, "/held", &[]), data(1, END_STREAM, "x"), data(1, 0, "y")].concat(),
            closed(),
        ),
        ("§5.1: WINDOW_UPDATE", [ended(), window_update(1, 100)].concat(), Want::Ignored),
        ("§5.1: PRIORITY", [ended(), priority(1, 0)].concat(), Want::Ignored),
        ("§5.1: RST_STREAM", [ended(), rst_stream(1, CANCEL)].concat(), Want::Ignored),
    ]);
}

#[test]
fn a_stream_that_its_client_has_reset_takes_nothing() {
    let reset = || [get(1, "/held"), rst_stream(1, CANCEL)].concat();
    let reset_early = || [post(1, "/held", &[]), data(1, 0, "x"), rst_stream(1, CANCEL)].concat();
    // §5.1: what comes behind may be an error; nothing says that it must.
    let closed = || Want::IgnoredOr(&[STREAM_CLOSED]);
    check(&[
        ("§5.1: DATA", [reset(), data(1, END_STREAM, "x")].concat(), closed()),
        ("§5.1: DATA of an upload", [reset_early(), data(1, 0, "x")].concat(), closed()),
        ("§5.1: WINDOW_UPDATE", [reset(), window_update(1, 100)].concat(), closed()),
        ("§5.1: RST_STREAM", [reset(), rst_stream(1, CANCEL)].concat(), closed()),
        ("§5.1: PRIORITY", [reset(), priority(1, 0)].concat(), Want::Ignored),
        (
            "§5.1.1: HEADERS",
            [reset(), get(1, "/held")].concat(),
            Want::IgnoredOr(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "§5.1: trailers of an upload",
            [reset_early(), headers(1, END, &block(&[("a", "b")]))].concat(),
            Want::IgnoredOr(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "§5.1: CONTINUATION",
            [reset(), continuation(1, END_HEADERS, &block(&[("a", "b")]))].concat(),
            Want::Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        ("§5.1: another request", [reset(), get(3, "/")].concat(), answered(3, "GET / [] ")),
    ]);
}

#[test]
fn a_stream_that_was_answered_takes_nothing() {
    let site = Site::start();
    let cases: [(&str, Vec<u8>, &[u32]); 6] = [
        ("§5.1: DATA", data(1, END_STREAM, "x"), &[STREAM_CLOSED]),
        ("§5.1: HEADERS", get(1, "/"), &[STREAM_CLOSED, PROTOCOL_ERROR]),
        (
            "§5.1: CONTINUATION",
            continuation(1, END_HEADERS, &block(&[("a", "b")])),
            &[STREAM_CLOSED, PROTOCOL_ERROR],
        ),
        ("§5.1: WINDOW_UPDATE", window_update(1, 1), &[]),
        ("§5.1: RST_STREAM", rst_stream(1, CANCEL), &[]),
        ("§5.1: PRIORITY", priority(1, 0), &[]),
    ];
    for (name, bytes, codes) in cases {
        let mut client = Client::to(site.address());
        assert_eq!(client.ask("/").text(), "GET / [] ", "{name}");
        let calls = site.calls();
        client.send(bytes);
        if !client.is_alive() {
            let known: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
            assert!(!codes.is_empty() && known.iter().all(|code| codes.contains(code)), "{name}: {known:?}");
        }
        assert_eq!(site.calls(), calls, "{name}");
    }
}

#[test]
fn stream_identifiers_are_odd_and_grow() {
    check(&[
        ("§5.1.1: an even one", get(2, "/"), PROTOCOL),
        ("§5.1.1: one that is smaller", [get(5, "/held"), get(3, "/")].concat(), PROTOCOL),
        (
            "§5.1.1: one that was left out, which is closed",
            [get(5, "/held"), data(3, 0, "x")].concat(),
            Want::IgnoredOr(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "§5.1.1: one that was used",
            [get(1, "/"), ping([9; 8]), get(1, "/")].concat(),
            Want::IgnoredOr(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        ("§5.1.1: some left out", [get(7, "/a"), get(1001, "/b")].concat(), answered(1001, "GET /b [] ")),
        ("§5.1.1: the last that there is", get(0x7fff_ffff, "/z"), answered(0x7fff_ffff, "GET /z [] ")),
        ("§5.1.1: stream 0", headers(0, END, &block(&head("GET", "/"))), PROTOCOL),
    ]);
}

#[test]
fn a_hundred_streams_may_be_open_and_one_more_is_refused() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let most = client.setting(MAX_CONCURRENT_STREAMS).expect("it is announced");
    let held: Vec<_> = (0..most).map(|_| client.get("/held")).collect();
    eventually("all are with the handler", || site.held() == held.len());
    let over = client.get("/never");
    let answer = client.answer(over);
    // §5.1.2: PROTOCOL_ERROR or REFUSED_STREAM.
    let codes = [Some(REFUSED_STREAM), Some(PROTOCOL_ERROR)];
    let is_refused = codes.contains(&answer.reset) || client.heard.is_closed;
    assert!(is_refused && answer.status == 0, "{answer:?}");
    assert_eq!(site.calls(), held.len(), "it was not seen");
    site.release();
    if !client.heard.is_closed {
        for stream in held {
            assert_eq!(client.answer(stream).text(), "released");
        }
        assert_eq!(client.ask("/again").text(), "GET /again [] ", "there is room again");
    }
}

#[test]
fn the_old_priorities_mean_nothing() {
    let with_priority = |dependency: u32| {
        let block = [&dependency.to_be_bytes()[..], &[255], &block(&head("GET", "/"))].concat();
        headers(1, END | WITH_PRIORITY, &block)
    };
    let ok = || answered(1, "GET / [] ");
    check(&[
        ("§5.3.2: a dependency", with_priority(0), ok()),
        ("§5.3.2: an exclusive one", with_priority(1 << 31 | 11), ok()),
        // RFC 7540 §5.3.1 made it an error of the stream; RFC 9113 has no such rule.
        ("§5.3.2: HEADERS that depend on themselves", with_priority(1), Want::IgnoredOr(&[PROTOCOL_ERROR])),
        ("§5.3.2: PRIORITY that depends on itself", priority(1, 1), Want::IgnoredOr(&[PROTOCOL_ERROR])),
        ("§5.3.2: a ring", [priority(3, 5), priority(5, 3), get(1, "/")].concat(), ok()),
        (
            "§6.2: priority and padding",
            headers(
                1,
                END | WITH_PRIORITY | PADDED,
                &[&[3][..], &[0, 0, 0, 0, 7], &block(&head("GET", "/")), &[0; 3]].concat(),
            ),
            ok(),
        ),
        // RFC 9218 §7.1: PRIORITY_UPDATE is an extension.
        ("RFC 9218 §7.1: PRIORITY_UPDATE", frame(0x10, 0, 0, b"\0\0\0\x01u=1"), Want::Ignored),
    ]);
}

#[test]
fn a_stream_error_costs_its_stream_only() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let before = client.get("/held");
    eventually("it is with the handler", || site.held() == 1);
    let reset = client.get("/held");
    client.send(rst_stream(reset, CANCEL));
    let bad = client.request(&[&head("GET", "/")[..], &[("connection", "close")]].concat(), true);
    let after = client.get("/after");
    assert_eq!(client.answer(after).text(), "GET /after [] ");
    let bad = client.answer(bad);
    assert!(bad.status == 400 || bad.reset == Some(PROTOCOL_ERROR), "{bad:?}");
    site.release();
    assert_eq!(client.answer(before).text(), "released");
    assert!(client.heard.goaways.is_empty(), "{:?}", client.heard);
}

#[test]
fn a_connection_error_is_told_by_goaway_with_the_last_stream() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    for _ in 0..3 {
        client.ask("/");
    }
    client.send(data(0, 0, "x"));
    client.read_to_end();
    // §5.4.1: it should be told, and nothing keeps the server from it here.
    assert_eq!(client.heard.goaways.last(), Some(&(5, PROTOCOL_ERROR)), "{:?}", client.heard);
}

#[test]
fn many_streams_are_answered_at_once() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    for round in 0..10 {
        let streams: Vec<_> = (0..100).map(|number| client.get(&format!("/{round}/{number}"))).collect();
        for (number, stream) in streams.into_iter().enumerate() {
            assert_eq!(client.answer(stream).text(), format!("GET /{round}/{number} [] "));
        }
    }
    assert_eq!(site.calls(), 1000);
}

#[test]
fn a_stream_that_waits_holds_up_no_other() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let waits = client.get("/held");
    let uploads = client.request(&head("POST", "/upload"), false);
    for number in 0..20 {
        assert_eq!(client.ask(&format!("/{number}")).text(), format!("GET /{number} [] "));
    }
    assert!(client.body(uploads, b"body", true));
    assert_eq!(client.answer(uploads).text(), "POST /upload [] body");
    site.release();
    assert_eq!(client.answer(waits).text(), "released");
}
