//! The server's side: what takes connections in, with certificates that change.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_std::task::spawn_blocking;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ProducesTickets, UnbufferedServerConnection};

use crate::driver::{Cipher, Look};
use crate::error::{Error, Kind, Result};

use super::cipher::TlsCipher;
use super::options::{Set, Tls};
use super::provider::{provider, ticketer};
use super::session::{Alpn, Session};
use super::text::{Reader, TextsDigest};
use super::words::broken;

/// Tickets that a client of TLS 1.3 is given: it uses each once (RFC 8446 App. C.4), and browsers open two connections at a
/// time. Each is some 200 bytes, encrypted at the end of the handshake.
const TICKETS: usize = 2;

/// Takes connections in, on any core; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tls: Tls,
    current: RwLock<Arc<ServerConfig>>,
    files: Mutex<Files>,
}

/// What was read last.
#[derive(Debug)]
struct Files {
    looks: Vec<Option<Look>>,
    digest: TextsDigest,
    /// They were read again after they had changed: two changes within one tick of the file system's clock look like one.
    is_settled: bool,
    /// What is wrong with them, as long as nobody was told.
    wrong: Option<Error>,
    /// The keys of tickets, and the roots of those whom they vouch for.
    tickets: Option<(Arc<dyn ProducesTickets>, TextsDigest)>,
}

/// What has become of files that have changed.
#[derive(Debug)]
pub(crate) enum News {
    /// New connections get what is in them, with certificates for these names.
    Swapped(Vec<Box<str>>),
    /// They can't be used, and everything stays as it was.
    Kept(Error),
}

/// Which files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Those that look different.
    Changed,
    /// All of them, and what is wrong is told at once.
    All,
}

impl Acceptor {
    /// # Errors
    ///
    /// `bad_option`, with what can't be read and what is wrong with it.
    pub(super) fn new(tls: Tls) -> Result<Self> {
        let looks = looks(&tls.paths());
        let mut reader = Reader::default();
        let set = tls.load(&mut reader)?;
        let mut files =
            Files { looks, digest: reader.digest(), is_settled: false, wrong: None, tickets: None };
        let config = config(&tls, set, &mut files)?;
        let (current, files) = (RwLock::new(config), Mutex::new(files));
        Ok(Self(Arc::new(Shared { tls, current, files })))
    }

    /// The server's side of a connection, and what will be known of it.
    ///
    /// # Errors
    ///
    /// None that is known of.
    pub(crate) fn accept(&self) -> io::Result<(Box<dyn Cipher>, Rc<Session>)> {
        let config = self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let side = UnbufferedServerConnection::new(config).map_err(|error| broken(&error.to_string()))?;
        let session = Rc::new(Session::default());
        Ok((Box::new(TlsCipher::new(side, None, session.clone())), session))
    }

    /// Looks after the files, as long as it is polled, on async-std.
    pub(crate) async fn keep_current(&self, on_news: impl Fn(News)) {
        let every = self.0.tls.every;
        if every.is_zero() || self.0.tls.paths().is_empty() {
            return std::future::pending().await;
        }
        loop {
            async_std::task::sleep(every).await;
            let shared = self.0.clone();
            if let Some(news) = spawn_blocking(move || shared.look(Reading::Changed)).await {
                on_news(news);
            }
        }
    }

    /// Reads all files again, on async-std's threads for blocking work; says nothing where they are as before.
    pub(crate) async fn reload_now(&self) -> Option<News> {
        let shared = self.0.clone();
        spawn_blocking(move || shared.look(Reading::All)).await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, reading: Reading) -> Option<News> {
        let looks = looks(&self.tls.paths());
        let mut files = self.lock();
        let look_the_same = looks == files.looks;
        if reading == Reading::Changed && look_the_same && files.is_settled {
            return None;
        }
        let mut reader = Reader::default();
        let set = self.tls.load(&mut reader);
        let digest = reader.digest();
        let are_the_same = digest == files.digest;
        files.is_settled = are_the_same && look_the_same;
        (files.looks, files.digest) = (looks, digest);
        if !are_the_same {
            match set.and_then(|set| self.swap(set, &mut files)) {
                Ok(names) => return Some(News::Swapped(names)),
                // A certificate and its key are replaced one after the other: only what stays wrong is told.
                Err(error) => files.wrong = Some(error),
            }
        }
        let is_told = are_the_same || reading == Reading::All;
        files.wrong.take_if(|_| is_told).map(News::Kept)
    }

