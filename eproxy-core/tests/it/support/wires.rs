//! Streams for the HTTP/2 of the tests' side: sockets of async-std, plain or with rustls on top, in the traits of tokio.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_std::net::TcpStream;
use futures_lite::{AsyncRead as _, AsyncWrite as _};
use rustls::Connection as Tls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket, and TLS over it where that is spoken.
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Tls>,
    /// Sealed, and not yet taken by the socket.
    out: Vec<u8>,
    /// Read of the socket, and not yet opened.
    came: Vec<u8>,
}

impl Wire {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None, out: Vec::new(), came: Vec::new() }
    }

    /// Shakes hands; gives the protocol that was agreed on as well.
    pub(crate) async fn secure(
        socket: TcpStream,
        tls: impl Into<Tls>,
    ) -> io::Result<(Self, Option<Vec<u8>>)> {
        let mut wire = Self { socket, tls: Some(tls.into()), out: Vec::new(), came: Vec::new() };
        std::future::poll_fn(|cx| {
            while wire.session().is_handshaking() {
                ready!(wire.poll_out(cx))?;
                if wire.session().is_handshaking() && !ready!(wire.poll_in(cx))? {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            wire.poll_out(cx)
        })
        .await?;
        let alpn = wire.session().alpn_protocol().map(<[u8]>::to_vec);
        Ok((wire, alpn))
    }

    fn session(&mut self) -> &mut Tls {
        self.tls.as_mut().expect("it speaks TLS")
    }

    /// Has the socket take what is sealed.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
                let Self { tls: Some(tls), out, .. } = self else { break };
                tls.write_tls(out)?;
            }
            if self.out.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.out))?;
            self.out.drain(..n);
        }
    }

    /// Opens what has come; says no at the end.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.came.is_empty() {
            let mut came = [0; 16 * 1024];
            let n = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut came))?;
            self.came.extend_from_slice(&came[..n]);
        }
        let is_some = !self.came.is_empty();
        // Not all of it may be taken before what was opened is read.
        let mut rest = &self.came[..];
        let taken = self.tls.as_mut().expect("it speaks TLS").read_tls(&mut rest)?;
        self.came.drain(..taken);
        let processed = self.session().process_new_packets();
        // An answer of the handshake's, or an alert.
        let _sent = self.poll_out(cx)?;
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Poll::Ready(Ok(is_some))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let n = loop {
            let Some(tls) = &mut wire.tls else {
                break ready!(Pin::new(&mut wire.socket).poll_read(cx, into.initialize_unfilled()))?;
            };
            match tls.reader().read(into.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(wire.poll_in(cx))?;
                }
                read => break read?,
            };
        };
        into.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.tls.is_none() {
            return Pin::new(&mut wire.socket).poll_write(cx, from);
        }
        ready!(wire.poll_out(cx))?;
        let n = wire.session().writer().write(from)?;
        let _sent = wire.poll_out(cx)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(wire.poll_out(cx))?;
        Pin::new(&mut wire.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(tls) = &mut wire.tls {
            tls.send_close_notify();
        }
        ready!(wire.poll_out(cx))?;
        Pin::new(&mut wire.socket).poll_close(cx)
    }
}
