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

use super::relay::Relay;

/// What was read of a body.
#[derive(Debug)]
pub(super) struct Collected {
    /// As filters have made it, if there are any.
    body: Vec<u8>,
    /// Bytes that came.
    read: u64,
    /// None where that is all of it.
    rest: Option<Decoder>,
    trailers: Option<Headers>,
}

impl Collected {
    /// Bytes of it that were taken from the client.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// How the body goes to an upstream.
    pub(super) fn coding(&self) -> BodyCoding {
        match self.rest.is_none() && self.trailers.is_none() {
            true => BodyCoding::Length(self.body.len() as u64),
            false => BodyCoding::Chunked,
        }
    }

    /// What decodes the rest, if there is one.
    pub(super) fn take_rest(&mut self) -> Option<Decoder> {
        self.rest.take()
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

/// Reads the body, unless it is there or has a length over the limit; of one without a length, `most` bytes are read, and
/// the rest is passed on as it comes.
///
/// # Errors
///
/// What is wrong at the client's end; `FilterFailed`.
pub(super) async fn collect(relay: &mut Relay<'_>, most: u64) -> Result<(), Kind> {
    let framing = relay.head.facts.framing;
    let behind = (relay.input.len() - relay.head.length) as u64;
    if framing.length().is_some_and(|length| length <= behind || length > most) {
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
        most: most.min(relay.head.body_limit.saturating_add(1)) as usize,
    };
    let end = poll_fn(|cx| collecting.poll(cx, relay)).await;
    relay.client.stream.set_deadline(Direction::Read, None);
    end?;
    let Collecting { mut decoder, body, .. } = collecting;
    if body.len() as u64 > relay.head.body_limit {
        return Err(Kind::BodyTooLarge);
    }
    let trailers = decoder.take_trailers();
    let rest = (!decoder.is_done()).then_some(decoder);
    let read = body.len() as u64;
    let body = filter(relay, body, rest.is_none())?;
    relay.desk.collected = Some(Collected { body, read, rest, trailers });
    Ok(())
}

/// Passes what was collected through the hooks' filters, if there are any. They stay where they are for the rest, unless
/// `is_all`.
fn filter(relay: &mut Relay<'_>, body: Vec<u8>, is_all: bool) -> Result<Vec<u8>, Kind> {
    let Some(hooked) = relay.hooked.as_mut().filter(|hooked| !hooked.request_filters.is_empty()) else {
        return Ok(body);
    };
    let filters = &mut hooked.request_filters;
    let mut out = Vec::with_capacity(body.len());
    filters.run(&body, &mut out).map_err(|_| Kind::FilterFailed)?;
    if !is_all {
        return Ok(out);
    }
    filters.finish(&mut out).map_err(|_| Kind::FilterFailed)?;
    let keeps_length = relay.head.facts.framing.length().is_some() && !filters.may_resize();
    match keeps_length && out.len() != body.len() {
        false => Ok(out),
        true => Err(Kind::FilterFailed),
    }
}

/// A body on its way into memory.
struct Collecting {
    decoder: Decoder,
    pace: Pace,
    body: Vec<u8>,
    most: usize,
}

impl Collecting {
    fn poll(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Poll<Result<(), Kind>> {
        while !self.decoder.is_done() && self.body.len() < self.most {
            if relay.input.is_empty() {
                ready!(self.poll_input(cx, relay))?;
            }
            let (skip, data) = match self.decoder.decode(relay.input.data(), self.most - self.body.len())? {
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
