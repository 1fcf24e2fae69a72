//! The groups that a server's requests go to, as it is described at the moment.

use crate::telemetry::GroupMetrics;

use super::group::Group;
use super::search::Use;

/// The number of a group of endpoints.
pub(crate) type GroupNumber = u32;

/// The groups that requests go to.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// With those whose connections say on whose behalf they are made marked.
    pub(super) groups: Vec<(Group, bool)>,
    uses: Vec<Use>,
}

impl Registry {
    /// Begins to use the groups; that ends with the registry.
    pub(crate) fn begin(&mut self) {
        self.uses = self.groups.iter().map(|(group, _)| Use::of(group)).collect();
    }

    /// The number of a group; `named` are those whose connections say on whose behalf they are made.
    pub(crate) fn group(&mut self, group: &Group, named: bool) -> GroupNumber {
        let number = self.find(group, named).unwrap_or_else(|| {
            self.groups.push((group.clone(), named));
            self.groups.len() - 1
        });
        number as GroupNumber
    }

    /// What collectors of metrics are told of the groups.
    pub(crate) fn metrics(&self) -> Vec<GroupMetrics> {
        let mut seen: Vec<&Group> = Vec::new();
        for (group, _) in &self.groups {
            // One whose connections say on whose behalf they are made is there for those that do not, too.
            if !seen.iter().any(|known| known.is_same(group)) {
                seen.push(group);
            }
        }
        seen.into_iter().map(Group::metrics).collect()
    }

    /// The number of a group that is known.
    pub(super) fn find(&self, group: &Group, named: bool) -> Option<usize> {
        self.groups.iter().position(|(known, is_named)| known.is_same(group) && *is_named == named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_numbered_once() {
        let mut registry = Registry::default();
        let (one, other) = (Group::from("http://a.test"), Group::from("http://a.test"));
        assert_eq!(registry.group(&one, false), 0);
        assert_eq!(registry.group(&other, false), 1);
        assert_eq!(registry.group(&one.clone(), false), 0);
        assert_eq!(registry.group(&one, true), 2);
    }
}
