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
use crate::telemetry::{Attempt, AttemptEnd, Phase};
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
                // Where the same may be asked again, that is better than one who has failed others.
                tried.take_resting(matches!(next, Next::Other | Next::Repeat));
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
        so_far.repeats += u32::from(next == Next::Repeat);
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
    relay.desk.tries += 1;
    if let Some(story) = &mut relay.account.story {
        let now = relay.site.core.nanoseconds();
        let told = match end {
            Ok((_, reply)) => AttemptEnd::Answered(reply.line.status),
            Err(failure) => failure.end(),
        };
        story.end_attempt(&chosen.name, now, told);
        story.cancel_attempts(now);
    }
    let (came, end) = match end {
        Ok((_, reply)) => (Came::Answered(reply.line.status), Ok(reply.line.status)),
        Err(Failure::Failed { error, reached }) => {
            (came_by(relay, upload, error, *reached), Err((error, *reached)))
        }
        // The endpoint has nothing to do with it.
        Err(Failure::Answered(_)) => return Came::Spoilt,
    };
    if let Some(pick) = chosen.pick() {
        let now = relay.site.core.now();
        let is_ejected = match end {
            Ok(status) => pick.answered(now, status),
            // A connection that was used before says nothing of its endpoint by ending, nor does one that takes no more by
            // saying so.
            Err((_, Reached::Unanswered { was_reused: true } | Reached::Refused)) => false,
            Err((error, _)) if error.side() != Side::Upstream => false,
            Err((_, Reached::Nobody)) => pick.unreached(now),
            Err(_) => pick.unanswered(now),
        };
        if is_ejected {
            relay.site.counters.ejections.add();
        }
    }
    relay.desk.failed = None;
    if end.is_ok() && relay.hooked.is_none() {
        return came;
    }
    let attempt = Attempt {
        upstream: chosen.name.clone(),
        phase: phase(relay, upload, came),
        bytes_sent: if came == Came::Unreached { 0 } else { upload.sent(relay) },
        end: end.map_err(|(error, _)| error.kind()),
        is_retryable: matches!(came, Came::Unreached | Came::Refused)
            || matches!(came, Came::Unanswered { .. } | Came::Late) && reverse.may_repeat(relay, upload),
        duration: chosen.age(relay),
    };
    if let Some(hooked) = relay.hooked.as_mut() {
        hooked.record.tries.push(attempt.clone());
    }
    // Where a request has named its endpoint, what failed says which one that was.
    if attempt.end.is_err() && chosen.pick().is_some() {
        relay.desk.failed = Some(Box::new(attempt));
    }
    came
}

/// What a failure says of whether there may be another try.
fn came_by(relay: &Relay<'_>, upload: &Upload, error: &Error, reached: Reached) -> Came {
    match reached {
        Reached::Nobody => Came::Unreached,
        Reached::Unanswered { was_reused } => Came::Unanswered { was_reused },
        Reached::Refused if upload.can_begin_anew(relay) => Came::Refused,
        Reached::Somebody if error.kind() == Kind::AttemptTimeout => Came::Late,
        Reached::Refused | Reached::Somebody => Came::Spoilt,
    }
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
