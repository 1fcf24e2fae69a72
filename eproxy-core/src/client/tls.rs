//! TLS over a socket of async-std.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use async_std::net::TcpStream;
use futures_io::{AsyncRead, AsyncWrite};
use rustls::ClientConnection;
use socket2::SockRef;

use crate::tls::failed;

/// The client's side of a connection; clones are the same one, and the last one says good-bye.
#[derive(Clone, Debug)]
pub(super) struct TlsStream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    /// Locked while a future is polled, which those of one connection are in turn.
    tls: Mutex<ClientConnection>,
}

impl TlsStream {
    /// Goes through the handshake.
    ///
    /// # Errors
    ///
    /// The server is not whom it should be, or there is nothing that both could agree on, in words; what the system says.
    pub(super) async fn shake(socket: TcpStream, tls: ClientConnection) -> io::Result<Self> {
        let stream = Self(Arc::new(Shared { socket, tls: Mutex::new(tls) }));
        poll_fn(|cx| {
            let (mut tls, mut socket) = stream.both(cx);
            loop {
                ready!(socket.send(&mut tls))?;
                if !tls.is_handshaking() {
                    return Poll::Ready(Ok(()));
                }
                if ready!(socket.receive(&mut tls))? == 0 {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server has hung up",
                    )));
                }
            }
        })
        .await?;
        Ok(stream)
    }

    /// What it has failed of, in words.
    pub(super) fn failure(&self) -> Option<String> {
        let mut tls = self.0.tls.lock().unwrap_or_else(PoisonError::into_inner);
        tls.process_new_packets().err().map(|error| failed(&error).to_string())
    }

    fn both<'s, 'c, 'w>(
        &'s self,
        cx: &'c mut Context<'w>,
    ) -> (MutexGuard<'s, ClientConnection>, Socket<'s, 'c, 'w>) {
        let tls = self.0.tls.lock().unwrap_or_else(PoisonError::into_inner);
        (tls, Socket { stream: &self.0.socket, cx })
    }

    /// Whether there is nothing to read for whoever asks, not even the end. What is between the two sides only, such as
    /// tickets, is read.
    pub(super) fn is_quiet(&self) -> bool {
        let mut tls = self.0.tls.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match tls.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => return false,
            }
            match tls.read_tls(&mut Raw(&self.0.socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Ok(1..) => {}
                _ => return false,
            }
        }
    }
}

impl AsyncRead for TlsStream {
    /// An end that the server has not announced is `UnexpectedEof` (RFC 8446 §6.1).
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let (mut tls, mut socket) = self.both(cx);
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            ready!(socket.receive(&mut tls))?;
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let (mut tls, mut socket) = self.both(cx);
        ready!(socket.send(&mut tls))?;
        let written = tls.writer().write(from)?;
        // What does not leave now leaves with what follows, or when it is flushed.
        match socket.send(&mut tls) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (mut tls, mut socket) = self.both(cx);
        socket.send(&mut tls)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (mut tls, mut socket) = self.both(cx);
        tls.send_close_notify();
        ready!(socket.send(&mut tls))?;
        Pin::new(&mut socket.stream).poll_close(socket.cx)
    }
}

impl Drop for Shared {
    /// Says that this was all (RFC 8446 §6.1), if the system takes it at once.
    fn drop(&mut self) {
        let tls = self.tls.get_mut().unwrap_or_else(PoisonError::into_inner);
        tls.send_close_notify();
        let _said = tls.write_tls(&mut Raw(&self.socket));
    }
}

/// A socket as rustls takes one, in a task.
struct Socket<'s, 'c, 'w> {
    stream: &'s TcpStream,
    cx: &'c mut Context<'w>,
}

impl Socket<'_, '_, '_> {
    /// Sends all that is to be sent.
    fn send(&mut self, tls: &mut ClientConnection) -> Poll<io::Result<()>> {
        while tls.wants_write() {
            match tls.write_tls(self) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Receives something, and takes it apart; 0 is the end.
    fn receive(&mut self, tls: &mut ClientConnection) -> Poll<io::Result<usize>> {
        let received = match tls.read_tls(self) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            received => received?,
        };
        let state = tls.process_new_packets();
        // Answers to that, alerts included, leave now or with what follows, which finds out what is wrong with sending.
        let _sent = self.send(tls);
        Poll::Ready(state.map(|_| received).map_err(|error| failed(&error)))
    }
}

impl Read for Socket<'_, '_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        now(Pin::new(&mut self.stream).poll_read(self.cx, into))
    }
}

impl Write for Socket<'_, '_, '_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        now(Pin::new(&mut self.stream).poll_write(self.cx, from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn now<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// The same without a task: the system is asked directly.
struct Raw<'s>(&'s TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(self.0)).read(into)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        (&*SockRef::from(self.0)).write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
