//! The endpoints that a group has, and the number that tells cores when that, or how one of them fares, has changed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

use super::balance::ring::Ring;
use super::endpoint::Endpoint;
use super::node::{Mode, Node};

/// Who has named an endpoint: the program that made the group, or one of its discoveries.
pub(super) type Source = usize;

/// The source of what the program has named.
pub(super) const NAMED: Source = 0;

/// The endpoints of a group. Cores copy the list when the version has changed; asking for that costs one load.
#[derive(Debug, Default)]
pub(super) struct Roster {
    version: AtomicU64,
    /// What the group's milliseconds are counted from.
    start: OnceLock<Instant>,
    /// The time of those who have no clock.
    latest: AtomicU64,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    nodes: Vec<(Source, Arc<Node>)>,
    next: u32,
    /// Keys are hashed to endpoints.
    hashes: bool,
    published: Arc<Published>,
}

/// The endpoints in the order in which they were named, which is that of their numbers; for keys that are hashed, the
/// ring of their positions.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) ring: Option<Ring>,
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

    /// Notes the time for those who have no clock.
    pub(super) fn tick(&self, now: Instant) -> u64 {
        let milliseconds = self.milliseconds(now);
        self.latest.fetch_max(milliseconds, Ordering::Relaxed);
        milliseconds
    }

    /// The time that was noted last.
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// A time as cores have it.
    pub(super) fn instant(&self, milliseconds: u64) -> Option<Instant> {
        self.start.get()?.checked_add(Duration::from_millis(milliseconds))
    }

    /// The endpoints as they are now.
    pub(super) fn published(&self) -> Arc<Published> {
        self.list().published.clone()
    }

    /// Has keys be hashed to endpoints.
    pub(super) fn hash(&self) {
        let mut list = self.list();
        list.hashes = true;
        self.publish(list);
    }

    /// Adds an endpoint.
    ///
    /// # Errors
    ///
    /// `BadOption`: it is described wrongly, or is there already.
    pub(super) fn add(&self, endpoint: Endpoint) -> Result<()> {
        let mut list = self.list();
        if list.nodes.iter().any(|(_, node)| node.endpoint.url == endpoint.url) {
            let what = format!("upstream {:?} is there already", endpoint.url);
            return Err(Error::new(Kind::BadOption).detail(what));
        }
        list.push(NAMED, endpoint)?;
        self.publish(list);
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
        let known: HashSet<Endpoint> = {
            let wanted: HashSet<&Endpoint> = endpoints.iter().collect();
            list.nodes.retain(|(known, node)| {
                let stays = *known != source || wanted.contains(&node.endpoint);
                if !stays {
                    node.set_mode(Mode::Removed);
                }
                stays
            });
            let own = list.nodes.iter().filter(|(known, _)| *known == source);
            own.map(|(_, node)| node.endpoint.clone()).collect()
        };
        for endpoint in endpoints.into_iter().filter(|endpoint| !known.contains(endpoint)) {
            list.push(source, endpoint)?;
        }
        self.publish(list);
        Ok(())
    }

    /// Does something with an endpoint, known by its URL or by its name in logs; with all that go by that name.
    ///
    /// # Errors
    ///
    /// `BadOption`: there is none.
    pub(super) fn change(&self, name: &str, change: impl Fn(&Node)) -> Result<()> {
        let mut list = self.list();
        let named = |node: &Node| node.endpoint.url == name || *node.name == *name;
        let found = list.nodes.iter().filter(|(_, node)| named(node)).map(|(_, node)| change(node)).count();
        if found == 0 {
            return Err(Error::new(Kind::BadOption).detail(format!("no upstream {name:?} in this group")));
        }
        list.nodes.retain(|(_, node)| node.mode() != Mode::Removed);
        self.publish(list);
        Ok(())
    }

    /// Has cores see the list as it is now. The ring is made here, so that no core has to.
    fn publish(&self, mut list: MutexGuard<'_, List>) {
        let nodes: Vec<_> = list.nodes.iter().map(|(_, node)| node.clone()).collect();
        let points = || nodes.iter().map(|node| (node.endpoint.url.as_str(), node.weight()));
        let ring = list.hashes.then(|| Ring::new(points()));
        list.published = Arc::new(Published { nodes, ring });
        drop(list);
        self.touch();
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
