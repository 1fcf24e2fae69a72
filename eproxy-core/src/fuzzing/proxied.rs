//! Whole connections through a proxy: the real worker, driver, pool and sockets between a client and an upstream that say
//! what the fuzzer made up.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::IoSlice;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::future;

use crate::driver::{Address, Bound, Listener, Stream};
use crate::server::fuzzing::{Door, Ending, Rehearsal};
use crate::{Limits, Proxy, Server};

use super::Choices;
use super::chunked::{Chunks, split_chunks};
use super::sent::{End, Sent, read_body};

/// What stands between what the client says and what the upstream does, and in there between two times that it speaks.
const MARK: &[u8] = b"====\r\n";

/// Rounds of the executor in which everybody else gets a turn for certain.
const PAUSE: usize = 9;

/// Pieces that are sent at the most, more or less: each costs some turns.
const MOST_PIECES: usize = 16;

/// Passes on what a client says in a first part of `input`; the upstream says the others, one after the other, on the
/// connections that are made to it. Then each of them says no more.
///
/// # Panics
///
/// A connection does not end; a task of the engine panics; what the upstream is sent is not a sequence of HTTP/1.1
/// requests that have one reading and are among those that the client has sent; what the client is sent is not a
/// sequence of answers to them.
pub fn proxied(input: &[u8]) {
    thread_local! {
        static STAGE: Stage = Stage::new();
    }
    let mut parts = split(input);
    let said = parts.pop_front().unwrap_or_default();
    let log = Rc::new(Log { words: RefCell::new(parts.clone()), ..Log::default() });
    let ending = STAGE.with(|stage| {
        let (words, log) = (said.clone(), log.clone());
        let listen = stage.listen();
        let choices = Choices::of(input);
        let ending = stage.rehearsal.run(async move |door: Door| {
            let listener = Listener::new(door.core(), listen).expect("the system has a descriptor");
            let client = door.connect().expect("the system has what a connection needs");
            let talk = ask(client, &words, &log, choices.clone());
            future::or(talk, answer_all(listener, &log, choices)).await;
        });
        stage.clear();
        ending
    });
    assert_eq!(ending.expect("the system has what a connection needs"), Ending::Clean);

    let sent = Sent::read(&said);
    // Whoever grants something else may have granted it to the client, and what follows is no HTTP.
    let may_switch = parts.iter().any(|part| part.windows(4).any(|four| four == b" 101"));
    for heard in log.upstream.borrow().iter() {
        check_passed_on(heard, &sent, may_switch);
    }
    let statuses = check_answers(&log.client.borrow(), &sent, may_switch);
    if let (&[status], 1) = (&statuses[..], log.upstream.borrow().len()) {
        let said = parts.make_contiguous().concat();
        assert_ne!(Some(status), broken_off(&said), "half an answer passed for a whole one");
    }
}

/// The status of an answer that is broken off, if it is a good one: a proxy has no such answers of its own.
fn broken_off(mut said: &[u8]) -> Option<u16> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 300];
        let mut answer = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = answer.parse(said) else { return None };
        said = &said[head..];
        match answer.code? {
            100 | 102..200 => {}
            204 | 304 => return None,
            status @ 200..400 => {
                let is_framed = !values(answer.headers, "content-length").is_empty()
                    || !values(answer.headers, "transfer-encoding").is_empty();
                let (_, end, _) = read_body(answer.headers, said)?;
                return (is_framed && end == End::Partial).then_some(status);
            }
            _ => return None,
        }
    }
}

/// What stands between the marks.
fn split(mut input: &[u8]) -> VecDeque<Vec<u8>> {
    let mut parts = VecDeque::new();
    while let Some(at) = input.windows(MARK.len()).position(|window| window == MARK) {
        parts.push_back(input[..at].to_vec());
        input = &input[at + MARK.len()..];
    }
    parts.push_back(input.to_vec());
    parts
}

/// A proxy, and where its upstream listens.
struct Stage {
    rehearsal: Rehearsal,
    path: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let name = format!("eproxy-fuzzing-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        // So low that short inputs reach them.
        let limits =
            Limits { head: 512, target: 128, headers: 12, body: 1024, drain: 64, ..Limits::default() };
        let proxy = Proxy::to(format!("unix:{}", path.display()));
        let rehearsal = Rehearsal::new(Server::builder().limits(limits).at("/*path", proxy));
        Self { rehearsal: rehearsal.expect("a thread can be started"), path }
    }

