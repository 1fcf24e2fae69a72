//! What the fuzz targets in `fuzz/` do with their bytes.
//!
//! Each function here takes any bytes at all and panics when the engine breaks a promise about them. They are in the
//! library, and not with the targets, because they look at what is private to it; they are compiled for `cargo test`,
//! which gives them the seeds in `fuzz/seeds/`, and for the fuzzer, which sets `cfg(fuzzing)`.
//!
//! An input is a message and nothing else. Where a function needs to choose, where to cut the message into pieces for
//! one, it derives the choice from the bytes: a failure depends on its input alone. All targets share this file, long as
//! it is, so that the library has one door for them.

use std::cell::RefCell;
use std::io::IoSlice;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use futures_lite::future::{self, poll_fn};

use crate::driver::Stream;
use crate::error::Kind;
use crate::http1::{Decoder, Finder, Found, RequestFacts, Step, parse_request};
use crate::message::target::{self, Form};
use crate::message::{Field, RequestLine, Span, is_token, is_value};
use crate::server::fuzzing::{Door, Ending, Rehearsal};
use crate::{Limits, Request, Response, Server, Upgraded};

/// As many header lines as the largest limit that is tried here.
const MAX_FIELDS: usize = 100;

/// As long a target.
const MAX_TARGET: usize = 8 * 1024;

/// Numbers that follow from the input.
#[derive(Clone, Debug)]
struct Choices(u64);

impl Choices {
    /// FNV-1a over the input.
    fn of(input: &[u8]) -> Self {
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(input.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1)
    }

    /// A number from 1 to `most`; xorshift.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most.max(1) + 1
    }
}

/// Reads `input` as the head of a request, whole and in pieces.
///
/// # Panics
///
/// The pieces matter, a place is outside of the head, or httparse reads something else in what is accepted.
pub fn request_head(input: &[u8]) {
    let whole = find(input, || input.len());
    assert_eq!(find(input, || 1), whole, "byte by byte");
    let mut choices = Choices::of(input);
    for most in [input.len(), 64, 8] {
        assert_eq!(find(input, || choices.up_to(most)), whole, "in pieces of up to {most}");
    }
    let Ok(Found::Head { start, end }) = whole else { return };
    let head = &input[start..end];
    assert!(head.len() > 4 && head.ends_with(b"\r\n\r\n"), "a head ends with an empty line");

    let mut fields = Vec::new();
    let Ok(line) = parse_request(head, &mut fields, MAX_TARGET, MAX_FIELDS) else { return };
    check_places(head, &line, &fields);
    compare_head_with_httparse(head, &line, &fields);
    if let Ok(facts) = RequestFacts::read(head, &line, &fields) {
        check_framing(head, &fields, &facts);
    }
    let target = line.target.of(head);
    match Form::parse(line.method.of(head), target) {
        Ok(Form::Origin { path, query }) => check_path(target, path, query),
        Ok(Form::Absolute { authority, path, query }) => {
            assert!(target::is_authority(&target[authority]));
            check_path(target, path, query);
        }
        Ok(Form::Authority | Form::Asterisk) | Err(_) => {}
    }
}

/// Looks for a head in input that grows by `piece` bytes at a time.
fn find(input: &[u8], mut piece: impl FnMut() -> usize) -> Result<Found, Kind> {
    let (mut finder, mut end) = (Finder::new(), 0);
    loop {
        let found = finder.find(&input[..end]);
        if found != Ok(Found::Partial) || end == input.len() {
            return found;
        }
        end = (end + piece()).min(input.len());
    }
}

/// Names are tokens, values are values, and they come one behind the other.
fn check_places(head: &[u8], line: &RequestLine, fields: &[Field]) {
    assert!(is_token(line.method.of(head)));
    assert!(line.target.of(head).iter().all(|byte| matches!(byte, 0x21..=0x7E)));
    let mut last = line.target.end;
    let mut follows = |span: Span| {
        assert!(last < span.start || span.start == span.end, "{span:?} is not behind {last}");
        last = last.max(span.end);
    };
    for field in fields {
        follows(field.name);
        follows(field.value);
        assert!(is_token(field.name.of(head)) && is_value(field.value.of(head)));
    }
}

