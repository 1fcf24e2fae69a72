//! Patterns as a tree of segments.
//!
//! At each node a literal is tried first, then a parameter, then the rest of the path; a branch that leads nowhere is
//! left again, and so is a pattern whose routes ask for something else. A node is reached in one way only, so a look-up
//! visits each at most once.

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
    /// The number of a pattern's place: that of the one which is there already, or `next`.
    pub(super) fn place(&mut self, segments: &[Segment], next: usize) -> usize {
        match segments.split_first() {
            None => *self.leaf.get_or_insert(next),
            Some((Segment::Rest, _)) => *self.rest.get_or_insert(next),
            Some((Segment::Param, tail)) => self.param.get_or_insert_default().place(tail, next),
            Some((Segment::Literal(text), tail)) => {
                let at = match self.literals.binary_search_by(|(known, _)| order(known, text)) {
                    Ok(at) => at,
                    Err(at) => {
                        self.literals.insert(at, (text.clone(), Self::default()));
                        at
                    }
                };
                self.literals[at].1.place(tail, next)
            }
        }
    }

    /// The pattern that takes every path that no other takes.
    pub(super) fn catch_all(&self) -> Option<usize> {
        self.rest
    }

    /// Goes through the patterns that match what follows a slash, the most specific one first, until `accept` makes
    /// something of one; `None` stands for the end of the path. The parameters of that one are in `values` then.
    pub(super) fn find<'p, T>(
        &self,
        path: Option<&'p str>,
        values: &mut Values<'p>,
        accept: &mut impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        let Some(path) = path else {
            let here = self.leaf.and_then(&mut *accept);
            return here.or_else(|| self.rest(values, "", accept));
        };
        // Segments are short: a loop finds their end before a search has begun.
        let (segment, tail) = match path.bytes().position(|byte| byte == b'/') {
            Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
            None => (path, None),
        };
        if let Ok(at) = self.literals.binary_search_by(|(known, _)| order(known, segment))
            && let Some(found) = self.literals[at].1.find(tail, values, accept)
        {
            return Some(found);
        }
        if let Some(param) = self.param.as_ref().filter(|_| !segment.is_empty()) {
            let before = values.len();
            values.push(segment);
            if let Some(found) = param.find(tail, values, accept) {
                return Some(found);
            }
            values.truncate(before);
        }
        self.rest(values, path, accept)
    }

    fn rest<'p, T>(
        &self,
        values: &mut Values<'p>,
        path: &'p str,
        accept: &mut impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        self.rest.and_then(accept).inspect(|_| values.push(path))
    }
}

/// The order of literals: by length first, which tells most of them apart.
fn order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}
