//! A request on its way to an upstream: its head, which is in the desk's `out`, and its body.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::Kind;
use crate::http1::{BodyCoding, Decoder};
use crate::message::Pace;

use super::pump::{Ends, Fault, Pump};
use super::relay::Relay;
use super::reverse::Reverse;

/// How far a request has been sent.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) coding: BodyCoding,
    /// The body stands behind the head, so many bytes, and is sent together with it, as often as need be. None where it
    /// is read as it comes: by the desk's pump.
    in_hand: Option<usize>,
    write_idle: Duration,
    /// What of the head, and of the body in hand, was written.
    written: usize,
    writes_late: bool,
    is_over: bool,
}

impl Upload {
    pub(super) fn new(relay: &mut Relay<'_>, reverse: &Reverse) -> Self {
        let facts = &relay.head.facts;
        let behind = relay.input.len() - relay.head.length;
        let (coding, in_hand) = match facts.framing.length() {
            Some(0) if facts.has_length => (BodyCoding::Length(0), Some(0)),
            Some(0) => (BodyCoding::None, Some(0)),
            Some(length) if length <= behind as u64 => (BodyCoding::Length(length), Some(length as usize)),
            Some(length) => (BodyCoding::Length(length), None),
            None => (BodyCoding::Chunked, None),
        };
        let write_idle = reverse.options.write_idle;
        relay.desk.upload = in_hand.is_none().then(|| {
            let (decoder, pace) = (Decoder::new(facts.framing), Pace::new(&relay.site.timeouts));
            Pump::upload(decoder, coding, pace, write_idle, relay.head.body_limit)
        });
        Self { coding, in_hand, write_idle, written: 0, writes_late: false, is_over: false }
    }

    /// The bytes behind the head that are sent with it; none where the body is read as it comes.
    pub(super) fn in_hand(&self) -> Option<usize> {
        self.in_hand
    }

    /// All of it was sent before.
    pub(super) fn set_over(&mut self) {
        self.is_over = true;
    }

    /// Makes ready for another try.
    pub(super) fn rewind(&mut self) {
        (self.written, self.writes_late, self.is_over) = (0, false, false);
    }

    /// Sends what can be sent; ready when all of it was, or can't be.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        relay: &mut Relay<'_>,
        stream: &Stream,
    ) -> Poll<Result<(), Fault>> {
        let Relay { site, client, input, desk, .. } = relay;
        if !self.is_over {
            match &mut desk.upload {
                None => ready!(self.poll_in_hand(cx, stream, &desk.out))?,
                Some(pump) => {
                    let mut ends = Ends { from: client.stream, input, to: stream, out: &mut desk.out };
                    ready!(pump.poll(cx, &site.core, &mut ends))?;
                }
            }
            self.is_over = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_in_hand(
        &mut self,
        cx: &mut Context<'_>,
        stream: &Stream,
        out: &[u8],
    ) -> Poll<Result<(), Fault>> {
        while self.written < out.len() {
            match stream.poll_write(cx, &[IoSlice::new(&out[self.written..])]) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.written += n;
                    if std::mem::take(&mut self.writes_late) {
                        stream.set_deadline(Direction::Write, None);
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Poll::Ready(Err(Fault::To(Kind::UpstreamWriteTimeout)));
                }
                Poll::Ready(_) => return Poll::Ready(Err(Fault::To(Kind::UpstreamIo))),
                Poll::Pending => {
                    if !std::mem::replace(&mut self.writes_late, true) {
                        stream.set_deadline(Direction::Write, Some(self.write_idle));
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// All of it was sent.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Nothing of the body was taken from the client.
    pub(super) fn is_untouched(&self, relay: &Relay<'_>) -> bool {
        relay.desk.upload.as_ref().is_none_or(|pump| !pump.has_begun())
    }

    /// It is the client that is waited for.
    pub(super) fn waits_for_client(&self, relay: &Relay<'_>) -> bool {
        !self.is_over && relay.desk.upload.as_ref().is_some_and(Pump::waits_for_source)
    }

    /// Bytes of the body that were taken from the client.
    pub(super) fn moved(&self, relay: &Relay<'_>) -> u64 {
        let in_hand = self.in_hand.unwrap_or(0) as u64;
        relay.desk.upload.as_ref().map_or(in_hand, Pump::moved)
    }
}
