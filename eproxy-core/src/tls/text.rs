//! What is read of files, or given in their place.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};

/// Bytes that a file may have: there is room for many thousand roots.
const MAX_FILE: u64 = 16 << 20;

/// A file, or what might be in one.
#[derive(Clone, Debug)]
pub(super) enum Text {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Text {
    pub(super) fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    pub(super) fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bytes(bytes.as_ref().into())
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Bytes(_) => None,
        }
    }

    /// The error that something is wrong with it; `what` names it where no path does.
    pub(super) fn is_wrong(&self, what: &str, wrong: &str) -> Error {
        let detail = match self.path() {
            Some(path) => format!("TLS: {}: {wrong}", path.display()),
            None => format!("TLS: {what}: {wrong}"),
        };
        Error::new(Kind::BadOption).detail(detail)
    }
}

/// Reads texts, and remembers by a digest what was in them: equal digests stand for equal results.
#[derive(Debug, Default)]
pub(super) struct Reader(Sha256);

/// What all texts together have said.
pub(super) type TextsDigest = [u8; 32];

impl Reader {
    /// # Errors
    ///
    /// `bad_option`, with the path.
    pub(super) fn read(&mut self, text: &Text, what: &str) -> Result<Arc<[u8]>> {
        let bytes = match text {
            Text::Bytes(bytes) => Ok(bytes.clone()),
            Text::File(path) => read(path).map(Arc::from),
        };
        let wrong = bytes.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let said = bytes.as_deref().unwrap_or(wrong.as_bytes());
        self.0.update([u8::from(bytes.is_ok())]);
        self.0.update((said.len() as u64).to_be_bytes());
        self.0.update(said);
        bytes.map_err(|error| text.is_wrong(what, &wrong).because(error))
    }

    /// Counts what another reader has read.
    pub(super) fn note(&mut self, digest: &TextsDigest) {
        self.0.update(digest);
    }

    pub(super) fn digest(self) -> TextsDigest {
        self.0.finalize().into()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(io::Error::other(format!("it is longer than {MAX_FILE} bytes"))),
        false => Ok(bytes),
    }
}
