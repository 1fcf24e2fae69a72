//! RFC 7541, HPACK, of the blocks that clients send: integers and strings (§5), the tables (§2.3, §4), representations (§6).

use crate::h2::check::{UNREADABLE, Want, answered, check};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::*;
use crate::h2::site::Site;

const COMPRESSION: Want = Want::Connection(UNREADABLE);

fn get(rest: &[u8]) -> Vec<u8> {
    headers(1, END, &[&block(&head("GET", "/")), rest].concat())
}

/// A literal of `x-see` whose value is this string of bytes.
fn value(string: &[u8]) -> Vec<u8> {
    get(&[&[0][..], &super::h2::hpack::string(b"x-see"), string].concat())
}

#[test]
fn integers_end_within_their_bounds() {
    check(&[
        ("§5.1: an index that breaks off", get(b"\xff"), COMPRESSION),
        ("§5.1: an index of 2^32", get(b"\xff\x81\xff\xff\xff\x0f"), COMPRESSION),
        (
            "§5.1: an index of 2^64 and more",
            get(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            COMPRESSION,
        ),
        ("§5.1: an index without end", get(&[&[0xff; 1][..], &[0x80; 1000]].concat()), COMPRESSION),
        ("§5.1: a length of 2^32", value(b"\x7f\x81\xff\xff\xff\x0fabc"), COMPRESSION),
        ("§5.1: a length without end", value(&[0xff; 100]), COMPRESSION),
        ("§5.2: a string that breaks off", value(b"\x10abc"), COMPRESSION),
        ("§5.2: no string", value(b""), COMPRESSION),
        ("§5.1: a length over several bytes", value(&string(&[b'v'; 1000])), {
            answered(1, &format!("GET / [{}] ", "v".repeat(1000)))
        }),
    ]);
}

#[test]
fn strings_in_the_huffman_code_end_with_ones() {
    let coded = |bytes: &[u8]| value(&coded_string(bytes));
    let seen = |text: &str| answered(1, &format!("GET / [{text}] "));
    check(&[
        ("§5.2: a word", coded(&huffman(b"custom-value")), seen("custom-value")),
        ("§5.2: nothing", coded(b""), seen("")),
        ("§5.2: letters of 30 bits", coded(&huffman(b"a\xffb\xe9")), seen("a\\xffb\\xe9")),
        // `a` is 00011.
        ("§5.2: padding of zeros", coded(&[0b0001_1000]), COMPRESSION),
        ("§5.2: padding of zeros and ones", coded(&[0b0001_1101]), COMPRESSION),
        ("§5.2: a byte of padding", coded(&[0b0001_1111, 0xff]), COMPRESSION),
        ("§5.2: nothing but padding", coded(&[0xff]), COMPRESSION),
        ("§5.2: the end of strings", coded(&[0xff; 4]), COMPRESSION),
        (
            "§5.2: a letter, and the end of strings",
            coded(&[0b0001_1111, 0xff, 0xff, 0xff, 0xff]),
            COMPRESSION,
        ),
        // What can't stand in a field can't be said in code, either.
        ("RFC 9113 §8.2.1: a line end in code", coded(&huffman(b"a\r\nb: c")), Want::Malformed(1)),
    ]);
}

#[test]
fn indices_are_of_entries_that_there_are() {
    check(&[
        ("§6.1: index 0", get(&indexed(0)), COMPRESSION),
        ("§2.3.3: beyond both tables", get(&indexed(62)), COMPRESSION),
        ("§2.3.3: far beyond", get(&indexed(5000)), COMPRESSION),
        ("§2.3.3: beyond, as a name", get(&[integer(0x40, 6, 62), string(b"v")].concat()), COMPRESSION),
        (
            "§2.3.3: beyond, as a name that is not indexed",
            get(&[integer(0, 4, 70), string(b"v")].concat()),
            COMPRESSION,
        ),
        (
            "§6.1: fields of the static table",
            headers(1, END, &[indexed(2), indexed(6), indexed(4), block(&[(":authority", "test")])].concat()),
            answered(1, "GET / [] "),
        ),
        (
            "§6.2.1: a name of the static table",
            headers(1, END, &[vec![0x82, 0x86, 0x84, 0x41], string(b"test")].concat()),
            answered(1, "GET / [] "),
        ),
        ("§6.2.3: never indexed", get(&literal_never_indexed("x-see", "v")), answered(1, "GET / [v] ")),
        ("§6.2.1: indexed", get(&literal_indexed("x-see", "v")), answered(1, "GET / [v] ")),
        (
            "§2.3.3: and used at once",
            get(&[literal_indexed("x-see", "v"), indexed(62)].concat()),
            answered(1, "GET / [v|v] "),
        ),
        ("§6.2.1: an empty name", get(&literal_indexed("", "v")), Want::Malformed(1)),
    ]);
}

#[test]
fn the_size_of_the_table_changes_in_front_and_within_its_bounds() {
    let in_front = |updates: &[u64]| {
        let updates: Vec<u8> = updates.iter().flat_map(|size| size_update(*size)).collect();
        headers(1, END, &[updates, block(&head("GET", "/"))].concat())
    };
    let ok = || answered(1, "GET / [] ");
    check(&[
        ("§6.3: 0", in_front(&[0]), ok()),
        ("§6.3: all that is allowed", in_front(&[4096]), ok()),
        ("§4.2: the smallest and the last", in_front(&[0, 4096]), ok()),
        ("§6.3: one byte more", in_front(&[4097]), COMPRESSION),
        ("§6.3: much more", in_front(&[1 << 31]), COMPRESSION),
        ("§4.2: behind a field", get(&size_update(100)), COMPRESSION),
        (
            "§4.2: between fields",
            get(&[literal_indexed("x-see", "v"), size_update(4096), block(&[("x-see", "w")])].concat()),
            COMPRESSION,
        ),
        (
            "§4.3: a smaller table forgets",
            headers(
                1,
                END,
                &[size_update(0), literal_indexed("x-see", "v"), block(&head("GET", "/")), indexed(62)]
                    .concat(),
            ),
            COMPRESSION,
        ),
    ]);
}

#[test]
fn the_table_lasts_as_long_as_the_connection_and_forgets_the_oldest() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let ask = |client: &mut Client, stream, front: &[u8], rest: &[u8]| {
        client.send(headers(stream, END, &[front, &block(&head("GET", "/")), rest].concat()));
        client.answer(stream).text().to_owned()
    };
    let first = [literal_indexed("x-see", "a"), literal_indexed("x-see", "b")].concat();
    assert_eq!(ask(&mut client, 1, b"", &first), "GET / [a|b] ");
    // The newest has the smallest index.
    assert_eq!(ask(&mut client, 3, b"", &[indexed(63), indexed(62)].concat()), "GET / [a|b] ");
    // §4.4: 38 bytes each; one of 4,000 bytes leaves room for one of them.
    let long = "v".repeat(4000 - 37);
    let pushed = [literal_indexed("x-see", &long), indexed(63)].concat();
    assert_eq!(ask(&mut client, 5, b"", &pushed), format!("GET / [{long}|b] "));
    // §4.4: one that is larger than the table empties it, which is no error.
    let larger = "w".repeat(5000);
    assert_eq!(ask(&mut client, 7, b"", &literal_indexed("x-see", &larger)), format!("GET / [{larger}] "));
    assert_eq!(ask(&mut client, 9, b"", &literal_indexed("x-see", "c")), "GET / [c] ");
    assert_eq!(ask(&mut client, 11, b"", &indexed(62)), "GET / [c] ");
    // §4.3: the size is part of the state, too.
    assert_eq!(ask(&mut client, 13, &size_update(50), &indexed(62)), "GET / [c] ");
    assert_eq!(
        ask(&mut client, 15, b"", &[literal_indexed("x-see", "d"), indexed(62)].concat()),
        "GET / [d|d] "
    );
    client.send(headers(17, END, &[block(&head("GET", "/")), indexed(63)].concat()));
    client.read_to_end();
    let codes: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
    assert!(codes.iter().all(|code| UNREADABLE.contains(code)), "{codes:?}");
    assert_eq!(site.calls(), 8);
}
