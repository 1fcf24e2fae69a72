//! The downstream connection: reads request heads, writes answers.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::Kind;
use crate::message::{Buffer, is_token_byte};

use super::parse::{Finder, Found};

/// The input buffer's size until a head or a body needs more: most heads fit in it several times.
pub(crate) const INPUT: usize = 8 * 1024;

/// What the next thing on a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A head of so many bytes is at the front of the input.
    Head(usize),
    /// Nothing has come, and nothing is there to be read.
    Idle,
    /// The client closed the connection between two requests.
    Closed,
    /// What came is no head.
    Refused(Kind),
}

/// Reads until a head is at the front of `input`.
#[derive(Debug)]
pub(crate) struct HeadReader<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) input: &'a mut Buffer,
    /// The largest head in bytes.
    pub(crate) max: usize,
    /// How long a head may take from its first byte to its last.
    pub(crate) patience: Duration,
    finder: Finder,
    waits: bool,
}

impl<'a> HeadReader<'a> {
    pub(crate) fn new(stream: &'a Stream, input: &'a mut Buffer, max: usize, patience: Duration) -> Self {
        Self { stream, input, max, patience, finder: Finder::new(), waits: false }
    }

    /// Looks at what was read already.
    pub(crate) fn look(&mut self) -> Option<Next> {
        if self.input.is_empty() {
            return None;
        }
        match self.finder.find(self.input.data()) {
            Err(kind) => Some(Next::Refused(kind)),
            Ok(Found::Head { start, end }) if end - start <= self.max => {
                self.input.consume(start);
                Some(Next::Head(end - start))
            }
            Ok(Found::Head { .. }) => Some(Next::Refused(Kind::HeadTooLarge)),
            Ok(Found::Partial) => self.refuse_early().map(Next::Refused),
        }
    }

    /// What can be said of a head that has not ended.
    fn refuse_early(&self) -> Option<Kind> {
        let data = self.input.data();
        let first = data.iter().find(|byte| !matches!(byte, b'\r' | b'\n'));
        if first.is_some_and(|byte| !is_token_byte(*byte)) {
            return Some(Kind::BadRequestLine);
        }
        match (data.len() >= self.max, self.finder.has_first_line(data)) {
            (false, _) => None,
            (true, false) => Some(Kind::TargetTooLong),
            (true, true) => Some(Kind::HeadTooLarge),
        }
    }

    /// Reads on. Waits only inside a head: [`Next::Idle`] says that nothing has come so far.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            let read = match self.stream.try_read(self.input.space(INPUT)) {
                Some(read) => read,
                None if self.input.is_empty() => return Poll::Ready(Next::Idle),
                None => {
                    if !std::mem::replace(&mut self.waits, true) {
                        self.stream.set_deadline(Direction::Read, Some(self.patience));
                    }
                    ready!(self.stream.poll_read(cx, self.input.space(INPUT)))
                }
            };
            match read {
                Ok(0) if self.input.is_empty() => return Poll::Ready(Next::Closed),
                Ok(0) => return Poll::Ready(Next::Refused(Kind::Truncated)),
                Ok(n) => self.input.filled(n),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Poll::Ready(Next::Refused(Kind::HeadTimeout));
                }
                Err(_) => return Poll::Ready(Next::Closed),
            }
            if let Some(next) = self.look() {
                return Poll::Ready(next);
            }
        }
    }
}

/// Writes to a downstream connection: `out` first, which collects heads and small bodies, then what is given.
#[derive(Debug)]
pub(crate) struct Outbound<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) out: &'a mut Vec<u8>,
    /// How long the client may take no byte.
    pub(crate) patience: Duration,
}

impl Outbound<'_> {
    /// Writes everything that was collected.
    ///
    /// # Errors
    ///
    /// `DownstreamGone`: the client reset the connection, or took nothing for too long.
    pub(crate) async fn flush(&mut self) -> Result<(), Kind> {
        // Nearly always the kernel takes all of it at once.
        match self.stream.try_write(self.out) {
            Some(Ok(written)) if written == self.out.len() => {
                self.out.clear();
                Ok(())
            }
            Some(Ok(written)) => {
                self.out.drain(..written);
                self.write(b"", b"").await
            }
            Some(Err(_)) => Err(Kind::DownstreamGone),
            None => self.write(b"", b"").await,
        }
    }

    /// Writes everything that was collected, then `body`, then `tail`, in as few system calls as the kernel allows.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    pub(crate) async fn write(&mut self, body: &[u8], tail: &[u8]) -> Result<(), Kind> {
        let mut written = 0;
        let mut waits = false;
        let total = self.out.len() + body.len() + tail.len();
        let end = std::future::poll_fn(|cx| {
            while written < total {
                let n = ready!(self.poll_write_from(cx, written, [body, tail], &mut waits))?;
                written += n;
            }
            Poll::Ready(Ok(()))
        })
        .await;
        if waits {
            self.stream.set_deadline(Direction::Write, None);
        }
        self.out.clear();
        end.map_err(|_: io::Error| Kind::DownstreamGone)
    }

    fn poll_write_from(
        &self,
        cx: &mut Context<'_>,
        written: usize,
        rest: [&[u8]; 2],
        waits: &mut bool,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(self.out), IoSlice::new(rest[0]), IoSlice::new(rest[1])];
        let mut left = &mut slices[..];
        IoSlice::advance_slices(&mut left, written);
        let filled = left.iter().rposition(|slice| !slice.is_empty()).map_or(0, |last| last + 1);
        match self.stream.poll_write(cx, &left[..filled]) {
            Poll::Pending => {
                // Each byte that the client takes begins its time anew.
                if !std::mem::replace(waits, true) {
                    self.stream.set_deadline(Direction::Write, Some(self.patience));
                }
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(n)) => {
                *waits = false;
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}
