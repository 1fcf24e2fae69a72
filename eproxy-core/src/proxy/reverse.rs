//! Story 2: a request is passed on to an upstream, and its answer passed back.
//!
//! ```text
//!   check ──▶ attempt ──▶ answered ──▶ respond: head, body ──▶ settle ──▶ Keep, Close or Linger
//!     │        │   ▲                      │
//!     │        └───┘ again, if that is safe└─ 101 ──▶ Tunnel
//!     └─ refused, or no try left ──▶ Answer
//! ```

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::{Error, Kind};
use crate::http1::{AnswerFacts, BodyCoding, Decoder, Lines};
use crate::message::hop;
use crate::upstream::{GroupNumber, Origin, ShelfNumber, Tried, UpstreamOptions};

use super::answer_head::{self, AnswerRules, Answering, From};
use super::attempt::{Means, Reached, Reply, attempt};
use super::pump::{Ends, Fault, Pump};
use super::relay::{Method, Outcome, Relay, answer_for};
use super::request_head::{self, RequestRules};
use super::upgrade::Upgrade;
use super::upload::Upload;

/// A reverse proxy as it was built when its server started.
#[derive(Debug)]
pub(crate) struct Reverse {
    pub(super) group: GroupNumber,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) options: UpstreamOptions,
    pub(super) request: RequestRules,
    pub(super) answer: AnswerRules,
    pub(super) retry: Retry,
    pub(crate) body_limit: Option<u64>,
}

/// An endpoint of its group.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) number: usize,
    pub(super) origin: Origin,
    pub(super) shelf: ShelfNumber,
}

/// Which requests are sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    /// Tries after the first that an upstream may have seen.
    pub(super) repeats: u32,
    /// Repeat what is not idempotent, too.
    pub(super) any_method: bool,
}

/// The first try of a request.
pub(super) enum First {
    /// With whichever endpoint is next.
    Any,
    /// With this one, which was chosen.
    Chosen(usize),
    /// With this one, and it was sent already.
    Sent(usize, Stream),
}

/// Passes a request on.
pub(super) async fn run(relay: &mut Relay<'_>, reverse: &Reverse, first: First) -> Outcome {
    if let Err(kind) = check(relay, reverse) {
        return refuse(relay, &kind.into(), true);
    }
    let mut upload = Upload::new(relay, reverse);
    let (endpoint, stream, reply) = match try_all(relay, reverse, &mut upload, first).await {
        Ok(answered) => answered,
        Err(error) if error.kind() == Kind::DownstreamGone => {
            relay.note(&error, None);
            return Outcome::Close;
        }
        Err(error) => {
            let is_untouched = upload.is_untouched(relay);
            return refuse(relay, &error, is_untouched);
        }
    };
    if reply.line.status == 101 {
        return switch(relay, reverse, endpoint, stream, &reply, &upload).await;
    }
    respond(relay, reverse, endpoint, stream, &reply, &mut upload).await
}

/// Makes ready what is to be passed on, and refuses what must not be.
pub(super) fn check(relay: &mut Relay<'_>, reverse: &Reverse) -> Result<(), Kind> {
    let head = relay.head;
    if head.facts.nominates {
        let bytes = &relay.input.data()[..head.length];
        if !hop::mark_nominated(bytes, relay.fields) {
            return Err(Kind::BadConnectionOptions);
        }
    }
    if head.method == Method::Trace && !head.facts.framing.is_none() {
        return Err(Kind::BodyWithTrace);
    }
    /// A request that came by so often goes round in circles.
    const MOST_VISITS: usize = 8;
    if request_head::visits(&relay.lines()) >= MOST_VISITS {
        return Err(Kind::LoopDetected);
    }
    relay.desk.upgrade = match head.facts.wants_upgrade {
        true => Upgrade::of_request(head.line.method.of(relay.head_bytes()), &relay.lines())?.map(Box::new),
        false => None,
    };
    if !reverse.answer.redirects.is_empty() {
        let mut host = std::mem::take(&mut relay.desk.host);
        host.clear();
        host.extend_from_slice(request_head::host(relay, &relay.lines()).unwrap_or_default());
        relay.desk.host = host;
    }
    // The head is there: its time must not run out on what follows.
    relay.client.stream.set_deadline(Direction::Read, None);
    Ok(())
}

/// Answers in the upstream's place.
fn refuse(relay: &Relay<'_>, error: &Error, is_untouched: bool) -> Outcome {
    relay.note(error, None);
    let answer = answer_for(error);
    match is_untouched && !error.kind().row().close {
        true => Outcome::Answer(Box::new(answer)),
        false => Outcome::LastAnswer(Box::new(answer)),
    }
}

