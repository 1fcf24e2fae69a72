//! The lines of an access log.

use std::path::{Path, PathBuf};

use eproxy_core::AccessLog;
use serde_json::Value;

use super::folder::Folder;
use super::helper::eventually;

/// An access log in a folder of its own.
pub(crate) struct Logged {
    folder: Folder,
}

impl Logged {
    pub(crate) fn new() -> Self {
        Self { folder: Folder::new() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path("access.log")
    }

    /// What writes it.
    pub(crate) fn log(&self) -> AccessLog {
        AccessLog::to_file(self.path())
    }

    /// Waits until there are so many lines, and gives them.
    pub(crate) fn lines(&self, count: usize) -> Vec<Value> {
        lines(&self.path(), count)
    }

    /// Waits until there is one line, and gives it.
    pub(crate) fn line(&self) -> Value {
        self.lines(1).remove(0)
    }
}

/// Waits until there are so many lines in a file, and gives them.
pub(crate) fn lines(path: &Path, count: usize) -> Vec<Value> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    eventually("the lines are there", || read().matches('\n').count() >= count);
    let text = read();
    assert_eq!(text.lines().count(), count, "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}
