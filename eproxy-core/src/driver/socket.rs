//! The sockets that there are, and the system calls on them.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::SockRef;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

/// Runs an expression on whichever kind of socket it is.
macro_rules! on_socket {
    ($socket:expr, $inner:ident => $run:expr) => {
        match $socket {
            $crate::driver::socket::Socket::Tcp($inner) => $run,
            #[cfg(unix)]
            $crate::driver::socket::Socket::Unix($inner) => $run,
        }
    };
}
pub(super) use on_socket;

/// What follows what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing for now: it leaves at once.
    Nothing,
    /// More, at once: it may wait to leave together with that.
    More,
}

impl Socket {
    /// Two sockets that are connected with each other.
    #[cfg(unix)]
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = mio::net::UnixStream::pair()?;
        Ok((Self::Unix(one), Self::Unix(other)))
    }

    /// Two sockets that are connected with each other; through the loopback interface, where there is nothing better.
    #[cfg(not(unix))]
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        let one = std::net::TcpStream::connect(listener.local_addr()?)?;
        let other = loop {
            let (other, peer) = listener.accept()?;
            // Anybody may connect to a port.
            if peer == one.local_addr()? {
                break other;
            }
        };
        let ready = |socket: std::net::TcpStream| {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            io::Result::Ok(Self::Tcp(mio::net::TcpStream::from_std(socket)))
        };
        Ok((ready(one)?, ready(other)?))
    }

    /// Whether the connection that was begun is there.
    ///
    /// # Errors
    ///
    /// It has failed.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        let Self::Tcp(socket) = self else { return Ok(true) };
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is nothing to be read, not even the end.
    pub(super) fn has_nothing_to_read(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = on_socket!(self, socket => SockRef::from(socket).peek(&mut byte));
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    #[cfg(test)]
    pub(super) fn peer_port(&self) -> Option<u16> {
        let Self::Tcp(socket) = self else { return None };
        socket.peer_addr().ok().map(|address| address.port())
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    pub(super) fn push(&self) {
        if let Self::Tcp(socket) = self {
            // Setting it again is what does it (tcp(7)); otherwise it leaves after 200 ms.
            let _later = socket.set_nodelay(true);
        }
    }

    pub(super) fn reset_on_drop(&self) {
        // Without it the end is an orderly one, which is the best that can be done then.
        let _set = on_socket!(self, socket => SockRef::from(socket).set_linger(Some(Duration::ZERO)));
    }

    pub(super) fn finish(&self) -> io::Result<()> {
        on_socket!(self, socket => socket.shutdown(Shutdown::Write))
    }
}

/// On Linux the calls are made without the C library, which has points of cancellation around each of them.
#[cfg(any(target_os = "linux", target_os = "android"))]
impl Socket {
    pub(super) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        use std::os::fd::AsFd as _;
        on_socket!(self, socket => socket.as_fd())
    }

    #[inline]
    pub(super) fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.as_fd(), into, rustix::net::RecvFlags::empty())?.0)
    }

    #[inline]
    pub(super) fn send(&self, from: &[u8], next: Next) -> io::Result<usize> {
        Ok(rustix::net::send(self.as_fd(), from, flags(next))?)
    }

    pub(super) fn send_vectored(&self, from: &[IoSlice<'_>], next: Next) -> io::Result<usize> {
        let mut nothing = rustix::net::SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(self.as_fd(), from, &mut nothing, flags(next))?)
    }
}

/// A peer that is gone is an error, and no signal.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn flags(next: Next) -> rustix::net::SendFlags {
    use rustix::net::SendFlags;
    match next {
        Next::Nothing => SendFlags::NOSIGNAL,
        Next::More => SendFlags::NOSIGNAL.union(SendFlags::MORE),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Socket {
    pub(super) fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        use std::io::Read as _;
        on_socket!(self, socket => { let mut socket = socket; socket.read(into) })
    }

    pub(super) fn send(&self, from: &[u8], _: Next) -> io::Result<usize> {
        use std::io::Write as _;
        on_socket!(self, socket => { let mut socket = socket; socket.write(from) })
    }

    pub(super) fn send_vectored(&self, from: &[IoSlice<'_>], _: Next) -> io::Result<usize> {
        use std::io::Write as _;
        on_socket!(self, socket => { let mut socket = socket; socket.write_vectored(from) })
    }
}
