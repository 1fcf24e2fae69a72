//! Listeners and streams of a core: TCP over IPv4 and IPv6, and unix-domain sockets.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use socket2::Socket;

use super::cores::Core;
use super::reactor::{Clear, Direction};

/// The other end of a downstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    /// A process on this machine; unix-domain clients have no address.
    Unix,
}

/// A listener registered with a core.
#[derive(Debug)]
pub(crate) struct Listener {
    core: Rc<Core>,
    key: u32,
    socket: ListenerSocket,
}

#[derive(Debug)]
enum ListenerSocket {
    Tcp(mio::net::TcpListener),
    #[cfg(unix)]
    Unix(mio::net::UnixListener),
}

impl Listener {
    pub(crate) fn new(core: &Rc<Core>, socket: Socket) -> io::Result<Self> {
        let is_tcp = socket.local_addr()?.as_socket().is_some();
        #[cfg(unix)]
        if !is_tcp {
            let mut listener = mio::net::UnixListener::from_std(socket.into());
            let key = core.reactor.register(&mut listener)?;
            return Ok(Self { core: core.clone(), key, socket: ListenerSocket::Unix(listener) });
        }
        debug_assert!(is_tcp);
        let mut listener = mio::net::TcpListener::from_std(socket.into());
        let key = core.reactor.register(&mut listener)?;
        Ok(Self { core: core.clone(), key, socket: ListenerSocket::Tcp(listener) })
    }

    /// Accepts one connection.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says, `EMFILE` among it: the listener stays usable, and the caller decides when to go on.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        loop {
            ready!(self.core.reactor.poll_ready(self.key, Direction::Read, cx))?;
            let accepted = match &self.socket {
                ListenerSocket::Tcp(listener) => listener.accept().and_then(|(socket, peer)| {
                    // Answers are written whole: there is nothing for the kernel to wait for.
                    socket.set_nodelay(true)?;
                    Ok((Stream::new(&self.core, Kind::Tcp(socket))?, Peer::Tcp(peer)))
                }),
                #[cfg(unix)]
                ListenerSocket::Unix(listener) => listener
                    .accept()
                    .and_then(|(socket, _)| Ok((Stream::new(&self.core, Kind::Unix(socket))?, Peer::Unix))),
            };
            match accepted {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.core.reactor.clear(self.key, Direction::Read, Clear::WouldBlock);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                accepted => return Poll::Ready(accepted),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.core.reactor.remove(self.key);
    }
}

/// A connection registered with a core. Both directions work through a shared reference, so that an upload and a
/// download can be two futures on one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    core: Rc<Core>,
    key: u32,
    socket: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

/// Runs an expression on whichever kind of socket a stream has.
macro_rules! on_socket {
    ($stream:expr, $socket:ident => $run:expr) => {
        match &$stream.socket {
            Kind::Tcp($socket) => $run,
            #[cfg(unix)]
            Kind::Unix($socket) => $run,
        }
    };
}

impl Stream {
    fn new(core: &Rc<Core>, mut socket: Kind) -> io::Result<Self> {
        let key = match &mut socket {
            Kind::Tcp(tcp) => core.reactor.register(tcp)?,
            #[cfg(unix)]
            Kind::Unix(unix) => core.reactor.register(unix)?,
        };
        Ok(Self { core: core.clone(), key, socket })
    }

    /// Two streams that are connected with each other.
    #[cfg(all(unix, any(test, fuzzing)))]
    pub(crate) fn pair(core: &Rc<Core>) -> io::Result<(Self, Self)> {
        let (one, other) = mio::net::UnixStream::pair()?;
        Ok((Self::new(core, Kind::Unix(one))?, Self::new(core, Kind::Unix(other))?))
    }

