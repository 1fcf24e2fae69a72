//! Streams to somebody else's listener.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::cores::Core;
use super::listen::Address;
use super::socket::Socket;
use super::source::{Clear, Direction};
use super::stream::Stream;

impl Stream {
    /// Connects to `address` within `patience`.
    ///
    /// # Errors
    ///
    /// What the system says, and `TimedOut`.
    pub(crate) async fn connect(core: &Rc<Core>, address: &Address, patience: Duration) -> io::Result<Self> {
        if let Some(network) = core.network() {
            return network.connect(core, address, patience).await;
        }
        match address {
            Address::Tcp(address) => connect_tcp(core, *address, patience).await,
            #[cfg(unix)]
            Address::Unix(path) => connect_unix(core, path, patience).await,
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

async fn connect_tcp(core: &Rc<Core>, address: SocketAddr, patience: Duration) -> io::Result<Stream> {
    let socket = mio::net::TcpStream::connect(address)?;
    // Messages are written whole: there is nothing for the kernel to wait for.
    socket.set_nodelay(true)?;
    let stream = Stream::new(core, Socket::Tcp(socket))?;
    stream.set_deadline(Direction::Write, Some(patience));
    while !stream.is_connected()? {
        // Writable once it is connected, or has failed.
        core.reactor.clear(stream.key(), Direction::Write, Clear::WouldBlock);
        poll_fn(|cx| core.reactor.poll_ready(stream.key(), Direction::Write, cx)).await?;
    }
    stream.set_deadline(Direction::Write, None);
    Ok(stream)
}

/// Connecting to a unix-domain socket never takes time, but is refused while the listener's backlog is full.
#[cfg(unix)]
async fn connect_unix(core: &Rc<Core>, path: &Path, patience: Duration) -> io::Result<Stream> {
    /// How long it is waited before the listener is tried again.
    const PAUSE: Duration = Duration::from_millis(5);
    let begin = core.now();
    loop {
        match mio::net::UnixStream::connect(path) {
            Ok(socket) => return Stream::new(core, Socket::Unix(socket)),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if core.now().saturating_duration_since(begin) >= patience => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(_) => core.sleep(PAUSE).await,
        }
    }
}
