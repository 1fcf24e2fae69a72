//! The beginning of an exchange: a head is checked, its route chosen, its handler asked. Nothing waits here.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::driver::Peer;
use crate::error::Kind;
use crate::handler::{Handler, Incoming, Reply, Word};
use crate::http1::{Decoder, Lines, RequestFacts};
use crate::message::target::{self, Form};
use crate::message::{Body, Field, Known, RequestLine, Span, Version, pipe};
use crate::proxy::{Head, Hooked, Method};
use crate::router::{Choice, RouteNumber, Sought, Target};
use crate::upstream::Pick;
use crate::{Request, Response};

use super::account::{Kept, Slot};
use super::desk::Desk;
use super::edition::Edition;
use super::explain;
use super::refuse::unrouted;
use super::upload::Upload;
use super::who::Who;
use super::worker::Worker;

/// A request that was understood, while it is being answered.
pub(super) struct Opened {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
    pub(super) wants_upgrade: bool,
    /// Boxed, as few requests have a body that must be waited for, and this is moved for each.
    pub(super) upload: Option<Box<Upload>>,
    pub(super) kept: Kept,
    route: RouteNumber,
}

/// A request that is to be passed on.
pub(super) struct Passing {
    pub(super) kept: Kept,
    pub(super) reverse: usize,
    pub(super) head: Head,
    pub(super) route: RouteNumber,
    /// The endpoint that was chosen for it.
    pub(super) chosen: Option<Pick>,
    /// What hooks have made of it, if the proxy has any.
    pub(super) hooked: Option<Box<Hooked>>,
}

/// What a request's beginning came to.
pub(super) enum Opening {
    /// The handler was asked.
    Asked(Opened),
    /// It is for an upstream; its head is still at the front of the input.
    Passing(Passing),
}

/// Checks the head that is on the desk, chooses the route, and asks its handler. Of what is refused, the desk has what is kept.
pub(super) fn open(
    worker: &Worker,
    who: &Who,
    desk: &mut Desk,
    line: RequestLine,
    length: usize,
) -> Result<Opening, Kind> {
    let line = RequestLine { version: who.version(line.version), ..line };
    let asks = worker.edition.borrow().explain.clone();
    let length = match &asks {
        Some(name) if !who.is_trusted && explain::asks(name, desk.input.data(), &desk.fields) => {
            explain::forget(name, desk, length)
        }
        _ => length,
    };
    let bytes = &desk.input.data()[..length];
    let edition = desk.kept.insert(Kept::begin(worker, who, bytes, &desk.fields, line)).edition.clone();
    let facts = RequestFacts::read(bytes, &line, &desk.fields)?;
    let form = Form::parse(line.method.of(bytes), line.target.of(bytes))?;
    worker.counters.requests.add();

    let head = read_head(bytes, length, line, facts, &form);
    if let Some(name) = &asks
        && explain::asks(name, bytes, &desk.fields)
    {
        return Ok(explain::answer(&edition, who, desk, &head));
    }
    if head.authority.is_some()
        && let Some(reverse) = edition.table.forward()
    {
        let way = Way {
            edition: &edition,
            reverse,
            route: RouteNumber::NONE,
            slot: Slot::FORWARD,
            body_limit: None,
        };
        let came = (bytes, &desk.fields[..]);
        return pass_on(worker, who, came, &mut desk.kept, head, way, std::iter::empty());
    }
    if edition.table.only_forwards() {
        return Err(Kind::NotForward);
    }
    check_host(who, &head, bytes, &desk.fields)?;
    let path = target::canonical(head.path.of(bytes));
    let sought = sought(bytes, &desk.fields, &head, &path);
    let (found, params, route, body_limit) = match edition.table.choose(&sought) {
        Choice::Found { target, params, route, body_limit } => (target, params, route, body_limit),
        choice => {
            desk.word = Some(Word::Answer(unrouted(choice)));
            let upload = unread(&edition, &facts);
            desk.input.consume(length);
            return Ok(Opening::Asked(Opened::new(take(&mut desk.kept), &head, RouteNumber::NONE, upload)));
        }
    };
    let slot = route.index().map_or(Slot::NONE, Slot::of_route);
    desk.kept.iter_mut().for_each(|kept| kept.slot = slot);
    match found {
        Target::Handler(handler) => {
            let limit = body_limit.unwrap_or(edition.limits.body);
            check_length(&facts, limit)?;
            let (body, upload) = take_body(&edition, &facts, limit, &desk.input.data()[length..]);
            let taken = if upload.is_none() { body.len().unwrap_or(0) as usize } else { 0 };
            let mut request = Request::new(incoming(bytes, &head, &desk.fields, who), params.iter(), body);
            drop(params);
            drop(path);
            desk.input.consume(length + taken);
            let mut kept = take(&mut desk.kept);
            kept.account.bytes_in = taken as u64;
            kept.account.story.iter().for_each(|story| story.tell(request.headers_mut()));
            desk.word = ask(&**handler, request, &mut desk.reply);
            Ok(Opening::Asked(Opened::new(kept, &head, route, upload)))
        }
        Target::Reverse(reverse) => {
            let way = Way { edition: &edition, reverse: *reverse, route, slot, body_limit };
            pass_on(worker, who, (bytes, &desk.fields[..]), &mut desk.kept, head, way, params.iter())
        }
    }
}

