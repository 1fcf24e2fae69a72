//! RFC 9113 §4, HTTP Frames: their format (§4.1), their size (§4.2), compressed fields (§4.3).

use crate::h2::check::{UNREADABLE, WRONG_SIZE, Want, answered, check, get, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::{block, indexed, literal_indexed};
use crate::h2::site::Site;

const PROTOCOL: Want = Want::Connection(&[PROTOCOL_ERROR]);
const FRAME_SIZE: Want = Want::Connection(WRONG_SIZE);

#[test]
fn what_is_unknown_of_a_frame_is_ignored() {
    let mut reserved = get(1, "/r");
    reserved[5] |= 0x80;
    let answer = || answered(1, "GET / [] ");
    check(&[
        ("§4.1: an unknown type", frame(0x16, 0, 0, b"12345678"), Want::Ignored),
        ("§4.1: an unknown type on an idle stream", frame(0xff, 0xff, 99, b"x"), Want::Ignored),
        (
            "§4.1: an unknown type on an open stream",
            [post(1, "/", &[]), frame(0x16, 0xff, 1, b"x"), data(1, END_STREAM, "b")].concat(),
            answered(1, "POST / [] b"),
        ),
        ("§4.1: undefined flags of PING", frame(PING, 0xfe, 0, &[7; 8]), Want::Ignored),
        (
            "§4.1: undefined flags of HEADERS",
            headers(1, END | 0x80 | 0x40 | 0x10 | 0x02, &block(&head("GET", "/"))),
            answer(),
        ),
        (
            "§4.1: undefined flags of DATA",
            [post(1, "/", &[]), data(1, 0xf6, "b"), data(1, 0xf7, "c")].concat(),
            answered(1, "POST / [] bc"),
        ),
        ("§4.1: the reserved bit of the stream identifier", reserved, answered(1, "GET /r [] ")),
        ("§5.5: extensions behind one another", frame(0xaa, 0, 0, &[0; 1000]).repeat(10), Want::Ignored),
        ("§4.1: an empty frame of an unknown type", frame(0xf0, 0, 3, b""), Want::Ignored),
    ]);
}

#[test]
fn frames_up_to_the_announced_size_are_taken() {
    let largest = "d".repeat(16_384);
    let block = block(&[&head("GET", "/")[..], &[("x-see", &"v".repeat(16_000))]].concat());
    check(&[
        (
            "§4.2: DATA of 16,384 bytes",
            [post(1, "/", &[]), data(1, END_STREAM, &largest)].concat(),
            answered(1, &format!("POST / [] {largest}")),
        ),
        (
            "§4.2: HEADERS of 16,000 bytes",
            headers(1, END, &block),
            answered(1, &format!("GET / [{}] ", "v".repeat(16_000))),
        ),
    ]);
}

#[test]
fn frames_over_the_announced_size_are_errors() {
    let site = Site::start();
    let size = Client::to(site.address()).frame_size() + 1;
    let large = vec![0; size];
    // Frames that can change the state of the whole connection make it fail; others may.
    check(&[
        ("§4.2: DATA", [post(1, "/", &[]), data(1, 0, &large)].concat(), Want::Stream(1, WRONG_SIZE)),
        ("§4.2: HEADERS", frame(HEADERS, END, 1, &large), FRAME_SIZE),
        ("§4.2: SETTINGS", frame(SETTINGS, 0, 0, &large), FRAME_SIZE),
        ("§4.2: PING", frame(PING, 0, 0, &large), FRAME_SIZE),
        ("§4.2: an unknown type", frame(0x16, 0, 0, &large), FRAME_SIZE),
        (
            "§4.2: CONTINUATION",
            [headers(1, END_STREAM, &block(&head("GET", "/"))), continuation(1, END_HEADERS, &large)]
                .concat(),
            FRAME_SIZE,
        ),
        (
            "§4.2: the largest length that there is",
            b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec(),
            FRAME_SIZE,
        ),
    ]);
}

#[test]
fn frames_of_a_wrong_size_are_errors() {
    let open = || post(1, "/held", &[]);
    check(&[
        ("§6.7: PING of 7 bytes", frame(PING, 0, 0, &[0; 7]), FRAME_SIZE),
        ("§6.7: PING of 9 bytes", frame(PING, 0, 0, &[0; 9]), FRAME_SIZE),
        ("§6.7: an empty PING", frame(PING, 0, 0, &[]), FRAME_SIZE),
        ("§6.4: RST_STREAM of 3 bytes", [open(), frame(RST_STREAM, 0, 1, &[0; 3])].concat(), FRAME_SIZE),
        ("§6.4: RST_STREAM of 5 bytes", [open(), frame(RST_STREAM, 0, 1, &[0; 5])].concat(), FRAME_SIZE),
        ("§6.9: WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]), FRAME_SIZE),
        (
            "§6.9: WINDOW_UPDATE of 5 bytes, on a stream",
            [open(), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 0, 1])].concat(),
            FRAME_SIZE,
        ),
        ("§6.5: SETTINGS of 3 bytes", frame(SETTINGS, 0, 0, &[0, 3, 0]), FRAME_SIZE),
        ("§6.5: SETTINGS of 7 bytes", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9, 0]), FRAME_SIZE),
        ("§6.3: PRIORITY of 4 bytes", frame(PRIORITY, 0, 1, &[0, 0, 0, 0]), Want::IgnoredOr(WRONG_SIZE)),
        (
            "§6.3: PRIORITY of 6 bytes, on an open stream",
            [open(), frame(PRIORITY, 0, 1, &[0; 6])].concat(),
            Want::Stream(1, WRONG_SIZE),
        ),
        ("§6.8: GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, &[0; 7]), FRAME_SIZE),
        (
            "§6.2: HEADERS that end in their priority",
            frame(HEADERS, END | WITH_PRIORITY, 1, &[0, 0, 0]),
            Want::Connection(WRONG_SIZE),
        ),
        (
            "§6.2: HEADERS that are padded and empty",
            frame(HEADERS, END | PADDED, 1, &[]),
            Want::Connection(WRONG_SIZE),
        ),
        (
            "§6.1: DATA that are padded and empty",
            [open(), frame(DATA, PADDED, 1, &[])].concat(),
            Want::Connection(WRONG_SIZE),
        ),
    ]);
}

