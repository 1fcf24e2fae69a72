//! The beginning of an exchange: a head is checked, its route chosen, its handler asked. Nothing waits here.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::driver::Peer;
use crate::error::Kind;
use crate::handler::{Handler, Incoming, Reply, Word};
use crate::http1::{Decoder, RequestFacts};
use crate::message::target::{self, Form};
use crate::message::{Body, Field, RequestLine, Span, Version, pipe};
use crate::proxy::{Head, Method};
use crate::router::{Choice, RouteNumber, Target};
use crate::{Request, Response};

use super::refuse::unrouted;
use super::upload::Upload;
use super::desk::Desk;
use super::worker::Worker;

/// A request that was understood, while it is being answered.
pub(super) struct Opened {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
    pub(super) wants_upgrade: bool,
    /// Boxed, as few requests have a body that must be waited for, and this is moved for each.
    pub(super) upload: Option<Box<Upload>>,
    pub(super) route: RouteNumber,
}

/// A request that is to be passed on.
#[derive(Clone, Copy)]
pub(super) struct Passing {
    pub(super) reverse: usize,
    pub(super) head: Head,
    pub(super) route: RouteNumber,
    /// The endpoint that was chosen for it.
    pub(super) chosen: Option<usize>,
}

/// What a request's beginning came to.
pub(super) enum Opening {
    /// The handler was asked.
    Asked(Opened),
    /// It is for an upstream; its head is still at the front of the input.
    Passing(Passing),
}

/// Checks the head that is on the desk, chooses the route, and asks its handler.
pub(super) fn open(
    worker: &Worker,
    peer: Peer,
    desk: &mut Desk,
    line: RequestLine,
    head: usize,
) -> Result<Opening, Kind> {
    let limits = &worker.options.limits;
    let bytes = &desk.input.data()[..head];
    let facts = RequestFacts::read(bytes, &line, &desk.fields)?;
    let form = Form::parse(line.method.of(bytes), line.target.of(bytes))?;
    worker.site.counters.requests.add();

    let parts = TargetParts::new(&form, &line);
    let path = target::canonical(parts.path.of(bytes));
    let (found, params, route, body_limit) = match worker.table.choose(line.method.of(bytes), &path) {
        Choice::Found { target, params, route, body_limit } => (target, params, route, body_limit),
        choice => {
            desk.word = Some(Word::Answer(unrouted(choice)));
            let is_head = line.method.of(bytes) == b"HEAD";
            let opened = Opened::new(&line, &facts, is_head, RouteNumber::NONE, unread(worker, &facts));
            desk.input.consume(head);
            return Ok(Opening::Asked(opened));
        }
    };
    let method = Method::of(line.method.of(bytes));
    match found {
        Target::Handler(handler) => {
            let limit = body_limit.unwrap_or(limits.body);
            check_length(&facts, limit)?;
            let (body, upload) = take_body(worker, &facts, limit, &desk.input.data()[head..]);
            let taken = if upload.is_none() { body.len().unwrap_or(0) as usize } else { 0 };
            let incoming = parts.incoming(bytes, line, &mut desk.fields, peer);
            let request = Request::new(incoming, params.iter(), body);
            drop(params);
            drop(path);
            desk.input.consume(head + taken);
            desk.word = ask(&**handler, request, &mut desk.reply);
            Ok(Opening::Asked(Opened::new(&line, &facts, method == Method::Head, route, upload)))
        }
        Target::Reverse(reverse) => {
            let own = worker.table.reverse(*reverse).body_limit;
            let limit = body_limit.or(own).unwrap_or(u64::MAX);
            check_length(&facts, limit)?;
            let TargetParts { path, query, authority } = parts;
            let head = Head { length: head, line, method, facts, path, query, authority, body_limit: limit };
            Ok(Opening::Passing(Passing { reverse: *reverse, head, route, chosen: None }))
        }
    }
}

impl Opened {
    pub(super) fn new(
        line: &RequestLine,
        facts: &RequestFacts,
        is_head: bool,
        route: RouteNumber,
        upload: Option<Box<Upload>>,
    ) -> Self {
        Self {
            version: line.version,
            is_head,
            keep_alive: facts.keep_alive,
            wants_upgrade: facts.wants_upgrade,
            upload,
            route,
        }
    }
}

fn check_length(facts: &RequestFacts, limit: u64) -> Result<(), Kind> {
    match facts.framing.length().is_some_and(|length| length > limit) {
        true => Err(Kind::BodyTooLarge),
        false => Ok(()),
    }
}

/// The body as the handler gets it; `behind` is what was read behind the head.
fn take_body(worker: &Worker, facts: &RequestFacts, limit: u64, behind: &[u8]) -> (Body, Option<Box<Upload>>) {
    match facts.framing.length() {
        Some(0) => (Body::empty(), None),
        // All of it is there: no pipe is needed.
        Some(length) if behind.len() as u64 >= length => (Body::from(behind[..length as usize].to_vec()), None),
        length => {
            let (writer, reader) = pipe(BODY_BUFFER);
            let decoder = Decoder::new(facts.framing);
            let timeouts = &worker.site.timeouts;
            let upload = Upload::new(decoder, writer, limit, timeouts, facts.expects_continue);
            (Body::from_pipe(reader, length), Some(Box::new(upload)))
        }
    }
}

/// A body that nobody will read.
pub(super) fn unread(worker: &Worker, facts: &RequestFacts) -> Option<Box<Upload>> {
    if facts.framing.is_none() {
        return None;
    }
    let (writer, _) = pipe(BODY_BUFFER);
    let decoder = Decoder::new(facts.framing);
    let upload = Upload::new(decoder, writer, 0, &worker.site.timeouts, facts.expects_continue);
    Some(Box::new(upload))
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
