//! Heads of answers, as an upstream sends them.

use crate::http1::{AnswerFacts, Finder, MAX_INTERIM, find_answer};
use crate::message::{Buffer, Field, StatusLine, is_token, is_value};

use super::Choices;

/// As many header lines as are taken of an upstream.
const MAX_FIELDS: usize = 256;

/// Reads `input` as the heads of answers to a GET, a HEAD and a CONNECT, whole and in pieces.
///
/// # Panics
///
/// The pieces matter, a place is outside of the head, httparse reads something else in what is accepted, or what is
/// accepted leaves open where the body ends.
pub fn answer_head(input: &[u8]) {
    for method in [&b"GET"[..], b"HEAD", b"CONNECT"] {
        let whole = Heads::read(input, method, || input.len());
        assert_eq!(Heads::read(input, method, || 1), whole, "byte by byte");
        let mut choices = Choices::of(input);
        for most in [64, 8] {
            let heads = Heads::read(input, method, || choices.up_to(most));
            assert_eq!(heads, whole, "in pieces of up to {most}");
        }
    }
}

/// Accepted heads, interim ones before a final one, and what is said of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heads(Vec<(Vec<u8>, String)>);

impl Heads {
    /// Reads heads off input that grows by `piece` bytes at a time, up to the first final one.
    fn read(input: &[u8], method: &[u8], mut piece: impl FnMut() -> usize) -> Self {
        let mut heads = Self::default();
        let (mut buffer, mut fields, mut there) = (Buffer::new(), Vec::new(), 0);
        while heads.0.len() < MAX_INTERIM {
            let mut finder = Finder::new();
            let (line, facts, length) = loop {
                match find_answer(&mut finder, buffer.data(), &mut fields, method) {
                    Ok(Some(found)) => break found,
                    // A malformed one is refused as soon as that is seen, which does depend on the pieces.
                    Err(_) => return heads,
                    Ok(None) if there == input.len() => return heads,
                    Ok(None) => {}
                }
                let room = buffer.space(1024);
                let next = &input[there..(there + piece().min(room.len())).min(input.len())];
                room[..next.len()].copy_from_slice(next);
                buffer.filled(next.len());
                there += next.len();
            };
            let head = &buffer.data()[..length];
            check(head, &line, &fields, &facts, method);
            heads.0.push((head.to_vec(), format!("{line:?} {fields:?} {facts:?}")));
            buffer.consume(length);
            if !matches!(line.status, 100..200) {
                break;
            }
        }
        heads
    }
}

/// An accepted head says the same to another parser, and says where its body ends.
fn check(head: &[u8], line: &StatusLine, fields: &[Field], facts: &AnswerFacts, method: &[u8]) {
    assert!(head.ends_with(b"\r\n\r\n"), "a head ends with an empty line");
    for field in fields {
        assert!(is_token(field.name.of(head)) && is_value(field.value.of(head)));
    }
    let mut theirs_of = head.to_vec();
    // httparse knows no version above 1.1.
    let minor = "HTTP/1.".len();
    theirs_of[minor] = theirs_of[minor].min(b'1');
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut theirs = httparse::Response::new(&mut headers);
    assert_eq!(theirs.parse(&theirs_of), Ok(httparse::Status::Complete(head.len())));
    assert_eq!(theirs.code, Some(line.status));
    let reason = line.reason.of(head);
    // httparse leaves a reason out that is not ASCII.
    if reason.is_ascii() {
        assert_eq!(theirs.reason.map(str::as_bytes), Some(reason));
    }
    let theirs = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    let ours = fields.iter().map(|field| (field.name.of(head), field.value.of(head)));
    assert!(theirs.eq(ours), "other fields");
    check_framing(head, line.status, fields, facts, method);
}

/// There is one statement about the end of a body, or none.
fn check_framing(head: &[u8], status: u16, fields: &[Field], facts: &AnswerFacts, method: &[u8]) {
    let values = |name: &'static str| {
        let is = move |field: &&Field| field.name.of(head).eq_ignore_ascii_case(name.as_bytes());
        fields.iter().filter(is).map(|field| field.value.of(head))
    };
    let numbers: Vec<_> = values("content-length")
        .map(|length| std::str::from_utf8(length).ok().and_then(|text| text.parse::<u64>().ok()))
        .collect();
    assert!(numbers.iter().all(|number| *number == facts.length), "{numbers:?}, and {:?}", facts.length);
    assert_eq!(numbers.is_empty(), facts.length.is_none());
    if method == b"HEAD" || matches!(status, 100..200 | 204 | 304) {
        assert!(facts.framing.is_none(), "no body");
        return;
    }
    let codings: Vec<_> = values("transfer-encoding").collect();
    match (&codings[..], facts.length) {
        ([], None) => assert!(facts.framing.ends_with_connection() && !facts.keep_alive),
        ([], length) => assert_eq!(facts.framing.length(), length),
        ([coding], None) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert!(facts.framing.length().is_none() && !facts.framing.ends_with_connection());
        }
        _ => panic!("a length and a coding, or two codings, in one head"),
    }
}
