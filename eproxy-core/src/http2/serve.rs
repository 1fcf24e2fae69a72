//! The carrier of a client's stream: from HTTP/2 to an engine that speaks HTTP/1.1, and back.
//!
//! ```text
//!   RecvStream ──body::receive──▶ duct ──▶ the engine
//!   SendStream ◀──body::send──── duct ◀── its answer: interim heads, a head, a body
//! ```

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};

use crate::driver::{Core, Stream};
use crate::http1::{AnswerFacts, Decoder, Finder, Lines, find_answer};
use crate::message::{Buffer, Field, SMALL, StatusLine};

use super::answer;
use super::body::{self, Broken, Words};
use super::request::{Cargo, Opens};

/// A request whose head was given to the engine.
pub(crate) struct Serving {
    pub(crate) respond: SendResponse<Bytes>,
    pub(crate) body: RecvStream,
    pub(crate) cargo: Cargo,
    pub(crate) is_head: bool,
    /// This end of the duct to the engine.
    pub(crate) duct: Stream,
    /// How long the client may take nothing of the answer.
    pub(crate) patience: Duration,
}

/// An answer that the engine has given at once, in the words of HTTP/1.1, with all of its body.
///
/// # Errors
///
/// The stream is gone, or the answer is none.
pub(crate) fn answer_at_once(
    respond: &mut SendResponse<Bytes>,
    said: &[u8],
    fields: &mut Vec<Field>,
    is_head: bool,
) -> Result<(), Broken> {
    let method = method(is_head);
    let Ok(Some((line, facts, length))) = find_answer(&mut Finder::new(), said, fields, method) else {
        return Err(Broken::Engine);
    };
    let lines = Lines::of_head(&said[..length], fields);
    let head = answer::decode(&line, &lines, None).map_err(|_| Broken::Engine)?;
    let body = &said[length..];
    let is_empty = facts.framing.is_none() || body.is_empty();
    let mut send = respond.send_response(head, is_empty).map_err(|error| Broken::of(&error))?;
    if !is_empty {
        // What the client's window has no room for is kept; it is short.
        send.send_data(Bytes::copy_from_slice(body), true).map_err(|error| Broken::of(&error))?;
    }
    Ok(())
}

/// Carries a stream until its answer has left or it is broken off.
///
/// # Errors
///
/// Why it was broken off.
pub(crate) async fn carry(core: Rc<Core>, serving: Serving) -> Result<(), Broken> {
    let Serving { mut respond, body, cargo, is_head, duct, patience } = serving;
    let mut is_uploaded = false;
    let end = {
        let mut upload = std::pin::pin!(upload(body, &duct, cargo));
        let mut download = std::pin::pin!(download(&core, &mut respond, &duct, cargo, is_head, patience));
        poll_fn(|cx| {
            if !is_uploaded && let Poll::Ready(end) = upload.as_mut().poll(cx) {
                is_uploaded = true;
                // Of an engine that reads no more the answer may still come.
                if let Err(broken @ (Broken::Peer(_) | Broken::Refused)) = end {
                    return Poll::Ready(Err(broken));
                }
            }
            download.as_mut().poll(cx)
        })
        .await
    };
    let reason = match end {
        // What is left of the request is not wanted: the codec says so, behind the answer (RFC 9113 §8.1).
        Ok(()) => return end,
        Err(Broken::Stalled | Broken::Refused) => Reason::CANCEL,
        Err(Broken::Engine) => Reason::INTERNAL_ERROR,
        Err(Broken::Peer(reason)) => reason,
    };
    // The engine need not go on.
    duct.reset_on_drop();
    respond.send_reset(reason);
    end
}

/// Gives the engine what comes behind the head.
async fn upload(mut body: RecvStream, duct: &Stream, cargo: Cargo) -> Result<(), Broken> {
    match cargo {
        Cargo::Nothing => Ok(()),
        Cargo::Length => body::receive(&mut body, duct, Words::Plain).await,
        Cargo::Chunked => body::receive(&mut body, duct, Words::Chunks).await,
        Cargo::Tunnel(_) => {
            body::receive(&mut body, duct, Words::Plain).await?;
            duct.finish().map_err(|_| Broken::Engine)
        }
    }
}

/// Gives the client what the engine says.
async fn download(
    core: &Rc<Core>,
    respond: &mut SendResponse<Bytes>,
    duct: &Stream,
    cargo: Cargo,
    is_head: bool,
    patience: Duration,
) -> Result<(), Broken> {
    let (mut input, mut fields) = (Buffer::new(), Vec::new());
    loop {
        let (line, facts, length) = read_head(respond, duct, &mut input, &mut fields, is_head).await?;
        let lines = Lines::of_head(&input.data()[..length], &fields);
        let opened = match (line.status, cargo) {
            (101, Cargo::Tunnel(opens @ Opens::WebSocket)) => Some(opens),
            (200..300, Cargo::Tunnel(opens @ Opens::Connect)) => Some(opens),
            (101, _) => return Err(Broken::Engine),
            _ => None,
        };
        // A success that has switched to nothing would be taken for an open WebSocket (RFC 8441 §5).
        let is_mute = matches!((line.status, cargo), (200..300, Cargo::Tunnel(Opens::WebSocket)));
        let line = if is_mute { StatusLine { status: 501, ..line } } else { line };
        let head = answer::decode(&line, &lines, opened).map_err(|_| Broken::Engine)?;
        input.consume(length);
        if opened.is_none() && line.status < 200 {
            respond.send_informational(head).map_err(|error| Broken::of(&error))?;
            continue;
        }
        let is_empty = opened.is_none() && facts.framing.is_none();
        let mut send = respond.send_response(head, is_empty).map_err(|error| Broken::of(&error))?;
        return match opened {
            _ if is_empty => Ok(()),
            Some(_) => body::send_raw(core, duct, &mut input, &mut send, patience).await,
            None => {
                let decoder = Decoder::new(facts.framing);
                body::send(core, duct, &mut input, decoder, &mut send, patience).await
            }
        };
    }
}

/// Reads a head of the engine's.
async fn read_head(
    respond: &mut SendResponse<Bytes>,
    duct: &Stream,
    input: &mut Buffer,
    fields: &mut Vec<Field>,
    is_head: bool,
) -> Result<(StatusLine, AnswerFacts, usize), Broken> {
    let mut finder = Finder::new();
    loop {
        let found = find_answer(&mut finder, input.data(), fields, method(is_head));
        if let Some(found) = found.map_err(|_| Broken::Engine)? {
            return Ok(found);
        }
        let read = poll_fn(|cx| {
            if let Poll::Ready(reset) = respond.poll_reset(cx) {
                return Poll::Ready(Err(reset.map_or_else(|error| Broken::of(&error), Broken::Peer)));
            }
            duct.poll_read(cx, input.space(SMALL)).map(|read| read.map_err(|_| Broken::Engine))
        });
        match read.await? {
            0 => return Err(Broken::Engine),
            n => input.filled(n),
        }
    }
}

/// As far as it matters to what an answer looks like.
fn method(is_head: bool) -> &'static [u8] {
    if is_head { b"HEAD" } else { b"" }
}