/// What is kept of the exchange that is being opened.
pub(super) fn take(opening: &mut Option<Kept>) -> Kept {
    opening.take().expect("it was put there when the exchange began")
}

/// A request must be for the host that the client has named in its TLS handshake (RFC 9110 §7.4).
pub(super) fn check_host(who: &Who, head: &Head, bytes: &[u8], fields: &[Field]) -> Result<(), Kind> {
    let Some(session) = &who.session else { return Ok(()) };
    let host = fields.iter().find(|field| field.known == Known::Host).map(|field| field.value);
    let host = head.authority.or(host).map_or(&b""[..], |host| host.of(bytes));
    match std::str::from_utf8(host).is_ok_and(|host| session.answers_for(host)) {
        true => Ok(()),
        false => Err(Kind::Misdirected),
    }
}

/// Notes how much came of a body that was read by and by.
impl Drop for Opened {
    fn drop(&mut self) {
        let came = self.upload.as_ref().map_or(0, |upload| upload.moved());
        self.kept.account.bytes_in += came;
    }
}

/// Which proxy a request goes to, and how it came there.
struct Way<'e> {
    edition: &'e Rc<Edition>,
    reverse: usize,
    route: RouteNumber,
    slot: Slot,
    /// The limit of the route.
    body_limit: Option<u64>,
}

/// Makes ready what is to be passed on.
fn pass_on<'p>(
    worker: &Worker,
    who: &Who,
    (bytes, fields): (&[u8], &[Field]),
    opening: &mut Option<Kept>,
    mut head: Head,
    way: Way<'_>,
    params: impl Iterator<Item = (&'p str, &'p str)>,
) -> Result<Opening, Kind> {
    let Way { edition, reverse, route, slot, body_limit } = way;
    let proxy = edition.table.reverse(reverse);
    head.body_limit = body_limit.or(proxy.body_limit).unwrap_or(u64::MAX);
    check_length(&head.facts, head.body_limit)?;
    let story = opening.as_ref().and_then(|kept| kept.account.story.as_deref());
    let hooked = proxy.has_hooks().then(|| {
        let mut request = Request::new(incoming(bytes, &head, fields, who), params, Body::empty());
        story.iter().for_each(|story| story.tell(request.headers_mut()));
        Hooked::new(request, who.is_trusted, worker.core.now())
    });
    let mut kept = take(opening);
    kept.slot = slot;
    Ok(Opening::Passing(Passing { kept, reverse, head, route, chosen: None, hooked }))
}