/// What is accepted here says the same to another parser.
fn compare_head_with_httparse(head: &[u8], line: &RequestLine, fields: &[Field]) {
    let mut head = head.to_vec();
    // httparse knows no version above 1.1.
    let minor = line.target.end as usize + " HTTP/1.".len();
    head[minor] = head[minor].min(b'1');
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut theirs = httparse::Request::new(&mut headers);
    assert_eq!(theirs.parse(&head), Ok(httparse::Status::Complete(head.len())));
    assert_eq!(theirs.method.map(str::as_bytes), Some(line.method.of(&head)));
    assert_eq!(theirs.path.map(str::as_bytes), Some(line.target.of(&head)));
    let theirs: Vec<_> = theirs.headers.iter().map(|field| (field.name.as_bytes(), field.value)).collect();
    let ours: Vec<_> = fields.iter().map(|field| (field.name.of(&head), field.value.of(&head))).collect();
    assert_eq!(theirs, ours);
}

/// No accepted head leaves open where its body ends.
fn check_framing(head: &[u8], fields: &[Field], facts: &RequestFacts) {
    let values = |name: &'static str| {
        let is = move |field: &&Field| field.name.of(head).eq_ignore_ascii_case(name.as_bytes());
        fields.iter().filter(is).map(|field| field.value.of(head))
    };
    let codings: Vec<_> = values("transfer-encoding").collect();
    let lengths: Vec<_> = values("content-length").collect();
    match (&codings[..], &lengths[..]) {
        ([], []) => assert_eq!(facts.framing.length(), Some(0)),
        ([], lengths) => {
            for length in lengths {
                let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
                assert_eq!(facts.framing.length(), length);
            }
        }
        ([coding], []) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(facts.framing.length(), None);
        }
        _ => panic!("a length and a coding, or two codings, in one head"),
    }
    assert!(!(facts.expects_continue && facts.framing.is_none()), "waits for leave to send nothing");
}

/// The canonical path is one that every origin reads in the same way.
fn check_path(target: &[u8], path: std::ops::Range<usize>, query: Option<std::ops::Range<usize>>) {
    assert_eq!(query.map_or(path.end, |query| query.end), target.len());
    let path = &target[path];
    let canonical = target::canonical(path);
    let segments = canonical.strip_prefix('/').expect("a canonical path begins with a slash");
    let (folders, last) = segments.rsplit_once('/').unwrap_or(("a", segments));
    assert!(!folders.split('/').any(str::is_empty), "{canonical:?} has a run of slashes");
    assert!(!folders.split('/').chain([last]).any(|segment| matches!(segment, "." | "..")));
    assert!(!canonical.contains('\\'));
    // An escaped percent sign is decoded once only: `%252e` must not become a dot.
    if !path.contains(&b'%') {
        assert_eq!(target::canonical(canonical.as_bytes()), canonical);
    }
}

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
    let line = parse_request(head, &mut fields, MAX_TARGET, MAX_FIELDS).expect("the head is valid");
    let facts = RequestFacts::read(head, &line, &fields).expect("the head is valid");
    Decoder::new(facts.framing)
}

/// What is accepted here is the same body to another parser.
fn compare_body_with_httparse(coded: &[u8], body: &[u8], trailers: &[(String, Vec<u8>)]) {
    // httparse takes sizes of up to 15 digits, and leading zeros count.
    if coded.split(|byte| !byte.is_ascii_hexdigit()).any(|digits| digits.len() > 15) {
        return;
    }
    let (theirs, rest) = split_chunks(coded).expect("httparse accepts it");
    assert_eq!(theirs, body);
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(rest, &mut headers) {
        Ok(httparse::Status::Complete((used, headers))) => {
            assert_eq!(used, rest.len(), "the same end");
            for (name, value) in trailers {
                assert!(headers.iter().any(|field| field.name == name && field.value == value));
            }
        }
        other => panic!("httparse on the trailers: {other:?}"),
    }
}

/// The body of a chunked message, and what follows its last chunk's line; none where it breaks off.
fn split_chunks(mut coded: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let (skip, size) = match httparse::parse_chunk_size(coded) {
            Ok(httparse::Status::Complete(line)) => line,
            Ok(httparse::Status::Partial) => return None,
            Err(error) => panic!("httparse on a chunk: {error} {}", coded.escape_ascii()),
        };
        coded = &coded[skip..];
        if size == 0 {
            return Some((body, coded));
        }
        let (data, rest) = coded.split_at_checked(usize::try_from(size).ok()?)?;
        body.extend_from_slice(data);
        coded = match rest {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return None,
            _ => panic!("a chunk is longer than its size: {}", rest.escape_ascii()),
        };
    }
}