    fn swap(&self, set: Set, files: &mut Files) -> Result<Vec<Box<str>>> {
        let names = set.names.clone();
        let config = config(&self.tls, set, files)?;
        files.wrong = None;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(names)
    }
}

fn looks(paths: &[&Path]) -> Vec<Option<Look>> {
    paths.iter().map(|path| Look::at(path)).collect()
}

fn config(tls: &Tls, set: Set, files: &mut Files) -> Result<Arc<ServerConfig>> {
    let failed = |error: rustls::Error| Error::new(Kind::BadOption).detail(format!("TLS: {error}"));
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(tls.min_version.and_later()).map_err(failed)?;
    let builder = match set.clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(set.resolver));
    config.alpn_protocols = Alpn::offer(tls.http2);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config.send_tls13_tickets = if tls.tickets { TICKETS } else { 0 };
    if tls.tickets {
        // Who comes with a ticket is not verified again: it must not outlive the roots that have vouched for its owner.
        let kept = files.tickets.take_if(|(_, roots)| *roots == set.clients_digest);
        let keys = match kept {
            Some((keys, _)) => keys,
            None => ticketer().map_err(failed)?,
        };
        config.ticketer = keys.clone();
        files.tickets = Some((keys, set.clients_digest));
    }
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, SystemTime};

    use futures_lite::future::block_on;

    use super::super::ClientCertificates;
    use super::super::tests::{Authority, Both, Pair, trusts};
    use super::*;

    /// A folder that is gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("eproxy-tls-{}-{:08x}", std::process::id(), fastrand::u32(..));
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        /// Writes a file, at a time at which no other was written.
        fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            static TIME: AtomicU64 = AtomicU64::new(1);
            self.write_at(name, content, TIME.fetch_add(1, Ordering::Relaxed))
        }

        fn write_at(&self, name: &str, content: impl AsRef<[u8]>, second: u64) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, content).unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
            path
        }

        /// Replaces a pair by another.
        fn replace(&self, pair: &Pair) {
            self.write("certificate", &pair.certificate);
            self.write("key", &pair.key);
        }

        fn pair(&self, pair: &Pair) -> Tls {
            self.replace(pair);
            Tls::files(self.0.join("certificate"), self.0.join("key"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    /// Whether a client that was never there before gets a certificate for this name.
    fn is_served(server: &Acceptor, authority: &Authority, host: &str) -> bool {
        let client = trusts(authority).connector().unwrap();
        Both::new(&client, host, server).shake(100_000).client.then.is_ok()
    }

    #[test]
    fn both_sides_may_be_shared_and_files_looked_after_anywhere() {
        fn may_go_anywhere<T: Send + Sync>() {}
        may_go_anywhere::<(Acceptor, super::super::Connector)>();
        let pair = Authority::new("root").certify(&["a.test"]);
        let server = pair.tls().acceptor().unwrap();
        let watch = async_std::task::spawn(async move { server.keep_current(drop).await });
        assert!(block_on(watch.cancel()).is_none());
    }

    #[test]
    fn new_files_are_for_new_connections_and_bad_ones_change_nothing() {
        let (folder, authority) = (Folder::new(), Authority::new("root"));
        let client = trusts(&authority).connector().unwrap();
        let [old, new] = ["old.test", "new.test"].map(|name| authority.certify(&[name]));
        let server = folder.pair(&old).acceptor().unwrap();
        let look = || server.0.look(Reading::Changed);
        assert!(look().is_none() && look().is_none());
        let mut before = Both::new(&client, "old.test", &server).shake(100_000).expect_over();

        // The certificate is new, the key not yet: that is not told at once.
        folder.write("certificate", &new.certificate);
        assert!(look().is_none());
        assert!(is_served(&server, &authority, "old.test"));
        folder.write("key", &new.key);
        let news = look();
        let Some(News::Swapped(names)) = news else { panic!("{news:?}") };
        assert_eq!(names, ["new.test".into()]);
        assert!(is_served(&server, &authority, "new.test") && !is_served(&server, &authority, "old.test"));
        let said = before.client.say(b"still here");
        before.server.came = said;
        before.server.open(100_000);
        assert_eq!(before.server.heard, b"still here");

        // What stays wrong is told once.
        let key = folder.write("key", &old.key);
        assert!(look().is_none());
        let news = look();
        let Some(News::Kept(error)) = news else { panic!("{news:?}") };
        let told = format!("{}: the private key belongs to another certificate", key.display());
        assert!(error.to_string().ends_with(&told), "{error}");
        assert!(look().is_none() && look().is_none());
        fs::remove_file(&key).unwrap();
        let news = block_on(server.reload_now());
        let Some(News::Kept(error)) = news else { panic!("{news:?}") };
        assert!(error.to_string().contains("No such file"), "{error}");
        assert!(block_on(server.reload_now()).is_none());
        assert!(is_served(&server, &authority, "new.test"));
        folder.write("key", &new.key);
        assert!(matches!(look(), Some(News::Swapped(_))));
    }

    #[test]
    fn a_change_that_looks_like_none_is_found_where_it_follows_another() {
        let (folder, authority) = (Folder::new(), Authority::new("root"));
        let pair = authority.certify(&["a.test"]);
        let server = folder.pair(&pair).ocsp_file(folder.write_at("ocsp", b"one", 0)).acceptor().unwrap();
        folder.write_at("ocsp", b"two!", 0);
        assert!(matches!(server.0.look(Reading::Changed), Some(News::Swapped(_))));
        folder.write_at("ocsp", b"thr!", 0);
        assert!(matches!(server.0.look(Reading::Changed), Some(News::Swapped(_))));
        assert!(server.0.look(Reading::Changed).is_none());
    }

    #[test]
    fn files_are_looked_after_as_long_as_somebody_wants_it() {
        let (folder, authority) = (Folder::new(), Authority::new("root"));
        let [old, new] = ["old.test", "new.test"].map(|name| authority.certify(&[name]));
        let every = Duration::from_millis(1);
        let server = folder.pair(&old).reload_every(every).acceptor().unwrap();
        folder.replace(&new);
        let (tell, told) = async_std::channel::unbounded();
        let news = block_on(async {
            let watch = async {
                server.keep_current(|news| drop(tell.try_send(news))).await;
                unreachable!()
            };
            futures_lite::future::or(watch, async { told.recv().await.unwrap() }).await
        });
        assert!(matches!(news, News::Swapped(_)), "{news:?}");
    }

    #[test]
    fn tickets_end_with_the_roots_that_have_vouched_for_their_owners() {
        let (folder, authority) = (Folder::new(), Authority::new("root"));
        let pair = authority.certify(&["a.test"]);
        let roots = folder.write("roots", authority.pem());
        let tls = folder.pair(&pair).client_certificates(ClientCertificates::optional(roots));
        let server = tls.acceptor().unwrap();
        let client = trusts(&authority).connector().unwrap();
        let is_resumed =
            || Both::new(&client, "a.test", &server).shake(100_000).expect_over().server.session.is_resumed();
        assert!(!is_resumed() && is_resumed());
        folder.replace(&authority.certify(&["a.test"]));
        assert!(matches!(server.0.look(Reading::Changed), Some(News::Swapped(_))));
        assert!(is_resumed());
        folder.write("roots", Authority::new("other").pem());
        assert!(matches!(server.0.look(Reading::Changed), Some(News::Swapped(_))));
        assert!(!is_resumed());
    }

    #[test]
    fn what_is_wrong_is_said_at_the_start_with_the_file() {
        let (folder, authority) = (Folder::new(), Authority::new("root"));
        let pair = authority.certify(&["a.test"]);
        let good = folder.pair(&pair);
        let empty = folder.write("empty", "");
        let path = empty.display();
        let roots = ClientCertificates::required(&empty);
        for (tls, told) in [
            (good.clone().and_files(&empty, &empty), format!("{path}: there is no certificate in it")),
            (good.clone().client_certificates(roots), format!("{path}: there is no certificate in it")),
            (good.clone().ocsp_file(folder.0.join("none")), "none: No such file".to_owned()),
            (Tls::pem("", &pair.key), "certificate: there is no certificate in it".to_owned()),
            (Tls::resolver(Nothing).ocsp_file(&empty), "an OCSP response before any certificate".to_owned()),
        ] {
            let error = tls.acceptor().unwrap_err();
            assert_eq!(error.name(), "bad_option");
            assert!(
                error.to_string().contains(&format!("TLS: {told}")) || error.to_string().contains(&told),
                "{error}"
            );
        }
    }

    struct Nothing;

    impl super::super::CertificateResolver for Nothing {
        fn resolve(&self, _hello: &super::super::Hello<'_>) -> Option<Arc<super::super::Certificate>> {
            None
        }
    }
}
