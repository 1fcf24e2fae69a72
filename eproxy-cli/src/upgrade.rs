//! The program is replaced while it serves: it starts its own file anew, with all listening sockets, and ends when the new
//! one says that it serves.
//!
//! ```text
//!   old: SIGUSR2 ──▶ start ──LISTEN_FDS──▶ new: listens on the same sockets ──READY=1──▶ old: finishes what runs, ends
//!                      └── it fails, or takes too long ──▶ old: goes on as before
//! ```

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use eproxy_core::{Handle, Inherited};
use futures_lite::future;

/// The name of the socket by which the new program says that it serves.
const WORD: &str = "eproxy-upgrade";

const READY: &[u8] = b"READY=1";

/// The number of the first descriptor that is handed over (sd_listen_fds(3)).
const FIRST: RawFd = 3;

/// The program's file, and what it was started with.
pub(crate) struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start: a file that was replaced can't be found by what the system knows of the process.
    ///
    /// # Errors
    ///
    /// The system does not say which file it is.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let arguments: Vec<_> = env::args_os().collect();
        let running = env::current_exe()?;
        let named = arguments.first().map_or(OsStr::new(""), |name| name);
        Ok(Self { file: file(named, &running), arguments })
    }

    /// Starts it anew, with all sockets that `server` listens on.
    ///
    /// # Errors
    ///
    /// The file can't be run, or the system has no descriptor or process left.
    pub(crate) fn start(&self, server: &Handle) -> io::Result<Successor> {
        let (word, said) = UnixDatagram::pair()?;
        let mut handed: Vec<OwnedFd> = Vec::new();
        let mut names = Vec::new();
        for listening in server.listening_sockets().map_err(io::Error::other)? {
            handed.push(listening.socket);
            names.push(listening.name);
        }
        handed.push(said.into());
        names.push(WORD.to_owned());

        let number = handed.len();
        let behind = FIRST + number as RawFd;
        let plugs = plug(&handed[0], behind)?;
        let mappings = handed.into_iter().zip(FIRST..);
        let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
        let mut command = Command::new(&self.file);
        if let [name, arguments @ ..] = self.arguments.as_slice() {
            command.arg0(name).args(arguments);
        }
        command
            .env("LISTEN_FDS", number.to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            // Whoever is meant is known only when it is there: without this, it is whoever reads it. The others name this process.
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_PIDFDID")
            .env_remove("LISTEN_FDS_FIRST_FD")
            .env_remove("WATCHDOG_PID")
            .fd_mappings(mappings.collect())
            .map_err(io::Error::other)?;
        let child = command.spawn();
        drop(plugs);
        child.map(|child| Successor { child, word })
    }
}

/// Takes all free descriptors up to `behind`: those that the system library needs for starting a process would be among
/// them, and overwritten.
fn plug(any: &OwnedFd, behind: RawFd) -> io::Result<Vec<OwnedFd>> {
    let mut plugs = Vec::new();
    loop {
        let plug = any.try_clone()?;
        if plug.as_raw_fd() >= behind {
            return Ok(plugs);
        }
        plugs.push(plug);
    }
}

/// The file that was meant by the first argument, as far as that is the one that runs: it may be a link, which leads
/// elsewhere by the time of an upgrade.
fn file(named: &OsStr, running: &Path) -> PathBuf {
    let is_it = |path: &PathBuf| match (path.canonicalize(), running.canonicalize()) {
        (Ok(path), Ok(running)) => path == running,
        _ => false,
    };
    let is_path = Path::new(named).components().count() > 1;
    let found = match is_path {
        true => env::current_dir().ok().map(|folder| folder.join(named)),
        false => {
            let folders = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&folders).map(|folder| folder.join(named)).find(is_it)
        }
    };
    found.filter(is_it).unwrap_or_else(|| running.to_owned())
}

/// The program that was started, until it is known to serve.
pub(crate) struct Successor {
    child: Child,
    word: UnixDatagram,
}

impl Successor {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it serves, for so long; if it does not, it is ended. Says what is wrong then. It is ended as
    /// well where `given_up` is ready first.
    pub(crate) async fn ready(
        mut self,
        patience: Duration,
        given_up: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let said = match self.word.try_clone() {
            Ok(word) => async_std::os::unix::net::UnixDatagram::from(word),
            Err(error) => return self.end(Failure::Other(error.to_string())),
        };
        let serves = async {
            let mut word = [0; 64];
            loop {
                match said.recv(&mut word).await {
                    Ok(length) if word[..length].starts_with(READY) => return Ok(()),
                    Ok(_) => {}
                    Err(error) => return Err(Failure::Other(error.to_string())),
                }
            }
        };
        let child = &mut self.child;
        let ends = async {
            loop {
                match child.try_wait() {
                    Ok(None) => async_std::task::sleep(Duration::from_millis(20)).await,
                    Ok(Some(status)) => return Err(Failure::Other(format!("it has ended: {status}"))),
                    Err(error) => return Err(Failure::Other(error.to_string())),
                }
            }
        };
        let late = async {
            async_std::task::sleep(patience).await;
            Err(Failure::Other(format!("it does not serve after {patience:?}")))
        };
        let given_up = async {
            given_up.await;
            Err(Failure::GivenUp)
        };
        let end = future::or(serves, future::or(ends, future::or(late, given_up))).await;
        match end {
            Ok(()) => Ok(()),
            Err(failure) => self.end(failure),
        }
    }

    /// At once: what it would do on its way out is done to the sockets that are still this program's.
    fn end(mut self, failure: Failure) -> Result<(), Failure> {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        Err(failure)
    }
}

/// Why the new program does not take over.
pub(crate) enum Failure {
    /// It was not waited for.
    GivenUp,
    Other(String),
}

/// The program that has started this one to be replaced by it, if there is one.
pub(crate) struct Predecessor(Option<UnixDatagram>);

impl Predecessor {
    pub(crate) fn of(inherited: &mut Inherited) -> Self {
        Self(inherited.take_datagram(WORD))
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Says that this program serves; says whether there was somebody to hear it.
    pub(crate) fn tell(self) -> bool {
        let Some(word) = self.0 else { return false };
        if let Err(error) = word.send(READY) {
            log::error!("the program that is to be replaced can't be told: {error}");
        }
        true
    }
}