    fn listen(&self) -> socket2::Socket {
        let bound = Bound::new(&Address::Unix(self.path.clone()), 1);
        bound
            .expect("the folder for temporary files can be written")
            .take(1)
            .pop()
            .expect("one socket for one core")
    }

    /// Nothing is left behind, should this run have been the last.
    fn clear(&self) {
        std::fs::remove_file(&self.path).expect("it was made for this run");
    }
}

/// What there is to say for the upstream, and what both have heard.
#[derive(Default)]
struct Log {
    words: RefCell<VecDeque<Vec<u8>>>,
    /// On each of its connections.
    upstream: RefCell<Vec<Vec<u8>>>,
    client: RefCell<Vec<u8>>,
}

/// Says something in pieces, then no more, and listens until the end.
async fn ask(stream: Stream, words: &[u8], log: &Log, mut choices: Choices) {
    let mut hear = |bytes: &[u8]| log.client.borrow_mut().extend_from_slice(bytes);
    say(&stream, words, &mut choices, &mut hear).await;
    // A connection that is gone has said all it will.
    let _gone = stream.finish();
    poll_fn(|cx| poll_hear(&stream, cx, &mut hear)).await;
}

/// Takes connections for as long as somebody else runs.
async fn answer_all(listener: Listener, log: &Log, choices: Choices) {
    let mut talks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    poll_fn(|cx| {
        while let Poll::Ready(Ok((stream, _))) = listener.poll_accept(cx) {
            let mut all = log.upstream.borrow_mut();
            talks.push(Box::pin(answer(stream, log, all.len(), choices.clone())));
            all.push(Vec::new());
        }
        talks.retain_mut(|talk| talk.as_mut().poll(cx).is_pending());
        Poll::<()>::Pending
    })
    .await;
}

/// Says what there is to say once it was spoken to, a part at a time, and then no more.
async fn answer(stream: Stream, log: &Log, number: usize, mut choices: Choices) {
    let mut hear = |bytes: &[u8]| log.upstream.borrow_mut()[number].extend_from_slice(bytes);
    let was_spoken_to = || !log.upstream.borrow()[number].is_empty();
    poll_fn(|cx| match poll_hear(&stream, cx, &mut hear) {
        Poll::Pending if !was_spoken_to() => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
    loop {
        let Some(part) = log.words.borrow_mut().pop_front() else { break };
        say(&stream, &part, &mut choices, &mut hear).await;
    }
    let _gone = stream.finish();
    poll_fn(|cx| poll_hear(&stream, cx, &mut hear)).await;
}

/// Says `words` in pieces, and listens meanwhile.
async fn say(stream: &Stream, words: &[u8], choices: &mut Choices, hear: &mut impl FnMut(&[u8])) {
    let most = choices.up_to(words.len()).max(words.len() / MOST_PIECES + 1);
    let mut rest = words;
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at(choices.up_to(most).min(rest.len()));
        rest = after;
        let is_over = poll_fn(|cx| {
            let mut is_over = poll_hear(stream, cx, hear).is_ready();
            while !piece.is_empty() && !is_over {
                match stream.poll_write(cx, &[IoSlice::new(piece)]) {
                    Poll::Ready(Ok(n)) => piece = &piece[n..],
                    Poll::Ready(Err(_)) => is_over = true,
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(is_over)
        })
        .await;
        if is_over {
            return;
        }
        for _ in 0..PAUSE {
            future::yield_now().await;
        }
    }
}

/// Ready when the other end will say no more.
fn poll_hear(stream: &Stream, cx: &mut Context<'_>, hear: &mut impl FnMut(&[u8])) -> Poll<()> {
    let mut chunk = [0; 4096];
    loop {
        match stream.poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(n)) if n > 0 => hear(&chunk[..n]),
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

type Fields<'a, 'b> = &'a [httparse::Header<'b>];

/// The values of a field.
fn values<'a>(fields: Fields<'a, '_>, name: &'static str) -> Vec<&'a [u8]> {
    fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value).collect()
}