/// Tries endpoints until one answers, as long as another try is safe.
async fn try_all<'r>(
    relay: &mut Relay<'_>,
    reverse: &'r Reverse,
    upload: &mut Upload,
    first: First,
) -> Result<(&'r Endpoint, Stream, Reply), Error> {
    let mut tried = Tried::default();
    let mut repeats = 0;
    let (mut chosen, mut means) = match first {
        First::Any => (relay.site.upstreams.choose(reverse.group, tried), Means::Any),
        First::Chosen(number) => (Some(number), Means::Any),
        First::Sent(number, stream) => {
            upload.set_over();
            (Some(number), Means::Sent(stream))
        }
    };
    loop {
        let Some(number) = chosen else { return Err(Kind::Connect.into()) };
        let endpoint = &reverse.endpoints[number];
        let failure = match attempt(relay, reverse, endpoint, upload, means).await {
            Ok((stream, reply)) => return Ok((endpoint, stream, reply)),
            Err(failure) => failure,
        };
        tried.add(number);
        let others = relay.site.upstreams.choose(reverse.group, tried);
        let next = match failure.reached {
            Reached::Nobody => others,
            Reached::Unanswered { was_reused } => {
                repeats += 1;
                // A connection that was not used before ended for a reason of the upstream's: only another one may do
                // better.
                let same = was_reused.then_some(number);
                let may = repeats <= reverse.retry.repeats && may_repeat(relay, reverse, upload);
                if may { others.or(same) } else { None }
            }
            Reached::Somebody => None,
        };
        if next.is_none() {
            return Err(failure.error);
        }
        relay.site.counters.retries.add();
        relay.note(&failure.error, Some(&endpoint.origin.place));
        upload.rewind();
        (chosen, means) = (next, Means::Fresh);
    }
}

/// Whether a request may be sent again although an upstream may have seen it.
pub(super) fn may_repeat(relay: &Relay<'_>, reverse: &Reverse, upload: &Upload) -> bool {
    upload.in_hand().is_some() && (reverse.retry.any_method || relay.head.method.is_idempotent())
}

/// Passes on that the upstream has switched to another protocol, if it was asked to: a tunnel begins.
async fn switch(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    endpoint: &Endpoint,
    stream: Stream,
    reply: &Reply,
    upload: &Upload,
) -> Outcome {
    let Some(behind) = upload.in_hand().filter(|_| upload.is_over()) else {
        // It has not even heard the whole request.
        return refuse(relay, &Kind::UpgradeFailed.into(), false);
    };
    let protocol = relay.desk.upgrade.as_ref().and_then(|upgrade| {
        let answer = Lines::of_head(&relay.desk.input.data()[..reply.length], &relay.desk.fields);
        upgrade.granted(&relay.lines(), &answer, &reply.facts).map(<[u8]>::to_vec)
    });
    let Some(protocol) = protocol else {
        return refuse(relay, &Kind::UpgradeFailed.into(), true);
    };
    write_head(relay, reverse, endpoint, reply, BodyCoding::None, false, Some(&protocol));
    relay.take_head(behind);
    match relay.flush().await {
        Ok(()) => Outcome::Tunnel(stream),
        Err(kind) => {
            relay.note(&kind.into(), Some(&endpoint.origin.place));
            Outcome::Close
        }
    }
}

/// Passes the answer back.
async fn respond(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    endpoint: &Endpoint,
    stream: Stream,
    reply: &Reply,
    upload: &mut Upload,
) -> Outcome {
    let facts = &reply.facts;
    let coding = coding(relay, reply);
    if upload.is_over() && is_there(relay, reply) {
        return respond_at_once(relay, reverse, endpoint, stream, reply);
    }
    // A refusal before the request was sent: what is still to come of it will not be read.
    let gives_up = !upload.is_over() && reply.line.status >= 400 && !facts.keep_alive;
    let closes = !relay.head.facts.keep_alive
        || coding == BodyCoding::UntilClose
        || gives_up
        || relay.site.draining.get();
    write_head(relay, reverse, endpoint, reply, coding, closes, None);
    relay.take_head(upload.in_hand().unwrap_or(0));
    let passed = pass_body(relay, reverse, &stream, facts, coding, upload, gives_up).await;
    if let Err(kind) = passed {
        relay.note(&kind.into(), Some(&endpoint.origin.place));
        return Outcome::Close;
    }
    if !upload.is_over() {
        return Outcome::Linger;
    }
    give_back(relay, reverse, endpoint, stream, facts);
    if closes { Outcome::Close } else { Outcome::Keep }
}

/// Whether the whole answer was read and is short, as it nearly always is: then it leaves in one piece.
pub(super) fn is_there(relay: &Relay<'_>, reply: &Reply) -> bool {
    /// Longer bodies are written from where they are.
    const MOST: u64 = 8 * 1024;
    let length = reply.facts.framing.length();
    length.is_some_and(|length| {
        length <= MOST && reply.length + length as usize <= relay.desk.input.len()
    })
}

