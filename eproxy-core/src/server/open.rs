//! The beginning of an exchange: a head is parsed and checked, its route chosen, its handler asked. Nothing waits here.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::driver::Peer;
use crate::error::Kind;
use crate::handler::{Handler, Incoming, Reply, Word};
use crate::http1::{self, Decoder, RequestFacts};
use crate::message::target::{self, Form};
use crate::message::{Body, Field, RequestLine, Span, Version, pipe};
use crate::router::Choice;
use crate::{Request, Response};

use super::refuse::unrouted;
use super::upload::Upload;
use super::worker::{Desk, Worker};

/// A request that was understood, while it is being answered.
pub(super) struct Opened<'w> {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
    pub(super) wants_upgrade: bool,
    /// Boxed, as few requests have a body that must be waited for, and this is moved for each.
    pub(super) upload: Option<Box<Upload>>,
    /// The route's pattern, for the log.
    pub(super) pattern: &'w str,
}

/// Parses and checks the head, chooses the route, and asks its handler.
pub(super) fn open<'w>(
    worker: &'w Worker,
    peer: Peer,
    desk: &mut Desk,
    head: usize,
) -> Result<Opened<'w>, Kind> {
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
    let path = target::canonical(parts.path.of(bytes));
    match worker.table.choose(line.method.of(bytes), &path) {
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
fn ask(handler: &dyn Handler, request: Request, reply: &mut Arc<Reply>) -> Option<Word> {
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
        let span = |range: &Range<usize>| Span::new(base + range.start, base + range.end);
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
