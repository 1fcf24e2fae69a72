//! The files that a configuration is made from, and where in them something stands.

use std::path::{Path, PathBuf};

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    /// What it is called in messages: its path, as it was given.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The number of a file, and the bytes of it that are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) source: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Source {
    /// The folder that paths in it begin at.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The number of the line in which a byte stands, counted from 1, with where it begins and ends.
    pub(super) fn line(&self, at: usize) -> (usize, usize, usize) {
        let at = self.boundary(at);
        let begin = self.text[..at].rfind('\n').map_or(0, |line_end| line_end + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |length| at + length);
        (1 + self.text[..begin].matches('\n').count(), begin, end)
    }

    /// The column of a byte, in characters, counted from 1.
    pub(super) fn column(&self, at: usize) -> usize {
        let (_, begin, _) = self.line(at);
        1 + self.text[begin..self.boundary(at)].chars().count()
    }

    /// The nearest place before a byte at which a character begins.
    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

impl Span {
    pub(super) fn new(source: usize, range: std::ops::Range<usize>) -> Self {
        Self { source, start: range.start, end: range.end }
    }

    /// Whether it is a part of another one.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.source == other.source && other.start <= self.start && self.end <= other.end
    }

    /// The beginning of a file.
    pub(super) fn file(source: usize) -> Self {
        Self { source, start: 0, end: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one_in_characters() {
        let source = Source { name: "a".into(), path: "a".into(), text: "x = 1\n\u{e4}\u{f6} = 2\n".into() };
        assert_eq!(source.line(0), (1, 0, 5));
        assert_eq!((source.line(8), source.column(8)), ((2, 6, 14), 2));
        assert_eq!((source.line(15), source.column(15)), ((3, 15, 15), 1));
        assert_eq!(source.line(99).0, 3);
    }
}
