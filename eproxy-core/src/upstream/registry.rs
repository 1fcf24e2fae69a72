//! The groups that a server's requests go to, as it is described at the moment.

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
