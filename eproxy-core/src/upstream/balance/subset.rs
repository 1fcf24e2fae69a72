//! Endpoints by what their labels say: `version` is `canary`.

use std::collections::HashMap;

/// What is done where no endpoint has the label that is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::upstream) enum Otherwise {
    /// Any endpoint will do.
    #[default]
    Any,
    /// None will.
    None,
}

/// The endpoints that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Matching<'a> {
    /// All of them.
    All,
    /// Those at these positions, which rise; there is at least one.
    These(&'a [u32]),
    /// None of them.
    Nobody,
}

/// The positions of endpoints by their labels, looked up without going through them.
#[derive(Clone, Debug, Default)]
pub(in crate::upstream) struct Subsets(HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>);

impl Subsets {
    /// Sorts endpoints by their labels, (key, value). If one has a key twice, both values count.
    pub(in crate::upstream) fn new<'a, L>(endpoints: impl Iterator<Item = L>) -> Self
    where
        L: IntoIterator<Item = (&'a str, &'a str)>,
    {
        let mut subsets = Self::default();
        for (position, labels) in endpoints.enumerate() {
            for (key, value) in labels {
                let positions = subsets.0.entry(key.into()).or_default().entry(value.into()).or_default();
                if positions.last() != Some(&(position as u32)) {
                    positions.push(position as u32);
                }
            }
        }
        subsets
    }

    /// The endpoints whose label has the wanted value.
    pub(in crate::upstream) fn find(&self, key: &str, wanted: &str, otherwise: Otherwise) -> Matching<'_> {
        match (self.0.get(key).and_then(|values| values.get(wanted)), otherwise) {
            (Some(positions), _) => Matching::These(positions),
            (None, Otherwise::Any) => Matching::All,
            (None, Otherwise::None) => Matching::Nobody,
        }
    }
}

impl Matching<'_> {
    /// Whether the endpoint at a position is among them.
    pub(in crate::upstream) fn has(self, position: usize) -> bool {
        match self {
            Self::All => true,
            Self::These(positions) => positions.binary_search(&(position as u32)).is_ok(),
            Self::Nobody => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Subsets {
        let endpoints: [&[_]; 4] = [
            &[("version", "1"), ("disk", "ssd")],
            &[("version", "2")],
            &[],
            &[("disk", "ssd"), ("version", "1"), ("version", "1"), ("version", "3")],
        ];
        Subsets::new(endpoints.into_iter().map(|labels| labels.iter().copied()))
    }

    #[test]
    fn endpoints_are_found_by_what_their_labels_say() {
        let subsets = some();
        assert_eq!(subsets.find("version", "1", Otherwise::None), Matching::These(&[0, 3]));
        assert_eq!(subsets.find("version", "2", Otherwise::None), Matching::These(&[1]));
        assert_eq!(subsets.find("version", "3", Otherwise::None), Matching::These(&[3]));
        assert_eq!(subsets.find("disk", "ssd", Otherwise::Any), Matching::These(&[0, 3]));
        let found = subsets.find("version", "1", Otherwise::None);
        assert_eq!([0, 1, 2, 3].map(|position| found.has(position)), [true, false, false, true]);
    }

    #[test]
    fn where_nothing_matches_it_is_any_or_none() {
        let subsets = some();
        for (key, value) in
            [("version", "4"), ("version", ""), ("Version", "1"), ("colour", "1"), ("disk", "1")]
        {
            assert_eq!(subsets.find(key, value, Otherwise::Any), Matching::All);
            assert_eq!(subsets.find(key, value, Otherwise::None), Matching::Nobody);
        }
        assert!(Matching::All.has(7) && !Matching::Nobody.has(7));
    }
}
