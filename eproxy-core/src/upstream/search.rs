//! The discoveries of a group at work: for as long as a server uses it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::discovery::{Discovery, Feed, Found};
use super::group::{Group, Inner};

/// What is found for a group.
#[derive(Default)]
pub(super) struct Searches {
    /// What finds it.
    pub(super) discoveries: Mutex<Vec<Arc<dyn Discovery>>>,
    running: Mutex<Running>,
    /// Why something can't be found at the moment, by the number of the discovery.
    troubles: Mutex<BTreeMap<usize, String>>,
}

#[derive(Default)]
struct Running {
    users: usize,
    feeds: Vec<Feed>,
}

/// The use of a group by a server; the discoveries end with the last of them.
#[derive(Debug)]
pub(super) struct Use(Arc<Inner>);

impl Use {
    /// Begins to use a group.
    pub(super) fn of(group: &Group) -> Self {
        let inner = group.inner();
        let searches = &inner.searches;
        let mut running = searches.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.users += 1;
        if running.users == 1 {
            let discoveries = searches.discoveries.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, discovery) in discoveries.iter().enumerate() {
                let group = Arc::downgrade(inner);
                let feed = Feed::new(move |found| hear(&group, number, found));
                async_std::task::spawn(discovery.clone().run(feed.clone()));
                running.feeds.push(feed);
            }
        }
        drop(running);
        Self(inner.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut running = self.0.searches.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.users -= 1;
        if running.users == 0 {
            running.feeds.drain(..).for_each(|feed| feed.close());
        }
    }
}

impl Searches {
    pub(super) fn is_empty(&self) -> bool {
        self.discoveries.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Why something can't be found at the moment.
    pub(super) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn note(&self, number: usize, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => troubles.insert(number, trouble),
            None => troubles.remove(&number),
        };
    }
}

/// Takes in what a discovery has found.
fn hear(group: &Weak<Inner>, number: usize, found: Found) {
    let Some(group) = group.upgrade() else { return };
    let trouble = match found {
        // The program's own endpoints are those of source 0.
        Found::Endpoints(endpoints) => {
            group.roster.set(number + 1, endpoints).err().map(|error| error.to_string())
        }
        Found::Failed(reason) => Some(reason),
    };
    group.searches.note(number, trouble);
}

impl std::fmt::Debug for Searches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searches").field("troubles", &self.troubles()).finish_non_exhaustive()
    }
}
