//! A copy of each request for another upstream, whose answers nobody waits for.
//!
//! What becomes of a copy changes nothing of the exchange that it was taken of: copies that can't be sent as fast as the
//! request itself, and those beyond [`MOST`] at once, are dropped and counted.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::driver::{Direction, Stream};
use crate::error::{Error, Kind};
use crate::http1::{
    BodyCoding, Decoder, Step, encode_chunk_end, encode_chunk_start, encode_last_chunk, read_answer,
};
use crate::message::{Buffer, PipeReader, SMALL, pipe};
use crate::upstream::{Destination, Dial, UpstreamOptions};

use super::relay::{Relay, Site};
use super::request_head;
use super::reverse::Reverse;
use super::upload::Upload;

/// Copies that are under way on a core.
const MOST: usize = 256;

/// Bytes of a body that wait for the upstream of its copy.
const BODY: usize = 256 * 1024;

/// Where copies go.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) destination: Destination,
    pub(super) options: UpstreamOptions,
}

/// Sends a copy of a request on its way.
pub(super) fn start(relay: &mut Relay<'_>, reverse: &Reverse, upload: &Upload) {
    // A tunnel is not a request.
    let Some(mirror) = reverse.mirror.as_ref().filter(|_| relay.desk.upgrade.is_none()) else { return };
    let site = relay.site;
    if site.copies.get() >= MOST {
        return site.counters.mirror_dropped.add();
    }
    let mut head = Vec::new();
    let origin = &mirror.destination.origin;
    let has_length = request_head::encode(&mut head, relay, &reverse.request, origin, upload.coding);
    request_head::encode_end(&mut head, relay, &reverse.request, upload.coding, has_length, false);
    if relay.desk.upload.is_some() {
        // The body is read from behind the head, which is still to be sent to the upstream.
        relay.keep_head();
    }
    upload.encode(&mut head, relay);
    let rest = relay.desk.upload.as_mut().map(|pump| {
        let (writer, reader) = pipe(BODY);
        pump.content().copy_to(writer);
        reader
    });
    let copy = Copy { head, rest, coding: upload.coding, method: relay.head.method.for_answers() };
    site.copies.set(site.copies.get() + 1);
    let (site, mirror) = (site.clone(), mirror.clone());
    site.core.clone().spawn(async move {
        match copy.send(&site, &mirror).await {
            Ok(()) => site.counters.mirrored.add(),
            Err(error) => {
                site.counters.mirror_dropped.add();
                site.journal
                    .note(log::Level::Debug, || format!("a copy for {}: {error}", mirror.destination.name));
            }
        }
        site.copies.set(site.copies.get() - 1);
    });
}

/// A copy on its way.
struct Copy {
    /// The head, and of the body what was in hand.
    head: Vec<u8>,
    rest: Option<PipeReader>,
    coding: BodyCoding,
    method: &'static [u8],
}

impl Copy {
    async fn send(mut self, site: &Rc<Site>, mirror: &Arc<Mirror>) -> Result<(), Error> {
        let Mirror { destination, options } = &**mirror;
        let pooled = destination.take(&site.upstreams.pool, &None, false).filter(Stream::is_quiet);
        let mut stream = match pooled {
            Some(stream) => stream,
            None => site.upstreams.connect(destination, Dial::new(options)).await?,
        };
        stream.set_deadline(Direction::Write, Some(options.write_idle));
        stream.write_all(&self.head).await.map_err(lost)?;
        if let Some(rest) = self.rest.take() {
            self.send_rest(&mut stream, rest).await?;
        }
        stream.set_deadline(Direction::Write, None);
        stream.set_deadline(Direction::Read, Some(options.head));
        let mut input = Buffer::new();
        let answer = read_answer(&mut stream, &mut input, self.method).await?;
        // An answer that does not end is not waited for.
        stream.set_deadline(Direction::Read, Some(options.body_idle));
        skip(&mut stream, &mut input, Decoder::new(answer.framing)).await?;
        if answer.keep_alive && input.is_empty() {
            destination.put(&site.upstreams.pool, None, stream, options.keep_alive, options.pool_size);
        }
        Ok(())
    }

    async fn send_rest(&self, stream: &mut Stream, mut rest: PipeReader) -> Result<(), Error> {
        let is_chunked = self.coding == BodyCoding::Chunked;
        let mut out = Vec::new();
        loop {
            out.clear();
            let data = poll_fn(|cx| rest.poll_fill(cx).map(|filled| filled.map(<[u8]>::len))).await?;
            match (data, is_chunked) {
                (0, false) => return Ok(()),
                (0, true) => encode_last_chunk(&mut out, rest.trailers().as_ref()),
                (_, false) => out.extend_from_slice(rest.data()),
                (_, true) => {
                    encode_chunk_start(&mut out, data);
                    out.extend_from_slice(rest.data());
                    encode_chunk_end(&mut out);
                }
            }
            rest.consume(data);
            stream.write_all(&out).await.map_err(lost)?;
            if data == 0 {
                return Ok(());
            }
        }
    }
}

/// Reads the body of an answer, and forgets it.
async fn skip(stream: &mut Stream, input: &mut Buffer, mut decoder: Decoder) -> Result<(), Error> {
    while !decoder.is_done() {
        if input.is_empty() {
            match stream.read(input.space(SMALL)).await.map_err(lost)? {
                0 if decoder.ends_with_connection() => break,
                0 => return Err(Kind::UpstreamTruncated.into()),
                n => input.filled(n),
            }
        }
        match decoder.decode(input.data(), usize::MAX)? {
            Step::Data { skip, data } => input.consume(skip + data),
            Step::Done { skip } => input.consume(skip),
        }
    }
    Ok(())
}

fn lost(error: io::Error) -> Error {
    Error::new(Kind::UpstreamIo).because(error)
}
