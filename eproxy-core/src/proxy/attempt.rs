//! Story 3: one try to have a request answered by one endpoint.
//!
//! ```text
//!   encode ──▶ lease ──▶ send ───────────────────┐
//!                │      (and the body, as it comes)├──▶ head of the answer
//!                │         interim answers ◀── read ┘
//!                └─ failed ──▶ Failure: what had been sent by then decides whether there is another try
//! ```

use std::time::Duration;

use futures_lite::future;

use crate::driver::{Direction, Stream};
use crate::error::{Error, Kind};
use crate::http1::{AnswerFacts, Lines, MAX_INTERIM};
use crate::message::{Answer, Buffer, SMALL, StatusLine};
use crate::telemetry::AttemptEnd;
use crate::tunnel::proxy_protocol;
use crate::upstream::{Destination, Dial};

use super::answer_head;
use super::hedge::hedge;
use super::hooked;
use super::relay::Relay;
use super::request_head;
use super::reverse::Reverse;
use super::tries::Chosen;
use super::upload::Upload;
use super::waiting::Waiting;

/// The head of an answer, which is at the front of the upstream's input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) line: StatusLine,
    pub(super) facts: AnswerFacts,
    /// Bytes of the head.
    pub(super) length: usize,
}

impl Reply {
    /// Whether the body is short enough to leave together with the head, once it was read.
    pub(super) fn is_short(&self) -> bool {
        /// Longer bodies are written from where they are.
        const MOST: u64 = 8 * 1024;
        self.facts.framing.length().is_some_and(|length| length <= MOST)
    }

    /// Whether the whole answer was read and is short, as it nearly always is: then it leaves in one piece.
    pub(super) fn is_there(&self, relay: &Relay<'_>) -> bool {
        let length = self.facts.framing.length().unwrap_or(u64::MAX);
        self.is_short() && self.length + length as usize <= relay.desk.input.len()
    }
}

/// Why there is no answer of the endpoint's.
#[derive(Debug)]
pub(super) enum Failure {
    Failed {
        error: Error,
        reached: Reached,
    },
    /// A hook has answered in its place.
    Answered(Box<Answer>),
}

impl Failure {
    /// A failure of which no upstream has seen anything.
    pub(super) fn unseen(error: impl Into<Error>) -> Self {
        Self::Failed { error: error.into(), reached: Reached::Nobody }
    }

    /// What is told of the attempt.
    pub(super) fn end(&self) -> AttemptEnd {
        match self {
            Self::Failed { error, .. } => AttemptEnd::Failed(error.kind()),
            Self::Answered(_) => AttemptEnd::Unsent,
        }
    }
}

impl From<Kind> for Failure {
    /// A failure after which there is no other try.
    fn from(kind: Kind) -> Self {
        Self::Failed { error: kind.into(), reached: Reached::Somebody }
    }
}

/// What an upstream may have seen of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Nothing: there was no connection.
    Nobody,
    /// It was sent, and the connection ended before a byte of an answer. `was_reused` says that it had been used before,
    /// so that it may have been closed before the request arrived.
    Unanswered { was_reused: bool },
    /// It was sent, and the upstream has said that it did not look at it (RFC 9113 §8.7).
    Refused,
    /// There was an answer, or the beginning of one; or it is the client's fault.
    Somebody,
}

/// How a try comes to its connection.
pub(super) enum Means {
    /// One that was used before, if there is one that is fit, or a new one.
    Any,
    /// A new one: a second try must not meet another that is being closed.
    Fresh,
    /// This one, which was used before, and which the request was sent on already.
    Sent(Stream),
}

/// A request that is with an endpoint.
pub(super) struct Begun {
    pub(super) stream: Stream,
    pub(super) waiting: Waiting,
}

/// Sends the request to an endpoint and reads the head of its answer; of another that was asked as well if that one
/// answers first, and is `chosen` then.
pub(super) async fn attempt<'r>(
    relay: &mut Relay<'_>,
    reverse: &'r Reverse,
    chosen: &mut Chosen<'r>,
    upload: &mut Upload,
    means: Means,
) -> Result<(Stream, Reply), Failure> {
    let begun = begin(relay, reverse, chosen, upload, means).await?;
    let core = &relay.site.core;
    let left = reverse.retry.patience.map(|patience| patience.saturating_sub(chosen.age(relay)));
    let answer = async {
        match reverse.retry.hedge.filter(|_| reverse.may_repeat(relay, upload)) {
            Some(after) => hedge(relay, reverse, chosen, upload, begun, after).await,
            None => head(relay, begun, upload).await,
        }
    };
    let Some(left) = left else { return answer.await };
    let too_late = async {
        core.sleep(left).await;
        Err(Kind::AttemptTimeout.into())
    };
    future::or(answer, too_late).await
}

