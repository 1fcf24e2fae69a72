//! RFC 9113 §6.1 to §6.4 and §6.6, DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE.

use crate::h2::check::{Want, answered, check, get, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::block;
use crate::h2::site::Site;
use crate::support::eventually;

const PROTOCOL: Want = Want::Connection(&[PROTOCOL_ERROR]);

#[test]
fn data_belong_to_a_stream_and_are_longer_than_their_padding() {
    let open = || post(1, "/", &[]);
    let padded = |flags, length: u8, rest: &[u8]| frame(DATA, PADDED | flags, 1, &[&[length], rest].concat());
    check(&[
        ("§6.1: stream 0", [open(), data(0, END_STREAM, "x")].concat(), PROTOCOL),
        ("§6.1: padding as long as the payload", [open(), padded(0, 4, b"abc")].concat(), PROTOCOL),
        ("§6.1: padding that is longer", [open(), padded(0, 255, b"abc")].concat(), PROTOCOL),
        (
            "§6.1: padding and nothing else",
            [open(), padded(0, 3, &[0; 3]), padded(END_STREAM, 0, b"")].concat(),
            answered(1, "POST / [] "),
        ),
        (
            "§6.1: padding behind content",
            [open(), padded(0, 2, b"ab\0\0"), padded(END_STREAM, 255, &[&b"c"[..], &[0; 255]].concat())]
                .concat(),
            answered(1, "POST / [] abc"),
        ),
        (
            "§6.1: padding that is not zero",
            [open(), padded(END_STREAM, 2, b"abxx")].concat(),
            Want::Answered(1, "POST / [] ab".into()),
        ),
        (
            "§6.1: empty frames",
            [open(), data(1, 0, ""), data(1, 0, "a"), data(1, 0, ""), data(1, END_STREAM, "")].concat(),
            answered(1, "POST / [] a"),
        ),
    ]);
}

#[test]
fn headers_belong_to_a_stream_and_are_longer_than_their_padding() {
    let block = block(&head("GET", "/"));
    let padded = |length: u8, padding: usize| {
        let payload = [&[length][..], &block, &vec![0; padding]].concat();
        headers(1, END | PADDED, &payload)
    };
    check(&[
        ("§6.2: stream 0", headers(0, END, &block), PROTOCOL),
        ("§6.2: padding", padded(10, 10), answered(1, "GET / [] ")),
        ("§6.2: the most padding", padded(255, 255), answered(1, "GET / [] ")),
        ("§6.2: no padding", padded(0, 0), answered(1, "GET / [] ")),
        ("§6.2: padding longer than the frame", padded(200, 0), PROTOCOL),
        (
            "§6.2: padding as long as the frame",
            headers(1, END | PADDED, &[[3].as_slice(), &[0; 2]].concat()),
            PROTOCOL,
        ),
        // A block that ends where its padding is said to begin in the middle of a field.
        (
            "§6.2: padding that cuts a field off",
            padded(3, 0),
            Want::Connection(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
    ]);
}

#[test]
fn priority_and_rst_stream_belong_to_a_stream() {
    check(&[
        ("§6.3: PRIORITY of stream 0", priority(0, 1), PROTOCOL),
        ("§6.4: RST_STREAM of stream 0", rst_stream(0, CANCEL), PROTOCOL),
        ("§6.4: an unknown code", [get(1, "/held"), rst_stream(1, 0xdead_beef)].concat(), Want::Ignored),
        ("§6.4: NO_ERROR", [get(1, "/held"), rst_stream(1, NO_ERROR)].concat(), Want::Ignored),
    ]);
}

#[test]
fn clients_push_nothing() {
    let promise = |stream| {
        let payload = [&2_u32.to_be_bytes()[..], &block(&head("GET", "/"))].concat();
        frame(PUSH_PROMISE, END_HEADERS, stream, &payload)
    };
    check(&[
        ("§8.4: PUSH_PROMISE", [post(1, "/held", &[]), promise(1)].concat(), PROTOCOL),
        ("§6.6: PUSH_PROMISE of stream 0", promise(0), PROTOCOL),
        ("§6.6: PUSH_PROMISE of an idle stream", promise(3), PROTOCOL),
    ]);
}

#[test]
fn servers_push_nothing_even_where_they_may() {
    // That no PUSH_PROMISE comes is asserted of every connection; here one is invited.
    let site = Site::start();
    let mut client = Client::with(site.address(), &[(ENABLE_PUSH, 1)]);
    for path in ["/", "/index.html", "/trailers", "/bytes/1000"] {
        assert_eq!(client.ask(path).status, 200);
    }
}

#[test]
fn a_reset_tells_the_handler_that_its_client_is_gone() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let stream = client.get("/held");
    let other = client.get("/held");
    eventually("both are with the handler", || site.held() == 2);
    client.send(rst_stream(stream, CANCEL));
    assert!(client.is_alive());
    eventually("the handler can know", || site.closed() == 1);
    site.release();
    assert_eq!(client.answer(other).text(), "released");
    assert!(!client.heard.answers.contains_key(&stream), "nothing is said on it: {:?}", client.heard);
}

#[test]
fn a_reset_in_the_middle_of_an_answer_ends_it_and_nothing_else() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    client.refills = false;
    for path in ["/bytes/1000000", "/stream/1000000"] {
        let stream = client.get(path);
        client.until("a part of it", |heard| {
            heard.answers.get(&stream).is_some_and(|answer| answer.body.len() > 10_000)
        });
        client.send(rst_stream(stream, CANCEL));
        assert!(client.is_alive());
        let length = client.heard.answers[&stream].body.len();
        // What was on its way counts for the connection (§6.9); that is for us to open again.
        client.open_window(0, u32::try_from(length).expect("a length"));
        assert!(client.is_alive());
        assert_eq!(client.heard.answers[&stream].body.len(), length, "nothing more comes");
        assert_eq!(client.ask("/next").text(), "GET /next [] ");
    }
}
