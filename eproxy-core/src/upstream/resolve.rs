//! Names to addresses, without ever making a core wait.
//!
//! The system's resolver blocks, so it runs on async-std's threads for blocking work. What it found is kept for a while;
//! once that is over, the old addresses are used one more time while they are looked up anew. A name that no longer
//! resolves keeps its last addresses. A core with a network of its own asks that, and never the system.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::driver::Core;
use crate::error::{Error, Kind, Result};

/// How long addresses are taken for fresh. The system's resolver does not say how long they are.
const FRESH: Duration = Duration::from_secs(10);

/// How long a failed look-up is remembered, so that a name that does not resolve is not asked for by every request.
const FAILED: Duration = Duration::from_secs(1);

/// Look-ups under way at once on a core: each occupies a thread for as long as the system's resolver takes.
const MAX_LOOKUPS: usize = 32;

/// Names that are remembered on a core; a forward proxy's clients choose them.
const MAX_NAMES: usize = 4096;

/// The names of one core.
#[derive(Debug)]
pub(super) struct Resolver {
    core: Rc<Core>,
    names: RefCell<HashMap<(String, u16), Rc<Entry>>>,
    running: Rc<Cell<usize>>,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Entry {
    /// The last addresses that were found.
    found: RefCell<Option<Rc<[SocketAddr]>>>,
    /// Why the last look-up failed, if it did.
    failure: RefCell<Option<String>>,
    /// Until when no new look-up is needed.
    until: Cell<Option<Instant>>,
    is_running: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Resolver {
    pub(super) fn new(core: Rc<Core>) -> Self {
        Self { core, names: RefCell::default(), running: Rc::default() }
    }

    /// The addresses of a name, in the order in which the resolver gave them.
    ///
    /// # Errors
    ///
    /// `Resolve` where there are none, `Lookups` where too many names are being looked up.
    pub(super) async fn resolve(&self, name: &str, port: u16) -> Result<Rc<[SocketAddr]>> {
        let entry = self.entry(name, port);
        let is_fresh = entry.until.get().is_some_and(|until| self.core.now() < until);
        if !is_fresh && !entry.is_running.get() {
            self.look_up(name, port, &entry)?;
        }
        if let Some(found) = &*entry.found.borrow() {
            return Ok(found.clone());
        }
        let found = poll_fn(|cx| {
            if !entry.is_running.get() {
                return Poll::Ready(());
            }
            entry.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        });
        self.core.among(found).await;
        match &*entry.found.borrow() {
            Some(found) => Ok(found.clone()),
            None => {
                let why = entry.failure.borrow().clone().unwrap_or_default();
                Err(Error::new(Kind::Resolve).detail(format!("{name}: {why}")))
            }
        }
    }

    fn entry(&self, name: &str, port: u16) -> Rc<Entry> {
        let mut names = self.names.borrow_mut();
        let key = (name.to_owned(), port);
        if let Some(entry) = names.get(&key) {
            return entry.clone();
        }
        if names.len() >= MAX_NAMES {
            let now = self.core.now();
            names.retain(|_, entry| {
                entry.is_running.get() || entry.until.get().is_some_and(|until| now < until)
            });
        }
        names.entry(key).or_default().clone()
    }

    /// Begins a look-up that goes on whoever waits for it.
    fn look_up(&self, name: &str, port: u16, entry: &Rc<Entry>) -> Result<()> {
        if self.running.get() >= MAX_LOOKUPS {
            // Old addresses are better than none.
            return match entry.found.borrow().is_some() {
                true => Ok(()),
                false => Err(Error::new(Kind::Lookups).detail(name.to_owned())),
            };
        }
        self.running.set(self.running.get() + 1);
        entry.is_running.set(true);
        let known = self.core.network().map(|network| network.look_up(name, port));
        let name = name.to_owned();
        let asked = async move {
            match known {
                Some(known) => Ok(known),
                None => async_std::task::spawn_blocking(move || ask_system(&name, port)).await,
            }
        };
        let (core, entry, running) = (self.core.clone(), entry.clone(), self.running.clone());
        self.core.spawn(async move {
            let found = asked.await.and_then(|found| match found.is_empty() {
                true => Err("it has no address".to_owned()),
                false => Ok(found),
            });
            let fresh = if found.is_ok() { FRESH } else { FAILED };
            match found {
                Ok(found) => *entry.found.borrow_mut() = Some(found.into()),
                Err(why) => *entry.failure.borrow_mut() = Some(why),
            }
            entry.until.set(Some(core.now() + fresh));
            entry.is_running.set(false);
            running.set(running.get() - 1);
            let waiting = std::mem::take(&mut *entry.waiting.borrow_mut());
            waiting.into_iter().for_each(Waker::wake);
        });
        Ok(())
    }
}

/// Asks the system's resolver, which blocks.
fn ask_system(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    (name, port).to_socket_addrs().map(Vec::from_iter).map_err(|error| error.to_string())
}

#[cfg(test)]
impl Resolver {
    /// Has a name lead to these addresses, as if they had been looked up just now.
    pub(super) fn remember(&self, name: &str, port: u16, addresses: &[SocketAddr]) {
        let entry = self.entry(name, port);
        *entry.found.borrow_mut() = Some(addresses.into());
        entry.until.set(Some(self.core.now() + FRESH));
    }
}
