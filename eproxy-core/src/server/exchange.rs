//! Story 1: a request and its answer.
//!
//! ```text
//!   head ──▶ open: parse, check, route ──▶ ask: call the handler ──▶ wait ──▶ answer ──▶ settle
//!              │ refused                                                                  │
//!              └──────────▶ refuse ──▶ Linger                     Keep, Close or Linger ◀─┘
//! ```
//!
//! A handler that answers at once is answered for without anything being awaited.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use futures_lite::future;

use crate::driver::{Direction, Peer, Stream};
use crate::error::{Error, Kind};
use crate::handler::{Handler, Incoming, Reply, Word};
use crate::http1::{self, AnswerParts, BodyCoding, Decoder, Outbound, RequestFacts};
use crate::message::target::{self, Form};
use crate::message::{Answer, Body, Field, Headers, RequestLine, Span, Version, pipe};
use crate::router::Choice;
use crate::{Request, Response};

use super::download;
use super::refuse::{fail, plain, refuse, unrouted};
use super::upgrade;
use super::upload::Upload;
use super::worker::{Desk, Worker};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It takes the next request.
    Keep,
    /// It ends now.
    Close,
    /// It ends, but what the client is still sending is read for a while: closing at once would make its system throw
    /// away the answer (RFC 9112 §9.6).
    Linger,
}

/// A request that was understood, while it is being answered.
struct Opened<'w> {
    version: Version,
    is_head: bool,
    keep_alive: bool,
    wants_upgrade: bool,
    /// Boxed, as few requests have a body that must be waited for, and this is moved for each.
    upload: Option<Box<Upload>>,
    /// The route's pattern, for the log.
    pattern: &'w str,
}

/// Runs the exchange whose head, of `head` bytes, is at the front of the desk's input. The answer may be left on the
/// desk, to be flushed before anything is waited for.
pub(super) async fn run(worker: &Worker, stream: &Stream, peer: Peer, desk: &mut Desk, head: usize) -> After {
    let mut opened = match open(worker, peer, desk, head) {
        Ok(opened) => opened,
        Err(kind) => return refuse(worker, peer, desk, kind),
    };
    match answer_at_once(worker, desk, &opened) {
        Some(after) => after,
        // Boxed: it is rare, and would make every connection's task as large as itself.
        None => Box::pin(answer_later(worker, stream, peer, desk, &mut opened)).await,
    }
}

/// Answers where nothing is to be waited for: the handler has answered with bytes in hand, and there is no body to be
/// read. Nearly every request of a busy server comes this way.
fn answer_at_once(worker: &Worker, desk: &mut Desk, opened: &Opened<'_>) -> Option<After> {
    let Some(Word::Answer(answer)) = &desk.word else { return None };
    let bytes = answer.body().in_hand().filter(|bytes| bytes.len() <= download::COPY)?;
    if opened.upload.is_some() || !(200..=999).contains(&answer.status()) {
        return None;
    }
    let coding = coding(opened, answer.status(), answer.headers(), answer.body());
    let close = !opened.keep_alive || worker.is_draining();
    encode(worker, &mut desk.out, opened, answer, coding, close);
    if !opened.is_head && coding != BodyCoding::None {
        desk.out.extend_from_slice(bytes);
    }
    desk.word = None;
    Some(if close { After::Close } else { After::Keep })
}

/// Answers where something is to be waited for: the handler, or a body on its way in or out.
async fn answer_later(
    worker: &Worker,
    stream: &Stream,
    peer: Peer,
    desk: &mut Desk,
    opened: &mut Opened<'_>,
) -> After {
    // The head is there: its time must not run out on what follows.
    stream.set_deadline(Direction::Read, None);
    let word = match desk.word.take() {
        Some(word) => Ok(word),
        None => wait(worker, stream, desk, opened).await,
    };
    let sent = match word {
        Ok(Word::Upgrade { protocol, headers, to_handler, from_handler }) if opened.wants_upgrade => {
            encode_upgrade(worker, desk, &protocol, &headers);
            upgrade::run(worker, stream, desk, to_handler, from_handler).await;
            return After::Close;
        }
        Ok(word) => {
            let answer = into_answer(worker, opened, word);
            send(worker, stream, desk, opened, answer).await
        }
        Err(kind) => Err(kind),
    };
    match sent {
        Ok(after) => settle(worker, stream, desk, opened, after).await,
        Err(kind) => {
            fail(worker, peer, opened.pattern, &kind.into());
            After::Close
        }
    }
}

