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
    /// `BadOption`: one is described wrongly, or is named twice, and nothing has changed.
    pub(super) fn set(&self, source: Source, endpoints: Vec<Endpoint>) -> Result<()> {
        let mut places = HashSet::new();
        for endpoint in &endpoints {
            endpoint.origin()?;
            if !places.insert((&endpoint.url, &endpoint.host)) {
                let what = format!("upstream {:?} is named twice", endpoint.url);
                return Err(Error::new(Kind::BadOption).detail(what));
            }
        }
        drop(places);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(number: usize) -> Endpoint {
        Endpoint::new(format!("http://10.0.{}.{}:80", number / 250, number % 250))
    }

    fn roster(numbers: impl Iterator<Item = usize>) -> Roster {
        let roster = Roster::default();
        roster.set(NAMED, numbers.map(endpoint).collect()).unwrap();
        roster
    }

    fn is_in_order(published: &Published) -> bool {
        published.nodes.windows(2).all(|two| two[0].id < two[1].id)
    }

    #[test]
    fn a_change_among_many_keeps_all_that_stay() {
        const MANY: usize = 10_000;
        let roster = roster(0..MANY);
        let before = roster.published();
        roster.set(NAMED, (5..MANY + 5).rev().map(endpoint).collect()).unwrap();
        let after = roster.published();
        assert!(is_in_order(&before) && is_in_order(&after));
        assert_eq!(after.nodes.len(), MANY);
        let stay = before.nodes[5..].iter().zip(&after.nodes);
        assert!(stay.into_iter().all(|(before, after)| Arc::ptr_eq(before, after)));
        assert!(before.nodes[..5].iter().all(|node| node.mode() == Mode::Removed));
        assert!(after.nodes.iter().all(|node| node.mode() == Mode::Active));
    }

    #[test]
    fn a_source_that_finds_others_leaves_those_of_another_source_alone() {
        let roster = roster(0..2);
        let urls = || roster.published().nodes.iter().map(|it| it.endpoint.url.clone()).collect::<Vec<_>>();
        roster.set(1, vec![endpoint(2), endpoint(3)]).unwrap();
        roster.set(2, vec![endpoint(4)]).unwrap();
        roster.set(1, vec![endpoint(3), endpoint(5)]).unwrap();
        assert_eq!(urls(), [0, 1, 3, 4, 5].map(|number| endpoint(number).url));
        roster.set(1, Vec::new()).unwrap();
        assert_eq!(urls(), [0, 1, 4].map(|number| endpoint(number).url));
    }

    #[test]
    fn an_endpoint_that_is_described_otherwise_is_another_one() {
        let roster = roster(0..1);
        let before = roster.published();
        roster.set(NAMED, vec![endpoint(0).weight(2)]).unwrap();
        let after = roster.published();
        assert!(after.nodes[0].id > before.nodes[0].id);
        assert_eq!((after.nodes.len(), after.nodes[0].weight()), (1, 2));
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_each_change_is_another_version() {
        let roster = roster(0..2);
        let version = roster.version();
        assert!(roster.set(NAMED, vec![endpoint(7), Endpoint::new("ftp://a.test")]).is_err());
        assert!(roster.add(endpoint(0)).is_err());
        assert!(roster.add(endpoint(7).weight(0)).is_err());
        assert!(roster.change("nobody", |_| {}).is_err());
        assert_eq!((roster.version(), roster.published().nodes.len()), (version, 2));
        roster.change(&endpoint(0).url, |node| node.set_weight(7)).unwrap();
        assert!(roster.version() > version);
        roster.change("10.0.0.1:80", |node| node.set_mode(Mode::Removed)).unwrap();
        let left = roster.published();
        assert_eq!((left.nodes.len(), left.nodes[0].weight()), (1, 7));
    }
}
