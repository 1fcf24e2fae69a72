//! Story 1: a request and its answer.
//!
//! ```text
//!   head ──▶ open: parse, check, route, ask the handler
//!              │ refused ──▶ refuse ──▶ Linger
//!              ├─ answered ──▶ answer_at_once ──▶ Keep or Close
//!              └─ not yet, or with a body to move ──▶ answer_later:
//!                     wait ──▶ send ──▶ settle ──▶ Keep, Close or Linger
//! ```

use std::future::poll_fn;
use std::task::Poll;

use futures_lite::future;

use crate::driver::{Direction, Peer, Stream};
use crate::error::{Error, Kind};
use crate::handler::Word;
use crate::http1::{self, AnswerParts, BodyCoding, Outbound};
use crate::message::{Answer, Body, Headers, RequestLine, Version};

use super::desk::Desk;
use super::download;
use super::downstream::Connection;
use super::open::{Opened, Opening, open};
use super::pass;
use super::refuse::{fail, refuse};
use super::tunnels::Beginning;
use super::upgrade;
use super::worker::Worker;

/// What becomes of the connection.
pub(super) enum After {
    /// It takes the next request.
    Keep,
    /// It ends now.
    Close,
    /// It ends, but what the client is still sending is read for a while: closing at once would make its system throw
    /// away the answer (RFC 9112 §9.6).
    Linger,
    /// It ends with a reset: what was answered broke off, and nothing else would tell.
    Reset,
    /// It is a tunnel from now on.
    Tunnel(Box<Beginning>),
}

/// Runs the exchange whose head, of `length` bytes, is at the front of the desk's input. The answer may be left on the
/// desk, to be flushed before anything is waited for.
pub(super) async fn run(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    line: RequestLine,
    length: usize,
) -> After {
    match open(worker, &connection.who, desk, line, length) {
        Ok(Opening::Asked(mut opened)) => match answer_at_once(worker, desk, &mut opened) {
            Some(after) => after,
            None => answer_later(worker, connection, desk, &mut opened).await,
        },
        Ok(Opening::Passing(passing)) => pass::pass(worker, connection, desk, passing).await,
        Err(kind) => refuse(worker, connection.who.peer, desk, kind),
    }
}

/// Answers where nothing is to be waited for: the handler has answered with bytes in hand, and there is no body to be
/// read. Nearly every request of a busy server comes this way.
pub(super) fn answer_at_once(worker: &Worker, desk: &mut Desk, opened: &mut Opened) -> Option<After> {
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
        opened.kept.account.bytes_out = bytes.len() as u64;
    }
    desk.word = None;
    Some(if close { After::Close } else { After::Keep })
}

/// Answers where something is to be waited for: the handler, or a body on its way in or out.
pub(super) async fn answer_later(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    opened: &mut Opened,
) -> After {
    let stream = &connection.stream;
    // The head is there: its time must not run out on what follows.
    stream.set_deadline(Direction::Read, None);
    let word = match desk.word.take() {
        Some(word) => Ok(word),
        None => wait(worker, stream, desk, opened).await,
    };
    let answer = match word {
        Ok(Word::Upgrade { protocol, headers, to_handler, from_handler }) if opened.wants_upgrade => {
            encode_upgrade(worker, desk, &protocol, &headers);
            let account = &mut opened.kept.account;
            account.status = 101;
            account.story.iter().for_each(|story| story.add_id(&mut desk.out, &headers));
            let moved = upgrade::run(worker, stream, desk, to_handler, from_handler).await;
            (account.bytes_in, account.bytes_out) = moved;
            return After::Close;
        }
        Ok(word) => Ok(into_answer(worker, connection.who.peer, opened, word)),
        Err(kind) => Err(kind),
    };
    match answer {
        Ok(answer) => send_and_settle(worker, connection, desk, opened, answer).await,
        Err(kind) => {
            opened.kept.account.failure = Some(kind);
            fail(worker, connection.who.peer, opened.label(), &kind.into());
            After::Close
        }
    }
}

