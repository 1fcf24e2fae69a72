//! What a server's cores keep something about: numbered once, when it starts.

use super::group::Group;
use super::origin::Place;
use super::search::Use;

/// The number of a place whose connections are pooled.
pub(crate) type ShelfNumber = u32;

/// The number of a group of endpoints.
pub(crate) type GroupNumber = u32;

/// Everything that a server's cores keep something about.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(super) shelves: Vec<Place>,
    /// With those whose connections say on whose behalf they are made marked.
    pub(super) groups: Vec<(Group, bool)>,
    uses: Vec<Use>,
}

impl Registry {
    /// The number of the shelf for connections to a place.
    pub(crate) fn shelf(&mut self, place: &Place) -> ShelfNumber {
        let known = self.shelves.iter().position(|known| known == place);
        let number = known.unwrap_or_else(|| {
            self.shelves.push(place.clone());
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
        let place = |url: &str| Origin::parse(url).unwrap().place;
        assert_eq!(registry.shelf(&place("http://a.test:80/x")), 0);
        assert_eq!(registry.shelf(&place("http://b.test")), 1);
        assert_eq!(registry.shelf(&place("http://a.test/y")), 0);
        let (one, other) = (Group::from("http://a.test"), Group::from("http://a.test"));
        assert_eq!(registry.group(&one, false), 0);
        assert_eq!(registry.group(&other, false), 1);
        assert_eq!(registry.group(&one.clone(), false), 0);
        assert_eq!(registry.group(&one, true), 2);
    }
}
