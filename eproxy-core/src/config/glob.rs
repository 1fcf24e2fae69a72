//! Patterns for the paths of files: `routes.d/*.toml`.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// A pattern, and the folder that it begins at, whose own name is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    folder: PathBuf,
    text: String,
}

impl Pattern {
    /// None where a path is no pattern.
    pub(super) fn new(folder: &Path, text: &str) -> Option<Self> {
        is_pattern(text).then(|| Self { folder: folder.to_owned(), text: text.to_owned() })
    }

    /// The files that fit it, in the order of their names; what can't be read fits nothing.
    pub(super) fn expand(&self) -> Vec<PathBuf> {
        let mut found = vec![self.folder.clone()];
        for part in Path::new(&self.text).components() {
            found = match part {
                Component::Normal(name) if is_pattern(&name.to_string_lossy()) => {
                    let name = name.to_string_lossy();
                    found.iter().flat_map(|folder| entries(folder, &name)).collect()
                }
                // A path that begins at the root takes the place of the folder.
                part => found.into_iter().map(|folder| folder.join(part)).collect(),
            };
        }
        found.retain(|path| path.is_file());
        found
    }
}

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

fn entries(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(read) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // As in a shell, what is hidden has to be asked for.
    let fits = names.filter(|name| name.starts_with('.') == pattern.starts_with('.') && fits(pattern, name));
    let mut paths: Vec<_> = fits.map(|name| folder.join(name)).collect();
    paths.sort();
    paths
}

/// Whether a name fits a pattern: `*` is any text, `?` a character, `[a-z]` and `[!a-z]` one of some.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p).and_then(|_| one(&pattern[p..], name[n])) {
            Some(length) => (p, n) = (p + length, n + 1),
            None if pattern.get(p) == Some(&'*') => {
                star = Some((p, n));
                p += 1;
            }
            None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The length of what a pattern begins with, if it is for this character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern[0] {
        '*' => None,
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().skip(2).position(|c| *c == ']')? + 2;
            let (is_not, set) = match pattern[1] {
                '!' => (true, &pattern[2..end]),
                _ => (false, &pattern[1..end]),
            };
            (in_set(set, c) != is_not).then_some(end + 1)
        }
        plain => (plain == c).then_some(1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let ranges = set.windows(3).filter(|window| window[1] == '-');
    let mut ranges = ranges.map(|window| window[0]..=window[2]);
    set.contains(&c) && c != '-' || ranges.any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name) in [
            ("*.toml", "a.toml"),
            ("*", "a"),
            ("a*b*c", "a1b2b3c"),
            ("?.toml", "a.toml"),
            ("[0-9]*", "10-api"),
            ("[!a]x", "bx"),
            ("[abc].toml", "b.toml"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.toml", "a.toml~"), ("?", "ab"), ("[0-9]*", "api"), ("[!a]x", "ax"), ("[a", "a")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
