//! What a server's cores keep something about: numbered once, when it starts.

use super::group::Group;
use super::search::Use;
use super::transport::Target;

/// The number of a place whose connections are pooled.
pub(crate) type ShelfNumber = u32;

/// The number of a group of endpoints.
pub(crate) type GroupNumber = u32;

/// Everything that a server's cores keep something about.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(super) shelves: Vec<Target>,
    /// With those whose connections say on whose behalf they are made marked.
    pub(super) groups: Vec<(Group, bool)>,
    uses: Vec<Use>,
}

impl Registry {
    /// The number of the shelf for connections to a target.
    pub(crate) fn shelf(&mut self, target: &Target) -> ShelfNumber {
        let known = self.shelves.iter().position(|known| known == target);
        let number = known.unwrap_or_else(|| {
            self.shelves.push(target.clone());
            self.shelves.len() - 1
        });
        number as ShelfNumber
    }

    /// Begins to use the groups; that ends with the registry.
    pub(crate) fn begin(&mut self) {
        self.uses = self.groups.iter().map(|(group, _)| Use::of(group)).collect();
    }

    /// The number of a group; `named` are those whose connections say on whose behalf they are made.
    pub(crate) fn group(&mut self, group: &Group, named: bool) -> GroupNumber {
        let known =
            self.groups.iter().position(|(known, is_named)| known.is_same(group) && *is_named == named);
        let number = known.unwrap_or_else(|| {
            self.groups.push((group.clone(), named));
            self.groups.len() - 1
        });
        number as GroupNumber
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin::Origin;
    use super::*;

    #[test]
    fn places_and_groups_are_numbered_once() {
        let mut registry = Registry::default();
        let place = |url: &str| Origin::parse(url).unwrap().target(None);
        assert_eq!(registry.shelf(&place("http://a.test:80/x")), 0);
        assert_eq!(registry.shelf(&place("http://b.test")), 1);
        assert_eq!(registry.shelf(&place("http://a.test/y")), 0);
        // The same place, otherwise spoken to.
        assert_eq!(registry.shelf(&place("h2c://a.test")), 2);
        assert_eq!(registry.shelf(&place("https://a.test:80")), 3);
        assert_eq!(registry.shelf(&place("https://a.test:80/z")), 3);
        let (one, other) = (Group::from("http://a.test"), Group::from("http://a.test"));
        assert_eq!(registry.group(&one, false), 0);
        assert_eq!(registry.group(&other, false), 1);
        assert_eq!(registry.group(&one.clone(), false), 0);
        assert_eq!(registry.group(&one, true), 2);
    }
}