#[test]
fn header_blocks_come_in_one_piece() {
    let all = block(&head("GET", "/"));
    let (first, second) = all.split_at(20);
    let begun = || headers(1, END_STREAM, first);
    check(&[
        ("§4.3: another stream's HEADERS", [begun(), get(3, "/")].concat(), PROTOCOL),
        ("§4.3: PING", [begun(), ping([0; 8])].concat(), PROTOCOL),
        ("§4.3: PRIORITY", [begun(), priority(3, 0)].concat(), PROTOCOL),
        ("§4.3: SETTINGS", [begun(), settings(&[])].concat(), PROTOCOL),
        ("§4.3: an unknown type", [begun(), frame(0x16, 0, 1, b"")].concat(), PROTOCOL),
        ("§4.3: DATA of the same stream", [begun(), data(1, END_STREAM, "x")].concat(), PROTOCOL),
        ("§4.3: HEADERS of the same stream", [begun(), headers(1, END, second)].concat(), PROTOCOL),
        (
            "§6.10: another stream's CONTINUATION",
            [begun(), continuation(3, END_HEADERS, second)].concat(),
            PROTOCOL,
        ),
        ("§6.10: CONTINUATION of no stream", [begun(), continuation(0, END_HEADERS, b"")].concat(), PROTOCOL),
        (
            "§6.10: CONTINUATION behind the end of the block",
            [headers(1, END_HEADERS, &all), continuation(1, END_HEADERS, b"")].concat(),
            Want::Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "§6.10: CONTINUATION behind DATA",
            [post(1, "/held", &[]), data(1, 0, "x"), continuation(1, END_HEADERS, b"")].concat(),
            PROTOCOL,
        ),
        ("§6.10: CONTINUATION of an idle stream", continuation(1, END_HEADERS, &all), PROTOCOL),
        (
            "§6.10: two parts",
            [begun(), continuation(1, END_HEADERS, second)].concat(),
            answered(1, "GET / [] "),
        ),
        (
            "§6.10: many parts",
            [
                headers(1, END_STREAM, &[]),
                all.chunks(all.len() / 3).flat_map(|part| continuation(1, 0, part)).collect(),
                continuation(1, END_HEADERS, &[]),
            ]
            .concat(),
            answered(1, "GET / [] "),
        ),
    ]);
}

#[test]
fn blocks_that_nobody_can_read_end_the_connection() {
    let cases: [(&str, &[u8]); 4] = [
        ("§4.3: a literal that breaks off", b"\x00\x05ab"),
        ("§4.3: an index that there is not", b"\xfe"),
        ("§4.3: an integer that breaks off", b"\xff\x80"),
        ("§4.3: index 0", b"\x80"),
    ];
    for (name, bad) in cases {
        check(&[
            (name, headers(1, END, bad), Want::Connection(UNREADABLE)),
            (name, headers(1, END, &[&block(&head("GET", "/")), bad].concat()), Want::Connection(UNREADABLE)),
            // RFC 9113 §4.3: the state of the decoder is shared, so trailers count as much.
            (name, [post(1, "/held", &[]), headers(1, END, bad)].concat(), Want::Connection(UNREADABLE)),
        ]);
    }
}

#[test]
fn blocks_of_refused_streams_change_the_table_all_the_same() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    // Malformed: a field name in upper case. What the block enters into the table is there for the next (§4.3).
    let bad = [literal_indexed("x-see", "kept"), block(&head("GET", "/bad")), block(&[("A", "b")])].concat();
    client.send(headers(1, END, &bad));
    let good = [block(&head("GET", "/good")), indexed(62)].concat();
    client.send(headers(3, END, &good));
    let answer = client.answer(3);
    assert!(client.heard.is_closed || answer.text() == "GET /good [kept] ", "{:?}", client.heard);
    // Reset by its client before it was answered.
    let mut client = Client::to(site.address());
    client.send(headers(1, END, &[block(&head("GET", "/held")), literal_indexed("x-see", "reset")].concat()));
    client.send(rst_stream(1, CANCEL));
    client.send(headers(3, END, &good));
    assert_eq!(client.answer(3).text(), "GET /good [reset] ");
}
