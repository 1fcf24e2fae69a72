//! Waiting for the head of an answer, while the request is still being sent.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::Kind;
use crate::http1::{self, Finder};

use super::attempt::{Failure, Reached, Reply, first_space};
use super::ends::Fault;
use super::relay::{Relay, Rest};
use super::upload::Upload;

/// Waiting for the head of an answer, while the request is still being sent.
pub(super) struct Waiting {
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
    pub(super) fn new(patience: Duration, was_reused: bool, is_timed: bool) -> Self {
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
    pub(super) fn restart(&mut self) {
        (self.finder, self.is_timed) = (Finder::new(), false);
    }

    /// Reads until a head is at the front of the upstream's input.
    pub(super) async fn next(
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
            // It has said that it has not looked at it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Err(Failure::Failed { error: Kind::UpstreamRefused.into(), reached: Reached::Refused })
            }
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
        let found = http1::find_answer(&mut self.finder, desk.input.data(), &mut desk.fields, method)?;
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
