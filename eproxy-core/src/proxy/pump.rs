//! A body on its way from one side to the other, decoded, checked and framed anew.
//!
//! ```text
//!   from ──read──▶ input ──decode──▶ run ──write──▶ to       a long run is written from where it was read
//!                             └──▶ out ──write──▶ to          heads, chunk sizes and short runs are collected
//! ```
//!
//! What was decoded is written before anything is waited for, so nothing that came is held back; nothing is read while
//! something can't be written, which is how back-pressure travels.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Core, Direction, Next, Pipe};
use crate::http1::{Decoder, Step};
use crate::message::{LARGE, Pace, SMALL};

use super::content::{Content, Placed};
use super::ends::{DOWNLOAD, Ends, Fault, Names, UPLOAD};

/// What is collected is written when it is so much.
const COLLECT: usize = 16 * 1024;

/// Bytes that are moved before others get a turn.
const BUDGET: u64 = 1024 * 1024;

/// Bytes from which on a body is moved by the kernel (docs/benchmarks.md).
const SPLICE: u64 = 64 * 1024;

/// How long the source may take.
#[derive(Debug)]
enum Patience {
    Paced(Pace),
    Idle(Duration),
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Pump {
    decoder: Decoder,
    content: Content,
    names: Names,
    patience: Patience,
    /// How long the other end may take no byte.
    write_idle: Duration,
    /// Bytes of the body at the front of the input that are written next, from there.
    run: usize,
    /// What of the next write was written: of `out`, of the run, and of what ends a chunk.
    written: usize,
    /// The last byte was decoded, and what ends the body was collected.
    is_ending: bool,
    is_over: bool,
    /// The kernel moves it, through this pipe if that still holds something.
    splices: bool,
    pipe: Option<Pipe>,
    /// What was written last waits for what follows.
    holds_back: bool,
    /// Something of the body was taken from the source.
    has_begun: bool,
    /// Bytes that may be read while earlier ones can't be written.
    ahead: usize,
    /// There is a deadline for the source, and one for the other end.
    reads_late: bool,
    writes_late: bool,
}

impl Pump {
    /// The body of a request.
    pub(super) fn upload(decoder: Decoder, content: Content, pace: Pace, write_idle: Duration) -> Self {
        Self::new(decoder, content, UPLOAD, Patience::Paced(pace), write_idle)
    }

    /// The body of an answer, of which `ahead` bytes may be read ahead of the other end. With that, the pump is over when
    /// the last byte was read, and what is still to be written is left in `out`.
    pub(super) fn download(
        decoder: Decoder,
        content: Content,
        read_idle: Duration,
        write_idle: Duration,
        ahead: usize,
    ) -> Self {
        Self { ahead, ..Self::new(decoder, content, DOWNLOAD, Patience::Idle(read_idle), write_idle) }
    }

    fn new(
        decoder: Decoder,
        content: Content,
        names: Names,
        patience: Patience,
        write_idle: Duration,
    ) -> Self {
        Self {
            decoder,
            content,
            names,
            patience,
            write_idle,
            run: 0,
            written: 0,
            is_ending: false,
            is_over: false,
            splices: false,
            pipe: None,
            holds_back: false,
            has_begun: false,
            ahead: 0,
            reads_late: false,
            writes_late: false,
        }
    }

    /// What happens to the body on its way.
    pub(super) fn content(&mut self) -> &mut Content {
        &mut self.content
    }

    /// Something of the body was taken from the source.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Bytes of the body that were moved.
    pub(super) fn moved(&self) -> u64 {
        self.content.moved()
    }

    /// It is the source that is waited for.
    pub(super) fn waits_for_source(&self) -> bool {
        self.reads_late
    }

