//! The files that a configuration was read from, and whether they have changed since.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::glob;

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
    patterns: Vec<(PathBuf, Vec<PathBuf>)>,
}

/// What tells a file that has changed, or another one under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    length: u64,
    /// Device and number.
    inode: (u64, u64),
}

impl Files {
    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The same files as they look now, with those that fit the patterns of `include` by now. It is one system call for each.
    #[must_use]
    pub fn look(&self) -> Self {
        let files = self.files.iter().map(|(path, _)| (path.clone(), Look::of(path)));
        let patterns = self.patterns.iter().map(|(pattern, _)| (pattern.clone(), glob::expand(pattern)));
        Self { files: files.collect(), patterns: patterns.collect() }
    }

    /// Adds a file; it is looked at before it is read, so that no change is missed.
    pub(super) fn add(&mut self, path: &Path) {
        if self.files.iter().all(|(known, _)| known != path) {
            self.files.push((path.to_owned(), Look::of(path)));
        }
    }

    pub(super) fn add_pattern(&mut self, pattern: &Path, found: &[PathBuf]) {
        self.patterns.push((pattern.to_owned(), found.to_owned()));
    }
}

impl Look {
    /// None where there is no file.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt as _;
            (file.dev(), file.ino())
        };
        #[cfg(not(unix))]
        let inode = (0, 0);
        Some(Self { modified: file.modified().ok(), length: file.len(), inode })
    }
}
