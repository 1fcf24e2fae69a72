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

impl Address {
    /// Where a socket listens; none for a kind of address that nothing is listened on here. An abstract name of Linux is
    /// written `@name`.
    pub(crate) fn of(socket: &Socket) -> io::Result<Option<Self>> {
        let address = socket.local_addr()?;
        if let Some(tcp) = address.as_socket() {
            return Ok(Some(Self::Tcp(tcp)));
        }
        if let Some(path) = address.as_pathname() {
            return Ok(Some(Self::Unix(path.to_owned())));
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = address.as_abstract_namespace() {
            return Ok(Some(Self::Unix(format!("@{}", String::from_utf8_lossy(name)).into())));
        }
        Ok(None)
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

/// A listening socket that was opened before, or is to be handed on.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) socket: Socket,
    pub(crate) address: Address,
    /// What it is called by somebody else who has it, too, and keeps it; none for one that is eproxy's alone.
    pub(crate) keeper: Option<String>,
}

/// Listening sockets on one address, at least one for each core.
#[derive(Debug)]
pub(crate) struct Bound {
    /// With the port that the system chose where 0 was asked for.
    pub(crate) address: Address,
    /// As for [`Given`].
    pub(crate) keeper: Option<String>,
    /// They were opened before.
    pub(crate) is_given: bool,
    sockets: Vec<Socket>,
    /// So many of them are sockets of their own; those behind are handles on the last of these.
    distinct: usize,
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
        Self::of(Address::Tcp(address), sockets, cores)
    }

    fn of(address: Address, sockets: Vec<Socket>, cores: usize) -> io::Result<Self> {
        let distinct = sockets.len();
        Ok(Self { address, keeper: None, is_given: false, sockets: fill(sockets, cores)?, distinct })
    }

    /// Takes sockets over that listen already, all of one address and one keeper, however many they are: connections wait
    /// in each. Where they share their port (`SO_REUSEPORT`) and are fewer than there are cores, more are opened.
    pub(crate) fn given(
        address: Address,
        keeper: Option<String>,
        mut sockets: Vec<Socket>,
        cores: usize,
    ) -> io::Result<Self> {
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        if let (Address::Tcp(tcp), None) = (&address, &keeper)
            && shares_port(&sockets)
        {
            while sockets.len() < cores {
                let socket = tcp_socket(*tcp, true)?;
                socket.listen(BACKLOG)?;
                sockets.push(socket);
            }
        }
        Ok(Self { keeper, is_given: true, ..Self::of(address, sockets, cores)? })
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
        Self::of(Address::Unix(path.clone()), vec![socket], cores)
    }

    #[cfg(not(unix))]
    fn unix(_: &PathBuf, _: usize) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix-domain sockets"))
    }

    /// Takes the sockets for one core while so many cores, this one among them, have none.
    pub(crate) fn take(&mut self, cores: usize) -> Vec<Socket> {
        let share = self.sockets.len().div_ceil(cores.max(1));
        self.sockets.split_off(self.sockets.len() - share)
    }

    /// Handles on all sockets, before any was taken.
    pub(crate) fn handles(&self) -> io::Result<Vec<Given>> {
        let handle = |socket: &Socket| {
            let (address, keeper) = (self.address.clone(), self.keeper.clone());
            Ok(Given { socket: socket.try_clone()?, address, keeper })
        };
        self.sockets.iter().take(self.distinct).map(handle).collect()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn shares_port(sockets: &[Socket]) -> bool {
    sockets.iter().all(|socket| socket.reuse_port().unwrap_or(false))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn shares_port(_: &[Socket]) -> bool {
    false
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
