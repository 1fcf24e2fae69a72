//! All groups of a configuration: those with a name, and those behind URLs; new ones, and such that are kept.

use std::collections::{BTreeMap, HashMap};

use crate::config::problem::Notes;
use crate::config::tree::{Node, Table};
use crate::upstream::{Endpoint, Group};

use super::{endpoint, group};

/// All groups of a configuration.
#[derive(Debug, Default)]
pub(in crate::config) struct Groups {
    named: BTreeMap<String, Kept>,
    /// By their URLs, as they are written.
    unnamed: HashMap<String, Kept>,
    /// What these are called.
    titles: BTreeMap<String, String>,
}

/// A group, and what tells whether it is still the same.
#[derive(Clone, Debug)]
struct Kept {
    group: Group,
    /// What was said of it, but for its endpoints; and these.
    said: String,
    endpoints: String,
    /// What they shall be, where it was kept and they are others.
    pending: Option<Vec<Endpoint>>,
    /// Nothing is wrong with it.
    is_sound: bool,
}

impl Groups {
    /// Makes all groups of a tree, and notes what is wrong with them.
    pub(super) fn of(tree: &Table, previous: Option<&Self>, notes: &mut Notes) -> Self {
        let mut groups = Self::default();
        for entry in tree.map("group") {
            let Some(table) = entry.node.table() else { continue };
            let known = previous.and_then(|previous| previous.named.get(&entry.key));
            groups.named.insert(entry.key.clone(), Kept::new(table, known, notes));
        }
        for proxy in tree.list("route").iter().filter_map(|route| route.table()?.table("proxy")) {
            let Some(to) = proxy.get("to") else { continue };
            let key = to.exact();
            if !groups.unnamed.contains_key(&key) {
                let known = previous.and_then(|previous| previous.unnamed.get(&key));
                let urls: Vec<_> = to.list().iter().filter_map(Node::text).collect();
                groups.titles.insert(urls.join(","), key.clone());
                groups.unnamed.insert(key.clone(), Kept::behind(to, key, known, notes));
            }
        }
        groups
    }

    /// The groups that have a name.
    pub(in crate::config) fn named(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.named.iter().map(|(name, kept)| (name.as_str(), &kept.group))
    }

    /// The groups that have none, by the URLs that they are for.
    pub(in crate::config) fn unnamed(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.titles.iter().filter_map(|(title, key)| Some((title.as_str(), &self.unnamed.get(key)?.group)))
    }

    /// Gives the endpoints that are named now to groups that were kept.
    pub(in crate::config) fn settle(&self) {
        for kept in self.named.values() {
            if let Some(endpoints) = &kept.pending {
                // They were found right when they were read.
                let _checked = kept.group.set_endpoints(endpoints.iter().cloned());
            }
        }
    }

    /// The group of a proxy, by its name or by its URLs; some other where something is wrong with that, which was noted.
    pub(super) fn of_proxy(&self, proxy: &Table) -> Group {
        let kept = match (proxy.text("group"), proxy.get("to")) {
            (Some(name), _) => self.named.get(name),
            (None, Some(to)) => self.unnamed.get(&to.exact()),
            (None, None) => None,
        };
        let sound = kept.filter(|kept| kept.is_sound);
        sound.map_or_else(|| Group::from("http://none.invalid"), |kept| kept.group.clone())
    }
}

impl Kept {
    fn new(table: &Table, known: Option<&Self>, notes: &mut Notes) -> Self {
        let endpoints = table.get("endpoints").map_or(String::new(), Node::exact);
        let rest = table.entries.iter().filter(|entry| entry.key != "endpoints");
        let mut said: Vec<_> = rest.map(|entry| format!("{}={}", entry.key, entry.node.exact())).collect();
        said.sort_unstable();
        let said = said.join("\n");
        let made = group::group(table);
        let before = notes.count();
        group::check(table, &made, notes);
        let is_sound = notes.count() == before && table.wrong.is_empty();
        match known.filter(|known| known.said == said) {
            Some(known) => {
                let has_changed = known.endpoints != endpoints;
                let pending = has_changed.then(|| endpoint::endpoints(table));
                Self { group: known.group.clone(), said, endpoints, pending, is_sound }
            }
            None => Self { group: made, said, endpoints, pending: None, is_sound },
        }
    }

    fn behind(to: &Node, key: String, known: Option<&Self>, notes: &mut Notes) -> Self {
        if let Some(known) = known {
            return known.clone();
        }
        let urls: Vec<_> = to.list().iter().filter_map(|node| Some((node, node.text()?))).collect();
        let group = Group::from_iter(urls.iter().map(|(_, url)| *url));
        let built = group.build();
        let is_sound = built.is_ok();
        if let Err(error) = built {
            let alone = |url: &str| Group::from(url).build().is_err();
            let place = urls.iter().find(|(_, url)| alone(url)).map_or(to.at, |(node, _)| node.at);
            if !notes.are_within(to.at) {
                notes.wrong(place, error.into_detail());
            }
        }
        Self { group, said: key, endpoints: String::new(), pending: None, is_sound }
    }
}
