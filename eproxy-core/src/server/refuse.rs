//! Answers that the server gives by itself, and failures on their way to counters and log.

use crate::driver::Peer;
use crate::error::{Error, Kind};
use crate::http1::{self, AnswerParts, BodyCoding};
use crate::message::{Answer, Content, Version};
use crate::router::Choice;
use crate::telemetry::FailureLine;

use super::account::Kept;
use super::desk::Desk;
use super::exchange::After;
use super::worker::Worker;

/// The answer where no handler is.
pub(super) fn unrouted(choice: Choice<'_, '_>) -> Answer {
    let (status, allow) = match choice {
        Choice::Options { allow } => (204, Some(allow)),
        Choice::NotAllowed { allow } => (405, Some(allow)),
        Choice::NotFound | Choice::Found { .. } => (404, None),
    };
    let mut answer = Answer::plain(status);
    if let Some(allow) = allow {
        // A list of tokens is always a valid value.
        let _valid = answer.headers_mut().insert("Allow", &*allow);
    }
    answer
}

/// Refuses what is not a valid request; the answer is left on the desk.
pub(super) fn refuse(worker: &Worker, peer: Peer, desk: &mut Desk, kind: Kind) -> After {
    fail(worker, peer, "", &kind.into());
    let status = kind.row().status;
    let (_, headers, body) = Answer::plain(status).into_parts();
    let coding = BodyCoding::Length(body.len().unwrap_or(0));
    let date = worker.date_line();
    let parts = AnswerParts {
        status,
        headers: &headers,
        mime: body.mime(),
        coding,
        date_line: date.as_bytes(),
        close: true,
        version: Version::Http11,
        upgrade: None,
    };
    http1::encode_head(&mut desk.out, &parts);
    // RFC 9110 §9.3.2, as far as it can be told what the method was.
    let is_head = desk.input.data().starts_with(b"HEAD ");
    let mut kept = desk.kept.take().unwrap_or_else(|| Kept::begin_without(worker, peer));
    (kept.account.status, kept.account.failure) = (status, Some(kind));
    kept.account.story.iter().for_each(|story| story.add_id(&mut desk.out, &headers));
    if let (Content::Owned { bytes, .. }, false) = (body.into_content(), is_head) {
        desk.out.extend_from_slice(&bytes);
        kept.account.bytes_out = bytes.len() as u64;
    }
    After::Linger
}

/// Counts and logs a failure; `route` is what its route is called, and empty for none.
pub(super) fn fail(worker: &Worker, peer: Peer, route: &str, error: &Error) {
    worker.counters.failure(error.kind());
    worker.journal.note_failure(&FailureLine { error, route, upstream: None, attempt: None, peer });
}