/// Encodes the head of an answer.
fn encode(
    worker: &Worker,
    out: &mut Vec<u8>,
    opened: &Opened<'_>,
    answer: &Answer,
    coding: BodyCoding,
    close: bool,
) {
    let date = worker.date();
    let parts = AnswerParts {
        status: answer.status(),
        headers: answer.headers(),
        mime: answer.body().mime(),
        coding,
        date: date.as_bytes(),
        close,
        version: opened.version,
        upgrade: None,
    };
    http1::encode_head(out, &parts);
}

/// Parses and checks the head, chooses the route, and asks its handler.
fn open<'w>(worker: &'w Worker, peer: Peer, desk: &mut Desk, head: usize) -> Result<Opened<'w>, Kind> {
    let limits = &worker.options.limits;
    desk.fields.clear();
    let bytes = &desk.input.data()[..head];
    let line = http1::parse_request(bytes, &mut desk.fields, limits.target, limits.headers)?;
    let facts = RequestFacts::read(bytes, &line, &desk.fields)?;
    let form = Form::parse(line.method.of(bytes), line.target.of(bytes))?;
    worker.counters.requests.add();

    let mut opened = Opened {
        version: line.version,
        is_head: line.method.of(bytes) == b"HEAD",
        keep_alive: facts.keep_alive,
        wants_upgrade: facts.wants_upgrade,
        upload: None,
        pattern: "",
    };
    let parts = TargetParts::new(&form, &line);
    // Tokens and targets were checked to be ASCII.
    let method = std::str::from_utf8(line.method.of(bytes)).map_err(|_| Kind::BadRequestLine)?;
    let path = target::canonical(parts.path.of(bytes));
    match worker.table.choose(method, &path) {
        Choice::Handler { handler, params, pattern, body_limit } => {
            opened.pattern = pattern;
            let limit = body_limit.unwrap_or(limits.body);
            if facts.framing.length().is_some_and(|length| length > limit) {
                return Err(Kind::BodyTooLarge);
            }
            let incoming = parts.incoming(bytes, line, &mut desk.fields, peer);
            let (body, upload) = match facts.framing.length() {
                Some(0) => (Body::empty(), None),
                // All of it is there: no pipe is needed.
                Some(length) if (desk.input.len() - head) as u64 >= length => {
                    let body = desk.input.data()[head..head + length as usize].to_vec();
                    (Body::from(body), None)
                }
                length => {
                    let (writer, reader) = pipe(BODY_BUFFER);
                    let decoder = Decoder::new(facts.framing);
                    let timeouts = &worker.options.timeouts;
                    let upload = Upload::new(decoder, writer, limit, timeouts, facts.expects_continue);
                    (Body::from_pipe(reader, length), Some(Box::new(upload)))
                }
            };
            let taken = if upload.is_none() { body.len().unwrap_or(0) as usize } else { 0 };
            let request = Request::new(incoming, params.iter(), body);
            desk.input.consume(head + taken);
            opened.upload = upload;
            desk.word = ask(handler, request, &mut desk.reply);
        }
        choice => {
            desk.word = Some(Word::Answer(unrouted(choice)));
            desk.input.consume(head);
            if !facts.framing.is_none() {
                let (writer, _) = pipe(BODY_BUFFER);
                let decoder = Decoder::new(facts.framing);
                let timeouts = &worker.options.timeouts;
                let upload = Upload::new(decoder, writer, 0, timeouts, facts.expects_continue);
                opened.upload = Some(Box::new(upload));
            }
        }
    }
    Ok(opened)
}

/// Bytes of a request body that may be waiting for their handler.
const BODY_BUFFER: usize = 64 * 1024;

