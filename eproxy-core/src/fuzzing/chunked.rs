//! Bodies in the chunked coding.

use crate::error::Kind;
use crate::http1::{Decoder, RequestFacts, Step, parse_request};

use super::{Choices, MAX_FIELDS, MAX_TARGET};

/// Decodes `input` as a chunked body, whole and in pieces.
///
/// # Panics
///
/// The pieces matter, more comes out than went in, or httparse reads another body in what is accepted.
pub fn chunked(input: &[u8]) {
    let whole = Decoded::of(input, || input.len(), || usize::MAX);
    assert_eq!(Decoded::of(input, || 1, || usize::MAX), whole, "byte by byte");
    let mut choices = Choices::of(input);
    let mut rooms = choices.clone();
    for most in [input.len(), 64, 8] {
        let decoded = Decoded::of(input, || choices.up_to(most), || rooms.up_to(most));
        assert_eq!(decoded, whole, "in pieces of up to {most}");
    }
    if let End::Done { used, trailers } = &whole.end {
        compare_body_with_httparse(&input[..*used], &whole.body, trailers);
    }
}

/// What became of a chunked body.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    body: Vec<u8>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Done { used: usize, trailers: Vec<(String, Vec<u8>)> },
    Partial,
    Failed(Kind),
}

impl Decoded {
    /// Decodes input that grows by `piece` bytes at a time, `room` bytes of the body at a time.
    fn of(input: &[u8], mut piece: impl FnMut() -> usize, mut room: impl FnMut() -> usize) -> Self {
        let mut decoder = chunked_decoder();
        let (mut body, mut at, mut there) = (Vec::new(), 0, 0);
        let end = loop {
            if at == there {
                if there == input.len() {
                    break End::Partial;
                }
                there = (there + piece()).min(input.len());
            }
            let room = room();
            match decoder.decode(&input[at..there], room) {
                Ok(Step::Data { skip, data }) => {
                    assert!((1..=there - at).contains(&(skip + data)), "moves on, within what it was given");
                    assert!(data <= room);
                    body.extend_from_slice(&input[at + skip..at + skip + data]);
                    at += skip + data;
                }
                Ok(Step::Done { skip }) => {
                    assert!(decoder.is_done() && skip <= there - at);
                    let trailers = decoder.take_trailers().unwrap_or_default();
                    let trailers = trailers.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                    break End::Done { used: at + skip, trailers: trailers.collect() };
                }
                Err(kind) => break End::Failed(kind),
            }
        };
        Self { body, end }
    }
}

/// Only a head makes a decoder.
fn chunked_decoder() -> Decoder {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut fields = Vec::new();
    let parsed = parse_request(head, &mut fields, MAX_TARGET, MAX_FIELDS).expect("the head is valid");
    let (line, _) = parsed.expect("the head is whole");
    let facts = RequestFacts::read(head, &line, &fields).expect("the head is valid");
    Decoder::new(facts.framing)
}

/// What is accepted here is the same body to another parser.
fn compare_body_with_httparse(coded: &[u8], body: &[u8], trailers: &[(String, Vec<u8>)]) {
    // httparse takes sizes of up to 15 digits, and leading zeros count.
    if coded.split(|byte| !byte.is_ascii_hexdigit()).any(|digits| digits.len() > 15) {
        return;
    }
    let Chunks::Whole { body: theirs, trailers: theirs_trailers, rest } = split_chunks(coded) else {
        panic!("httparse does not accept {}", coded.escape_ascii())
    };
    assert!(rest.is_empty(), "the same end");
    assert_eq!(theirs, body);
    // Those that mean nothing behind a body are left out.
    assert!(trailers.iter().all(|trailer| theirs_trailers.contains(trailer)));
}

/// A chunked message as httparse has it.
#[derive(Debug)]
pub(super) enum Chunks<'a> {
    Whole {
        body: Vec<u8>,
        trailers: Vec<(String, Vec<u8>)>,
        rest: &'a [u8],
    },
    /// It breaks off behind this much of the body.
    Partial(Vec<u8>),
    /// It goes wrong behind this much of the body, or httparse does not know better.
    Malformed(Vec<u8>),
}

pub(super) fn split_chunks(mut coded: &[u8]) -> Chunks<'_> {
    let mut body = Vec::new();
    loop {
        let (skip, size) = match httparse::parse_chunk_size(coded) {
            Ok(httparse::Status::Complete(line)) => line,
            Ok(httparse::Status::Partial) => return Chunks::Partial(body),
            Err(_) => return Chunks::Malformed(body),
        };
        coded = &coded[skip..];
        if size == 0 {
            break;
        }
        let there = usize::try_from(size).map_or(coded.len(), |size| size.min(coded.len()));
        body.extend_from_slice(&coded[..there]);
        coded = match &coded[there..] {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Chunks::Partial(body),
            _ => return Chunks::Malformed(body),
        };
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(coded, &mut headers) {
        Ok(httparse::Status::Complete((used, headers))) => {
            let trailers = headers.iter().map(|field| (field.name.to_owned(), field.value.to_owned()));
            Chunks::Whole { body, trailers: trailers.collect(), rest: &coded[used..] }
        }
        Ok(httparse::Status::Partial) => Chunks::Partial(body),
        Err(_) => Chunks::Malformed(body),
    }
}
