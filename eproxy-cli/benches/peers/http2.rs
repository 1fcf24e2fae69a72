//! A small HTTP/2 client with prior knowledge (RFC 9113 §3.3): one connection, whole answers.

use std::future::Future;
use std::io::{self, Error, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use async_std::io::{Read, Write};
use async_std::net::TcpStream;
use bytes::Bytes;
use futures_lite::future::{block_on, or};
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::probe::{self, Answer};

pub(crate) struct Connection {
    requests: SendRequest<Bytes>,
    /// What moves frames. Nobody polls it between requests.
    frames: h2::client::Connection<Socket, Bytes>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = Socket(TcpStream::from(probe::connect(port)?));
        let (requests, frames) =
            within(async { Ok(h2::client::handshake(stream).await) })?.map_err(failed)?;
        Ok(Self { requests, frames })
    }

    /// One GET.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        let Self { requests, frames } = self;
        let frames = async {
            match frames.await {
                Ok(()) => Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
                Err(err) => Err(failed(err)),
            }
        };
        within(or(ask(requests.clone(), path), frames))
    }
}

async fn ask(requests: SendRequest<Bytes>, path: &str) -> io::Result<Answer> {
    let request = Request::get(format!("http://127.0.0.1{path}")).body(()).map_err(Error::other)?;
    let mut requests = requests.ready().await.map_err(failed)?;
    let (answer, _) = requests.send_request(request, true).map_err(failed)?;
    let (head, mut content) = answer.await.map_err(failed)?.into_parts();
    let content_type = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let mut body = Vec::new();
    while let Some(data) = content.data().await {
        let data = data.map_err(failed)?;
        // Small bodies fit into the first window, but windows are also the connection's.
        content.flow_control().release_capacity(data.len()).map_err(failed)?;
        body.extend_from_slice(&data);
    }
    let content_type = content_type.trim().to_ascii_lowercase();
    Ok(Answer { status: head.status.as_u16(), content_type, body, is_kept: true })
}

fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    block_on(async_std::io::timeout(probe::PATIENCE, future))
}

fn failed(err: h2::Error) -> Error {
    Error::other(format!("HTTP/2: {err}"))
}

/// The same socket by the names that h2 knows.
struct Socket(TcpStream);

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = ready!(pin!(&mut self.0).poll_read(context, into.initialize_unfilled()))?;
        into.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        pin!(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.0).poll_close(context)
    }
}