/// Passes an answer back that [`is_there`], to a request that was sent.
pub(super) fn respond_at_once(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    endpoint: &Endpoint,
    stream: Stream,
    reply: &Reply,
) -> Outcome {
    let coding = coding(relay, reply);
    let closes = !relay.head.facts.keep_alive || relay.site.draining.get();
    write_head(relay, reverse, endpoint, reply, coding, closes, None);
    let length = reply.facts.framing.length().unwrap_or(0) as usize;
    relay.out.extend_from_slice(&relay.desk.input.data()[..length]);
    relay.desk.input.consume(length);
    // What stood behind the head was sent with it.
    relay.take_head(relay.head.facts.framing.length().unwrap_or(0) as usize);
    give_back(relay, reverse, endpoint, stream, &reply.facts);
    if closes { Outcome::Close } else { Outcome::Keep }
}

/// Puts the upstream's connection back, unless it must end or has more on it than was asked for.
fn give_back(relay: &Relay<'_>, reverse: &Reverse, endpoint: &Endpoint, stream: Stream, facts: &AnswerFacts) {
    if facts.keep_alive && relay.desk.input.is_empty() {
        let keep = idle_time(reverse, facts);
        relay.site.upstreams.pool.put(endpoint.shelf, None, stream, keep, reverse.options.pool_size);
    }
}

/// How the body goes to the client (RFC 9112 §6.3).
fn coding(relay: &Relay<'_>, reply: &Reply) -> BodyCoding {
    let Reply { line, facts, .. } = reply;
    let has_no_body = relay.head.method == Method::Head || line.status == 304;
    match (line.status, facts.framing.length(), facts.length) {
        (204, ..) => BodyCoding::None,
        // What another answer would have (RFC 9110 §8.6).
        (_, _, length) if has_no_body => length.map_or(BodyCoding::None, BodyCoding::Length),
        (_, Some(length), _) => BodyCoding::Length(length),
        _ if relay.is_http10() => BodyCoding::UntilClose,
        _ => BodyCoding::Chunked,
    }
}

/// Collects the head of the answer.
fn write_head(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    endpoint: &Endpoint,
    reply: &Reply,
    coding: BodyCoding,
    closes: bool,
    upgrade: Option<&[u8]>,
) {
    let mut out = std::mem::take(relay.out);
    let mut fields = std::mem::take(&mut relay.desk.fields);
    let head = &relay.desk.input.data()[..reply.length];
    if reply.facts.nominates {
        // Of too many, some are passed on: nothing depends on them.
        let _all = hop::mark_nominated(head, &mut fields);
    }
    let line = reply.line;
    let answering = Answering { line, reason: line.reason.of(head), coding, closes, upgrade };
    let from = From { origin: &endpoint.origin, paths: &reverse.request.path };
    let lines = Lines::of_head(head, &fields);
    answer_head::encode(&mut out, relay, &reverse.answer, &lines, from, &answering);
    (*relay.out, relay.desk.fields) = (out, fields);
    relay.desk.input.consume(reply.length);
}

/// Passes the body back, and what is still to be sent of the request on.
async fn pass_body(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    stream: &Stream,
    facts: &AnswerFacts,
    coding: BodyCoding,
    upload: &mut Upload,
    gives_up: bool,
) -> Result<(), Kind> {
    let (read_idle, write_idle) = (reverse.options.body_idle, relay.site.timeouts.write_idle);
    let mut download = Pump::download(Decoder::new(facts.framing), coding, read_idle, write_idle);
    let mut is_cut = gives_up;
    poll_fn(|cx| {
        if !is_cut && let Poll::Ready(Err(fault)) = upload.poll(cx, relay, stream) {
            match fault {
                Fault::From(kind) => return Poll::Ready(Err(kind)),
                Fault::To(_) => is_cut = true,
            }
        }
        let Relay { site, client, out, desk, .. } = relay;
        let mut ends = Ends { from: stream, input: &mut desk.input, to: client.stream, out };
        match download.poll(cx, &site.core, &mut ends) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(Fault::From(kind) | Fault::To(kind))) => Poll::Ready(Err(kind)),
            Poll::Pending => client.stream.poll_broken(cx).map(|()| Err(Kind::DownstreamGone)),
        }
    })
    .await
}

/// How long the connection may be kept: a second less than the upstream says it keeps it.
fn idle_time(reverse: &Reverse, facts: &AnswerFacts) -> Duration {
    let announced = facts.idle_seconds.map(|seconds| Duration::from_secs(u64::from(seconds.saturating_sub(1))));
    announced.map_or(reverse.options.keep_alive, |announced| announced.min(reverse.options.keep_alive))
}
