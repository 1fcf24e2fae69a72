//! The endpoints that a group has, and the number that tells cores when that, or how one of them fares, has changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::error::{Error, Kind, Result};

use super::endpoint::Endpoint;
use super::node::{Mode, Node};

/// Who has named an endpoint: the program that made the group, or one of its sources.
pub(super) type Source = usize;

/// The source of what the program has named.
pub(super) const NAMED: Source = 0;

/// The endpoints of a group. Cores copy the list when the version has changed; asking for that costs one load.
#[derive(Debug, Default)]
pub(super) struct Roster {
    version: AtomicU64,
    /// What the group's milliseconds are counted from.
    start: OnceLock<Instant>,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    nodes: Vec<(Source, Arc<Node>)>,
    next: u32,
}

impl Roster {
    /// The version that everything has now.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Says that something has changed.
    pub(super) fn touch(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// A time in the group's milliseconds, which begin with the first that is asked for.
    pub(super) fn milliseconds(&self, now: Instant) -> u64 {
        let start = self.start.get_or_init(|| now);
        now.saturating_duration_since(*start).as_millis() as u64
    }

    /// A time as cores have it.
    pub(super) fn instant(&self, milliseconds: u64) -> Option<Instant> {
        self.start.get()?.checked_add(std::time::Duration::from_millis(milliseconds))
    }

    /// The endpoints, in the order in which they were named.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.list().nodes.iter().map(|(_, node)| node.clone()).collect()
    }

    /// Adds an endpoint.
    ///
    /// # Errors
    ///
    /// `BadOption`: it is described wrongly, or is there already.
    pub(super) fn add(&self, endpoint: Endpoint) -> Result<()> {
        let mut list = self.list();
        if list.nodes.iter().any(|(_, node)| node.endpoint.url() == endpoint.url()) {
            return Err(
                Error::new(Kind::BadOption).detail(format!("upstream {:?} is there already", endpoint.url()))
            );
        }
        list.push(NAMED, endpoint)?;
        drop(list);
        self.touch();
        Ok(())
    }

    /// Has a source's endpoints be these: those that stay keep all that is known of them.
    ///
    /// # Errors
    ///
    /// `BadOption`: one is described wrongly, and nothing has changed.
    pub(super) fn set(&self, source: Source, endpoints: Vec<Endpoint>) -> Result<()> {
        endpoints.iter().try_for_each(|endpoint| endpoint.origin().map(|_| ()))?;
        let mut list = self.list();
        list.nodes.retain(|(known, node)| {
            let stays = *known != source || endpoints.contains(&node.endpoint);
            if !stays {
                node.set_mode(Mode::Removed);
            }
            stays
        });
        for endpoint in endpoints {
            if !list.nodes.iter().any(|(known, node)| *known == source && node.endpoint == endpoint) {
                list.push(source, endpoint)?;
            }
        }
        drop(list);
        self.touch();
        Ok(())
    }

    /// Does something with an endpoint, known by its URL or by its name in logs; with all that go by that name.
    ///
    /// # Errors
    ///
    /// `BadOption`: there is none.
    pub(super) fn change(&self, name: &str, change: impl Fn(&Node)) -> Result<()> {
        let mut list = self.list();
        let named = |node: &Node| node.endpoint.url() == name || *node.name == *name;
        let found = list.nodes.iter().filter(|(_, node)| named(node)).map(|(_, node)| change(node)).count();
        list.nodes.retain(|(_, node)| node.mode() != Mode::Removed);
        drop(list);
        match found {
            0 => Err(Error::new(Kind::BadOption).detail(format!("no upstream {name:?} in this group"))),
            _ => {
                self.touch();
                Ok(())
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn push(&mut self, source: Source, endpoint: Endpoint) -> Result<()> {
        self.nodes.push((source, Arc::new(Node::new(self.next, endpoint)?)));
        self.next += 1;
        Ok(())
    }
}
