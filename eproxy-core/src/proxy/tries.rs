//! The middle of story 2: endpoints are tried until one answers, as long as another try is safe.
//!
//! ```text
//!   admit ──▶ attempt ──answer──▶ Answered
//!     ▲          │ └─ or one that counts as a failure
//!     │          ▼
//!     │       report ──▶ decide (retry.rs) ──▶ nobody ──▶ Failure
//!     │                     │
//!     └── another, or the same over a new connection, within the budget
//! ```

use std::future::poll_fn;
use std::ops::Deref;
use std::time::Duration;

use futures_lite::future;

use crate::driver::Stream;
use crate::error::{Error, Kind, Side};
use crate::telemetry::{Attempt, Phase};
use crate::upstream::{Choice, Destination, Pick, Tried};

use super::attempt::{Failure, Means, Reached, Reply, attempt};
use super::relay::Relay;
use super::respond::Answered;
use super::retry::{Came, Next, SoFar};
use super::reverse::Reverse;
use super::upload::Upload;

/// Whom a try is made with.
#[derive(Debug)]
pub(super) enum Chosen<'r> {
    /// An endpoint of the group.
    One(Pick),
    /// The only one there is for this request.
    Only(&'r Destination),
}

impl Deref for Chosen<'_> {
    type Target = Destination;

    fn deref(&self) -> &Destination {
        match self {
            Self::One(pick) => pick.destination(),
            Self::Only(destination) => destination,
        }
    }
}

impl Chosen<'_> {
    pub(super) fn into_pick(self) -> Option<Pick> {
        match self {
            Self::One(pick) => Some(pick),
            Self::Only(_) => None,
        }
    }

    /// How long ago it was chosen.
    pub(super) fn age(&self, relay: &Relay<'_>) -> Duration {
        self.pick().map_or(Duration::ZERO, |pick| pick.age(relay.site.core.now()))
    }

    /// The endpoint of the group, if it is one.
    pub(super) fn pick(&self) -> Option<&Pick> {
        match self {
            Self::One(pick) => Some(pick),
            Self::Only(_) => None,
        }
    }
}

/// The first try of a request.
pub(super) enum First<'r> {
    /// With whichever endpoint is next.
    Any,
    /// With this one, which was chosen.
    Chosen(Pick),
    /// With this one, and it was sent already: so many bytes.
    Sent { pick: Pick, stream: Stream, sent: u32 },
    /// With this one, which is none of a group.
    Only(&'r Destination),
}

/// Tries endpoints until one answers.
pub(super) async fn try_all<'r>(
    relay: &mut Relay<'_>,
    reverse: &'r Reverse,
    upload: &mut Upload,
    first: First<'r>,
) -> Result<Answered<'r>, Failure> {
    let mut tried = Tried::default();
    let mut so_far = SoFar::default();
    // An endpoint that is there, but has ended a connection that was used before.
    let mut stale = None;
    let (mut chosen, mut means) = match first {
        First::Any => (Chosen::One(reverse.admit(relay).await?), Means::Any),
        First::Only(destination) => (Chosen::Only(destination), Means::Any),
        First::Chosen(pick) => (Chosen::One(pick), Means::Any),
        First::Sent { pick, stream, sent } => {
            upload.set_sent(sent as usize);
            (Chosen::One(pick), Means::Sent(stream))
        }
    };
    loop {
        so_far.tries += 1;
        let end = attempt(relay, reverse, &mut chosen, upload, means).await;
        if let Chosen::One(pick) = &chosen {
            tried.add(pick);
        }
        let came = report(relay, reverse, upload, &chosen, &end);
        let mut next = reverse.retry.next(came, so_far, reverse.may_repeat(relay, upload));
        // A connection that died while it was not used is nothing that an upstream could be given too much of.
        if next == Next::Repeat && !reverse.has_budget(relay) {
            relay.site.counters.retries_denied.add();
            next = Next::Nobody;
        }
        let other = match next {
            Next::Nobody => None,
            Next::Other | Next::OtherOrSame | Next::Repeat | Next::RepeatOrSame => {
                reverse.other(relay, &tried)
            }
        };
        let next_one = match end {
            Ok((stream, reply)) => {
                let answered = Answered { reverse, to: chosen, stream, reply };
                let Some(other) = other else { return Ok(answered) };
                answered.discard(relay);
                other
            }
            Err(failure) => {
                let name = chosen.name.clone();
                let (spare, other) = match (next, other) {
                    (Next::RepeatOrSame | Next::OtherOrSame, None) => (None, Some(chosen)),
                    (Next::RepeatOrSame | Next::OtherOrSame, other) => (Some(chosen), other),
                    (_, other) => (None, other),
                };
                stale = spare.or(stale);
                let other = other.or_else(|| stale.take_if(|_| next == Next::Other));
                let Some(other) = other else { return Err(failure) };
                if let Failure::Failed { error, .. } = &failure {
                    relay.note(error, Some(&name));
                }
                other
            }
        };
        so_far.repeats += u32::from(matches!(next, Next::Repeat | Next::RepeatOrSame));
        relay.site.counters.retries.add();
        if let Some(pick) = next_one.pick() {
            pick.repeats();
        }
        upload.rewind();
        (chosen, means) = (next_one, Means::Fresh);
    }
}

