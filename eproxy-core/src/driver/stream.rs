//! Streams of a core: TCP over IPv4 and IPv6, and unix-domain sockets.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::cores::Core;
use super::reactor::Reactor;
use super::socket::{Next, Socket};
use super::source::{Clear, Direction, Layer, Source};

/// The other end of a downstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    /// A process on this machine; unix-domain clients have no address.
    Unix,
}

/// What a stream's bytes go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Socket,
    Sealed,
    Duct,
}

impl Medium {
    fn of(source: &Source) -> Self {
        match source.layer {
            Layer::Nothing => Self::Socket,
            Layer::Sealed(_) => Self::Sealed,
            Layer::Duct(_) => Self::Duct,
        }
    }
}

/// A connection registered with a core. Both directions work through a shared reference, so that an upload and a
/// download can be two futures on one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    core: Rc<Core>,
    key: u32,
}

impl Stream {
    pub(super) fn new(core: &Rc<Core>, socket: Socket) -> io::Result<Self> {
        Ok(Self::of(core, core.reactor.take_in(socket)?))
    }

    pub(super) fn of(core: &Rc<Core>, key: u32) -> Self {
        Self { core: core.clone(), key }
    }

    pub(super) fn reactor(&self) -> &Reactor {
        &self.core.reactor
    }

    fn medium(&self) -> Medium {
        Medium::of(&self.core.reactor.sources.borrow()[self.key as usize])
    }

    /// Whether it is one end of a duct.
    pub(crate) fn is_duct(&self) -> bool {
        self.medium() == Medium::Duct
    }

    /// Whether it wears a cipher.
    pub(super) fn is_sealed(&self) -> bool {
        self.medium() == Medium::Sealed
    }

    /// Whether its bytes are those of a socket.
    pub(crate) fn is_plain(&self) -> bool {
        self.medium() == Medium::Socket
    }

    /// Does something with the socket, which the reactor has.
    pub(super) fn with_socket<R>(&self, act: impl FnOnce(&Socket) -> R) -> R {
        self.core.reactor.with_socket(self.key, act)
    }

    /// The time at which this turn of its core began.
    pub(crate) fn now(&self) -> Instant {
        self.core.now()
    }

    /// The number under which the reactor knows it.
    pub(crate) fn key(&self) -> u32 {
        self.key
    }