impl Opened {
    pub(super) fn new(kept: Kept, head: &Head, route: RouteNumber, upload: Option<Box<Upload>>) -> Self {
        Self {
            version: head.line.version,
            is_head: head.method == Method::Head,
            keep_alive: head.facts.keep_alive,
            wants_upgrade: head.facts.wants_upgrade,
            upload,
            kept,
            route,
        }
    }

    /// What its route is called, for the log; empty for none.
    pub(super) fn label(&self) -> &str {
        self.kept.edition.label(self.route)
    }
}

fn check_length(facts: &RequestFacts, limit: u64) -> Result<(), Kind> {
    match facts.framing.length().is_some_and(|length| length > limit) {
        true => Err(Kind::BodyTooLarge),
        false => Ok(()),
    }
}

/// The body as the handler gets it; `behind` is what was read behind the head.
fn take_body(
    edition: &Edition,
    facts: &RequestFacts,
    limit: u64,
    behind: &[u8],
) -> (Body, Option<Box<Upload>>) {
    match facts.framing.length() {
        Some(0) => (Body::empty(), None),
        // All of it is there: no pipe is needed.
        Some(length) if behind.len() as u64 >= length => {
            (Body::from(behind[..length as usize].to_vec()), None)
        }
        length => {
            let (writer, reader) = pipe(BODY_BUFFER);
            let decoder = Decoder::new(facts.framing);
            let timeouts = edition.timeouts();
            let upload = Upload::new(decoder, writer, limit, timeouts, facts.expects_continue);
            (Body::from_pipe(reader, length), Some(Box::new(upload)))
        }
    }
}

/// A body that nobody will read.
pub(super) fn unread(edition: &Edition, facts: &RequestFacts) -> Option<Box<Upload>> {
    if facts.framing.is_none() {
        return None;
    }
    let (writer, _) = pipe(BODY_BUFFER);
    let decoder = Decoder::new(facts.framing);
    let upload = Upload::new(decoder, writer, 0, edition.timeouts(), facts.expects_continue);
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

/// A request as routes look at it; `path` is its canonical path.
pub(super) fn sought<'a>(bytes: &'a [u8], fields: &'a [Field], head: &Head, path: &'a str) -> Sought<'a> {
    Sought {
        method: head.line.method.of(bytes),
        path,
        query: head.query.map(|query| query.of(bytes)),
        authority: head.authority.map(|authority| authority.of(bytes)),
        lines: Lines::of_head(bytes, fields),
    }
}

/// What the head of a request says, with the places of the target's parts in it.
pub(super) fn read_head(
    bytes: &[u8],
    length: usize,
    line: RequestLine,
    facts: RequestFacts,
    form: &Form,
) -> Head {
    let base = line.target.start as usize;
    let span = |range: &Range<usize>| Span::new(base + range.start, base + range.end);
    let (path, query, authority) = match form {
        Form::Origin { path, query } => (span(path), query.as_ref().map(span), None),
        Form::Absolute { authority, path, query } => {
            (span(path), query.as_ref().map(span), Some(span(authority)))
        }
        Form::Authority => (line.target, None, Some(line.target)),
        Form::Asterisk => (line.target, None, None),
    };
    let method = Method::of(line.method.of(bytes));
    Head { length, line, method, facts, path, query, authority, body_limit: u64::MAX }
}

/// What a handler or a hook is shown of a head.
fn incoming<'a>(bytes: &'a [u8], head: &Head, fields: &'a [Field], who: &'a Who) -> Incoming<'a> {
    let peer = match who.peer {
        Peer::Tcp(address) => Some(address),
        Peer::Unix => None,
    };
    let Head { line, path, query, authority, .. } = *head;
    let session = who.session.as_deref();
    Incoming { head: bytes, line, fields, path, query, authority, peer, session }
}
