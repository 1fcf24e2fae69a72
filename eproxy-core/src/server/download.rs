//! The answer's body on its way to the client.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::error::Kind;
use crate::http1::{BodyCoding, Outbound, encode_chunk_end, encode_chunk_start, encode_last_chunk};
use crate::message::{BodySource, Content, Headers, PipeReader};

/// Bodies up to this size are copied behind their head, so that answers to pipelined requests leave together; longer
/// ones are written from where they are.
pub(super) const COPY: usize = 8 * 1024;

/// Bytes read at a time from a body that is not in hand.
const CHUNK: usize = 32 * 1024;

/// Writes a body in its coding behind the head that is already in `outbound`, and adds its bytes to `moved`. Small bodies stay
/// there with it.
///
/// # Errors
///
/// `DownstreamGone`, or `BodyFailed` and its like when the body broke off: the message is left broken, for the client
/// to see.
pub(super) async fn send(
    outbound: &mut Outbound<'_>,
    content: Content,
    coding: BodyCoding,
    moved: &mut u64,
) -> Result<(), Kind> {
    match content {
        Content::Empty => Ok(()),
        Content::Static(bytes) => send_bytes(outbound, bytes, moved).await,
        Content::Owned { bytes, from } => send_bytes(outbound, &bytes[from..], moved).await,
        Content::Pipe(pipe, _) => send_stream(outbound, Source::Pipe(pipe), coding, moved).await,
        Content::Reader(reader, _) => {
            let source = Source::Reader { reader, chunk: vec![0; CHUNK], filled: 0 };
            send_stream(outbound, source, coding, moved).await
        }
    }
}

async fn send_bytes(outbound: &mut Outbound<'_>, bytes: &[u8], moved: &mut u64) -> Result<(), Kind> {
    *moved += bytes.len() as u64;
    if bytes.len() <= COPY {
        outbound.out.extend_from_slice(bytes);
        return Ok(());
    }
    outbound.write(bytes, b"").await
}

async fn send_stream(
    outbound: &mut Outbound<'_>,
    mut source: Source,
    coding: BodyCoding,
    moved: &mut u64,
) -> Result<(), Kind> {
    let mut left = match coding {
        BodyCoding::Length(length) => Some(length),
        _ => None,
    };
    let mut tail = Vec::new();
    loop {
        let data = match next(outbound, &mut source).await? {
            Filled::End => break,
            Filled::Data => source.data(),
        };
        let n = data.len();
        if let Some(left) = &mut left {
            // More than was announced would be taken for the next answer.
            *left = left.checked_sub(n as u64).ok_or(Kind::BodyFailed)?;
        }
        if coding == BodyCoding::Chunked {
            encode_chunk_start(outbound.out, n);
            tail.clear();
            encode_chunk_end(&mut tail);
        }
        outbound.write(data, &tail).await?;
        source.consume(n);
        *moved += n as u64;
    }
    if left.is_some_and(|left| left > 0) {
        return Err(Kind::BodyFailed);
    }
    if coding == BodyCoding::Chunked {
        encode_last_chunk(outbound.out, source.trailers().as_ref());
    }
    Ok(())
}

/// Waits for more of the body; what is waiting to go out goes out first.
async fn next(outbound: &mut Outbound<'_>, source: &mut Source) -> Result<Filled, Kind> {
    let at_once = poll_fn(|cx| {
        Poll::Ready(match source.poll_fill(cx) {
            Poll::Ready(filled) => Some(filled),
            Poll::Pending => None,
        })
    });
    match at_once.await {
        Some(filled) => filled,
        None => {
            outbound.flush().await?;
            poll_fn(|cx| {
                if outbound.stream.poll_broken(cx).is_ready() {
                    return Poll::Ready(Err(Kind::DownstreamGone));
                }
                source.poll_fill(cx)
            })
            .await
        }
    }
}

/// A body that is not in hand.
enum Source {
    Pipe(PipeReader),
    Reader { reader: Box<dyn BodySource>, chunk: Vec<u8>, filled: usize },
}

/// What a source has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    Data,
    End,
}

impl Source {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<Filled, Kind>> {
        let is_end = match self {
            Self::Pipe(pipe) => ready!(pipe.poll_fill(cx))?.is_empty(),
            Self::Reader { reader, chunk, filled } => {
                *filled =
                    ready!(Pin::new(&mut **reader).poll_read(cx, chunk)).map_err(|_| Kind::BodyFailed)?;
                *filled == 0
            }
        };
        Poll::Ready(Ok(if is_end { Filled::End } else { Filled::Data }))
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::Pipe(pipe) => pipe.data(),
            Self::Reader { chunk, filled, .. } => &chunk[..*filled],
        }
    }

    fn consume(&mut self, n: usize) {
        if let Self::Pipe(pipe) = self {
            pipe.consume(n);
        }
    }

    fn trailers(&self) -> Option<Headers> {
        match self {
            Self::Pipe(pipe) => pipe.trailers(),
            Self::Reader { reader, .. } => reader.trailers(),
        }
    }
}
