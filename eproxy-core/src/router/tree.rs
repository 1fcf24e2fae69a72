//! Patterns as a tree of segments.
//!
//! At each node a literal is tried first, then a parameter, then the rest of the path; a branch that leads nowhere is
//! left again. A node is reached in one way only, so a look-up visits each at most once.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::pattern::Segment;

/// A node: what may follow the segments that lead to it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Sorted by [`order`].
    literals: Vec<(String, Self)>,
    param: Option<Box<Self>>,
    /// The pattern that ends here.
    leaf: Option<usize>,
    /// The pattern whose wildcard begins here.
    rest: Option<usize>,
}

/// The values of the parameters on the way to a pattern.
pub(super) type Values<'p> = SmallVec<[&'p str; 8]>;

impl Tree {
    /// Adds a pattern; gives back the number of the one that is in its place.
    pub(super) fn insert(&mut self, segments: &[Segment], number: usize) -> Result<(), usize> {
        let place = match segments.split_first() {
            None => &mut self.leaf,
            Some((Segment::Rest, _)) => &mut self.rest,
            Some((Segment::Param, tail)) => return self.param.get_or_insert_default().insert(tail, number),
            Some((Segment::Literal(text), tail)) => {
                let at = match self.literals.binary_search_by(|(known, _)| order(known, text)) {
                    Ok(at) => at,
                    Err(at) => {
                        self.literals.insert(at, (text.clone(), Self::default()));
                        at
                    }
                };
                return self.literals[at].1.insert(tail, number);
            }
        };
        match place {
            Some(taken) => Err(*taken),
            None => {
                *place = Some(number);
                Ok(())
            }
        }
    }

    /// The pattern that takes every path that no other takes.
    pub(super) fn catch_all(&self) -> Option<usize> {
        self.rest
    }

    /// Finds the pattern for what follows a slash; `None` stands for the end of the path.
    pub(super) fn find<'p>(&self, path: Option<&'p str>, values: &mut Values<'p>) -> Option<usize> {
        let Some(path) = path else {
            return self.leaf.or_else(|| self.rest.inspect(|_| values.push("")));
        };
        // Segments are short: a loop finds their end before a search has begun.
        let (segment, tail) = match path.bytes().position(|byte| byte == b'/') {
            Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
            None => (path, None),
        };
        if let Ok(at) = self.literals.binary_search_by(|(known, _)| order(known, segment))
            && let Some(found) = self.literals[at].1.find(tail, values)
        {
            return Some(found);
        }
        if let Some(param) = self.param.as_ref().filter(|_| !segment.is_empty()) {
            let before = values.len();
            values.push(segment);
            if let Some(found) = param.find(tail, values) {
                return Some(found);
            }
            values.truncate(before);
        }
        self.rest.inspect(|_| values.push(path))
    }
}

/// The order of literals: by length first, which tells most of them apart.
fn order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}