/// Calls the handler, and takes its answer if it gave one at once.
fn ask(handler: &dyn Handler, request: Request, reply: &mut std::sync::Arc<Reply>) -> Option<Word> {
    let response = Response::new(Reply::renew(reply));
    match catch_unwind(AssertUnwindSafe(|| handler.handle(request, response))) {
        Ok(()) => reply.take(),
        Err(_) => {
            reply.close();
            Some(Word::Refused(Kind::HandlerPanicked.into()))
        }
    }
}

/// Where the parts of a target are in the head.
struct TargetParts {
    path: Span,
    query: Option<Span>,
    authority: Option<Span>,
}

impl TargetParts {
    fn new(form: &Form, line: &RequestLine) -> Self {
        let base = line.target.start as usize;
        let span = |range: &std::ops::Range<usize>| Span::new(base + range.start, base + range.end);
        match form {
            Form::Origin { path, query } => {
                Self { path: span(path), query: query.as_ref().map(span), authority: None }
            }
            Form::Absolute { authority, path, query } => {
                Self { path: span(path), query: query.as_ref().map(span), authority: Some(span(authority)) }
            }
            Form::Authority => Self { path: line.target, query: None, authority: Some(line.target) },
            Form::Asterisk => Self { path: line.target, query: None, authority: None },
        }
    }

    fn incoming<'a>(
        &self,
        head: &'a [u8],
        line: RequestLine,
        fields: &'a mut Vec<Field>,
        peer: Peer,
    ) -> Incoming<'a> {
        let peer = match peer {
            Peer::Tcp(address) => Some(address),
            Peer::Unix => None,
        };
        let Self { path, query, authority } = *self;
        Incoming { head, line, fields, path, query, authority, peer }
    }
}

/// Waits for the handler's last word; meanwhile the body flows to whoever reads it, and a client that is gone is
/// noticed.
async fn wait(
    worker: &Worker,
    stream: &Stream,
    desk: &mut Desk,
    opened: &mut Opened<'_>,
) -> Result<Word, Kind> {
    // Answers to earlier requests must not wait for this one.
    if !desk.out.is_empty() {
        outbound(worker, stream, &mut desk.out).flush().await?;
    }
    let (input, reply) = (&mut desk.input, &desk.reply);
    let word = poll_fn(|cx| {
        if let Some(upload) = &mut opened.upload {
            let _over = upload.poll(cx, &worker.core, stream, input, true);
        }
        if let Poll::Ready(word) = reply.poll_take(cx) {
            return Poll::Ready(Ok(word));
        }
        let gone = opened.upload.as_ref().and_then(|upload| upload.failure()) == Some(Kind::DownstreamGone);
        if gone || stream.poll_broken(cx).is_ready() {
            return Poll::Ready(Err(Kind::DownstreamGone));
        }
        Poll::Pending
    })
    .await;
    if word.is_err() {
        reply.close();
    }
    word
}

/// What is sent for a handler's last word.
fn into_answer(worker: &Worker, opened: &mut Opened<'_>, word: Word) -> Answer {
    let error = match word {
        Word::Answer(answer) => match answer.status() {
            200..=999 => return answer,
            status => Error::new(Kind::BadResponse).detail(format!("status {status}")),
        },
        Word::Refused(error) => error,
        // The handler gave up because the body failed: the client learns why.
        Word::Dropped => match opened.upload.as_ref().and_then(|upload| upload.failure()) {
            Some(kind) => kind.into(),
            None => Kind::ResponseDropped.into(),
        },
        Word::Upgrade { .. } => {
            Error::new(Kind::BadResponse).detail("an upgrade that the request did not ask for")
        }
    };
    opened.keep_alive &= !error.kind().row().close;
    worker.counters.failure(error.kind());
    worker
        .journal
        .note(error.kind().row().level, || format!("{}: {error}, on route {}", error.name(), opened.pattern));
    plain(error.status())
}

