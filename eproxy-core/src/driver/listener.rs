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
