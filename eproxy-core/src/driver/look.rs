//! How a file looks from outside: whether it is the one that was read.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::SystemTime;

/// What tells a file that has changed, or another one under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    modified: Option<SystemTime>,
    length: u64,
    /// Device and number.
    inode: (u64, u64),
}

impl Look {
    /// How the file looks; none where there is none to look at.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::of)
    }

    pub(crate) fn of(file: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt as _;
            (file.dev(), file.ino())
        };
        #[cfg(not(unix))]
        let inode = (0, 0);
        Self { modified: file.modified().ok(), length: file.len(), inode }
    }
}
