//! A request on its way to an upstream: its head, which is in the desk's `out`, and its body.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::error::Kind;
use crate::http1::{BodyCoding, Decoder};
use crate::message::Pace;

use super::collect::Collected;
use super::content::Content;
use super::ends::{Ends, Fault};
use super::grpc_web;
use super::pump::Pump;
use super::relay::{Relay, Rest};
use super::reverse::Reverse;

/// How far a request has been sent.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) coding: BodyCoding,
    source: Source,
    write_idle: Duration,
    /// What of the head, and of the body in hand, was written.
    written: usize,
    writes_late: bool,
    is_over: bool,
}

/// Where the body comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// So many bytes behind the head, which are sent together with it, as often as need be. Nearly all requests are such.
    Behind(usize),
    /// What was collected on the desk: likewise.
    Collected,
    /// It is read as it comes, by the desk's pump.
    Stream,
}

impl Upload {
    pub(super) fn new(relay: &mut Relay<'_>, reverse: &Reverse) -> Self {
        let (coding, source) = match Self::stream(relay, reverse) {
            Some(coding) => (coding, Source::Stream),
            None => {
                relay.desk.upload = None;
                match (&relay.desk.collected, relay.head.facts.framing.length()) {
                    (Some(collected), _) => (collected.coding(), Source::Collected),
                    (None, Some(0)) if !relay.head.facts.has_length => (BodyCoding::None, Source::Behind(0)),
                    (None, length) => {
                        let length = length.unwrap_or(0);
                        (BodyCoding::Length(length), Source::Behind(length as usize))
                    }
                }
            }
        };
        let write_idle = reverse.options.write_idle;
        Self { coding, source, write_idle, written: 0, writes_late: false, is_over: false }
    }

    /// Makes a pump for a body that is not in hand, or that is to be filtered.
    fn stream(relay: &mut Relay<'_>, reverse: &Reverse) -> Option<BodyCoding> {
        let facts = &relay.head.facts;
        let behind = (relay.input.len().saturating_sub(relay.head.length)) as u64;
        let is_filtered = grpc_web::is_filtered(relay, &reverse.request);
        let (mut coding, decoder) = match (&mut relay.desk.collected, facts.framing.length()) {
            (Some(collected), _) => (collected.coding(), collected.take_rest()?),
            // Filters are told of the end of a body that is empty, but there must be one (RFC 9110 §6.4).
            (None, Some(0)) if !is_filtered || !facts.has_length => return None,
            (None, Some(length)) if length <= behind && !is_filtered => return None,
            (None, Some(length)) => (BodyCoding::Length(length), Decoder::new(facts.framing)),
            (None, None) => (BodyCoding::Chunked, Decoder::new(facts.framing)),
        };
        let filters = match &mut relay.desk.collected {
            Some(collected) => collected.take_filters(),
            None => grpc_web::take_filters(relay, &reverse.request),
        };
        if filters.may_resize() {
            coding = BodyCoding::Chunked;
        }
        let collected = relay.desk.collected.as_ref().map_or(0, Collected::moved);
        let allowed = relay.head.body_limit - collected;
        let pace = match relay.head.facts.grpc {
            Some(_) => Pace::of_messages(&relay.site.timeouts),
            None => Pace::new(&relay.site.timeouts),
        };
        let mut content = Content::new(coding, allowed);
        content.filter(filters);
        relay.desk.upload = Some(Pump::upload(decoder, content, pace, reverse.options.write_idle));
        Some(coding)
    }

    /// The whole body is in hand: it can be sent as often as need be.
    pub(super) fn is_in_hand(&self) -> bool {
        self.source != Source::Stream
    }

    /// Appends what of the body is in hand to the head.
    pub(super) fn encode(&self, out: &mut Vec<u8>, relay: &mut Relay<'_>) {
        if let Source::Behind(length) = self.source {
            let from = relay.head.length;
            return out.extend_from_slice(&relay.input.data()[from..from + length]);
        }
        // What follows is read through the same buffer.
        relay.take_head(0);
        if let Some(collected) = &relay.desk.collected {
            collected.encode(out, self.coding, self.source == Source::Collected);
        }
    }

    /// All of it was sent before.
    pub(super) fn set_over(&mut self) {
        self.is_over = true;
    }

    /// All of it was sent before, so many bytes in one piece.
    pub(super) fn set_sent(&mut self, bytes: usize) {
        (self.written, self.is_over) = (bytes, true);
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

    fn poll_in_hand(&mut self, cx: &mut Context<'_>, stream: &Stream, out: &[u8]) -> Poll<Result<(), Fault>> {
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

    /// What is left of the body on the client's connection.
    pub(super) fn rest(&self, relay: &Relay<'_>) -> Rest {
        let has_begun = || {
            relay.desk.collected.is_some() || relay.desk.upload.as_ref().is_some_and(|pump| pump.has_begun())
        };
        match self.source {
            Source::Behind(_) => Rest::Untouched,
            Source::Collected => Rest::Read,
            Source::Stream if self.is_over => Rest::Read,
            Source::Stream if has_begun() => Rest::Begun,
            Source::Stream => Rest::Untouched,
        }
    }

    /// Whether nothing of it is gone that another try would have to send.
    pub(super) fn can_begin_anew(&self, relay: &Relay<'_>) -> bool {
        self.is_in_hand() || self.rest(relay) == Rest::Untouched
    }

    /// Takes the head, and what was sent with it, off the client's input.
    pub(super) fn take(&self, relay: &mut Relay<'_>) {
        relay.take_head(if let Source::Behind(length) = self.source { length } else { 0 });
    }

    /// It is the client that is waited for.
    pub(super) fn waits_for_client(&self, relay: &Relay<'_>) -> bool {
        !self.is_over && relay.desk.upload.as_ref().is_some_and(Pump::waits_for_source)
    }

    /// Bytes of the request that were sent to the upstream, as far as is known; the head is among them.
    pub(super) fn sent(&self, relay: &Relay<'_>) -> u64 {
        self.written as u64 + relay.desk.upload.as_ref().map_or(0, Pump::moved)
    }

    /// Bytes of the body that were taken from the client.
    pub(super) fn moved(&self, relay: &Relay<'_>) -> u64 {
        let behind = if let Source::Behind(length) = self.source { length as u64 } else { 0 };
        let collected = relay.desk.collected.as_ref().map_or(0, Collected::moved);
        behind + collected + relay.desk.upload.as_ref().map_or(0, Pump::moved)
    }
}
