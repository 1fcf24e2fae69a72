//! A request's body that is read before the request is passed on, up to a limit: so that a slow client does not occupy an
//! upstream, and so that the request can be sent again.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::driver::Direction;
use crate::error::Kind;
use crate::http1::{
    BodyCoding, Decoder, Step, encode_chunk_end, encode_chunk_start, encode_interim, encode_last_chunk,
};
use crate::message::{Headers, LARGE, Pace};

use super::filter::Filters;
use super::grpc_web;
use super::relay::Relay;
use super::reverse::Reverse;

/// What was read of a body.
#[derive(Debug)]
pub(super) struct Collected {
    /// It, or what filters have made of it.
    body: Vec<u8>,
    /// Bytes that were read.
    moved: u64,
    /// None where that is all of it.
    rest: Option<Decoder>,
    trailers: Option<Headers>,
    /// What is done to the rest.
    filters: Filters,
}

impl Collected {
    /// Bytes of the body that were taken from the client.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// How the body goes to an upstream.
    pub(super) fn coding(&self) -> BodyCoding {
        match self.rest.is_none() && self.trailers.is_none() {
            true => BodyCoding::Length(self.body.len() as u64),
            false => BodyCoding::Chunked,
        }
    }

    /// Passes it through the filters, which are told of the end if that is all of it.
    fn filter(&mut self) -> Result<(), Kind> {
        let filters = &mut self.filters;
        let (may_resize, mut out) = (filters.may_resize(), Vec::with_capacity(self.body.len()));
        if !self.body.is_empty() {
            filters.run(&self.body, &mut out)?;
        }
        if self.rest.is_none() {
            std::mem::take(filters).finish(&mut out, self.trailers.as_ref())?;
            if !may_resize && out.len() != self.body.len() {
                return Err(Kind::FilterFailed);
            }
        }
        self.body = out;
        Ok(())
    }

    /// What decodes the rest, if there is one.
    pub(super) fn take_rest(&mut self) -> Option<Decoder> {
        self.rest.take()
    }

    /// What is done to the rest.
    pub(super) fn take_filters(&mut self) -> Filters {
        std::mem::take(&mut self.filters)
    }

    /// Appends it as it goes onto the wire; `is_all` says that nothing follows.
    pub(super) fn encode(&self, out: &mut Vec<u8>, coding: BodyCoding, is_all: bool) {
        let is_chunked = coding == BodyCoding::Chunked;
        if is_chunked && !self.body.is_empty() {
            encode_chunk_start(out, self.body.len());
        }
        out.extend_from_slice(&self.body);
        if is_chunked && !self.body.is_empty() {
            encode_chunk_end(out);
        }
        if is_chunked && is_all {
            encode_last_chunk(out, self.trailers.as_ref());
        }
    }
}

/// Reads the body, unless it is there as it is to be sent, or has a length over the limit; of one without a length, `most`
/// bytes are read, and the rest is passed on as it comes. Filters have their turn with what is read.
///
/// # Errors
///
/// What is wrong at the client's end; `FilterFailed`.
pub(super) async fn collect(relay: &mut Relay<'_>, reverse: &Reverse) -> Result<(), Kind> {
    let most = reverse.buffering.requests;
    let framing = relay.head.facts.framing;
    let behind = (relay.input.len() - relay.head.length) as u64;
    let is_filtered = grpc_web::is_filtered(relay, &reverse.request);
    if framing.is_none()
        || framing.length().is_some_and(|length| length <= behind && !is_filtered || length > most)
    {
        return Ok(());
    }
    relay.keep_head();
    if std::mem::take(&mut relay.head.facts.expects_continue) && relay.input.is_empty() {
        encode_interim(relay.out, 100);
    }
    relay.flush().await?;
    let mut collecting = Collecting {
        decoder: Decoder::new(framing),
        pace: Pace::new(&relay.site.timeouts),
        body: Vec::new(),
        most: most.min(relay.head.body_limit) as usize,
    };
    let end = poll_fn(|cx| collecting.poll(cx, relay)).await;
    relay.client.stream.set_deadline(Direction::Read, None);
    end?;
    let Collecting { mut decoder, body, .. } = collecting;
    let trailers = decoder.take_trailers();
    let rest = (!decoder.is_done()).then_some(decoder);
    if rest.is_some() && body.len() as u64 == relay.head.body_limit {
        return Err(Kind::BodyTooLarge);
    }
    let filters = grpc_web::take_filters(relay, &reverse.request);
    let mut collected = Collected { moved: body.len() as u64, body, rest, trailers, filters };
    if is_filtered {
        collected.filter()?;
    }
    relay.desk.collected = Some(collected);
    Ok(())
}

/// A body on its way into memory.
struct Collecting {
    decoder: Decoder,
    pace: Pace,
    body: Vec<u8>,
    most: usize,
}

impl Collecting {
    /// Ready when it has ended, or when there is more of it than may be collected.
    fn poll(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Poll<Result<(), Kind>> {
        let mut is_full = false;
        // What comes behind the last byte that fits may be the end.
        while !self.decoder.is_done() && (!is_full || relay.input.is_empty()) {
            if relay.input.is_empty() {
                ready!(self.poll_input(cx, relay))?;
            }
            let room = self.most - self.body.len();
            is_full = room == 0;
            let (skip, data) = match self.decoder.decode(relay.input.data(), room)? {
                Step::Data { skip, data } => (skip, data),
                Step::Done { skip } => (skip, 0),
            };
            self.body.extend_from_slice(&relay.input.data()[skip..skip + data]);
            relay.input.consume(skip + data);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_input(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Poll<Result<(), Kind>> {
        let stream = relay.client.stream;
        let Poll::Ready(read) = stream.poll_read(cx, relay.input.space(LARGE)) else {
            if let Some(patience) = self.pace.wait(relay.site.core.now()) {
                stream.set_deadline(Direction::Read, Some(patience));
            }
            return Poll::Pending;
        };
        Poll::Ready(match read {
            Ok(0) => Err(Kind::Truncated),
            Ok(n) => {
                relay.input.filled(n);
                self.pace.got(relay.site.core.now(), n);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Kind::BodyTimeout),
            Err(_) => Err(Kind::DownstreamGone),
        })
    }
}
