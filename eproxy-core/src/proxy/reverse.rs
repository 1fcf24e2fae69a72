//! Story 2: a request is passed on to an upstream, and its answer passed back.
//!
//! ```text
//!   check ──▶ hooks ──▶ attempt ──▶ answered ──▶ respond ──▶ Keep, Close or Linger
//!     │         │        │   ▲         └─ 101 ──▶ switch ──▶ Tunnel
//!     │         │        └───┘ again, if that is safe
//!     └─────────┴─ refused, answered by a hook, or no try left ──▶ Answer
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::driver::Direction;
use crate::error::{Error, Kind};
use crate::message::hop;
use crate::tunnel::ProxyProtocol;
use crate::upstream::{Choice, Group, GroupNumber, Guard, Identity, Tried, UpstreamOptions, Wishes};

use super::answer_head::AnswerRules;
use super::ask::ask;
use super::attempt::Failure;
use super::collect::collect;
use super::forwarding::{Forwarding, challenge, forward};
use super::grpc;
use super::hooked;
use super::hooks::AllHooks;
use super::max_forwards;
use super::mirror::{self, Mirror};
use super::relay::{Method, NAME, Outcome, Relay, Rest, answer_for};
use super::request_head::{self, RequestRules};
use super::retry::Retry;
use super::tries::{First, try_all};
use super::upgrade::Upgrade;
use super::upload::Upload;

/// A reverse proxy as it was built when its server started.
#[derive(Debug)]
pub(crate) struct Reverse {
    /// None where every request names its own endpoint.
    pub(super) group: Option<GroupNumber>,
    /// What that is called.
    pub(super) group_name: Box<str>,
    /// The group itself, for whoever asks about it.
    pub(super) endpoints: Option<Group>,
    /// What the group wants to know of requests.
    pub(super) wishes: Option<Wishes>,
    pub(super) options: UpstreamOptions,
    pub(super) request: RequestRules,
    pub(super) answer: AnswerRules,
    pub(super) retry: Retry,
    pub(super) hooks: AllHooks,
    pub(super) buffering: Buffering,
    pub(super) mirror: Option<Arc<Mirror>>,
    /// New connections say on whose behalf they are made.
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    pub(crate) body_limit: Option<u64>,
    /// Requests say where they are to go.
    pub(super) forwarding: Option<Forwarding>,
}

impl Reverse {
    /// Whether hooks look at its exchanges.
    pub(crate) fn has_hooks(&self) -> bool {
        !self.hooks.is_empty()
    }

    /// Whether something has to be waited for before a request is sent.
    pub(super) fn takes_time(&self) -> bool {
        self.forwarding.is_some() || self.hooks.may_wait()
    }

    /// Whether everything goes through another forward proxy.
    fn has_parent(&self) -> bool {
        self.forwarding.as_ref().is_some_and(|forwarding| forwarding.parent.is_some())
    }

    /// What judges the addresses that are dialled, where requests name them. A parent is the user's choice, and not theirs.
    pub(super) fn guard(&self) -> Option<&Guard> {
        self.forwarding
            .as_ref()
            .filter(|forwarding| forwarding.parent.is_none())
            .map(|forwarding| &forwarding.guard)
    }

    /// The next endpoint of the group that was not tried; nobody where there is no group.
    pub(super) fn choose(&self, relay: &Relay<'_>, tried: &Tried) -> Choice {
        self.group.map_or(Choice::Nobody, |group| relay.site.upstreams.choose(group, &relay.desk.ask, tried))
    }

    /// Whether a request can be sent again, and does no more then than it did before.
    pub(super) fn may_repeat(&self, relay: &Relay<'_>, upload: &Upload) -> bool {
        let is_safe = relay.head.method.is_idempotent()
            || self.retry.keys && relay.lines().values("idempotency-key").next().is_some();
        is_safe && upload.is_in_hand()
    }

    /// How long a request that was sent is left alone: after that there is something to be done about it.
    pub(super) fn first_deadline(&self) -> Duration {
        let Retry { patience, hedge, .. } = &self.retry;
        [*patience, *hedge].into_iter().flatten().fold(self.options.head, Duration::min)
    }

    /// On whose behalf connections are made, where upstreams are told.
    pub(super) fn identity(&self, relay: &Relay<'_>) -> Identity {
        self.proxy_protocol.and_then(|_| relay.ends()).map(Box::new)
    }
}

/// Bytes of bodies that are held back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buffering {
    /// Of a request, before it is passed on.
    pub(super) requests: u64,
    /// Of an answer, for a client that is slower than the upstream.
    pub(super) answers: usize,
}

/// Passes a request on.
pub(super) async fn run(relay: &mut Relay<'_>, reverse: &Reverse, first: First<'_>) -> Outcome {
    let outcome = match (begin(relay, reverse).await, &reverse.forwarding) {
        (Ok(()), None) => pass_to(relay, reverse, first).await,
        (Ok(()), Some(forwarding)) => forward(relay, reverse, forwarding).await,
        (Err(outcome), _) => outcome,
    };
    let outcome = match outcome {
        // What came behind a CONNECT was meant for the tunnel: it is no request, whatever it looks like.
        Outcome::Answer(answer, Rest::Untouched) if is_followed_connect(relay) => {
            Outcome::Answer(answer, Rest::Begun)
        }
        outcome => outcome,
    };
    hooked::on_done(relay, reverse, &outcome).await;
    outcome
}

