//! The description of a folder that is served.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::handler::Handler;
use crate::message::is_value;

use super::fields::Fields;
use super::find::Folder;
use super::place::{Local, Place};
use super::serve::Site;

/// Files from a folder.
///
/// Which one is said by the wildcard of the pattern, `/static/*path`, or by the whole path of the request where the pattern
/// has none. A folder is answered with its `index.html`; none is ever listed.
///
/// ```no_run
/// use eproxy_core::{Files, Server};
///
/// let server = Server::builder()
///     // What the build has given a name of its own for each content may be kept for ever.
///     .at("/assets/*path", Files::from("dist/assets").precompressed().cache_control("public, max-age=31536000, immutable"))
///     // Everything else is the application's: its own page for what is no file.
///     .at("/*path", Files::from("dist").fallback("index.html").cache_control("no-cache"));
/// ```
///
/// GET and HEAD are answered, OPTIONS with what is allowed, and anything else with 405. Answers have an ETag and a
/// Last-Modified, by which clients ask whether what they have is still good (RFC 9110 §13), and one part of a file can be
/// asked for (§14); where several are, all of the file is sent. Files of up to 64 KiB are read at once, longer ones as the
/// client takes them. A file that gets shorter while it is sent breaks the answer off.
///
/// Nothing outside the folder is ever served. Symbolic links are followed as long as they stay in it
/// ([`follow_symlinks`](Self::follow_symlinks)); names that begin with a dot are not there ([`hidden`](Self::hidden)), but for
/// `.well-known` in front of a path (RFC 8615). A name that is not UTF-8 can't be asked for. What the program may not read is
/// a 403, any other failure a 500 that is logged.
///
/// Its methods never fail. The first thing that is wrong with a description, such as a folder that is not there, is what
/// [`Builder::start`](crate::Builder::start) returns: an error named `bad_option`.
#[derive(Clone, Debug)]
#[must_use = "files are mounted with Builder::at or Route::get"]
pub struct Files {
    folder: Folder,
    fallback: Option<String>,
    not_found: Option<String>,
    precompressed: bool,
    cache_control: Option<String>,
    media_types: Vec<(String, String)>,
    fields: Fields,
}

impl Files {
    /// Serves the files below this folder. It has to be there when the server starts, and may be a symbolic link that is
    /// changed while it runs.
    pub fn from(folder: impl Into<PathBuf>) -> Self {
        let folder =
            Folder { root: folder.into(), index: "index.html".into(), hidden: false, follow_symlinks: false };
        Self {
            folder,
            fallback: None,
            not_found: None,
            precompressed: false,
            cache_control: None,
            media_types: Vec::new(),
            fields: Fields::default(),
        }
    }

    /// Sets the file that a folder is answered with; `index.html` unless set. A folder without it is a 404.
    pub fn index(mut self, name: impl Into<String>) -> Self {
        self.folder.index = name.into();
        self.check_file("index", &self.folder.index.clone());
        self
    }

    /// Answers with this file of the folder, and 200, where there is no other: for applications of one page, whose paths
    /// are known to the page only. Names that are hidden stay a 404. Off unless set.
    pub fn fallback(mut self, file: impl Into<String>) -> Self {
        let file = file.into();
        self.check_file("fallback", &file);
        self.fallback = Some(file);
        self
    }

    /// Sends this file of the folder with a 404, instead of a line of text.
    pub fn not_found(mut self, file: impl Into<String>) -> Self {
        let file = file.into();
        self.check_file("not_found", &file);
        self.not_found = Some(file);
        self
    }

    /// Sets the Cache-Control of files that are found (RFC 9111 §5.2); none unless set.
    pub fn cache_control(mut self, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.is_empty() || !is_value(value.as_bytes()) {
            self.fields.refuse(format!("cache_control {value:?}"));
        }
        self.cache_control = Some(value);
        self
    }

    /// Sends `app.js.br`, `app.js.zst` or `app.js.gz` for `app.js` where one is there and the client takes it (RFC 9110
    /// §12.5.3); among those that it likes equally, in that order. Answers vary by Accept-Encoding then. Off unless set.
    pub fn precompressed(mut self) -> Self {
        self.precompressed = true;
        self
    }

