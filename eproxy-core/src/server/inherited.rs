//! Listening sockets that come from elsewhere, and listening with them.
//!
//! ```text
//!   systemd, or an earlier program ──LISTEN_FDS──▶ Inherited ──▶ listeners ──▶ Held ──▶ ListeningSocket ──▶ the next program
//! ```

use crate::driver::{Address, Bound, Given};
use crate::error::{Error, Kind, Result};
use crate::telemetry::Journal;

use super::builder::Listening;

/// What a socket is called that is handed on and that nobody else keeps.
pub(super) const OWN: &str = "eproxy-own";

/// What systemd calls a socket that has no name.
#[cfg(unix)]
const UNNAMED: &str = "unknown";

/// The number of the first descriptor that is handed over (sd_listen_fds(3)).
#[cfg(unix)]
const FIRST: usize = 3;

/// Listening sockets that this process was given, for [`Builder::inherit`](crate::Builder::inherit).
///
/// ```no_run
/// use eproxy_core::{Inherited, Request, Response, Server};
///
/// # fn main() -> eproxy_core::Result<()> {
/// let server = Server::builder()
///     .inherit(Inherited::from_env()?)
///     .get("/", |_: Request, res: Response| res.send("Hello, World!"))
///     .bind("127.0.0.1:8080")
///     .start()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[must_use = "what is not used is closed, and whoever has connected there is lost"]
pub struct Inherited {
    given: Vec<Given>,
    #[cfg(unix)]
    datagrams: Vec<(String, std::os::unix::net::UnixDatagram)>,
}

impl Inherited {
    /// Takes what systemd (socket activation, sd_listen_fds(3)), an earlier eproxy or anybody else has handed over who speaks
    /// as they do: `LISTEN_FDS` descriptors from number 3 on, called as `LISTEN_FDNAMES` says, if `LISTEN_PID` is this
    /// process or is not set. Nothing where there are none, and on systems without such.
    ///
    /// To be called once, at the start and before there are threads: it takes variables out of the environment, so that
    /// children of this process do not think that they are meant.
    ///
    /// # Errors
    ///
    /// `listen`: a descriptor is no listening TCP or unix-domain socket, nor one for datagrams.
    pub fn from_env() -> Result<Self> {
        #[cfg(unix)]
        return Self::from_list(
            listenfd::ListenFd::from_env(),
            &std::env::var("LISTEN_FDNAMES").unwrap_or_default(),
        );
        #[cfg(not(unix))]
        Ok(Self::default())
    }

    #[cfg(unix)]
    fn from_list(mut list: listenfd::ListenFd, names: &str) -> Result<Self> {
        let names: Vec<&str> = names.split(':').collect();
        let mut inherited = Self::default();
        for index in 0..list.len() {
            let name = names.get(index).filter(|name| !name.is_empty()).unwrap_or(&UNNAMED);
            if let Ok(Some(socket)) = list.take_tcp_listener(index) {
                inherited = inherited.and(name, socket)?;
            } else if let Ok(Some(socket)) = list.take_unix_listener(index) {
                inherited = inherited.and(name, socket)?;
            } else if let Ok(Some(socket)) = list.take_unix_datagram(index) {
                inherited.datagrams.push(((*name).to_owned(), socket));
            } else {
                let what = format!(
                    "descriptor {} ({name}) was handed over and is no socket for this",
                    FIRST + index
                );
                return Err(Error::new(Kind::Listen).detail(what));
            }
        }
        Ok(inherited)
    }

    /// Adds a listening socket, under the name by which [`bind`](crate::Builder::bind) may ask for it. One that is called
    /// `eproxy-own` is taken for the server's own: at the end, what waits to be accepted is served, and the file of a
    /// unix-domain socket is removed. One with another name is somebody else's, who goes on listening.
    ///
    /// # Errors
    ///
    /// `listen`: it is no listening TCP or unix-domain socket.
    #[cfg(unix)]
    pub fn and(mut self, name: &str, socket: impl Into<std::os::fd::OwnedFd>) -> Result<Self> {
        let socket = socket2::Socket::from(socket.into());
        let wrong = |what: &str| {
            Error::new(Kind::Listen).detail(format!("the socket {name} that was handed over {what}"))
        };
        if !socket.is_listener().unwrap_or(false) {
            return Err(wrong("does not listen"));
        }
        match Address::of(&socket) {
            Ok(Some(address)) => {
                let keeper = (name != OWN).then(|| name.to_owned());
                self.given.push(Given { socket, address, keeper });
                Ok(self)
            }
            Ok(None) => Err(wrong("listens on an unknown kind of address")),
            Err(error) => Err(wrong("has no address").because(error)),
        }
    }

    /// Takes a socket for datagrams out that was handed over under this name: a way to tell somebody something.
    #[cfg(unix)]
    pub fn take_datagram(&mut self, name: &str) -> Option<std::os::unix::net::UnixDatagram> {
        let at = self.datagrams.iter().position(|(known, _)| known == name)?;
        Some(self.datagrams.swap_remove(at).1)
    }

