//! The sockets that there are, and the system calls on them.

use std::io::{self, IoSlice};

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