    /// Follows symbolic links that lead out of the folder, too. Off unless set: they are a 404.
    pub fn follow_symlinks(mut self) -> Self {
        self.folder.follow_symlinks = true;
        self
    }

    /// Serves names that begin with a dot, too. Off unless set: they are a 404.
    pub fn hidden(mut self) -> Self {
        self.folder.hidden = true;
        self
    }

    /// Sets the media type of files whose names end like this, `md` for `notes.md`, in place of the one that is known; what
    /// is not known is `application/octet-stream` (RFC 9110 §8.3).
    pub fn media_type(mut self, extension: impl Into<String>, media_type: impl Into<String>) -> Self {
        let (extension, media_type) = (extension.into(), media_type.into());
        if media_type.is_empty() || !is_value(media_type.as_bytes()) {
            self.fields.refuse(format!("media type {media_type:?}"));
        }
        self.media_types.push((extension.trim_start_matches('.').to_ascii_lowercase(), media_type));
        self
    }

    /// Tells browsers to believe the Content-Type: `X-Content-Type-Options: nosniff`. Off unless set.
    pub fn nosniff(self) -> Self {
        self.header("X-Content-Type-Options", "nosniff")
    }

    /// Sets a header of all files, in place of all of that name. What it may be is said at
    /// [`Fixed::header`](crate::Fixed::header); what is said of each file by itself, such as its ETag, is a `bad_option`.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        match OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            true => self.fields.refuse(format!("header {name:?} is said of each file by itself")),
            false => self.fields.set(name, value.as_ref()),
        }
        self
    }

    fn check_file(&mut self, what: &str, file: &str) {
        let is_normal = |component| matches!(component, Component::Normal(_));
        if file.is_empty() || file.ends_with('/') || !Path::new(file).components().all(is_normal) {
            self.fields.refuse(format!("{what} {file:?} is no file below the folder"));
        }
    }

    /// # Errors
    ///
    /// `BadOption`: there is no such folder.
    fn check_folder(&self) -> Result<()> {
        let wrong = |what: &str| Error::new(Kind::BadOption).detail(format!("{:?} {what}", self.folder.root));
        match std::fs::metadata(&self.folder.root) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(wrong("is no folder")),
            Err(error) => Err(wrong("can't be served from").because(error)),
        }
    }
}

/// The fields that are made for each file.
const OWN: [&str; 10] = [
    "Accept-Ranges",
    "Allow",
    "Cache-Control",
    "Content-Encoding",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Location",
    "Vary",
];

impl Local for Files {
    fn build(&self, place: &Place<'_>) -> Result<Arc<dyn Handler>> {
        let Self { folder, fallback, not_found, precompressed, cache_control, media_types, fields } =
            self.clone();
        let headers = fields.finish()?;
        self.check_folder()?;
        let rest = place.rest().map(str::to_owned);
        let site =
            Site { folder, fallback, not_found, precompressed, cache_control, media_types, headers, rest };
        Ok(Arc::new(site.handler()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_is_wrong_is_told() {
        let here = || Files::from(env!("CARGO_MANIFEST_DIR"));
        for (files, what) in [
            (Files::from("/nowhere/at/all"), "/nowhere/at/all"),
            (Files::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), "no folder"),
            (here().index("../index.html"), "index"),
            (here().fallback("/etc/passwd"), "fallback"),
            (here().fallback(""), "fallback"),
            (here().not_found("errors/"), "not_found"),
            (here().cache_control("no-cache\r\nX-A: 1"), "cache_control"),
            (here().media_type("md", "text/markdown\n"), "text/markdown"),
            (here().header("etag", "1"), "etag"),
            (here().header("Transfer-Encoding", "chunked"), "Transfer-Encoding"),
        ] {
            let built = files.build(&Place { names: &[], has_rest: false });
            let told = built.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(told.starts_with("invalid option") && told.contains(what), "{what}: {told}");
        }
        let files = here().index("start.html").fallback("a/b.html").nosniff().header("X-A", "1");
        assert!(files.build(&Place { names: &[], has_rest: false }).is_ok());
    }
}