/// What came on one connection to the upstream are requests, each with one reading and out of what the client has sent.
fn check_passed_on(mut heard: &[u8], sent: &Sent, may_switch: bool) {
    while !heard.is_empty() {
        let text = heard.escape_ascii().to_string();
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(heard) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return,
            Err(error) => panic!("{error}: {text}"),
        };
        let is_strict =
            |end: usize| heard[..end].split(|byte| *byte == b'\n').all(|line| line.ends_with(b"\r"));
        assert!(is_strict(head - 1), "a bare line end: {text}");
        assert_eq!(request.version, Some(1), "{text}");
        let fields = &*request.headers;
        assert_eq!(values(fields, "host").len(), 1, "RFC 9112 §3.2: {text}");
        for name in ["keep-alive", "proxy-connection", "http2-settings"] {
            assert!(values(fields, name).is_empty(), "RFC 9110 §7.6.1: {text}");
        }
        for option in
            values(fields, "connection").join(&b',').to_ascii_lowercase().split(|byte| *byte == b',')
        {
            assert!(matches!(option.trim_ascii(), b"" | b"upgrade" | b"te"), "RFC 9110 §7.6.1: {text}");
        }
        let switches = may_switch && !values(fields, "upgrade").is_empty();
        let lengths = values(fields, "content-length").len();
        assert!(lengths + values(fields, "transfer-encoding").len() <= 1, "RFC 9112 §6.3: {text}");
        let line = [request.method.unwrap_or_default(), request.path.unwrap_or_default()];
        let Some((body, end, rest)) = read_body(request.headers, &heard[head..]) else {
            panic!("RFC 9112 §6.3: {text}")
        };
        assert!(end != End::Unknown || switches, "malformed chunks: {text}");
        let is_it = |asked: &super::sent::Asked| {
            let is_whole = end == End::Whole && asked.end != End::Unknown;
            let is_body = if is_whole { asked.body == body } else { asked.body.starts_with(&body) };
            asked.is(line) && (is_body || switches)
        };
        assert!(sent.is_cut_short || sent.requests.iter().any(is_it), "nobody has sent {text}");
        if switches {
            return;
        }
        heard = rest;
    }
}

/// What the client has heard are answers to its requests, in their order, and perhaps a last one to what is none. Gives
/// the statuses of those whose bodies have come to their marked end.
fn check_answers(mut heard: &[u8], sent: &Sent, may_switch: bool) -> Vec<u16> {
    let (mut number, mut is_over, mut whole) = (0, false, Vec::new());
    while !heard.is_empty() {
        let text = heard.escape_ascii().to_string();
        assert!(!is_over, "something follows the last answer: {text}");
        let method = sent.requests.get(number).and_then(|request| request.line.split(' ').next());
        if method.is_none() && sent.is_cut_short {
            return whole;
        }
        let mut headers = [httparse::EMPTY_HEADER; 300];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(heard);
        let Ok(httparse::Status::Complete(head)) = parsed else { panic!("{parsed:?} of {text}") };
        assert_eq!(answer.version, Some(1), "{text}");
        let (status, fields) = (answer.code.unwrap_or_default(), &*answer.headers);
        let lengths = values(fields, "content-length");
        let codings = values(fields, "transfer-encoding");
        let rest = &heard[head..];
        match status {
            101 => {
                assert!(may_switch, "nobody has switched: {text}");
                return whole;
            }
            100..200 => {
                assert!(lengths.is_empty() && codings.is_empty(), "{text}");
                heard = rest;
                continue;
            }
            200..300 if method == Some("CONNECT") => panic!("a tunnel through a reverse proxy: {text}"),
            _ => {}
        }
        is_over = method.is_none() || values(fields, "connection").iter().any(|value| **value == *b"close");
        number += 1;
        heard = match (&codings[..], &lengths[..]) {
            ([], [] | [_]) if method == Some("HEAD") || matches!(status, 204 | 304) => rest,
            ([], [length]) => {
                let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
                let length: usize = length.unwrap_or_else(|| panic!("a length: {text}"));
                if length <= rest.len() {
                    whole.push(status);
                }
                &rest[length.min(rest.len())..]
            }
            ([b"chunked"], []) if status != 204 => match split_chunks(rest) {
                _ if method == Some("HEAD") || status == 304 => rest,
                Chunks::Whole { rest, .. } => {
                    whole.push(status);
                    rest
                }
                Chunks::Partial(_) => &[],
                Chunks::Malformed(_) => panic!("malformed chunks: {text}"),
            },
            // Up to the end of the connection.
            ([], []) if is_over => &[],
            _ => panic!("where does it end? {text}"),
        };
    }
    whole
}