    /// Moves what can be moved; ready when all of it has arrived, or can't.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        ends: &mut Ends<'_>,
    ) -> Poll<Result<(), Fault>> {
        let until = self.moved().saturating_add(BUDGET);
        while !self.is_over {
            if self.moved() >= until {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.pipe.is_some() {
                ready!(self.poll_splice(cx, core, ends))?;
            }
            let is_hungry = self.decode(ends)?;
            let splices = self.may_splice(ends);
            if is_hungry && !splices && self.fill(core, ends)? {
                continue;
            }
            if self.is_ending && self.ahead > 0 {
                self.leave(ends);
                break;
            }
            // What goes before leaves together with what is there to follow.
            self.holds_back = splices && !ends.from.is_quiet();
            match self.poll_write(cx, ends) {
                Poll::Ready(end) => end?,
                Poll::Pending if is_hungry && self.ahead > 0 => {}
                Poll::Pending => return Poll::Pending,
            }
            if self.is_ending {
                self.is_over = true;
            } else if is_hungry && splices {
                ready!(self.poll_splice(cx, core, ends))?;
            } else if is_hungry {
                ready!(self.poll_fill(cx, core, ends))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Decodes what was read until there is something to be written; says whether more must be read for that.
    fn decode(&mut self, ends: &mut Ends<'_>) -> Result<bool, Fault> {
        if self.run == 0 && self.written >= LARGE {
            ends.out.drain(..std::mem::take(&mut self.written));
        }
        while self.run == 0 && !self.is_ending && ends.out.len() - self.written < COLLECT.max(self.ahead) {
            if self.decoder.is_done() {
                let trailers = self.decoder.take_trailers();
                self.content.end(ends.out, trailers.as_ref()).map_err(Fault::From)?;
                self.is_ending = true;
                break;
            }
            if ends.input.is_empty() {
                return Ok(true);
            }
            self.has_begun = true;
            let step = self.decoder.decode(ends.input.data(), usize::MAX);
            match step.map_err(|kind| Fault::From(self.names.malformed.unwrap_or(kind)))? {
                Step::Done { skip } => ends.input.consume(skip),
                Step::Data { skip, data } => {
                    ends.input.consume(skip);
                    self.take(data, ends)?;
                }
            }
        }
        Ok(false)
    }

    /// Takes a run of the body from the front of the input.
    fn take(&mut self, data: usize, ends: &mut Ends<'_>) -> Result<(), Fault> {
        if data == 0 {
            return Ok(());
        }
        let run = &ends.input.data()[..data];
        match self.content.take(run, ends.out, self.ahead == 0).map_err(Fault::From)? {
            Placed::InPlace => self.run = data,
            Placed::Collected => ends.input.consume(data),
        }
        Ok(())
    }

    /// Leaves what is still to be written to whoever comes next.
    fn leave(&mut self, ends: &mut Ends<'_>) {
        self.break_off(ends.out);
        if std::mem::take(&mut self.writes_late) {
            ends.to.set_deadline(Direction::Write, None);
        }
        self.is_over = true;
    }

    /// Takes what was written off `out`, where the body breaks off: whoever comes next may still write the rest.
    pub(super) fn break_off(&mut self, out: &mut Vec<u8>) {
        out.drain(..std::mem::take(&mut self.written).min(out.len()));
    }

    /// Reads what is there; says no where that is nothing.
    fn fill(&mut self, core: &Core, ends: &mut Ends<'_>) -> Result<bool, Fault> {
        let Some(read) = ends.from.try_read(ends.input.space(self.room())) else {
            ends.input.release();
            return Ok(false);
        };
        self.filled(core, ends, read).map(|()| true)
    }

    /// Whether what is left of the body can be moved by the kernel, and is or was long enough to be worth it.
    fn may_splice(&mut self, ends: &Ends<'_>) -> bool {
        let is_long = self.decoder.raw_left() >= Some(SPLICE) && self.ahead == 0;
        self.splices |= is_long && self.content.is_plain() && ends.are_sockets();
        self.splices
    }

    /// Has the kernel move a part of the body, when nothing that goes before it is left.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        ends: &mut Ends<'_>,
    ) -> Poll<Result<(), Fault>> {
        // What was read ahead goes before what the kernel has.
        let pipe = if ends.from.holds_bytes() { None } else { Pipe::take() };
        let Some(mut pipe) = self.pipe.take().or(pipe) else {
            return self.poll_fill(cx, core, ends);
        };
        let moved = self.poll_through(cx, core, ends, &mut pipe);
        match pipe.is_empty() {
            true => pipe.put(),
            false => self.pipe = Some(pipe),
        }
        moved
    }

    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        ends: &mut Ends<'_>,
        pipe: &mut Pipe,
    ) -> Poll<Result<(), Fault>> {
        if pipe.is_empty() {
            let left = usize::try_from(self.decoder.raw_left().unwrap_or(0)).unwrap_or(usize::MAX);
            let Poll::Ready(read) = pipe.poll_fill(cx, ends.from, left) else {
                if std::mem::take(&mut self.holds_back) {
                    ends.to.push();
                }
                return self.wait(core, ends);
            };
            let n = self.heard(core, ends, read)?;
            self.has_begun = true;
            self.decoder.skip(n as u64);
            self.content.count(n as u64).map_err(Fault::From)?;
        }
        while !pipe.is_empty() {
            let Poll::Ready(written) = pipe.poll_drain(cx, ends.to) else { return self.wait_to_write(ends) };
            self.gave(ends, written)?;
            self.holds_back = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until there is something to be read.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        ends: &mut Ends<'_>,
    ) -> Poll<Result<(), Fault>> {
        match ends.from.poll_read(cx, ends.input.space(self.room())) {
            Poll::Ready(read) => Poll::Ready(self.filled(core, ends, read)),
            Poll::Pending => {
                ends.input.release();
                self.wait(core, ends)
            }
        }
    }

    /// Gives the source its time.
    fn wait(&mut self, core: &Core, ends: &Ends<'_>) -> Poll<Result<(), Fault>> {
        let patience = match &mut self.patience {
            Patience::Paced(pace) => pace.wait(core.now()),
            Patience::Idle(idle) if !self.reads_late => Some(*idle),
            Patience::Idle(_) => None,
        };
        if patience.is_some() {
            ends.from.set_deadline(Direction::Read, patience);
            self.reads_late = true;
        }
        Poll::Pending
    }

    /// The size of what is read into: that of a head until more than a few packets have come.
    fn room(&self) -> usize {
        if self.moved() < SMALL as u64 { SMALL } else { LARGE }
    }

    fn filled(&mut self, core: &Core, ends: &mut Ends<'_>, read: io::Result<usize>) -> Result<(), Fault> {
        let n = self.heard(core, ends, read)?;
        ends.input.filled(n);
        Ok(())
    }

    /// Takes what came of reading; 0 where that is the end of the body.
    fn heard(&mut self, core: &Core, ends: &Ends<'_>, read: io::Result<usize>) -> Result<usize, Fault> {
        if std::mem::take(&mut self.reads_late) {
            ends.from.set_deadline(Direction::Read, None);
        }
        match read {
            // A client may only end a request by its length.
            Ok(0) if self.decoder.ends_with_connection() => Ok(0),
            Ok(0) => Err(Fault::From(self.names.ended)),
            Ok(n) => {
                if let Patience::Paced(pace) = &mut self.patience {
                    pace.got(core.now(), n);
                }
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Fault::From(self.names.stalled)),
            Err(_) => Err(Fault::From(self.names.broken)),
        }
    }

    /// Writes what is there to be written.
    fn poll_write(&mut self, cx: &mut Context<'_>, ends: &mut Ends<'_>) -> Poll<Result<(), Fault>> {
        let next = if self.holds_back { Next::More } else { Next::Nothing };
        let tail = if self.run > 0 { self.content.tail() } else { b"" };
        let total = ends.out.len() + self.run + tail.len();
        while self.written < total {
            let mut slices =
                [IoSlice::new(ends.out), IoSlice::new(&ends.input.data()[..self.run]), IoSlice::new(tail)];
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, self.written);
            let filled = left.iter().rposition(|slice| !slice.is_empty()).map_or(0, |last| last + 1);
            match ends.to.poll_send(cx, &left[..filled], next) {
                Poll::Ready(written) => self.written += self.gave(ends, written)?,
                Poll::Pending => return self.wait_to_write(ends),
            }
        }
        ends.out.clear();
        ends.input.consume(self.run);
        (self.run, self.written) = (0, 0);
        Poll::Ready(Ok(()))
    }

    /// Takes what came of writing.
    fn gave(&mut self, ends: &Ends<'_>, written: io::Result<usize>) -> Result<usize, Fault> {
        match written {
            Ok(n) if n > 0 => {
                if std::mem::take(&mut self.writes_late) {
                    ends.to.set_deadline(Direction::Write, None);
                }
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Fault::To(self.names.refused)),
            _ => Err(Fault::To(self.names.lost)),
        }
    }

    /// Gives the other end its time; each byte that it takes begins it anew.
    fn wait_to_write(&mut self, ends: &Ends<'_>) -> Poll<Result<(), Fault>> {
        if !std::mem::replace(&mut self.writes_late, true) {
            ends.to.set_deadline(Direction::Write, Some(self.write_idle));
        }
        Poll::Pending
    }
}
