//! The downstream connection: reads request heads, writes answers.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::Kind;
use crate::message::{Buffer, Field, Limits, RequestLine, SMALL, is_token_byte};

use super::parse::{self, Finder, Found};

/// What the next thing on a connection is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// A head of so many bytes is at the front of the input.
    Head(RequestLine, usize),
    /// Nothing has come, and nothing is there to be read.
    Idle,
    /// The client closed the connection between two requests.
    Closed,
    /// What came is no head.
    Refused(Kind),
}

/// Reads until a head is at the front of `input`, and parses it.
#[derive(Debug)]
pub(crate) struct HeadReader<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) input: &'a mut Buffer,
    pub(crate) fields: &'a mut Vec<Field>,
    pub(crate) limits: &'a Limits,
    /// How long a head may take from its first byte to its last.
    pub(crate) patience: Duration,
    finder: Finder,
    waits: bool,
}

impl<'a> HeadReader<'a> {
    pub(crate) fn new(
        stream: &'a Stream,
        input: &'a mut Buffer,
        fields: &'a mut Vec<Field>,
        limits: &'a Limits,
        patience: Duration,
    ) -> Self {
        Self { stream, input, fields, limits, patience, finder: Finder::new(), waits: false }
    }

    /// Looks at what was read already.
    pub(crate) fn look(&mut self) -> Option<Next> {
        if self.input.is_empty() {
            return None;
        }
        match self.parse() {
            Ok(Some((line, length))) if length <= self.limits.head => Some(Next::Head(line, length)),
            Ok(Some(_)) => Some(Next::Refused(Kind::HeadTooLarge)),
            Ok(None) => self.refuse_early().map(Next::Refused),
            Err(kind) => Some(Next::Refused(kind)),
        }
    }

    /// Parses at once, as a head nearly always comes in one piece. One that does not is parsed again when its end is
    /// there, and that is looked for in a way that looks at no byte twice: otherwise a slow client would be an expensive
    /// one.
    fn parse(&mut self) -> Result<Option<(RequestLine, usize)>, Kind> {
        if !self.finder.has_begun() {
            // RFC 9112 §2.2: empty lines before a request line are ignored.
            while self.input.data().starts_with(b"\r\n") {
                self.input.consume(2);
            }
            if matches!(self.input.data(), b"" | b"\r") {
                return Ok(None);
            }
            if let Some(head) = self.parse_head()? {
                return Ok(Some(head));
            }
        }
        match self.finder.find(self.input.data())? {
            Found::Head { start, .. } => {
                self.input.consume(start);
                self.parse_head()
            }
            Found::Partial => Ok(None),
        }
    }

    fn parse_head(&mut self) -> Result<Option<(RequestLine, usize)>, Kind> {
        self.fields.clear();
        let Limits { target, headers, .. } = *self.limits;
        parse::parse_request(self.input.data(), self.fields, target, headers)
    }

    /// What can be said of a head that has not ended.
    fn refuse_early(&self) -> Option<Kind> {
        let data = self.input.data();
        let first = data.iter().find(|byte| !matches!(byte, b'\r' | b'\n'));
        if first.is_some_and(|byte| !is_token_byte(*byte)) {
            return Some(Kind::BadRequestLine);
        }
        match (data.len() >= self.limits.head, self.finder.has_first_line(data)) {
            (false, _) => None,
            (true, false) => Some(Kind::TargetTooLong),
            (true, true) => Some(Kind::HeadTooLarge),
        }
    }

    /// Reads what is there; none where a head has begun and its end has not come.
    pub(crate) fn try_next(&mut self) -> Option<Next> {
        while !self.stream.is_quiet()
            && let Some(read) = self.stream.try_read(self.input.space(SMALL))
        {
            if let Some(next) = self.filled(read) {
                return Some(next);
            }
        }
        self.input.is_empty().then_some(Next::Idle)
    }

    /// Reads on. Waits only inside a head: [`Next::Idle`] says that nothing has come so far.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if let Some(next) = self.try_next() {
                return Poll::Ready(next);
            }
            if !std::mem::replace(&mut self.waits, true) {
                self.stream.set_deadline(Direction::Read, Some(self.patience));
            }
            let read = ready!(self.stream.poll_read(cx, self.input.space(SMALL)));
            if let Some(next) = self.filled(read) {
                return Poll::Ready(next);
            }
        }
    }

    fn filled(&mut self, read: io::Result<usize>) -> Option<Next> {
        match read {
            Ok(0) if self.input.is_empty() => Some(Next::Closed),
            Ok(0) => Some(Next::Refused(Kind::Truncated)),
            Ok(n) => {
                self.input.filled(n);
                self.look()
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Some(Next::Refused(Kind::HeadTimeout)),
            Err(_) => Some(Next::Closed),
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
    /// Writes what was collected, as far as the kernel takes it at once; says whether that is all of it.
    ///
    /// # Errors
    ///
    /// `DownstreamGone`: the client reset the connection.
    pub(crate) fn try_flush(&mut self) -> Result<bool, Kind> {
        if self.out.is_empty() {
            return Ok(true);
        }
        match self.stream.try_write(self.out) {
            Some(Ok(written)) if written == self.out.len() => {
                self.out.clear();
                Ok(true)
            }
            Some(Ok(written)) => {
                self.out.drain(..written);
                Ok(false)
            }
            Some(Err(_)) => Err(Kind::DownstreamGone),
            None => Ok(false),
        }
    }

    /// Has what was collected written by the end of this turn, as far as the kernel takes it at once; says whether that
    /// may be all of it.
    ///
    /// # Errors
    ///
    /// As [`try_flush`](Self::try_flush).
    pub(crate) fn post(&mut self) -> Result<bool, Kind> {
        if self.out.is_empty() || !self.stream.post(self.out) {
            return self.try_flush();
        }
        self.out.clear();
        Ok(true)
    }

    /// Writes everything that was collected.
    ///
    /// # Errors
    ///
    /// `DownstreamGone`: the client reset the connection, or took nothing for too long.
    pub(crate) async fn flush(&mut self) -> Result<(), Kind> {
        // Nearly always the kernel takes all of it at once.
        match self.try_flush()? {
            true if !self.stream.is_sending() => Ok(()),
            _ => self.write(b"", b"").await,
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
            let sent = self.stream.poll_sent(cx);
            self.wait(sent.is_pending(), &mut waits);
            sent
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
                self.wait(true, waits);
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

    /// Gives the client its time; each byte that it takes begins it anew.
    fn wait(&self, is_needed: bool, waits: &mut bool) {
        if is_needed && !std::mem::replace(waits, true) {
            self.stream.set_deadline(Direction::Write, Some(self.patience));
        }
    }
}
