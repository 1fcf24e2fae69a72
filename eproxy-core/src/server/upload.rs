//! The request body on its way to whoever reads it.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use crate::driver::{Core, Direction, Stream};
use crate::error::Kind;
use crate::http1::{Decoder, Step, encode_interim};
use crate::message::{Buffer, Demand, LARGE, Pace, PipeWriter, Timeouts};

/// Moves a body from the connection into the pipe that its handler reads, as far as it is asked for.
#[derive(Debug)]
pub(super) struct Upload {
    decoder: Decoder,
    pipe: PipeWriter,
    /// Bytes that may still come, and those that have.
    allowed: u64,
    moved: u64,
    pace: Pace,
    interim: Interim,
    /// The outcome, once there is one.
    end: Option<Result<(), Kind>>,
}

/// The 100 (Continue) that a client waits for (RFC 9110 §10.1.1).
#[derive(Debug, PartialEq, Eq)]
enum Interim {
    /// The client does not wait, or has been told.
    NotNeeded,
    /// It is to be sent when the body is first wanted.
    Owed,
}

impl Upload {
    pub(super) fn new(
        decoder: Decoder,
        pipe: PipeWriter,
        allowed: u64,
        timeouts: &Timeouts,
        expects_continue: bool,
    ) -> Self {
        Self {
            decoder,
            pipe,
            allowed,
            moved: 0,
            pace: Pace::new(timeouts),
            interim: if expects_continue { Interim::Owed } else { Interim::NotNeeded },
            end: None,
        }
    }

    /// Whether nothing more will be moved: the body has ended, failed, or lost its reader.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// The failure that ended it.
    pub(super) fn failure(&self) -> Option<Kind> {
        self.end.and_then(Result::err)
    }

    /// Whether the whole body was taken off the connection.
    pub(super) fn is_complete(&self) -> bool {
        self.decoder.is_done()
    }

    /// Bytes of the body that have come.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether somebody has the body, read or not.
    pub(super) fn is_held(&self) -> bool {
        !self.pipe.is_gone()
    }

    /// Puts the 100 (Continue) that the client waits for, if it does, in front of the answer that is about to begin.
    pub(super) fn put_continue(&mut self, out: &mut Vec<u8>) {
        if self.owes_continue() {
            encode_interim(out, 100);
            self.interim = Interim::NotNeeded;
        }
    }

    /// Whether somebody reads the body.
    pub(super) fn is_wanted(&self) -> bool {
        !self.pipe.is_gone() && self.pipe.is_wanted()
    }

    /// Whether the client still waits for 100 (Continue): its body may never come.
    pub(super) fn owes_continue(&self) -> bool {
        self.interim != Interim::NotNeeded && !self.is_complete()
    }

    /// Moves what can be moved; ready when nothing more will be. `may_continue` allows 100 (Continue) to be written:
    /// not once the answer has begun.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        stream: &Stream,
        input: &mut Buffer,
        may_continue: bool,
    ) -> Poll<()> {
        if self.end.is_none() {
            let end = ready!(self.poll_move(cx, core, stream, input, may_continue));
            match end {
                Ok(()) if self.decoder.is_done() => self.pipe.finish(self.decoder.take_trailers()),
                Ok(()) => {}
                Err(kind) => self.pipe.fail(kind),
            }
            stream.set_deadline(Direction::Read, None);
            self.end = Some(end);
        }
        Poll::Ready(())
    }

    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        stream: &Stream,
        input: &mut Buffer,
        may_continue: bool,
    ) -> Poll<Result<(), Kind>> {
        while !self.decoder.is_done() {
            let room = match ready!(self.pipe.poll_demand(cx)) {
                Demand::Room(room) => room,
                Demand::Gone => break,
            };
            if input.is_empty() {
                ready!(self.poll_continue(cx, stream, may_continue))?;
                ready!(self.poll_input(cx, core, stream, input))?;
            }
            // Bytes that come unasked need no 100 (RFC 9110 §10.1.1).
            self.interim = Interim::NotNeeded;
            let (skip, data) = match self.decoder.decode(input.data(), room)? {
                Step::Data { skip, data } => (skip, data),
                Step::Done { skip } => (skip, 0),
            };
            self.allowed = self.allowed.checked_sub(data as u64).ok_or(Kind::BodyTooLarge)?;
            self.moved += data as u64;
            if data > 0 {
                self.pipe.push(&input.data()[skip..skip + data]);
            }
            input.consume(skip + data);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the client waits for. Once the answer has begun nothing may be put into it, and the client learns
    /// from the answer that it need not wait: what it sends then is read as if it had never asked.
    fn poll_continue(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream,
        may_continue: bool,
    ) -> Poll<Result<(), Kind>> {
        if self.interim == Interim::NotNeeded || !may_continue {
            return Poll::Ready(Ok(()));
        }
        let mut head = Vec::new();
        encode_interim(&mut head, 100);
        let written = ready!(stream.poll_write(cx, &[IoSlice::new(&head)]));
        // Whoever leaves no room for one short line takes no answers; half of it could not be followed by one.
        if !matches!(written, Ok(n) if n == head.len()) {
            return Poll::Ready(Err(Kind::DownstreamGone));
        }
        self.interim = Interim::NotNeeded;
        Poll::Ready(Ok(()))
    }

    fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        stream: &Stream,
        input: &mut Buffer,
    ) -> Poll<Result<(), Kind>> {
        let read = match stream.poll_read(cx, input.space(LARGE)) {
            Poll::Ready(read) => read,
            Poll::Pending => {
                if let Some(patience) = self.pace.wait(core.now()) {
                    stream.set_deadline(Direction::Read, Some(patience));
                }
                return Poll::Pending;
            }
        };
        Poll::Ready(match read {
            Ok(0) => Err(Kind::Truncated),
            Ok(n) => {
                input.filled(n);
                self.pace.got(core.now(), n);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Kind::BodyTimeout),
            Err(_) => Err(Kind::DownstreamGone),
        })
    }

    /// Reads and forgets up to `limit` bytes of what the handler left, so that the connection can be kept. Says whether
    /// the end was reached.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        stream: &Stream,
        input: &mut Buffer,
        limit: &mut u64,
    ) -> Poll<bool> {
        while !self.decoder.is_done() {
            if input.is_empty() && ready!(self.poll_input(cx, core, stream, input)).is_err() {
                return Poll::Ready(false);
            }
            let before = input.len();
            match self.decoder.decode(input.data(), usize::MAX) {
                Ok(Step::Data { skip, data }) => input.consume(skip + data),
                Ok(Step::Done { skip }) => input.consume(skip),
                Err(_) => return Poll::Ready(false),
            }
            match limit.checked_sub((before - input.len()) as u64) {
                Some(left) => *limit = left,
                None => return Poll::Ready(false),
            }
        }
        stream.set_deadline(Direction::Read, None);
        Poll::Ready(true)
    }
}