impl Reverse {
    /// An endpoint for a request that was not tried; waits for one to have room if the group has it wait.
    ///
    /// # Errors
    ///
    /// `NoEndpoint`; `Overloaded`, `QueueFull`, `QueueTimeout`.
    async fn admit(&self, relay: &mut Relay<'_>) -> Result<Pick, Failure> {
        let tried = Tried::default();
        match self.choose(relay, &tried) {
            Choice::One(pick) => Ok(pick),
            Choice::Nobody => Err(Failure::unseen(Kind::NoEndpoint)),
            Choice::Full => {
                let Some(group) = self.group else { return Err(Failure::unseen(Kind::Overloaded)) };
                // Answers to earlier requests must not wait for it.
                relay.flush().await?;
                let client = relay.client.stream;
                let gone = async {
                    poll_fn(|cx| client.poll_broken(cx)).await;
                    Err(Kind::DownstreamGone)
                };
                let waits = || relay.site.counters.queued.add();
                let admitted = relay.site.upstreams.admit(group, &relay.desk.ask, waits);
                future::or(admitted, gone).await.map_err(Failure::unseen)
            }
        }
    }

    /// Another endpoint, if there is one.
    fn other<'r>(&self, relay: &Relay<'_>, tried: &Tried) -> Option<Chosen<'r>> {
        match self.choose(relay, tried) {
            Choice::One(pick) => Some(Chosen::One(pick)),
            Choice::Full | Choice::Nobody => None,
        }
    }

    /// Whether the group allows another repetition.
    pub(super) fn has_budget(&self, relay: &Relay<'_>) -> bool {
        self.group.is_none_or(|group| relay.site.upstreams.may_repeat(group))
    }
}

/// Tells everybody who keeps account of it what a try came to.
fn report(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    upload: &Upload,
    chosen: &Chosen<'_>,
    end: &Result<(Stream, Reply), Failure>,
) -> Came {
    let now = relay.site.core.now();
    relay.desk.tries += 1;
    let came = match end {
        Ok((_, reply)) => Came::Answered(reply.line.status),
        Err(Failure::Failed { reached, error }) => match reached {
            Reached::Nobody => Came::Unreached,
            Reached::Unanswered { was_reused } => Came::Unanswered { was_reused: *was_reused },
            Reached::Refused if upload.can_begin_anew(relay) => Came::Refused,
            Reached::Refused => Came::Spoilt,
            Reached::Somebody if error.kind() == Kind::AttemptTimeout => Came::Late,
            Reached::Somebody => Came::Spoilt,
        },
        Err(Failure::Answered(_)) => return Came::Spoilt,
    };
    if let Some(story) = &mut relay.account.story {
        let end = match end {
            Ok((_, reply)) => Ok(reply.line.status),
            Err(Failure::Failed { error, .. }) => Err(error.kind()),
            Err(Failure::Answered(_)) => return Came::Spoilt,
        };
        story.end_attempt(&chosen.name, relay.site.core.nanoseconds(), end);
    }
    if let Some(pick) = chosen.pick() {
        let is_ejected = match end {
            Ok((_, reply)) => pick.answered(now, reply.line.status),
            // A connection that was used before says nothing of its endpoint by ending.
            Err(_) if came == (Came::Unanswered { was_reused: true }) => false,
            // Nor does a connection that takes no more by saying so.
            Err(Failure::Failed { reached: Reached::Refused, .. }) => false,
            Err(Failure::Failed { error, .. }) if error.side() != Side::Upstream => false,
            Err(_) if came == Came::Unreached => pick.unreached(now),
            Err(_) => pick.unanswered(now),
        };
        if is_ejected {
            relay.site.counters.ejections.add();
        }
    }
    let attempt = |end: Result<u16, &Error>| Attempt {
        upstream: chosen.name.clone(),
        phase: phase(relay, upload, came),
        bytes_sent: if came == Came::Unreached { 0 } else { upload.sent(relay) },
        end: end.map_err(Error::kind),
        is_retryable: matches!(came, Came::Unreached | Came::Refused)
            || matches!(came, Came::Unanswered { .. } | Came::Late) && reverse.may_repeat(relay, upload),
        duration: chosen.age(relay),
    };
    let attempt = match end {
        Ok((_, reply)) => relay.hooked.is_some().then(|| attempt(Ok(reply.line.status))),
        Err(Failure::Failed { error, .. }) => Some(attempt(Err(error))),
        Err(Failure::Answered(_)) => None,
    };
    if let (Some(hooked), Some(attempt)) = (relay.hooked.as_mut(), &attempt) {
        hooked.record.tries.push(attempt.clone());
    }
    // Where a request has named its endpoint, what failed says which one that was.
    let is_told = |attempt: &Attempt| attempt.end.is_err() && chosen.pick().is_some();
    relay.desk.failed = attempt.filter(is_told).map(Box::new);
    came
}

/// How far a try came.
fn phase(relay: &Relay<'_>, upload: &Upload, came: Came) -> Phase {
    match came {
        Came::Unreached => Phase::Connect,
        Came::Answered(_) => Phase::Answer,
        _ if !upload.is_over() => Phase::Send,
        _ if relay.desk.input.is_empty() => Phase::Wait,
        _ => Phase::Answer,
    }
}