/// Serves two connections, one behind the other, on which a client sends `input` and then no more: in pieces on the
/// first, at once on the second.
///
/// # Panics
///
/// A connection does not end, a task of the engine panics, what comes back is not a sequence of HTTP/1.1 answers, or
/// the first answer depends on the pieces.
pub fn connection(input: &[u8]) {
    thread_local! {
        static REHEARSAL: Rehearsal = rehearsal();
    }
    let heard: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let ending = REHEARSAL.with(|rehearsal| {
        let (input, heard) = (input.to_vec(), heard.clone());
        rehearsal.run(async move |door: Door| {
            let mut choices = Choices::of(&input);
            let most = choices.up_to(input.len()).max(input.len() / MOST_PIECES + 1);
            for most in [most, input.len()] {
                let answers = Client::new(&door).talk(&input, || choices.up_to(most)).await;
                heard.borrow_mut().push(answers);
            }
        })
    });
    forget_what_was_put_off();
    assert_eq!(ending.expect("the system has what a connection needs"), Ending::Clean);
    // A head may be too long in two ways and malformed besides; which is seen first does depend on the pieces.
    let refused = |status| if matches!(status, 414 | 431) { 400 } else { status };
    let statuses: Vec<_> = heard.borrow().iter().map(|answers| check_answers(answers).map(refused)).collect();
    assert_eq!(statuses[0], statuses[1], "pieces matter");
    // Empty lines before a request are ignored (RFC 9112 §2.2); everything else is answered.
    if input.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
        assert!(statuses[0].is_some(), "no answer");
    }
}

/// Pieces that are sent at the most, more or less: each costs a turn.
const MOST_PIECES: usize = 16;

/// Limits are so low that short inputs reach them.
fn rehearsal() -> Rehearsal {
    let limits = Limits { head: 512, target: 128, headers: 12, body: 1024, drain: 64, ..Limits::default() };
    Rehearsal::new(Server::builder().limits(limits).at("/*path", answer)).expect("a thread can be started")
}

/// What handlers have put off until the client of this thread sees to it.
#[derive(Default)]
struct PutOff {
    answers: Vec<(Request, Response)>,
    upgraded: Vec<Upgraded>,
    client: Option<Waker>,
}

thread_local! {
    static PUT_OFF: RefCell<PutOff> = RefCell::default();
}

/// Answers in one of the ways there are. The method goes with the answer, as it tells whether there is a body.
fn answer(mut req: Request, res: Response) {
    let res = res.header("X-Method", req.method());
    match req.path() {
        "/later" => put_off(|put_off| put_off.answers.push((req, res))),
        "/ignore" => res.status(299).send("ignored"),
        "/none" => res.status(204).send(()),
        "/drop" if req.method() != "HEAD" => drop(res),
        "/upgrade" if req.method() != "HEAD" => {
            let upgraded = res.upgrade("some/1");
            put_off(|put_off| put_off.upgraded.push(upgraded));
        }
        "/stream" => {
            let mut writer = res.stream();
            // There is room for it.
            let _gone = future::block_on(writer.send("streamed"));
            match req.query() {
                Some("break") => drop(writer),
                _ => writer.finish(),
            }
        }
        _ => res.send(req.take_body()),
    }
}

fn put_off(put: impl FnOnce(&mut PutOff)) {
    let client = PUT_OFF.with_borrow_mut(|put_off| {
        put(put_off);
        put_off.client.take()
    });
    client.into_iter().for_each(Waker::wake);
}

/// Does what was put off so far.
fn catch_up() {
    let put_off = PUT_OFF.take();
    put_off.answers.into_iter().for_each(|(mut req, res)| res.send(req.take_body()));
    drop(put_off.upgraded);
}

fn forget_what_was_put_off() {
    drop(PUT_OFF.take());
}

/// The client's end of a connection.
struct Client {
    stream: Stream,
    heard: Vec<u8>,
    /// The server has closed its side, or reset the connection.
    ended: bool,
}

impl Client {
    fn new(door: &Door) -> Self {
        let stream = door.connect().expect("the system has what a connection needs");
        Self { stream, heard: Vec::new(), ended: false }
    }

    /// Sends `input`, as much in a turn as `piece` says, and then no more; returns what it hears.
    async fn talk(mut self, input: &[u8], mut piece: impl FnMut() -> usize) -> Vec<u8> {
        /// Rounds of the executor in which the server gets a turn for certain.
        const PAUSE: usize = 9;
        let mut rest = input;
        while !rest.is_empty() && !self.ended {
            let (next, after) = rest.split_at(piece().min(rest.len()));
            self.say(next).await;
            rest = after;
            for _ in 0..PAUSE {
                future::yield_now().await;
            }
            // Now and then, so that some answers come while their request still does.
            if rest.len().is_multiple_of(2) {
                catch_up();
            }
        }
        // A connection that is gone has said all it will.
        let _gone = self.stream.finish();
        poll_fn(|cx| {
            catch_up();
            PUT_OFF.with_borrow_mut(|put_off| put_off.client = Some(cx.waker().clone()));
            self.poll_hear(cx)
        })
        .await;
        self.heard
    }

