//! What some last words of a response leave in the handler's hands.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::poll_fn;

use crate::error::{Error, Kind, Result};
use crate::message::{Demand, Headers, PipeReader, PipeWriter};

/// Writes a streamed body; [`Response::stream`](crate::Response::stream) gives it.
///
/// It is an [`AsyncWrite`] with back-pressure: a write waits while 64 KiB have not gone out to the client. What is
/// written leaves at once; there is nothing to flush.
///
/// The body ends in good order with [`finish`](Self::finish) or by closing the writer. If it is dropped before that, the
/// client is made to see a broken message, never a short one that looks whole.
#[derive(Debug)]
pub struct BodyWriter(PipeWriter);

impl BodyWriter {
    pub(super) fn new(pipe: PipeWriter) -> Self {
        Self(pipe)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The client is gone.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much was written is lost.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() {
            let n = poll_fn(|cx| poll_push(&self.0, cx, bytes)).await.map_err(|_| Kind::DownstreamGone)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Ends the body.
    pub fn finish(self) {
        self.0.finish(None);
    }

    /// Ends the body with a trailer section (RFC 9110 §6.5). It is sent where the wire can carry it: in a chunked body,
    /// or over HTTP/2.
    pub fn finish_with_trailers(self, trailers: Headers) {
        self.0.finish(Some(trailers));
    }

    /// Whether the client is gone: what is written goes nowhere.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_gone()
    }

    /// Waits until the client is gone.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.0.poll_gone(cx)).await;
    }
}

fn poll_push(pipe: &PipeWriter, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(pipe.poll_room(cx)) {
        Demand::Gone => Poll::Ready(Err(Error::new(Kind::DownstreamGone).into())),
        Demand::Room(room) => {
            let n = room.min(bytes.len());
            pipe.push(&bytes[..n]);
            Poll::Ready(Ok(n))
        }
    }
}

impl AsyncWrite for BodyWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_push(&self.0, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish(None);
        Poll::Ready(Ok(()))
    }
}

/// A connection that has switched to another protocol; [`Response::upgrade`](crate::Response::upgrade) gives it.
///
/// Reading gives what the client sends behind its request, from the first byte on; closing it ends the direction to the
/// client, dropping it ends both.
#[derive(Debug)]
pub struct Upgraded {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Upgraded {
    pub(super) fn new(reader: PipeReader, writer: PipeWriter) -> Self {
        Self { reader, writer }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader.poll_read(cx, into)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_push(&self.writer, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.finish(None);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        self.writer.finish(None);
    }
}