/// Encodes and sends the answer, while what the handler still reads of the request's body flows on.
///
/// # Errors
///
/// The client is gone, or the body broke off: the connection is of no use.
async fn send(
    worker: &Worker,
    stream: &Stream,
    desk: &mut Desk,
    opened: &mut Opened<'_>,
    answer: Answer,
) -> Result<After, Kind> {
    let coding = coding(opened, answer.status(), answer.headers(), answer.body());
    let unread =
        opened.upload.as_ref().is_some_and(|upload| upload.owes_continue() || upload.failure().is_some());
    let close = !opened.keep_alive || coding == BodyCoding::UntilClose || unread || worker.is_draining();
    encode(worker, &mut desk.out, opened, &answer, coding, close);
    let after = if close { After::Close } else { After::Keep };
    if opened.is_head || coding == BodyCoding::None {
        return Ok(after);
    }
    let (_, _, body) = answer.into_parts();
    let content = body.into_content();
    let mut outbound = outbound(worker, stream, &mut desk.out);
    let Some(upload) = opened.upload.as_mut().filter(|upload| !upload.is_over()) else {
        download::send(&mut outbound, content, coding).await?;
        return Ok(after);
    };
    let input = &mut desk.input;
    let mut download = std::pin::pin!(download::send(&mut outbound, content, coding));
    poll_fn(|cx| {
        let _over = upload.poll(cx, &worker.core, stream, input, false);
        if upload.failure() == Some(Kind::DownstreamGone) {
            return Poll::Ready(Err(Kind::DownstreamGone));
        }
        download.as_mut().poll(cx)
    })
    .await?;
    Ok(after)
}

/// How the body goes onto the wire (RFC 9112 §6.3).
fn coding(opened: &Opened<'_>, status: u16, headers: &Headers, body: &Body) -> BodyCoding {
    // What the origin says about a body that is not sent here is kept (RFC 9110 §8.6).
    let announced = || headers.get_str("content-length").and_then(|length| length.parse().ok());
    match (status, body.len()) {
        (204, _) => BodyCoding::None,
        (304, _) => announced().map_or(BodyCoding::None, BodyCoding::Length),
        (_, Some(0)) if opened.is_head => BodyCoding::Length(announced().unwrap_or(0)),
        (_, Some(length)) => BodyCoding::Length(length),
        (_, None) if opened.version == Version::Http10 => BodyCoding::UntilClose,
        (_, None) => BodyCoding::Chunked,
    }
}

/// Deals with what is left of the request's body, and decides about the connection.
async fn settle(
    worker: &Worker,
    stream: &Stream,
    desk: &mut Desk,
    opened: &mut Opened<'_>,
    after: After,
) -> After {
    let Some(upload) = &mut opened.upload else { return after };
    if upload.is_complete() && upload.failure().is_none() {
        return after;
    }
    if upload.owes_continue() || upload.failure().is_some() || after != After::Keep {
        return After::Linger;
    }
    if outbound(worker, stream, &mut desk.out).flush().await.is_err() {
        return After::Close;
    }
    let (input, core) = (&mut desk.input, &worker.core);
    if upload.is_wanted() {
        // Whoever still reads the body gets the rest of it, within the time that a body may stand still.
        let rest = poll_fn(|cx| upload.poll(cx, core, stream, input, false));
        future::or(rest, core.sleep(worker.options.timeouts.body_idle)).await;
    }
    let mut limit = worker.options.limits.drain;
    match poll_fn(|cx| upload.poll_drain(cx, core, stream, input, &mut limit)).await {
        true => After::Keep,
        false => After::Linger,
    }
}

fn encode_upgrade(worker: &Worker, desk: &mut Desk, protocol: &str, headers: &Headers) {
    let date = worker.date();
    let parts = AnswerParts {
        status: 101,
        headers,
        mime: None,
        coding: BodyCoding::None,
        date: date.as_bytes(),
        close: false,
        version: Version::Http11,
        upgrade: Some(protocol),
    };
    http1::encode_head(&mut desk.out, &parts);
}

fn outbound<'a>(worker: &Worker, stream: &'a Stream, out: &'a mut Vec<u8>) -> Outbound<'a> {
    Outbound { stream, out, patience: worker.options.timeouts.write_idle }
}