/// Whether the client has sent more behind a CONNECT, before it knew of an answer.
fn is_followed_connect(relay: &Relay<'_>) -> bool {
    relay.head.method == Method::Connect && !relay.is_taken && relay.input.len() > relay.head.length
}

/// Makes ready what is to be passed on.
///
/// # Errors
///
/// It must not be, or hooks have another answer: this is what becomes of the exchange.
async fn begin(relay: &mut Relay<'_>, reverse: &Reverse) -> Result<(), Outcome> {
    if let Err(kind) = check(relay, reverse) {
        return Err(refuse(relay, &kind.into(), Rest::Untouched));
    }
    if reverse.forwarding.as_ref().is_some_and(|forwarding| !forwarding.admits(relay)) {
        return Err(challenge(relay));
    }
    if let Some(answer) = max_forwards::answer(relay) {
        return Err(Outcome::Answer(Box::new(answer), Rest::Untouched));
    }
    hooked::on_request(relay, reverse).await
}

pub(super) async fn pass_to(relay: &mut Relay<'_>, reverse: &Reverse, first: First<'_>) -> Outcome {
    if reverse.buffering.requests > 0
        && let Err(kind) = collect(relay, reverse).await
    {
        return give_up(relay, &kind.into(), Rest::Begun);
    }
    let mut upload = Upload::new(relay, reverse);
    relay.desk.ask = ask(relay, reverse);
    (relay.desk.tries, relay.desk.failed) = (0, None);
    if !matches!(first, First::Sent { .. }) {
        mirror::start(relay, reverse, &upload);
    }
    let outcome = match try_all(relay, reverse, &mut upload, first).await {
        Ok(answered) if answered.reply.line.status == 101 => answered.switch(relay, &upload).await,
        // It is this proxy that is asked who it is, and the client can do nothing about that (RFC 9110 §11.7.1).
        Ok(answered) if answered.reply.line.status == 407 && reverse.has_parent() => {
            answered.discard(relay);
            let error = Error::new(Kind::ParentRefused).detail("with 407");
            give_up(relay, &error, upload.rest(relay))
        }
        Ok(answered) => answered.respond(relay, &mut upload).await,
        Err(Failure::Answered(answer)) => Outcome::Answer(answer, upload.rest(relay)),
        Err(Failure::Failed { error, .. }) => give_up(relay, &error, upload.rest(relay)),
    };
    let moved = upload.moved(relay);
    relay.account.bytes_in = moved;
    if let Some(hooked) = relay.hooked {
        hooked.record.bytes_up = moved;
    }
    outcome
}

/// Refuses what must not be passed on.
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
    if request_head::visits(&relay.raw_lines()) >= MOST_VISITS {
        return Err(Kind::LoopDetected);
    }
    relay.desk.collected = None;
    relay.desk.upgrade = match head.facts.wants_upgrade {
        true => {
            Upgrade::of_request(head.line.method.of(relay.head_bytes()), &relay.raw_lines())?.map(Box::new)
        }
        false => None,
    };
    if !reverse.answer.redirects.is_empty() {
        let mut host = std::mem::take(&mut relay.desk.host);
        host.clear();
        host.extend_from_slice(request_head::host(relay, &relay.raw_lines()).unwrap_or_default());
        relay.desk.host = host;
    }
    // The head is there: its time must not run out on what follows.
    relay.client.stream.set_deadline(Direction::Read, None);
    Ok(())
}

/// Answers in the upstream's place, if there is still somebody to be answered.
pub(super) fn give_up(relay: &mut Relay<'_>, error: &Error, rest: Rest) -> Outcome {
    if error.kind() == Kind::DownstreamGone {
        relay.fail(error, None);
        return Outcome::Close;
    }
    refuse(relay, error, rest)
}

/// Answers in the upstream's place.
pub(super) fn refuse(relay: &mut Relay<'_>, error: &Error, rest: Rest) -> Outcome {
    relay.fail(error, None);
    let rest = if error.kind().row().close { Rest::Begun } else { rest };
    let mut answer = answer_for(error);
    if relay.desk.tries > 1
        && let Some(attempt) = &relay.desk.failed
    {
        // RFC 9209 §2.1.4; numbers and words make a valid value.
        let (name, tries) = (error.kind().row().proxy_status, relay.desk.tries);
        let (phase, sent) = (attempt.phase, attempt.bytes_sent);
        let details = format!("{tries} attempts, the last: {phase}, {sent} bytes sent");
        let status = format!("{NAME}; error={name}; details=\"{details}\"");
        let _valid = answer.headers_mut().insert("Proxy-Status", status);
    }
    if let Some(dialect) = relay.head.facts.grpc {
        answer = grpc::translate(answer, dialect, error.kind());
    }
    Outcome::Answer(Box::new(answer), rest)
}