    /// Connects to `address` within `patience`.
    ///
    /// # Errors
    ///
    /// What the system says, and `TimedOut`.
    #[cfg_attr(not(test), expect(dead_code, reason = "for connections to upstreams that never leave a core"))]
    pub(crate) async fn connect(
        core: &Rc<Core>,
        address: SocketAddr,
        patience: Duration,
    ) -> io::Result<Self> {
        let socket = mio::net::TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let stream = Self::new(core, Kind::Tcp(socket))?;
        let Kind::Tcp(socket) = &stream.socket else { return Err(io::ErrorKind::Unsupported.into()) };
        stream.set_deadline(Direction::Write, Some(patience));
        loop {
            // Writable once it is connected, or has failed.
            core.reactor.clear(stream.key, Direction::Write, Clear::WouldBlock);
            poll_fn(|cx| core.reactor.poll_ready(stream.key, Direction::Write, cx)).await?;
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            match socket.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        stream.set_deadline(Direction::Write, None);
        Ok(stream)
    }

    /// Reads what is there; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// What the system says, and `TimedOut` past the read deadline.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(read) = self.try_read(into) {
                return Poll::Ready(read);
            }
            ready!(self.core.reactor.poll_ready(self.key, Direction::Read, cx))?;
        }
    }

    /// Reads what is there, as [`poll_read`](Self::poll_read) does; `None` when that is nothing, and then nobody is
    /// told when there is more.
    pub(crate) fn try_read(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        while self.core.reactor.is_readable(self.key) {
            match on_socket!(self, socket => { let mut socket = socket; socket.read(into) }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.core.reactor.clear(self.key, Direction::Read, Clear::WouldBlock);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => {
                    if read > 0 && read < into.len() {
                        self.core.reactor.clear(self.key, Direction::Read, Clear::ShortRead);
                    }
                    return Some(Ok(read));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Writes as much as the kernel takes at once; `None` when that is nothing, and then nobody is told when there is
    /// room.
    pub(crate) fn try_write(&self, from: &[u8]) -> Option<io::Result<usize>> {
        if !self.core.reactor.is_writable(self.key) {
            return None;
        }
        match on_socket!(self, socket => { let mut socket = socket; socket.write(from) }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.core.reactor.clear(self.key, Direction::Write, Clear::WouldBlock);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            written => Some(written),
        }
    }

    /// Writes as much as the kernel takes.
    ///
    /// # Errors
    ///
    /// What the system says, and `TimedOut` past the write deadline.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.core.reactor.poll_ready(self.key, Direction::Write, cx))?;
            let written = on_socket!(self, socket => { let mut socket = socket; match from {
                // `send` is cheaper than `writev` where one slice is all there is.
                [one] => socket.write(one),
                many => socket.write_vectored(many),
            } });
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.core.reactor.clear(self.key, Direction::Write, Clear::WouldBlock);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Ready once the peer is known to have reset the connection. An orderly end of the peer's sending does not count:
    /// it may still be waiting for its answer (RFC 9112 §9.6).
    pub(crate) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.core.reactor.poll_broken(self.key, cx)
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish(&self) -> io::Result<()> {
        on_socket!(self, socket => socket.shutdown(Shutdown::Write))
    }

    /// Sets, moves or removes the deadline of a direction, counted from the beginning of this turn.
    pub(crate) fn set_deadline(&self, direction: Direction, after: Option<Duration>) {
        self.core.reactor.set_deadline(self.key, direction, after);
    }

    /// Leaves the connection without a task until it can be read or its read deadline passes; `number` then comes back
    /// to the owner in a [`Wakeup`](super::Wakeup). Says no where it can be read right now.
    pub(crate) fn park(&self, number: u32) -> bool {
        if self.core.reactor.is_readable(self.key) {
            return false;
        }
        self.core.reactor.park(self.key, number);
        true
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.core.reactor.remove(self.key);
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Self::poll_read(&self, cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, &[IoSlice::new(from)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, from)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::super::listen::{Address, Bound};
    use super::*;

    /// Runs a future as a task of a core of this thread.
    fn on_a_core<T: 'static>(future: impl AsyncFnOnce(Rc<Core>) -> T + 'static) -> T {
        let core = Core::new().unwrap();
        let result = Rc::new(std::cell::RefCell::new(None));
        let (inside, out) = (core.clone(), result.clone());
        core.spawn(async move {
            let value = future(inside.clone()).await;
            *out.borrow_mut() = Some(value);
            inside.stop();
        });
        core.run(|_| {}, || {}).unwrap();
        result.take().unwrap()
    }

    fn listener(core: &Rc<Core>) -> (Listener, SocketAddr) {
        let mut bound = Bound::new(&"127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let Address::Tcp(address) = bound.address else { panic!("a TCP address was asked for") };
        (Listener::new(core, bound.take().unwrap()).unwrap(), address)
    }

    #[test]
    fn two_streams_of_one_core_talk() {
        let heard = on_a_core(async |core| {
            let (listener, address) = listener(&core);
            let client = Stream::connect(&core, address, Duration::from_secs(5)).await.unwrap();
            let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            poll_fn(|cx| client.poll_write(cx, &[IoSlice::new(b"hel"), IoSlice::new(b"lo")])).await.unwrap();
            client.finish().unwrap();
            let mut heard = [0; 16];
            let n = poll_fn(|cx| server.poll_read(cx, &mut heard)).await.unwrap();
            assert_eq!(poll_fn(|cx| server.poll_read(cx, &mut heard[n..])).await.unwrap(), 0);
            heard[..n].to_vec()
        });
        assert_eq!(heard, b"hello");
    }

    #[test]
    fn a_refused_connection_is_told() {
        let error = on_a_core(async |core| {
            let (closed, address) = listener(&core);
            drop(closed);
            Stream::connect(&core, address, Duration::from_secs(5)).await.map(|_| ()).unwrap_err()
        });
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_deadline_ends_a_read_and_a_new_one_allows_the_next() {
        on_a_core(async |core| {
            let (listener, address) = listener(&core);
            let client = Stream::connect(&core, address, Duration::from_secs(5)).await.unwrap();
            let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            let mut byte = [0];
            server.set_deadline(Direction::Read, Some(Duration::from_millis(20)));
            let error = poll_fn(|cx| server.poll_read(cx, &mut byte)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            server.set_deadline(Direction::Read, None);
            poll_fn(|cx| client.poll_write(cx, &[IoSlice::new(b"x")])).await.unwrap();
            assert_eq!(poll_fn(|cx| server.poll_read(cx, &mut byte)).await.unwrap(), 1);
        });
    }
}