    /// Whether the connection that was begun is there.
    ///
    /// # Errors
    ///
    /// It has failed.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        self.with_socket(Socket::is_connected)
    }

    /// Two streams that are connected with each other.
    pub(crate) fn pair(core: &Rc<Core>) -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair()?;
        let (one, other) = (Self::new(core, one)?, Self::new(core, other)?);
        if let Some(network) = core.network() {
            network.join(&core.reactor, one.key, other.key);
        }
        Ok((one, other))
    }

    /// A stream that is connected with one of the standard library.
    #[cfg(all(unix, test))]
    pub(crate) fn with_std_peer(core: &Rc<Core>) -> io::Result<(Self, std::os::unix::net::UnixStream)> {
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        one.set_nonblocking(true)?;
        Ok((Self::new(core, Socket::Unix(mio::net::UnixStream::from_std(one)))?, other))
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
        match self.readable()? {
            Medium::Socket => self.try_receive(into),
            Medium::Sealed => self.try_unseal(into),
            Medium::Duct => self.core.reactor.read_duct(self.key, into),
        }
    }

    /// What it is that can be read, if it can.
    fn readable(&self) -> Option<Medium> {
        let source = &self.core.reactor.sources.borrow()[self.key as usize];
        source.is_readable().then(|| Medium::of(source))
    }

    /// Reads what is there of the socket, which is or was readable.
    pub(super) fn try_receive(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            if let Some(read) = self.core.reactor.take(self.key, into) {
                return Some(read);
            }
            match self.with_socket(|socket| socket.recv(into)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.core.reactor.clear(self.key, Direction::Read, Clear::WouldBlock);
                    return None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Some(self.end()),
                Ok(read) => {
                    if read < into.len() {
                        self.core.reactor.clear(self.key, Direction::Read, Clear::ShortRead);
                    }
                    return Some(Ok(read));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What a read has come to that gave nothing: the end, unless that was a reset on a network in memory, whose sockets
    /// don't tell.
    pub(super) fn end(&self) -> io::Result<usize> {
        match self.core.network() {
            Some(network) if network.is_reset(&self.core.reactor, self.key) => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            _ => Ok(0),
        }
    }

    /// Ready when a direction may be, as far as the reactor was told.
    ///
    /// # Errors
    ///
    /// `TimedOut` past the direction's deadline.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        self.core.reactor.poll_ready(self.key, direction, cx)
    }

    /// Ends readiness of a direction.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn clear(&self, direction: Direction, why: Clear) {
        self.core.reactor.clear(self.key, direction, why);
    }

    /// Ready when there may be something to read.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.core.reactor.poll_ready(self.key, Direction::Read, cx).map(|_| ())
    }

    /// Writes as much as the kernel takes at once; `None` when that is nothing, and then nobody is told when there is
    /// room.
    pub(crate) fn try_write(&self, from: &[u8]) -> Option<io::Result<usize>> {
        if !self.core.reactor.is_writable(self.key) {
            return None;
        }
        let Some(written) = self.core.reactor.with_plain(self.key, |socket| socket.send(from, Next::Nothing))
        else {
            return self.write_layer(&[IoSlice::new(from)], Next::Nothing);
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.core.reactor.clear(self.key, Direction::Write, Clear::WouldBlock);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            written => Some(written),
        }
    }

    /// Takes a short message, which counts as written and is sent at the end of this turn, together with those of others.
    /// Says no where it is to be written otherwise: it is too long, or something before it was not sent yet. Whether the
    /// client was there to take it shows when the connection is next read.
    pub(crate) fn post(&self, message: &[u8]) -> bool {
        self.core.reactor.post(self.key, message)
    }

    /// Whether something that was posted could not be sent yet.
    pub(crate) fn is_sending(&self) -> bool {
        self.core.reactor.is_sending(self.key)
    }

    /// Ready when everything that was posted was sent.
    ///
    /// # Errors
    ///
    /// `TimedOut` past the write deadline.
    pub(crate) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.is_sending() {
            true => self.core.reactor.poll_ready(self.key, Direction::Write, cx),
            false => Poll::Ready(Ok(())),
        }
    }

    /// Writes as much as the kernel takes.
    ///
    /// # Errors
    ///
    /// What the system says, and `TimedOut` past the write deadline.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, from: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, from, Next::Nothing)
    }

    /// Writes as much as the kernel takes; `next` says what follows.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
        next: Next,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.core.reactor.poll_ready(self.key, Direction::Write, cx))?;
            let written = self.core.reactor.with_plain(self.key, |socket| match from {
                // Cheaper where one slice is all there is.
                [one] => socket.send(one, next),
                many => socket.send_vectored(many, next),
            });
            let Some(written) = written else {
                match self.write_layer(from, next) {
                    Some(written) => return Poll::Ready(written),
                    None => continue,
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.core.reactor.clear(self.key, Direction::Write, Clear::WouldBlock);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Writes to what is between this stream and a socket; none where that takes nothing for now.
    fn write_layer(&self, from: &[IoSlice<'_>], next: Next) -> Option<io::Result<usize>> {
        match self.medium() {
            Medium::Duct => self.core.reactor.write_duct(self.key, from),
            _ => Some(self.seal(from, next)),
        }
    }

    /// Ready once the peer is known to have reset the connection. An orderly end of the peer's sending does not count:
    /// it may still be waiting for its answer (RFC 9112 §9.6). Whoever waits here is woken by that, too.
    pub(crate) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.core.reactor.poll_broken(self.key, cx)
    }

    /// Whether the peer is known to have ended its side, which it may have done before its last bytes were read.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.core.reactor.is_closed(self.key)
    }

    /// Whether there is nothing to read, not even the end, as far as the reactor was told.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.core.reactor.is_readable(self.key)
    }

    /// The same, with the kernel asked: for what the reactor may not have been told yet, or for what it takes to be there
    /// because nobody has read on.
    pub(crate) fn is_surely_quiet(&self) -> bool {
        match self.medium() {
            Medium::Socket => {}
            Medium::Sealed => self.absorb(),
            Medium::Duct => return self.is_quiet(),
        }
        if self.holds_bytes() {
            return false;
        }
        let is_quiet = self.with_socket(Socket::has_nothing_to_read);
        if is_quiet {
            self.core.reactor.clear(self.key, Direction::Read, Clear::WouldBlock);
        }
        is_quiet
    }

    /// Whether something was read of it ahead.
    pub(crate) fn holds_bytes(&self) -> bool {
        self.core.reactor.sources.borrow()[self.key as usize].holds_bytes()
    }

    /// The port at the other end.
    #[cfg(test)]
    pub(crate) fn peer_port(&self) -> Option<u16> {
        self.with_socket(Socket::peer_port)
    }

    /// The address of this end; none for a unix-domain socket, and where there is no socket.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.core.reactor.sources.borrow()[self.key as usize].socket.as_ref().and_then(Socket::local_addr)
    }

    /// Lets what was sent with [`Next::More`] leave although nothing has followed.
    pub(crate) fn push(&self) {
        if let Some(socket) = &self.core.reactor.sources.borrow()[self.key as usize].socket {
            socket.push();
        }
    }

    /// Makes the end of this connection a reset.
    pub(crate) fn reset_on_drop(&self) {
        self.core.reactor.resets(self.key);
        if let Some(network) = self.core.network() {
            network.reset(&self.core.reactor, self.key);
        }
    }

    /// Says that nothing more will be written, behind what is still to be sent.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.core.reactor.finish(self.key)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.core.reactor.remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::super::cores::on_a_core;
    use super::super::listen::{Address, Bound};
    use super::super::listener::Listener;
    use super::*;

    fn listener(core: &Rc<Core>) -> (Listener, Address) {
        let mut bound = Bound::new(&"127.0.0.1:0".parse().unwrap(), 1).unwrap();
        (Listener::new(core, bound.take(1).pop().unwrap()).unwrap(), bound.address.clone())
    }

    #[test]
    fn two_streams_of_one_core_talk() {
        let heard = on_a_core(async |core| {
            let (listener, address) = listener(&core);
            let client = Stream::connect(&core, &address, Duration::from_secs(5)).await.unwrap();
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
            Stream::connect(&core, &address, Duration::from_secs(5)).await.map(|_| ()).unwrap_err()
        });
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_deadline_ends_a_read_and_a_new_one_allows_the_next() {
        on_a_core(async |core| {
            let (listener, address) = listener(&core);
            let client = Stream::connect(&core, &address, Duration::from_secs(5)).await.unwrap();
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
