//! A file of endpoints that is watched.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_std::fs;
use futures_lite::AsyncReadExt;

use crate::driver::Look;
use crate::error::{Error, Kind, Result};

use super::lines::parse;
use super::{Discovery, Feed};

/// The endpoints in a file, one a line, which may change while the server runs:
///
/// ```text
/// # the shop
/// http://10.0.0.7:3000 weight=2
/// http://10.0.0.8:3000 zone=eu-1a label.version=canary   # new
/// http://10.1.0.7:3000 priority=1 host=shop.internal
/// ```
///
/// It is looked at every second. A file with a mistake, one without endpoints and one that is gone change nothing: the
/// last endpoints stay, and every mistake is told with its line. Whoever writes it does best to write another file beside
/// it and to rename that: what is half written may be read.
///
/// ```
/// use eproxy_core::EndpointsFile;
///
/// let shop = EndpointsFile::new("/etc/eproxy/shop.endpoints");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a discovery does something where it is given to whoever uses its endpoints"]
pub struct EndpointsFile {
    path: PathBuf,
    every: Duration,
}

/// Bytes that a file of endpoints may have.
const MAX_FILE: u64 = 4 << 20;

/// What was seen last.
#[derive(Debug, Default)]
struct Seen {
    look: Option<Look>,
    /// What was in it.
    content: Option<Vec<u8>>,
    /// It was read again after it had changed: two changes within one tick of the file system's clock look like one.
    is_settled: bool,
}

impl EndpointsFile {
    /// The endpoints in the file with this path; it may be a symlink, and need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), every: Duration::from_secs(1) }
    }

    /// How often it is looked at: every second by default. A look is one system call where nothing has changed.
    pub fn every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    async fn follow(&self, feed: &Feed) {
        if let Err(error) = self.check() {
            return feed.failed(error.to_string());
        }
        let mut seen = Seen::default();
        loop {
            let path = self.path.display();
            match self.read_changed(&mut seen).await {
                Ok(None) => {}
                Ok(Some(content)) => match std::str::from_utf8(content).map_err(not_text).and_then(parse) {
                    Ok(endpoints) => feed.set(endpoints),
                    Err(what) => feed.failed(format!("{path}: {what}")),
                },
                Err(error) => {
                    // When it is back it is read, even if it is the same.
                    seen = Seen::default();
                    feed.failed(format!("{path}: {error}"));
                }
            }
            async_std::task::sleep(self.every).await;
        }
    }

    /// The file's content, if it is another than before.
    async fn read_changed<'s>(&self, seen: &'s mut Seen) -> io::Result<Option<&'s [u8]>> {
        let file = fs::metadata(&self.path).await?;
        if !file.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let look = Look::of(&file);
        let is_same = seen.look.as_ref() == Some(&look);
        if is_same && seen.is_settled {
            return Ok(None);
        }
        let mut content = Vec::new();
        fs::File::open(&self.path).await?.take(MAX_FILE + 1).read_to_end(&mut content).await?;
        if content.len() as u64 > MAX_FILE {
            return Err(io::Error::other(format!("it is longer than {MAX_FILE} bytes")));
        }
        let has_changed = seen.content.as_ref() != Some(&content);
        *seen = Seen { look: Some(look), content: Some(content), is_settled: is_same && !has_changed };
        Ok(seen.content.as_deref().filter(|_| has_changed))
    }
}

impl Discovery for EndpointsFile {
    fn check(&self) -> Result<()> {
        match self.every.is_zero() {
            true => {
                Err(Error::new(Kind::BadOption).detail("no time between two looks at a file of endpoints"))
            }
            false => Ok(()),
        }
    }

    fn run(self: Arc<Self>, feed: Feed) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { futures_lite::future::or(feed.closed(), self.follow(&feed)).await })
    }
}

fn not_text(error: std::str::Utf8Error) -> String {
    format!("it is not UTF-8 from byte {} on", error.valid_up_to())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn two_changes_within_one_tick_of_the_file_systems_clock_are_both_seen() {
        let name = format!("eproxy-endpoints-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            std::fs::File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH)
                .unwrap();
        };
        let file = EndpointsFile::new(&path);
        let mut seen = Seen::default();
        let mut read =
            || async_std::task::block_on(file.read_changed(&mut seen)).unwrap().map(<[u8]>::to_vec);
        write("http://a");
        assert_eq!(read().as_deref(), Some(&b"http://a"[..]));
        write("http://b");
        assert_eq!(read().as_deref(), Some(&b"http://b"[..]));
        assert_eq!(read(), None);
        // It was read again after the change, and is left alone as long as it looks the same.
        write("http://c");
        assert_eq!(read(), None);
        std::fs::remove_file(&path).unwrap();
    }
}