/// Sends an answer, and deals with what is left of the request.
pub(super) async fn send_and_settle(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    opened: &mut Opened,
    answer: Answer,
) -> After {
    let stream = &connection.stream;
    match send(worker, stream, desk, opened, answer).await {
        Ok(after) => settle(worker, stream, desk, opened, after).await,
        Err(kind) => {
            opened.kept.account.failure = Some(kind);
            fail(worker, connection.who.peer, opened.label(), &kind.into());
            // A client of HTTP/1.0 may be waiting for the end of the connection: an orderly one would be that of the answer
            // (RFC 9112 §8).
            if opened.version == Version::Http10 { After::Reset } else { After::Close }
        }
    }
}

/// Encodes the head of an answer.
fn encode(
    worker: &Worker,
    out: &mut Vec<u8>,
    opened: &mut Opened,
    answer: &Answer,
    coding: BodyCoding,
    close: bool,
) {
    let date = worker.date_line();
    let parts = AnswerParts {
        status: answer.status(),
        headers: answer.headers(),
        mime: answer.body().mime(),
        coding,
        date_line: date.as_bytes(),
        close,
        version: opened.version,
        upgrade: None,
    };
    http1::encode_head(out, &parts);
    let account = &mut opened.kept.account;
    account.status = answer.status();
    if let Some(story) = &account.story {
        story.add_id(out, answer.headers());
    }
}

/// Waits for the handler's last word; meanwhile the body flows to whoever reads it, and a client that is gone is
/// noticed.
async fn wait(worker: &Worker, stream: &Stream, desk: &mut Desk, opened: &mut Opened) -> Result<Word, Kind> {
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
fn into_answer(worker: &Worker, peer: Peer, opened: &mut Opened, word: Word) -> Answer {
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
    opened.kept.account.failure = Some(error.kind());
    fail(worker, peer, opened.label(), &error);
    Answer::plain(error.status())
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
    opened: &mut Opened,
    answer: Answer,
) -> Result<After, Kind> {
    if let Some(upload) = opened.upload.as_mut().filter(|upload| upload.is_held()) {
        // Whoever answers first and reads afterwards still wants the body, which the client may be holding back.
        upload.put_continue(&mut desk.out);
    }
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
    let moved = &mut opened.kept.account.bytes_out;
    let Some(upload) = opened.upload.as_mut().filter(|upload| !upload.is_over()) else {
        download::send(&mut outbound, content, coding, moved).await?;
        return Ok(after);
    };
    let input = &mut desk.input;
    let mut download = std::pin::pin!(download::send(&mut outbound, content, coding, moved));
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
fn coding(opened: &Opened, status: u16, headers: &Headers, body: &Body) -> BodyCoding {
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
    opened: &mut Opened,
    after: After,
) -> After {
    let Some(upload) = &mut opened.upload else { return after };
    if upload.is_complete() && upload.failure().is_none() {
        return after;
    }
    if upload.owes_continue() || upload.failure().is_some() || !matches!(after, After::Keep) {
        return After::Linger;
    }
    if outbound(worker, stream, &mut desk.out).flush().await.is_err() {
        return After::Close;
    }
    let (input, core) = (&mut desk.input, &worker.core);
    if upload.is_wanted() {
        // Whoever still reads the body gets the rest of it, within the time that a body may stand still.
        let rest = poll_fn(|cx| upload.poll(cx, core, stream, input, false));
        future::or(rest, core.sleep(worker.edition().timeouts().body_idle)).await;
    }
    let mut limit = worker.edition().limits.drain;
    match poll_fn(|cx| upload.poll_drain(cx, core, stream, input, &mut limit)).await {
        true => After::Keep,
        false => After::Linger,
    }
}

fn encode_upgrade(worker: &Worker, desk: &mut Desk, protocol: &str, headers: &Headers) {
    let date = worker.date_line();
    let parts = AnswerParts {
        status: 101,
        headers,
        mime: None,
        coding: BodyCoding::None,
        date_line: date.as_bytes(),
        close: false,
        version: Version::Http11,
        upgrade: Some(protocol),
    };
    http1::encode_head(&mut desk.out, &parts);
}

pub(super) fn outbound<'a>(worker: &Worker, stream: &'a Stream, out: &'a mut Vec<u8>) -> Outbound<'a> {
    Outbound { stream, out, patience: worker.edition().timeouts().write_idle }
}
