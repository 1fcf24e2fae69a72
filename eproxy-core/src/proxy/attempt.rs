//! Story 3: one try to have a request answered by one endpoint.
//!
//! ```text
//!   encode ──▶ lease ──▶ send ───────────────────┐
//!                │      (and the body, as it comes)├──▶ head of the answer
//!                │         interim answers ◀── read ┘
//!                └─ failed ──▶ Failure: what had been sent by then decides whether there is another try
//! ```

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::{Error, Kind};
use crate::http1::{self, AnswerFacts, Finder, Lines, MAX_INTERIM};
use crate::message::{Answer, Buffer, SMALL, StatusLine};
use crate::tunnel::proxy_protocol;

use super::answer_head;
use super::hooked;
use super::pump::Fault;
use super::relay::{Relay, Rest};
use super::request_head;
use super::reverse::{Endpoint, Reverse, may_repeat};
use super::upload::Upload;

/// The head of an answer, which is at the front of the upstream's input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) line: StatusLine,
    pub(super) facts: AnswerFacts,
    /// Bytes of the head.
    pub(super) length: usize,
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

/// Sends the request to an endpoint and reads the head of its answer.
pub(super) async fn attempt(
    relay: &mut Relay<'_>,
    reverse: &Reverse,
    endpoint: &Endpoint,
    upload: &mut Upload,
    means: Means,
) -> Result<(Stream, Reply), Failure> {
    let is_sent = matches!(means, Means::Sent(_));
    if !is_sent {
        encode(relay, reverse, endpoint, upload);
        hooked::on_upstream_request(relay, reverse).await?;
    }
    let reused = match means {
        Means::Any => reuse(relay, reverse, endpoint, upload),
        Means::Fresh => None,
        Means::Sent(stream) => Some(stream),
    };
    let mut waiting = Waiting::new(reverse.options.head, reused.is_some(), is_sent);
    let stream = match reused {
        Some(stream) => stream,
        None => {
            let stream = connect(relay, reverse, endpoint).await?;
            if let Some(version) = reverse.proxy_protocol {
                let mut out = Vec::new();
                proxy_protocol::encode(&mut out, version, relay.ends());
                out.append(&mut relay.desk.out);
                relay.desk.out = out;
            }
            stream
        }
    };
    if !is_sent {
        encode_end(relay, upload);
    }
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
    endpoint: &Endpoint,
    upload: &Upload,
) -> Option<Stream> {
    loop {
        let stream = endpoint.take(&relay.site.upstreams.pool, &reverse.identity(relay))?;
        // One that was closed a moment ago costs a repeatable request another try, and any other its life: for that one
        // the kernel is asked.
        let is_fit = if reverse.retry.repeats > 0 && may_repeat(relay, upload) {
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

async fn connect(relay: &Relay<'_>, reverse: &Reverse, endpoint: &Endpoint) -> Result<Stream, Failure> {
    relay.site.counters.upstream_connects.add();
    let guard = reverse.guard();
    let connected =
        relay.site.upstreams.connect(&endpoint.origin.place, guard, reverse.options.connect).await;
    if let Some(group) = reverse.group {
        relay.site.upstreams.report(group, endpoint.number, connected.is_ok());
    }
    connected.map_err(Failure::unseen)
}

/// Collects the head of the request, but for its end.
pub(super) fn encode(relay: &mut Relay<'_>, reverse: &Reverse, endpoint: &Endpoint, upload: &Upload) {
    if let Some(hooked) = relay.hooked {
        hooked.record.upstream = Some(endpoint.name.clone());
        hooked.record.attempts += 1;
    }
    let mut out = std::mem::take(&mut relay.desk.out);
    out.clear();
    relay.desk.has_length =
        request_head::encode(&mut out, relay, &reverse.request, &endpoint.origin, upload.coding);
    relay.desk.out = out;
    relay.desk.input.clear();
}

/// Collects the end of the head, and of the body what is in hand.
pub(super) fn encode_end(relay: &mut Relay<'_>, upload: &Upload) {
    let mut out = std::mem::take(&mut relay.desk.out);
    let expects_continue = relay.head.facts.expects_continue && !upload.is_in_hand();
    request_head::encode_end(&mut out, relay, upload.coding, relay.desk.has_length, expects_continue);
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

/// Waiting for the head of an answer, while the request is still being sent.
struct Waiting {
    finder: Finder,
    patience: Duration,
    was_reused: bool,
    /// Something of an answer has come.
    has_heard: bool,
    /// The request can't be sent any further: what the upstream has said by then is the answer.
    is_cut: bool,
    /// The upstream's deadline runs.
    is_timed: bool,
    gone: Gone,
}

/// What is known of a client that has ended its side: it is still there, waiting for its answer, or it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    No,
    /// It has ended its side a moment ago.
    Perhaps,
    /// It was asked.
    Asked,
}

/// How long a client that has ended its side is left alone before it is asked whether it is still there.
const SUSPENSE: Duration = Duration::from_secs(1);

impl Waiting {
    fn new(patience: Duration, was_reused: bool, is_timed: bool) -> Self {
        Self {
            finder: Finder::new(),
            patience,
            was_reused,
            has_heard: false,
            is_cut: false,
            is_timed,
            gone: Gone::No,
        }
    }

    /// Waits for another head: an interim one was passed on.
    fn restart(&mut self) {
        (self.finder, self.is_timed) = (Finder::new(), false);
    }

    /// Reads until a head is at the front of the upstream's input.
    async fn next(
        &mut self,
        relay: &mut Relay<'_>,
        stream: &Stream,
        upload: &mut Upload,
    ) -> Result<Reply, Failure> {
        if !relay.out.is_empty() {
            // Answers to earlier requests must not wait for this one.
            relay.flush().await?;
        }
        // The beginning of an answer, or an interim one, may have come before this began.
        self.has_heard |= !relay.desk.input.is_empty();
        if let Some(reply) = self.look(relay)? {
            return Ok(reply);
        }
        let end = poll_fn(|cx| self.poll(cx, relay, stream, upload)).await;
        if self.gone != Gone::No {
            relay.client.stream.set_deadline(Direction::Read, None);
        }
        end
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        relay: &mut Relay<'_>,
        stream: &Stream,
        upload: &mut Upload,
    ) -> Poll<Result<Reply, Failure>> {
        if !upload.is_over() {
            self.send(cx, relay, stream, upload)?;
        }
        loop {
            if stream.is_quiet() {
                self.set_deadline(relay, stream, upload);
                if self.poll_gone(cx, relay, upload).is_ready() {
                    return Poll::Ready(Err(Kind::DownstreamGone.into()));
                }
                ready!(stream.poll_readable(cx));
            }
            let read = ready!(stream.poll_read(cx, first_space(&mut relay.desk.input)));
            if let Some(reply) = self.heard(relay, read)? {
                stream.set_deadline(Direction::Read, None);
                return Poll::Ready(Ok(reply));
            }
        }
    }

    /// Sends what can be sent.
    ///
    /// # Errors
    ///
    /// What is wrong at the client's end; `UpstreamWriteTimeout`.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        relay: &mut Relay<'_>,
        stream: &Stream,
        upload: &mut Upload,
    ) -> Result<(), Failure> {
        if self.is_cut {
            return Ok(());
        }
        let before = upload.moved(relay);
        match upload.poll(cx, relay, stream) {
            // It had its time.
            Poll::Ready(Err(Fault::To(kind @ Kind::UpstreamWriteTimeout))) => return Err(kind.into()),
            // Nothing more may come, but an answer that has come before is read all the same.
            Poll::Ready(Err(Fault::To(_))) => self.is_cut = true,
            Poll::Ready(Err(Fault::From(kind))) => return Err(kind.into()),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if self.is_timed && upload.moved(relay) != before {
            // Its time begins anew.
            self.is_timed = false;
        }
        Ok(())
    }

    /// The upstream is given its time while it is it that is waited for: not while the client takes its time to send the
    /// request, unless that waits for the upstream's word.
    fn set_deadline(&mut self, relay: &Relay<'_>, stream: &Stream, upload: &Upload) {
        let expects = relay.head.facts.expects_continue && upload.rest(relay) == Rest::Untouched;
        let is_due = !upload.waits_for_client(relay) || expects;
        if is_due != self.is_timed {
            self.is_timed = is_due;
            stream.set_deadline(Direction::Read, is_due.then_some(self.patience));
        }
    }

    fn heard(&mut self, relay: &mut Relay<'_>, read: io::Result<usize>) -> Result<Option<Reply>, Failure> {
        match read {
            Ok(n) if n > 0 => {
                self.has_heard = true;
                relay.desk.input.filled(n);
                self.look(relay)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Kind::UpstreamHeadTimeout.into()),
            _ if self.has_heard => Err(Kind::UpstreamTruncated.into()),
            // A reset before the first byte is what closing an idle connection can look like.
            _ => {
                let reached = Reached::Unanswered { was_reused: self.was_reused };
                Err(Failure::Failed { error: Kind::UpstreamClosed.into(), reached })
            }
        }
    }

    /// Looks for a head in what was read.
    fn look(&mut self, relay: &mut Relay<'_>) -> Result<Option<Reply>, Failure> {
        let (desk, method) = (&mut *relay.desk, relay.head.method.for_answers());
        let found = http1::find_answer(&mut self.finder, &mut desk.input, &mut desk.fields, method)?;
        Ok(found.map(|(line, facts, length)| Reply { line, facts, length }))
    }

    /// Ready when the client is known to be gone.
    ///
    /// Whoever has ended its side may still wait for its answer (RFC 9112 §9.6), or have closed the connection: only a
    /// byte that is sent tells which, because then the system of a client that is gone answers with a reset. The only
    /// bytes that may come before an answer are those of an interim one, which every HTTP/1.1 client passes over
    /// (RFC 9110 §15.2). So such a client is sent 100 (Continue), once, if the answer takes longer than a moment.
    fn poll_gone(&mut self, cx: &mut Context<'_>, relay: &Relay<'_>, upload: &Upload) -> Poll<()> {
        const QUESTION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        const WHOLE: usize = QUESTION.len();
        let client = relay.client.stream;
        if client.poll_broken(cx).is_ready() {
            return Poll::Ready(());
        }
        if !client.is_half_closed() || !upload.is_over() || relay.is_http10() {
            return Poll::Pending;
        }
        match self.gone {
            Gone::No => {
                self.gone = Gone::Perhaps;
                client.set_deadline(Direction::Read, Some(SUSPENSE));
            }
            Gone::Perhaps if client.has_expired(Direction::Read) => {
                self.gone = Gone::Asked;
                client.set_deadline(Direction::Read, None);
                // Half of it could not be followed by an answer.
                if !matches!(client.try_write(QUESTION), None | Some(Ok(WHOLE))) {
                    return Poll::Ready(());
                }
                return client.poll_broken(cx);
            }
            Gone::Perhaps | Gone::Asked => {}
        }
        Poll::Pending
    }
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
