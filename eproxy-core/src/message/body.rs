//! Bodies: bytes in hand, or a stream.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::io::BufReader;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::error::{Error, Kind, Result};

use super::headers::Headers;
use super::pipe::PipeReader;

/// The body of a request or an answer.
///
/// It is made from bytes or text that are in hand, or [`from_reader`](Self::from_reader) from a stream; it is read as an
/// [`AsyncRead`] or whole with [`bytes`](Self::bytes). A stream is never read ahead of its reader by more than 64 KiB.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let body = eproxy_core::Body::from("some text");
/// assert_eq!(body.len(), Some(9));
/// assert_eq!(body.bytes(1024).await?, b"some text");
/// # Ok::<_, eproxy_core::Error>(()) }).unwrap();
/// ```
#[derive(Default)]
pub struct Body {
    content: Content,
    /// The media type that goes with it unless a Content-Type is set.
    mime: Option<Cow<'static, str>>,
}

/// Where the bytes of a body are.
#[derive(Default)]
pub(crate) enum Content {
    #[default]
    Empty,
    Static(&'static [u8]),
    /// `from..` is still to be read.
    Owned {
        bytes: Vec<u8>,
        from: usize,
    },
    /// From a connection or a body writer.
    Pipe(PipeReader, Option<u64>),
    /// From anything else.
    Reader(Box<dyn BodySource>, Option<u64>),
}

/// A stream that a body is read from.
pub(crate) trait BodySource: AsyncRead + Send + Sync + Unpin {
    /// The trailer section, once the end was reached.
    fn trailers(&self) -> Option<Headers> {
        None
    }
}

/// A reader that is nothing more.
struct Plain<R>(R);

impl<R: AsyncRead + Unpin> AsyncRead for Plain<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<R: AsyncRead + Send + Sync + Unpin> BodySource for Plain<R> {}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self { content: Content::Empty, mime: None }
    }

    /// A body that is read from `reader` as it is wanted. With a `length`, exactly so many bytes are sent, and a reader
    /// that ends earlier fails the message; without one, the wire marks the end.
    #[must_use]
    pub fn from_reader(reader: impl AsyncRead + Send + Sync + Unpin + 'static, length: Option<u64>) -> Self {
        Self::from_source(Plain(reader), length)
    }

    pub(crate) fn from_source(source: impl BodySource + 'static, length: Option<u64>) -> Self {
        Self { content: Content::Reader(Box::new(source), length), mime: None }
    }

    /// The body of an upstream's answer: its headers say what it is.
    pub(crate) fn from_upstream(bytes: Vec<u8>) -> Self {
        Self { content: Content::Owned { bytes, from: 0 }, mime: None }
    }

    pub(crate) fn from_pipe(pipe: PipeReader, length: Option<u64>) -> Self {
        Self { content: Content::Pipe(pipe, length), mime: None }
    }

    /// Sets the media type that is sent as Content-Type where the headers have none, replacing the one that comes with
    /// how the body was made: `text/plain; charset=utf-8` for text, `application/octet-stream` for bytes.
    #[must_use]
    pub fn with_mime(mut self, mime: impl Into<Cow<'static, str>>) -> Self {
        self.mime = Some(mime.into());
        self
    }

    pub(crate) fn mime(&self) -> Option<&str> {
        self.mime.as_deref()
    }

    /// The length in bytes, if it is known before the end.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a stream's emptiness is not known before it is read")]
    pub fn len(&self) -> Option<u64> {
        match &self.content {
            Content::Empty => Some(0),
            Content::Static(bytes) => Some(bytes.len() as u64),
            Content::Owned { bytes, from } => Some((bytes.len() - from) as u64),
            Content::Pipe(_, length) | Content::Reader(_, length) => *length,
        }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// It is longer than `limit` bytes, or its stream failed: the connection ended early, stalled, or sent what is not
    /// a body.
    pub async fn bytes(mut self, limit: u64) -> Result<Vec<u8>> {
        let too_large = || Error::from(Kind::BodyTooLarge);
        if self.len().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        if let Content::Owned { bytes, from: 0 } = self.content {
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(self.len().unwrap_or(0).min(64 * 1024) as usize);
        (&mut self).take(limit.saturating_add(1)).read_to_end(&mut bytes).await.map_err(Error::from)?;
        match bytes.len() as u64 > limit {
            true => Err(too_large()),
            false => Ok(bytes),
        }
    }

    /// The trailer section (RFC 9110 §6.5), if there was one; known once the body was read to its end.
    #[must_use]
    pub fn trailers(&self) -> Option<Headers> {
        match &self.content {
            Content::Pipe(pipe, _) => pipe.trailers(),
            Content::Reader(reader, _) => reader.trailers(),
            Content::Empty | Content::Static(_) | Content::Owned { .. } => None,
        }
    }

    /// The bytes, where reading them waits for nobody.
    pub(crate) fn in_hand(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Empty => Some(b""),
            Content::Static(bytes) => Some(bytes),
            Content::Owned { bytes, from } => Some(&bytes[*from..]),
            Content::Pipe(..) | Content::Reader(..) => None,
        }
    }

    pub(crate) fn into_content(self) -> Content {
        self.content
    }

    /// Copies the rest of the body into `writer` and returns the number of bytes.
    ///
    /// # Errors
    ///
    /// As for reading the body, and what the writer says.
    pub async fn copy_to(mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<u64> {
        let mut chunk = vec![0; 16 * 1024];
        let mut copied = 0;
        loop {
            let n = self.read(&mut chunk).await.map_err(Error::from)?;
            if n == 0 {
                return Ok(copied);
            }
            writer.write_all(&chunk[..n]).await.map_err(Error::from)?;
            copied += n as u64;
        }
    }
}

impl AsyncRead for Body {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(Ok(0)),
            Content::Static(bytes) => {
                let n = bytes.len().min(into.len());
                into[..n].copy_from_slice(&bytes[..n]);
                *bytes = &bytes[n..];
                Poll::Ready(Ok(n))
            }
            Content::Owned { bytes, from } => {
                let n = (bytes.len() - *from).min(into.len());
                into[..n].copy_from_slice(&bytes[*from..*from + n]);
                *from += n;
                Poll::Ready(Ok(n))
            }
            Content::Pipe(pipe, _) => pipe.poll_read(cx, into),
            Content::Reader(reader, _) => {
                let n = ready!(Pin::new(reader).poll_read(cx, into))?;
                Poll::Ready(Ok(n))
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.content {
            Content::Empty => "empty",
            Content::Static(_) | Content::Owned { .. } => "bytes",
            Content::Pipe(..) | Content::Reader(..) => "stream",
        };
        f.debug_struct("Body")
            .field("kind", &kind)
            .field("length", &self.len())
            .field("mime", &self.mime)
            .finish()
    }
}

const TEXT: Option<Cow<'static, str>> = Some(Cow::Borrowed("text/plain; charset=utf-8"));
const BYTES: Option<Cow<'static, str>> = Some(Cow::Borrowed("application/octet-stream"));

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self { content: Content::Static(text.as_bytes()), mime: TEXT }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self { content: Content::Owned { bytes: text.into_bytes(), from: 0 }, mime: TEXT }
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self { content: Content::Static(bytes), mime: BYTES }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self { content: Content::Owned { bytes, from: 0 }, mime: BYTES }
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// Keeps the length and the media type.
impl From<http_types::Body> for Body {
    fn from(body: http_types::Body) -> Self {
        let mime = body.mime().to_string();
        let length = body.len().map(|length| length as u64);
        Self::from_reader(body, length).with_mime(mime)
    }
}

/// Keeps the length.
impl From<Body> for http_types::Body {
    fn from(body: Body) -> Self {
        let length = body.len().and_then(|length| usize::try_from(length).ok());
        match body.content {
            Content::Empty => Self::empty(),
            Content::Owned { bytes, from: 0 } => Self::from_bytes(bytes),
            content => Self::from_reader(BufReader::new(Body { content, mime: None }), length),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn the_limit_counts_what_is_read_not_what_is_claimed() {
        let reader = futures_lite::io::Cursor::new(vec![7; 100]);
        let error = block_on(Body::from_reader(reader, None).bytes(99)).unwrap_err();
        assert_eq!((error.status(), error.is_limit()), (413, true));
        let reader = futures_lite::io::Cursor::new(vec![7; 100]);
        assert_eq!(block_on(Body::from_reader(reader, None).bytes(100)).unwrap().len(), 100);
    }

    #[test]
    fn http_types_bodies_go_both_ways() {
        let body: Body = http_types::Body::from_string("hé".into()).into();
        assert_eq!((body.len(), body.mime()), (Some(3), Some("text/plain;charset=utf-8")));
        let back: http_types::Body = body.into();
        assert_eq!(block_on(back.into_bytes()).unwrap(), "hé".as_bytes());
    }
}
