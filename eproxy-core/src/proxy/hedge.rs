//! A second endpoint that is asked as well, because the first takes its time: the first bytes of an answer win.
//!
//! ```text
//!   sent to one ──answers──▶ its head
//!        │ time is up
//!        ▼
//!   sent to another as well ──one of them answers──▶ its head, and the other is let go
//!                                 └─ or ends without a byte ──▶ the other's
//! ```
//!
//! Only requests that may be repeated come here, and no byte of an answer is read before it is known whose it is, so one
//! desk serves both.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future;

use crate::driver::{Direction, Stream};
use crate::error::Kind;
use crate::upstream::{Choice, Destination, Tried};

use super::attempt::{Begun, Failure, Means, Reached, Reply, begin, head};
use super::ends::Fault;
use super::relay::Relay;
use super::reverse::Reverse;
use super::tries::Chosen;
use super::upload::Upload;

/// Waits for the head of an answer, of another endpoint from `after` on as well; `chosen` is whoever answered.
pub(super) async fn hedge<'r>(
    relay: &mut Relay<'_>,
    reverse: &'r Reverse,
    chosen: &mut Chosen<'r>,
    upload: &mut Upload,
    first: Begun,
    after: Duration,
) -> Result<(Stream, Reply), Failure> {
    send(relay, &first.stream, upload).await?;
    if waits(relay, &first.stream, after.saturating_sub(chosen.age(relay))).await?
        && let Some(other) = other(relay, reverse, chosen)
    {
        relay.site.counters.hedges.add();
        return both(relay, reverse, chosen, upload, first, other).await;
    }
    head(relay, first, upload).await
}

/// Asks the other as well.
async fn both<'r>(
    relay: &mut Relay<'_>,
    reverse: &'r Reverse,
    chosen: &mut Chosen<'r>,
    upload: &mut Upload,
    first: Begun,
    other: Chosen<'r>,
) -> Result<(Stream, Reply), Failure> {
    upload.rewind();
    let left = reverse.options.head.saturating_sub(chosen.age(relay));
    first.stream.set_deadline(Direction::Read, Some(left));
    let second = {
        let asked = async {
            let second = begin(relay, reverse, &other, upload, Means::Any).await?;
            send(relay, &second.stream, upload).await?;
            Ok(Some(second))
        };
        let answered = async {
            poll_fn(|cx| first.stream.poll_readable(cx)).await;
            Ok::<_, Failure>(None)
        };
        future::or(answered, asked).await
    };
    // Whoever is read from now on has the whole of it.
    upload.set_over();
    relay.desk.input.clear();
    let second = match second {
        Ok(Some(second)) => second,
        Ok(None) => return head(relay, first, upload).await,
        Err(failure) => {
            ended(relay, &other, &failure);
            return head(relay, first, upload).await;
        }
    };
    second.stream.set_deadline(Direction::Read, Some(reverse.options.head));
    let second_is_first = poll_fn(|cx| {
        if relay.client.stream.poll_broken(cx).is_ready() {
            return Poll::Ready(Err(Failure::from(Kind::DownstreamGone)));
        }
        match (first.stream.poll_readable(cx), second.stream.poll_readable(cx)) {
            (Poll::Ready(()), _) => Poll::Ready(Ok(false)),
            (_, Poll::Ready(())) => Poll::Ready(Ok(true)),
            _ => Poll::Pending,
        }
    });
    let second_is_first = second_is_first.await?;
    let (winner, loser) = if second_is_first { (second, first) } else { (first, second) };
    let end = head(relay, winner, upload).await;
    let (end, second_has_won) = match end {
        // It has ended without a byte: the other is still at it.
        Err(ref failure @ Failure::Failed { reached: Reached::Unanswered { .. } | Reached::Refused, .. }) => {
            ended(relay, if second_is_first { &other } else { chosen }, failure);
            relay.desk.input.clear();
            (head(relay, loser, upload).await, !second_is_first)
        }
        end => (end, second_is_first),
    };
    if second_has_won {
        relay.site.counters.hedges_won.add();
        let slow = std::mem::replace(chosen, other);
        if let Some(pick) = slow.pick() {
            pick.overtaken(relay.site.core.now());
        }
    }
    end
}

/// Tells of a try that has failed while there was another.
fn ended(relay: &mut Relay<'_>, destination: &Destination, failure: &Failure) {
    if let Some(story) = &mut relay.account.story {
        story.end_attempt(&destination.name, relay.site.core.nanoseconds(), failure.end());
    }
}

/// Sends all of the request.
async fn send(relay: &mut Relay<'_>, stream: &Stream, upload: &mut Upload) -> Result<(), Failure> {
    match poll_fn(|cx| upload.poll(cx, relay, stream)).await {
        // What was said by then is the answer.
        Ok(()) | Err(Fault::To(Kind::UpstreamIo)) => Ok(()),
        Err(Fault::To(kind) | Fault::From(kind)) => Err(kind.into()),
    }
}

/// Waits for the first byte; says whether there was none for so long.
async fn waits(relay: &mut Relay<'_>, stream: &Stream, patience: Duration) -> Result<bool, Failure> {
    relay.flush().await?;
    let heard = poll_fn(|cx| match relay.client.stream.poll_broken(cx) {
        Poll::Ready(()) => Poll::Ready(Err(Kind::DownstreamGone.into())),
        Poll::Pending => stream.poll_readable(cx).map(|()| Ok(false)),
    });
    let late = async {
        relay.site.core.sleep(patience).await;
        Ok(true)
    };
    future::or(heard, late).await
}

/// Another endpoint to ask, if there is one and the group allows it.
fn other<'r>(relay: &Relay<'_>, reverse: &Reverse, chosen: &Chosen<'r>) -> Option<Chosen<'r>> {
    let mut tried = Tried::default();
    tried.add(chosen.pick()?);
    let Choice::One(pick) = reverse.choose(relay, &tried) else { return None };
    reverse.has_budget(relay).then_some(Chosen::One(pick))
}