/// Sends the request to an endpoint, as far as that can be done without waiting for it.
pub(super) async fn begin(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    chosen: &Chosen<'_>,
    upload: &mut Upload,
    means: Means,
) -> Result<Begun, Failure> {
    let is_sent = matches!(means, Means::Sent(_));
    if !is_sent {
        encode(relay, reverse, chosen, upload);
        hooked::on_upstream_request(relay, reverse).await?;
    }
    let reused = match means {
        Means::Any => reuse(relay, reverse, chosen, upload),
        Means::Fresh => None,
        Means::Sent(stream) => {
            // Its deadline may have been that of something else.
            stream
                .set_deadline(Direction::Read, Some(reverse.options.head.saturating_sub(chosen.age(relay))));
            Some(stream)
        }
    };
    let waiting = Waiting::new(reverse.options.head, reused.is_some(), is_sent);
    let stream = match reused {
        Some(stream) => stream,
        None => connect(relay, reverse, chosen).await?,
    };
    if !is_sent {
        encode_end(relay, reverse, upload);
    }
    Ok(Begun { stream, waiting })
}

/// Reads the head of the answer, while the request is still being sent.
pub(super) async fn head(
    relay: &mut Relay<'_>,
    begun: Begun,
    upload: &mut Upload,
) -> Result<(Stream, Reply), Failure> {
    let Begun { stream, mut waiting } = begun;
    for _ in 0..MAX_INTERIM {
        let reply = waiting.next(relay, &stream, upload).await?;
        match reply.line.status {
            101 => return Ok((stream, reply)),
            100..200 => {
                pass_interim(relay, &reply).await?;
                waiting.restart();
            }
            _ => return Ok((stream, reply)),
        }
    }
    Err(Kind::BadAnswer.into())
}

/// A connection that was used before and is fit.
pub(super) fn reuse(
    relay: &Relay<'_>,
    reverse: &Reverse,
    destination: &Destination,
    upload: &Upload,
) -> Option<Stream> {
    let pool = &relay.site.upstreams.pool;
    loop {
        let stream = destination.take(pool, &reverse.identity(relay), relay.desk.upgrade.is_some())?;
        // One that was closed a moment ago costs a repeatable request another try, and any other its life: for that one
        // the kernel is asked.
        let is_fit = if reverse.retry.repeats > 0 && reverse.may_repeat(relay, upload) {
            stream.is_quiet()
        } else {
            stream.is_surely_quiet()
        };
        if is_fit {
            relay.site.counters.upstream_reused.add();
            return Some(stream);
        }
    }
}

async fn connect(relay: &Relay<'_>, reverse: &Reverse, chosen: &Chosen<'_>) -> Result<Stream, Failure> {
    relay.site.counters.upstream_connects.add();
    if let Some(pick) = chosen.pick() {
        pick.connects();
    }
    let mut introduction = Vec::new();
    if let Some(version) = reverse.proxy_protocol {
        proxy_protocol::encode(&mut introduction, version, relay.ends());
    }
    let dial = Dial {
        guard: reverse.guard(),
        patience: reverse.options.connect.min(reverse.retry.patience.unwrap_or(Duration::MAX)),
        for_websocket: relay.desk.upgrade.is_some(),
        identity: &reverse.identity(relay),
        introduction: &introduction,
        options: &reverse.options,
    };
    let connected = relay.site.upstreams.connect(chosen, dial).await;
    connected.map_err(Failure::unseen)
}

/// Collects the head of the request, but for its end.
pub(super) fn encode(relay: &mut Relay<'_>, reverse: &Reverse, destination: &Destination, upload: &Upload) {
    if let Some(hooked) = relay.hooked {
        hooked.record.upstream = Some(destination.name.clone());
        hooked.record.attempts += 1;
    }
    if let Some(story) = &mut relay.account.story {
        story.begin_attempt(&reverse.group_name, &destination.name, relay.site.core.nanoseconds());
    }
    let mut out = std::mem::take(&mut relay.desk.out);
    out.clear();
    relay.desk.has_length =
        request_head::encode(&mut out, relay, &reverse.request, &destination.origin, upload.coding);
    relay.desk.out = out;
    relay.desk.input.clear();
}

/// Collects the end of the head, and of the body what is in hand.
pub(super) fn encode_end(relay: &mut Relay<'_>, reverse: &Reverse, upload: &Upload) {
    let mut out = std::mem::take(&mut relay.desk.out);
    let expects_continue = relay.head.facts.expects_continue && !upload.is_in_hand();
    request_head::encode_end(
        &mut out,
        relay,
        &reverse.request,
        upload.coding,
        relay.desk.has_length,
        expects_continue,
    );
    upload.encode(&mut out, relay);
    relay.desk.out = out;
}

/// Room for the first bytes of an answer. Most answers fit; of a long body, the less is read before its length is known the
/// better, because the kernel can move the rest by itself.
pub(super) fn first_space(input: &mut Buffer) -> &mut [u8] {
    const FIRST: usize = 4 * 1024;
    let space = input.space(SMALL);
    let length = space.len().min(FIRST);
    &mut space[..length]
}

/// Passes an interim answer on, to a client that knows of such (RFC 9110 §15.2).
async fn pass_interim(relay: &mut Relay<'_>, reply: &Reply) -> Result<(), Kind> {
    if !relay.is_http10() {
        let head = &relay.desk.input.data()[..reply.length];
        let lines = Lines::of_head(head, &relay.desk.fields);
        answer_head::encode_interim(relay.out, reply.line.status, reply.line.reason.of(head), &lines);
    }
    relay.desk.input.consume(reply.length);
    relay.flush().await
}
