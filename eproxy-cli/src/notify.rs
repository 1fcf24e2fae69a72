//! What the service manager is told: the protocol of sd_notify(3), which needs a socket and no library.

use std::time::Duration;

/// The way to the service manager; what is told without one is told to nobody.
pub(crate) struct Notify(Option<Socket>);

impl Notify {
    /// Finds the manager by `NOTIFY_SOCKET`: the path of a socket, or `@` and an abstract name.
    pub(crate) fn from_env() -> Self {
        let Some(place) = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty()) else {
            return Self(None);
        };
        match Socket::to(&place) {
            Ok(socket) => Self(Some(socket)),
            Err(error) => {
                log::warn!("NOTIFY_SOCKET is {}, which can't be used: {error}", place.display());
                Self(None)
            }
        }
    }

    /// The program serves.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// It is about to be replaced by another one; [`ready`](Self::ready) or [`replaced`](Self::replaced) follows.
    pub(crate) fn reloading(&self, status: &str) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS={status}", monotonic_micros()));
    }

    /// The process of this number serves in its place, and is to be looked after from now on.
    pub(crate) fn replaced(&self, by: u32, status: &str) {
        self.tell(&format!("MAINPID={by}\nREADY=1\nSTATUS={status}"));
    }

    /// It comes to its end.
    pub(crate) fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={status}"));
    }

    fn tell(&self, message: &str) {
        let Some(socket) = &self.0 else { return };
        if let Err(error) = socket.send(message.as_bytes()) {
            log::debug!("the service manager can't be told: {error}");
        }
    }

    /// Tells that the program is alive, twice in the time of `WATCHDOG_USEC`, for as long as it is polled; never ready.
    pub(crate) async fn keep_alive(&self) {
        let Some(every) = watchdog().filter(|_| self.0.is_some()) else {
            return futures_lite::future::pending().await;
        };
        loop {
            self.tell("WATCHDOG=1");
            async_std::task::sleep(every / 2).await;
        }
    }
}

/// How often the manager wants to hear from this process, if it does (sd_watchdog_enabled(3)).
fn watchdog() -> Option<Duration> {
    let is_meant = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (is_meant && micros > 0).then(|| Duration::from_micros(micros))
}

/// The time of `CLOCK_MONOTONIC`, by which the manager tells reloads apart.
#[cfg(unix)]
fn monotonic_micros() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[cfg(not(unix))]
fn monotonic_micros() -> i64 {
    0
}

#[cfg(unix)]
struct Socket {
    socket: std::os::unix::net::UnixDatagram,
    manager: std::os::unix::net::SocketAddr,
}

#[cfg(unix)]
impl Socket {
    fn to(place: &std::ffi::OsStr) -> std::io::Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let manager = match place.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(place)?,
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt as _;
                SocketAddr::from_abstract_name(name)?
            }
            _ => return Err(std::io::Error::other("expected a path, or @ and a name")),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not listen is not waited for, or not long.
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { socket, manager })
    }

    fn send(&self, message: &[u8]) -> std::io::Result<()> {
        self.socket.send_to_addr(message, &self.manager).map(drop)
    }
}

#[cfg(not(unix))]
struct Socket;

#[cfg(not(unix))]
impl Socket {
    fn to(_: &std::ffi::OsStr) -> std::io::Result<Self> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn send(&self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}
