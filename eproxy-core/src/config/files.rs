//! The files that a configuration was read from, and whether they have changed since.

use std::path::{Path, PathBuf};

use crate::driver::Look;

use super::glob::Pattern;

/// The files that a configuration was read from, as they looked then.
///
/// ```no_run
/// use eproxy_core::Config;
///
/// let config = Config::load("eproxy.toml").map_err(|problems| problems.to_string())?;
/// if config.files().look() != *config.files() {
///     println!("it is another one by now");
/// }
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    files: Vec<(PathBuf, Option<Look>)>,
    /// Patterns, with what has fitted them.
    patterns: Vec<(Pattern, Vec<PathBuf>)>,
}

impl Files {
    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The same files as they look now, with those that fit the patterns of `include` by now. It is one system call for each.
    #[must_use]
    pub fn look(&self) -> Self {
        let files = self.files.iter().map(|(path, _)| (path.clone(), Look::at(path)));
        let patterns = self.patterns.iter().map(|(pattern, _)| (pattern.clone(), pattern.expand()));
        Self { files: files.collect(), patterns: patterns.collect() }
    }

    /// Adds a file; it is looked at before it is read, so that no change is missed.
    pub(super) fn add(&mut self, path: &Path) {
        if self.files.iter().all(|(known, _)| known != path) {
            self.files.push((path.to_owned(), Look::at(path)));
        }
    }

    pub(super) fn add_pattern(&mut self, pattern: Pattern, found: &[PathBuf]) {
        self.patterns.push((pattern, found.to_owned()));
    }
}