    /// Sends `words` and listens meanwhile.
    async fn say(&mut self, words: &[u8]) {
        let mut said = 0;
        poll_fn(|cx| {
            let _more = self.poll_hear(cx);
            while said < words.len() && !self.ended {
                match ready!(self.stream.poll_write(cx, &[IoSlice::new(&words[said..])])) {
                    Ok(n) => said += n,
                    Err(_) => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Ready when the server will say no more.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut chunk = [0; 4096];
        while !self.ended {
            match ready!(self.stream.poll_read(cx, &mut chunk)) {
                Ok(n) if n > 0 => self.heard.extend_from_slice(&chunk[..n]),
                Ok(_) | Err(_) => self.ended = true,
            }
        }
        Poll::Ready(())
    }
}

/// Takes a connection's output apart; returns the first status that is not an interim one.
fn check_answers(mut output: &[u8]) -> Option<u16> {
    let (mut first, mut is_over) = (None, false);
    while !output.is_empty() {
        let text = output.escape_ascii();
        assert!(!is_over, "something follows the last answer: {text}");
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(output);
        let Ok(httparse::Status::Complete(head)) = parsed else { panic!("{parsed:?} of {text}") };
        assert_eq!(answer.version, Some(1), "{text}");
        output = &output[head..];
        let status = answer.code.unwrap_or_default();
        if status == 100 {
            continue;
        }
        first = first.or(Some(status));
        let field = |name: &str| {
            let mut fields = answer.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            let value = fields.next().map(|field| field.value);
            assert!(fields.next().is_none(), "{name} comes twice: {text}");
            value
        };
        assert!(field("date").is_some(), "{text}");
        is_over = status == 101 || field("connection") == Some(b"close");
        let length =
            field("content-length").and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        // An answer that breaks off is the last thing on its connection.
        let rest = match (field("transfer-encoding"), length) {
            _ if status == 101 => return first,
            (None, None) if status == 204 => Some(output),
            _ if field("x-method") == Some(b"HEAD") => Some(output),
            (Some(coding), None) => {
                assert_eq!(coding, b"chunked");
                split_chunks(output).and_then(|(_, rest)| skip_trailers(rest))
            }
            (None, Some(length)) => output.get(length..),
            (None, None) if is_over => return first,
            _ => panic!("where does it end? {text}"),
        };
        let Some(rest) = rest else { return first };
        output = rest;
    }
    first
}

/// What follows the trailer section; none where it breaks off.
fn skip_trailers(output: &[u8]) -> Option<&[u8]> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(output, &mut headers) {
        Ok(httparse::Status::Complete((used, _))) => Some(&output[used..]),
        Ok(httparse::Status::Partial) => None,
        Err(error) => panic!("httparse on trailers: {error} {}", output.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The seeds of a target, by name.
    fn seeds(target: &str, least: usize) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut seeds: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
            })
            .collect();
        seeds.sort();
        assert!(seeds.len() >= least, "{} seeds of {target}", seeds.len());
        seeds
    }

    /// Runs a target with a seed, with all its beginnings, and with each of its bits flipped.
    fn run_around(target: fn(&[u8]), seed: &[u8]) {
        for end in 0..=seed.len() {
            target(&seed[..end]);
        }
        let mut input = seed.to_vec();
        for at in 0..seed.len() {
            for bit in 0..8 {
                input[at] = seed[at] ^ (1 << bit);
                target(&input);
            }
            input[at] = seed[at];
        }
    }

    #[test]
    fn heads_are_read_alike_in_all_pieces_and_by_httparse() {
        for (_, seed) in seeds("request_head", 20) {
            run_around(request_head, &seed);
        }
    }

    #[test]
    fn chunked_bodies_are_decoded_alike_in_all_pieces_and_by_httparse() {
        for (_, seed) in seeds("chunked", 20) {
            run_around(chunked, &seed);
        }
    }

    #[test]
    fn connections_end_and_what_they_carry_are_answers() {
        for (_, seed) in seeds("connection", 12) {
            for end in 0..=seed.len() {
                connection(&seed[..end]);
            }
        }
    }
}