    /// Whether there is no listening socket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Takes those out that are meant.
    fn take(&mut self, is_meant: impl Fn(&Given) -> bool) -> Vec<Given> {
        self.given.extract_if(.., |given| is_meant(given)).collect()
    }

    /// Those that a listener asks for by name, or whose address it names exactly.
    fn take_exact(&mut self, asked: &Asked) -> Result<Vec<Given>> {
        match asked {
            Asked::Address(address) => Ok(self.take(|given| given.address == *address)),
            Asked::Name(name) => {
                let taken = self.take(|given| given.keeper.as_deref() == Some(name));
                match taken.is_empty() {
                    false => Ok(taken),
                    true => Err(Error::new(Kind::Listen).detail(format!(
                        "no socket called {name} was handed over, {}",
                        match self.given.is_empty() {
                            true => "nor any other that is not in use".to_owned(),
                            false => format!("only {}", self.names()),
                        }
                    ))),
                }
            }
        }
    }

    /// Those of the first address that a listener may have chosen before to which any port was good.
    fn take_any_port(&mut self, asked: &Asked) -> Vec<Given> {
        let Asked::Address(Address::Tcp(asked)) = asked else { return Vec::new() };
        let is_like = |given: &Given| match &given.address {
            Address::Tcp(tcp) => tcp.ip() == asked.ip() && given.keeper.is_none(),
            Address::Unix(_) => false,
        };
        let first = self.given.iter().find(|given| asked.port() == 0 && is_like(given));
        let Some(address) = first.map(|given| given.address.clone()) else { return Vec::new() };
        self.take(|given| given.keeper.is_none() && given.address == address)
    }

    fn names(&self) -> String {
        let name = |given: &Given| match &given.keeper {
            Some(name) => format!("{name} ({})", given.address),
            None => given.address.to_string(),
        };
        self.given.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Says what nobody has asked for, and closes it.
    fn end(self, journal: &Journal) {
        if !self.given.is_empty() {
            let names = self.names();
            journal.note(log::Level::Warn, || {
                format!("handed over, and closed because nothing is to be listened on there: {names}")
            });
        }
    }
}

/// What a listener asks for.
enum Asked {
    Address(Address),
    /// `systemd:NAME`, `fd:NAME`.
    Name(String),
}

impl Asked {
    fn parse(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix("systemd:").or_else(|| text.strip_prefix("fd:")) {
            return Ok(Self::Name(name.to_owned()));
        }
        let address = text.parse::<Address>();
        address
            .map(Self::Address)
            .map_err(|error| Error::new(Kind::BadAddress).detail(text.to_owned()).because(error))
    }
}

/// Listens on all addresses, for so many workers, with what was inherited where it fits. Says of each what is listened on,
/// and which of `addresses` it is.
pub(super) fn listen(
    addresses: &[Listening],
    mut inherited: Inherited,
    workers: usize,
    journal: &Journal,
) -> Result<Vec<(usize, Bound)>> {
    let asked: Vec<_> =
        addresses.iter().map(|listening| Asked::parse(&listening.address)).collect::<Result<_>>()?;
    let mut taken: Vec<_> = asked.iter().map(|asked| inherited.take_exact(asked)).collect::<Result<_>>()?;
    for (asked, taken) in asked.iter().zip(&mut taken).filter(|(_, taken)| taken.is_empty()) {
        *taken = inherited.take_any_port(asked);
    }
    inherited.end(journal);
    let mut bound = Vec::new();
    for (number, (asked, taken)) in asked.into_iter().zip(taken).enumerate() {
        let failed = |error: std::io::Error| {
            Error::new(Kind::Listen)
                .detail(format!("on {}: {error}", addresses[number].address))
                .because(error)
        };
        match asked {
            Asked::Address(address) if taken.is_empty() => {
                bound.push((number, Bound::new(&address, workers).map_err(failed)?));
            }
            _ => {
                for (address, keeper, sockets) in by_address(taken) {
                    let given = Bound::given(address, keeper, sockets, workers).map_err(failed)?;
                    bound.push((number, given));
                }
            }
        }
    }
    Ok(bound)
}

/// Sockets by their address and keeper, in the order in which they were handed over.
fn by_address(given: Vec<Given>) -> Vec<(Address, Option<String>, Vec<socket2::Socket>)> {
    let mut all: Vec<(Address, Option<String>, Vec<socket2::Socket>)> = Vec::new();
    for Given { socket, address, keeper } in given {
        match all.iter_mut().find(|(known, by, _)| (known, by) == (&address, &keeper)) {
            Some((_, _, sockets)) => sockets.push(socket),
            None => all.push((address, keeper, vec![socket])),
        }
    }
    all
}
