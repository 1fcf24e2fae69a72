//! Addresses to listen on, and the listening sockets of all cores.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Connections that the kernel completes before they are accepted; it caps this at its own limit (`somaxconn`).
const BACKLOG: i32 = 4096;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
