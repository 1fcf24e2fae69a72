//! From a path to a file, never outside the folder. All of it may block: it runs on threads for that.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::coding::Coding;

/// A folder, and what may be seen of it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
    /// The file that a folder is answered with.
    pub(super) index: String,
    /// Names that begin with a dot are seen.
    pub(super) hidden: bool,
    /// Symbolic links may lead out.
    pub(super) follow_symlinks: bool,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(Sheet),
    /// A folder that was asked for without the slash at its end.
    Folder,
    Missing,
    /// There is something that nobody may know of, or the path is none of a file's.
    Refused,
}

/// A file that is open.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) file: File,
    pub(super) length: u64,
    /// When it was changed, where the system tells.
    pub(super) modified: Option<SystemTime>,
    /// The name that was asked for, by whose ending its media type is known.
    pub(super) path: PathBuf,
    /// It is the compressed form of what was asked for.
    pub(super) coding: Option<Coding>,
}

impl Folder {
    /// Looks for the file of a canonical path, and for the first of its compressed forms that is there. With a slash at its
    /// end, a path asks for a folder.
    ///
    /// # Errors
    ///
    /// What the system says, but for what means that there is no such file.
    pub(super) fn find(&self, path: &str, wants_folder: bool, codings: &[Coding]) -> io::Result<Found> {
        if !is_servable(path, self.hidden) {
            return Ok(Found::Refused);
        }
        none_is_missing(self.look(path, wants_folder, codings))
    }

    /// Opens a file that the description names.
    ///
    /// # Errors
    ///
    /// As for [`find`](Self::find).
    pub(super) fn named(&self, name: &str, codings: &[Coding]) -> io::Result<Found> {
        Ok(match none_is_missing(self.look(name, false, codings))? {
            Found::Folder => Found::Missing,
            found => found,
        })
    }

    fn look(&self, path: &str, wants_folder: bool, codings: &[Coding]) -> io::Result<Found> {
        let mut path = self.root.join(path.trim_matches('/'));
        match (fs::metadata(self.inside(&path)?)?.is_dir(), wants_folder) {
            (true, false) => return Ok(Found::Folder),
            (false, true) => return Ok(Found::Missing),
            (true, true) => path.push(&self.index),
            (false, false) => {}
        }
        // The compressed forms are those of a file that is there.
        let is_file = fs::metadata(self.inside(&path)?)?.is_file();
        for coding in codings.iter().filter(|_| is_file) {
            let mut name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
            name.push(coding.extension());
            // Whatever is wrong with it: there is the file itself.
            if let Ok(Found::File(sheet)) = self.open(&path.with_file_name(name)) {
                return Ok(Found::File(Sheet { path, coding: Some(*coding), ..sheet }));
            }
        }
        self.open(&path)
    }

    /// Opens a regular file.
    fn open(&self, path: &Path) -> io::Result<Found> {
        let real = self.inside(path)?;
        // What is no regular file, a pipe for one, would block whoever opens it.
        if !fs::metadata(&real)?.is_file() {
            return Ok(Found::Missing);
        }
        let file = File::open(real)?;
        let metadata = file.metadata()?;
        let (length, modified) = (metadata.len(), metadata.modified().ok());
        Ok(match metadata.is_file() {
            true => Found::File(Sheet { file, length, modified, path: path.to_owned(), coding: None }),
            false => Found::Missing,
        })
    }

    /// Where a path really leads.
    ///
    /// # Errors
    ///
    /// `NotFound`: to nothing, or out of the folder.
    fn inside(&self, path: &Path) -> io::Result<PathBuf> {
        if self.follow_symlinks {
            return Ok(path.to_owned());
        }
        // The root as well, each time: it may be a link that is changed when a new version is put in place.
        let (root, path) = (fs::canonicalize(&self.root)?, fs::canonicalize(path)?);
        match path.starts_with(root) {
            true => Ok(path),
            false => Err(ErrorKind::NotFound.into()),
        }
    }
}

fn none_is_missing(found: io::Result<Found>) -> io::Result<Found> {
    match found {
        Err(error) if is_missing(error.kind()) => Ok(Found::Missing),
        found => found,
    }
}

/// What the system says where there is no such file, nor can be.
fn is_missing(kind: ErrorKind) -> bool {
    use ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(kind, NotFound | NotADirectory | InvalidFilename | InvalidInput)
}

/// Whether a canonical path may name a file. Dot segments were resolved before: here they are refused once more.
pub(super) fn is_servable(path: &str, hidden: bool) -> bool {
    let segments = path.trim_start_matches('/').split('/').enumerate();
    segments.filter(|(_, segment)| !segment.is_empty()).all(|(number, segment)| {
        let is_dotted = segment.starts_with('.') && !(number == 0 && segment == ".well-known");
        let is_name = !matches!(segment, "." | "..") && !segment.contains(['\0', '\\']);
        // A drive, or a stream beside a file.
        let is_name = is_name && !(cfg!(windows) && segment.contains(':'));
        is_name && (hidden || !is_dotted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_hidden_or_none_are_told() {
        for (path, is_seen, is_seen_if_hidden) in [
            ("", true, true),
            ("/", true, true),
            ("a/b.html", true, true),
            ("/a/b/", true, true),
            ("a..b/c.", true, true),
            (".git/config", false, true),
            ("a/.htaccess", false, true),
            ("...", false, true),
            (".well-known/acme-challenge/x", true, true),
            ("a/.well-known/x", false, true),
            (".well-known/.x", false, true),
            ("a/../b", false, false),
            ("..", false, false),
            ("a/./b", false, false),
            ("a\0b", false, false),
            ("a\\..\\b", false, false),
        ] {
            assert_eq!(is_servable(path, false), is_seen, "{path:?}");
            assert_eq!(is_servable(path, true), is_seen_if_hidden, "{path:?}");
        }
    }
}
