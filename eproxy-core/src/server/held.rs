//! Listening sockets while a server listens on them, to be handed on, and the files of unix-domain ones.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::driver::{Address, Bound, Given};
use crate::error::{Error, Kind, Result};

use super::inherited::OWN;
use super::orders::ListenerNumber;

/// A listening socket of a server, to be handed to another process; see [`Handle::listening_sockets`](crate::Handle::listening_sockets).
#[cfg(unix)]
#[derive(Debug)]
#[non_exhaustive]
pub struct ListeningSocket {
    /// The socket. Dropping it does not end the listening of others.
    pub socket: std::os::fd::OwnedFd,
    /// Where it listens: `127.0.0.1:8080`, `unix:/run/app.sock`.
    pub address: String,
    /// What it is to be called in `LISTEN_FDNAMES`: as it was called when it was inherited, or `eproxy-own` for one that
    /// eproxy has opened.
    pub name: String,
}

/// Handles on all listening sockets of a server for as long as it listens, to be handed on.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HeldListeners>);

#[derive(Debug, Default)]
struct HeldListeners {
    list: Vec<HeldListener>,
    /// The server is about to listen no more, or does not: nothing is held any longer.
    is_over: bool,
}

/// Those of one listener.
#[derive(Debug)]
struct HeldListener {
    number: ListenerNumber,
    sockets: Vec<Given>,
    /// Gone with the last worker.
    files: Weak<SocketFiles>,
}

impl Held {
    fn all(&self) -> MutexGuard<'_, HeldListeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, number: ListenerNumber, sockets: Vec<Given>, files: &Arc<SocketFiles>) {
        let mut all = self.all();
        if !all.is_over {
            all.list.push(HeldListener { number, sockets, files: Arc::downgrade(files) });
        }
    }

    /// Duplicates of all of them; none when the server does not listen any more.
    #[cfg(unix)]
    pub(super) fn lend(&self) -> Result<Vec<ListeningSocket>> {
        let lend = |given: &Given| {
            Ok(ListeningSocket {
                socket: given.socket.try_clone()?.into(),
                address: given.address.to_string(),
                name: given.keeper.clone().unwrap_or_else(|| OWN.to_owned()),
            })
        };
        let all = self.all();
        let lent: std::io::Result<Vec<_>> =
            all.list.iter().flat_map(|held| &held.sockets).map(lend).collect();
        lent.map_err(|error| Error::new(Kind::Listen).detail(format!("again: {error}")).because(error))
    }

    /// A listener is about to be closed while the server goes on.
    pub(super) fn let_one_go(&self, number: ListenerNumber) {
        let gone: Vec<_> = self.all().list.extract_if(.., |held| held.number == number).collect();
        gone.iter().for_each(|held| held.let_go(false));
    }

    /// The server is about to listen no more; the files of its sockets are somebody else's if those were handed on.
    pub(super) fn let_go(&self, is_handed_on: bool) {
        let gone = self.end();
        gone.iter().for_each(|held| held.let_go(is_handed_on));
    }

    /// The server listens no more.
    pub(super) fn close(&self) {
        drop(self.end());
    }

    fn end(&self) -> Vec<HeldListener> {
        let mut all = self.all();
        all.is_over = true;
        std::mem::take(&mut all.list)
    }
}

impl HeldListener {
    fn let_go(&self, is_handed_on: bool) {
        if let Some(files) = self.files.upgrade() {
            files.let_go(is_handed_on);
        }
    }
}

/// The files of the unix-domain sockets that are the server's own. They are removed when it ends in good order; however it
/// ends, those of sockets that it has opened itself.
#[derive(Debug)]
pub(super) struct SocketFiles(Mutex<Vec<SocketFile>>);

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Which one it is: by the time of the end, another program may have one of its own there.
    identity: Option<Identity>,
    is_given: bool,
}

/// Device and number.
type Identity = (u64, u64);

impl SocketFiles {
    pub(super) fn of<'a>(bound: impl Iterator<Item = &'a Bound>) -> Self {
        let file = |bound: &Bound| match &bound.address {
            Address::Unix(path) if bound.keeper.is_none() => {
                Some(SocketFile { path: path.clone(), identity: identity(path), is_given: bound.is_given })
            }
            _ => None,
        };
        Self(Mutex::new(bound.filter_map(file).collect()))
    }

    fn let_go(&self, is_handed_on: bool) {
        let files = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !is_handed_on {
            files.iter().for_each(SocketFile::remove);
        }
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        let files = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Whoever has handed a socket over may still listen on it where this program has come to nothing.
        files.iter().filter(|file| !file.is_given).for_each(SocketFile::remove);
    }
}

impl SocketFile {
    fn remove(&self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            // Whoever removed it before had a reason.
            let _removed = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
