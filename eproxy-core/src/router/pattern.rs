//! The syntax of patterns: `/users/:id` and `/files/*path`.

use crate::error::{Error, Kind, Result};
use crate::local::Place;

/// What one segment of a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text.
    Literal(String),
    /// One segment that is not empty.
    Param,
    /// Everything that is left, be it nothing; only at the end.
    Rest,
}

/// A pattern taken apart.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    /// The names of its parameters, in their order.
    pub(super) names: Vec<String>,
}

impl Pattern {
    /// # Errors
    ///
    /// `BadPattern`, with what is wrong.
    pub(super) fn parse(pattern: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(Kind::BadPattern).detail(format!("{pattern:?} {what}")));
        let Some(rest) = pattern.strip_prefix('/') else { return wrong("does not begin with a slash") };
        let mut out = Self::default();
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let (kind, name) = match (segment.strip_prefix(':'), segment.strip_prefix('*')) {
                (Some(name), _) => (Segment::Param, name),
                (_, Some(_)) if segments.peek().is_some() => return wrong("has a wildcard before its end"),
                (_, Some(name)) => (Segment::Rest, name),
                (None, None) => {
                    // Paths are compared in their canonical form, which has none of these.
                    let is_empty = segment.is_empty() && segments.peek().is_some();
                    if is_empty || matches!(segment, "." | "..") || segment.contains('\\') {
                        return wrong(
                            "has an empty segment, `.`, `..` or a backslash, which no path has when it is looked up",
                        );
                    }
                    out.segments.push(Segment::Literal(segment.to_owned()));
                    continue;
                }
            };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return wrong("has a parameter whose name is not of letters, digits and underscores");
            }
            if out.names.iter().any(|known| known == name) {
                return wrong("has two parameters of one name");
            }
            out.names.push(name.to_owned());
            out.segments.push(kind);
        }
        Ok(out)
    }

    /// What whoever answers at it is told of it.
    pub(super) fn place(&self) -> Place<'_> {
        Place { names: &self.names, has_rest: self.segments.last() == Some(&Segment::Rest) }
    }
}

/// Whether the last parameter of a pattern that is well formed is a wildcard.
pub(super) fn has_rest(pattern: &str) -> bool {
    pattern.rsplit('/').next().is_some_and(|last| last.starts_with('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_apart() {
        let pattern = Pattern::parse("/a/:b/*c").unwrap();
        assert_eq!(pattern.segments, [Segment::Literal("a".into()), Segment::Param, Segment::Rest]);
        assert_eq!(pattern.names, ["b", "c"]);
        assert_eq!(Pattern::parse("/").unwrap().segments, [Segment::Literal(String::new())]);
        assert_eq!(Pattern::parse("/a:b").unwrap().segments, [Segment::Literal("a:b".into())]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (pattern, what) in [
            ("a", "begin with a slash"),
            ("", "begin with a slash"),
            ("/*a/b", "before its end"),
            ("/:", "name"),
            ("/:a-b", "name"),
            ("/:a/:a", "two parameters"),
            ("//a", "empty segment"),
            ("/a//", "empty segment"),
            ("/a/./b", "no path has"),
            ("/a/..", "no path has"),
            ("/a\\b", "backslash"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(&format!("{pattern:?}")), "{error}");
        }
    }
}
