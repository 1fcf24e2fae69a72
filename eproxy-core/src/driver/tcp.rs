//! Listeners and streams of a core: TCP over IPv4 and IPv6, and unix-domain sockets.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::str::FromStr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::cores::Core;
use super::reactor::{Clear, Direction};

/// Connections that the kernel completes before they are accepted; it caps this at its own limit (`somaxconn`).
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = io::Error;

    /// Reads `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `unix:/path`.
    fn from_str(text: &str) -> io::Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "expected HOST:PORT or unix:/path");
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        if text.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(invalid());
        }
        text.to_socket_addrs()?.next().map(Self::Tcp).ok_or_else(invalid)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Listening sockets on one address, one for each core.
#[derive(Debug)]
pub(crate) struct Bound {
    /// With the port that the system chose where 0 was asked for.
    pub(crate) address: Address,
    sockets: Vec<Socket>,
}

impl Bound {
    /// Listens on `address` for `cores` cores. Where the system spreads connections over sockets that share a port
    /// (`SO_REUSEPORT` on Linux), each core gets a socket of its own; elsewhere they share one.
    pub(crate) fn new(address: &Address, cores: usize) -> io::Result<Self> {
        match address {
            Address::Tcp(tcp) => Self::tcp(*tcp, cores),
            Address::Unix(path) => Self::unix(path, cores),
        }
    }

    fn tcp(address: SocketAddr, cores: usize) -> io::Result<Self> {
        let share = cfg!(any(target_os = "linux", target_os = "android")) && cores > 1;
        // Without `SO_REUSEPORT` first: with it, a second program on the same port would go unnoticed.
        let probe = tcp_socket(address, false)?;
        let address = bound_address(&probe)?;
        let mut sockets = Vec::with_capacity(cores);
        if share {
            drop(probe);
            for _ in 0..cores {
                sockets.push(tcp_socket(address, true)?);
            }
        } else {
            sockets.push(probe);
        }
        for socket in &sockets {
            socket.listen(BACKLOG)?;
        }
        Ok(Self { address: Address::Tcp(address), sockets: fill(sockets, cores)? })
    }

    #[cfg(unix)]
    fn unix(path: &PathBuf, cores: usize) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        // A socket file that nobody listens on is left over from a program that was killed.
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
            std::fs::remove_file(path)?;
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Self { address: Address::Unix(path.clone()), sockets: fill(vec![socket], cores)? })
    }

    #[cfg(not(unix))]
    fn unix(_: &PathBuf, _: usize) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix-domain sockets"))
    }

    /// Takes the socket for one core.
    pub(crate) fn take(&mut self) -> Option<Socket> {
        self.sockets.pop()
    }
}

fn tcp_socket(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows this option would let two programs take one port; elsewhere it only forgives TIME_WAIT.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means IPv6 alone; whoever wants both binds both.
        socket.set_only_v6(true)?;
    }
    if share {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bound_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("the system gave a TCP socket an address of another kind"))
}

/// Shares the last socket among the cores that have none.
fn fill(mut sockets: Vec<Socket>, cores: usize) -> io::Result<Vec<Socket>> {
    while sockets.len() < cores {
        let last = sockets.last().ok_or_else(|| io::Error::other("no socket to share"))?;
        sockets.push(last.try_clone()?);
    }
    Ok(sockets)
}

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
