//! Listeners of a core.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::cores::Core;
use super::socket::Socket;
use super::source::{Clear, Direction};
use super::stream::{Peer, Stream};

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
    pub(crate) fn new(core: &Rc<Core>, socket: socket2::Socket) -> io::Result<Self> {
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
            match self.try_accept() {
                Some(accepted) => return Poll::Ready(accepted),
                None => self.core.reactor.clear(self.key, Direction::Read, Clear::WouldBlock),
            }
        }
    }

    /// Accepts a connection that waits already, whether or not the kernel has told of it; none where none does.
    pub(crate) fn try_accept(&self) -> Option<io::Result<(Stream, Peer)>> {
        loop {
            let accepted = match &self.socket {
                ListenerSocket::Tcp(listener) => listener.accept().and_then(|(socket, peer)| {
                    // Answers are written whole: there is nothing for the kernel to wait for.
                    socket.set_nodelay(true)?;
                    Ok((Stream::new(&self.core, Socket::Tcp(socket))?, Peer::Tcp(peer)))
                }),
                #[cfg(unix)]
                ListenerSocket::Unix(listener) => listener
                    .accept()
                    .and_then(|(socket, _)| Ok((Stream::new(&self.core, Socket::Unix(socket))?, Peer::Unix))),
            };
            match accepted {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                accepted => return Some(accepted),
            }
        }
    }

    /// Has the kernel overlook whoever wants to connect from now on, as if the attempt had been lost on its way: it is made
    /// again after a second, and refused if nobody listens by then. Connections that have begun come to be and are to be
    /// accepted. Says whether the system can do that; the socket must not be anybody else's, for it stays so.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn overlook_newcomers(&self) -> bool {
        use socket2::SockFilter;
        /// A program for the kernel's packet filter (bpf(4)), which sees a TCP header (RFC 9293 §3.1): those with SYN, of
        /// the flags in byte 13, are dropped.
        const NO_SYN: [SockFilter; 4] = [
            SockFilter::new(0x30, 0, 0, 13),       // ldb [13]
            SockFilter::new(0x45, 0, 1, 0x02),     // jset SYN, 0, 1
            SockFilter::new(0x06, 0, 0, 0),        // ret 0
            SockFilter::new(0x06, 0, 0, u32::MAX), // ret all of it
        ];
        match &self.socket {
            ListenerSocket::Tcp(listener) => socket2::SockRef::from(listener).attach_filter(&NO_SYN).is_ok(),
            ListenerSocket::Unix(_) => false,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn overlook_newcomers(&self) -> bool {
        false
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Closing it is not enough where another process has the socket, too: the poll would still be told of it. One that is
        // not registered any more is none of its business.
        let registry = self.core.reactor.registry();
        let _gone = match &mut self.socket {
            ListenerSocket::Tcp(listener) => registry.deregister(listener),
            #[cfg(unix)]
            ListenerSocket::Unix(listener) => registry.deregister(listener),
        };
        self.core.reactor.remove(self.key);
    }
}
