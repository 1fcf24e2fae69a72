//! A stream as the codec wants it: the traits of tokio, without its runtime.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::driver::{Direction, Stream};
use crate::message::Buffer;

use super::meter::{Meter, Verdict};

/// What is read at a time at the least and at the most.
const SPAN: usize = 1024;
const MAX_SPAN: usize = 64 * 1024;

/// A connection that the codec reads and writes.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Rc<Stream>,
    /// What was read before it was known that this is HTTP/2.
    before: Buffer,
    /// How long the peer may take nothing of what is written.
    patience: Duration,
    waits: bool,
    /// Bytes that are read at a time: more of a peer who sends much, so that a quiet one has little memory.
    span: usize,
    is_late: Rc<Cell<bool>>,
    /// What the frames of a client cost.
    meter: Option<Meter>,
    verdict: Rc<Cell<Verdict>>,
}

/// What the owner of a connection holds of it beside the codec.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    stream: Rc<Stream>,
    is_late: Rc<Cell<bool>>,
    verdict: Rc<Cell<Verdict>>,
}

impl Wire {
    /// A connection to a server.
    pub(crate) fn new(stream: Stream, before: Buffer, patience: Duration) -> (Self, Line) {
        let line = Line { stream: Rc::new(stream), is_late: Rc::default(), verdict: Rc::default() };
        let Line { stream, is_late, verdict } = line.clone();
        (Self { stream, before, patience, waits: false, span: SPAN, is_late, meter: None, verdict }, line)
    }

    /// A connection of a client.
    pub(crate) fn of_client(stream: Stream, before: Buffer, patience: Duration) -> (Self, Line) {
        let meter = Some(Meter::new(stream.now()));
        let (wire, line) = Self::new(stream, before, patience);
        (Self { meter, ..wire }, line)
    }

    /// Looks at bytes as they are read; says whether they may be gone on with.
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(meter) = &mut self.meter else { return Ok(()) };
        match meter.look(bytes, self.stream.now()) {
            Verdict::Fine => Ok(()),
            // Nothing that follows means anything.
            Verdict::NoSettings => Err(io::ErrorKind::InvalidData.into()),
            // The owner says goodbye.
            Verdict::Flood => {
                self.verdict.set(Verdict::Flood);
                Ok(())
            }
        }
    }

    /// Gives the peer its time; each byte that it takes begins it anew.
    fn waited(&mut self, is_pending: bool) {
        if is_pending != self.waits {
            self.waits = is_pending;
            self.stream.set_deadline(Direction::Write, is_pending.then_some(self.patience));
        }
    }
}

impl Line {
    /// The connection itself, for when the codec is done with it.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// How long the peer may say nothing.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) {
        self.is_late.set(false);
        self.stream.set_deadline(Direction::Read, patience);
    }

    /// Whether the peer sends what does nothing but cost.
    pub(crate) fn is_flooded(&self) -> bool {
        self.verdict.get() == Verdict::Flood
    }

    /// Whether it has said nothing for that long.
    pub(crate) fn is_late(&self) -> bool {
        self.is_late.get()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let from = into.filled().len();
        if !wire.before.is_empty() {
            let n = wire.before.len().min(into.remaining());
            into.put_slice(&wire.before.data()[..n]);
            wire.before.consume(n);
            wire.before.release();
            return Poll::Ready(wire.look(&into.filled()[from..]));
        }
        let span = wire.span.min(into.remaining());
        match ready!(wire.stream.poll_read(cx, into.initialize_unfilled_to(span))) {
            Ok(n) => {
                into.advance(n);
                wire.span =
                    if n == span { (2 * span).min(MAX_SPAN) } else { n.next_power_of_two().max(SPAN) };
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                // The owner, whose task this is, decides what that means.
                wire.is_late.set(true);
                return Poll::Pending;
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(wire.look(&into.filled()[from..]))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.stream.post(from) {
            return Poll::Ready(Ok(from.len()));
        }
        let written = wire.stream.poll_write(cx, &[IoSlice::new(from)]);
        wire.waited(written.is_pending());
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = wire.stream.poll_write(cx, from);
        wire.waited(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was posted leaves by itself.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let sent = wire.stream.poll_sent(cx);
        wire.waited(sent.is_pending());
        ready!(sent)?;
        Poll::Ready(wire.stream.finish())
    }
}
