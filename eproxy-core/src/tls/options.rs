//! What a listener for TLS can be told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::danger::ClientCertVerifier;

use crate::error::{Error, Kind, Result};

use super::acceptor::Acceptor;
use super::certificate::{Certificate, Part};
use super::client_certificates::ClientCertificates;
use super::resolver::{ByName, CertificateResolver, Resolver};
use super::text::{Reader, Text, TextsDigest};
use super::version::TlsVersion;

/// How a server speaks TLS: with which certificates, and with whom.
///
/// TLS 1.3 and 1.2 are spoken, HTTP/2 and HTTP/1.1 are offered inside, and sessions are resumed by tickets whose keys no
/// file has and which are renewed every six hours. Early data is not taken: it could be sent twice by anybody (RFC 8446 §8).
///
/// Files are looked at every two seconds. What has changed is read, all of it, and if everything fits together it is what
/// new connections get; if not, that is logged, and everything stays as it was.
///
/// ```
/// use eproxy_core::Tls;
///
/// let tls = Tls::files("/etc/eproxy/shop.pem", "/etc/eproxy/shop.key")
///     .and_files("/etc/eproxy/blog.pem", "/etc/eproxy/blog.key");
/// ```
#[derive(Clone)]
#[must_use = "it does something where a server listens with it"]
pub struct Tls {
    certificates: Vec<Source>,
    own: Option<Arc<dyn CertificateResolver>>,
    has_default: bool,
    pub(super) http2: bool,
    pub(super) min_version: TlsVersion,
    pub(super) clients: Option<ClientCertificates>,
    pub(super) every: Duration,
    pub(super) tickets: bool,
    /// What can't be said where it is said.
    misplaced: Option<&'static str>,
}

/// Where a certificate comes from.
#[derive(Clone, Debug)]
struct Source {
    certificate: Text,
    key: Text,
    ocsp: Option<Text>,
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) resolver: Resolver,
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
    /// Tells the roots that vouch for clients from others.
    pub(super) clients_digest: TextsDigest,
    /// All names that there are certificates for.
    pub(super) names: Vec<Box<str>>,
}

impl Tls {
    /// The certificate in this file, in PEM, followed by those that certify it; its private key in that one. Both may be
    /// one file.
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::empty().and_files(certificate, key)
    }

    /// The same, with what would be in the files.
    pub fn pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        Self::empty().and_pem(certificate, key)
    }

    /// Certificates that are chosen by the program. Those in files may be [added](Self::and_files): they are looked at where
    /// the resolver has none.
    pub fn resolver(resolver: impl CertificateResolver) -> Self {
        Self { own: Some(Arc::new(resolver)), ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            certificates: Vec::new(),
            own: None,
            has_default: true,
            http2: true,
            min_version: TlsVersion::Tls12,
            clients: None,
            every: Duration::from_secs(2),
            tickets: true,
            misplaced: None,
        }
    }

    /// One more certificate. A client gets the one for exactly the name that it asks for, else one whose `*` stands for
    /// the first label of that name, else the first of all. Which names a certificate is for is read in it.
    pub fn and_files(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.and(Text::file(certificate), Text::file(key))
    }

    /// The same, with what would be in the files.
    pub fn and_pem(self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.and(Text::bytes(certificate), Text::bytes(key))
    }

    fn and(mut self, certificate: Text, key: Text) -> Self {
        self.certificates.push(Source { certificate, key, ocsp: None });
        self
    }

    /// An OCSP response in DER (RFC 6960) for the certificate that was named last; clients that ask for one are shown it
    /// with the certificate (RFC 6066 §8). Whoever fetches it replaces the file.
    pub fn ocsp_file(mut self, path: impl Into<PathBuf>) -> Self {
        match self.certificates.last_mut() {
            Some(last) => last.ocsp = Some(Text::file(path)),
            None => self.misplaced = Some("an OCSP response before any certificate"),
        }
        self
    }

    /// Refuses clients that ask for a name without a certificate, or for none: the handshake fails with the alert
    /// `unrecognized_name`, or `missing_extension`. By default they get the first certificate.
    pub fn refuse_unknown_names(mut self) -> Self {
        self.has_default = false;
        self
    }

    /// Whether clients may choose HTTP/2 (RFC 9113 §3.2). On by default; HTTP/1.1 is always there.
    pub fn http2(mut self, offered: bool) -> Self {
        self.http2 = offered;
        self
    }

    /// The oldest version that is spoken. [`TlsVersion::Tls12`] by default.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Asks clients for a certificate. By default they are not asked.
    pub fn client_certificates(mut self, certificates: ClientCertificates) -> Self {
        self.clients = Some(certificates);
        self
    }

    /// How often files are looked at: every two seconds by default; [`Duration::ZERO`] never. A look is one system call for
    /// each file where nothing has changed.
    pub fn reload_every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    /// Whether clients may go on with what was agreed on in an earlier connection, for up to twelve hours, which spares
    /// both sides the costly part of the handshake. On by default. The sessions are kept by the clients, in tickets (RFC
    /// 8446 §4.6.1, RFC 5077); other servers can't read them, not even one that listens beside this one.
    pub fn tickets(mut self, given: bool) -> Self {
        self.tickets = given;
        self
    }

    /// Reads everything, and makes what takes connections in.
    ///
    /// # Errors
    ///
    /// `bad_option`, with the file and what is wrong with it.
    pub(crate) fn acceptor(&self) -> Result<Acceptor> {
        Acceptor::new(self.clone())
    }

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// As [`acceptor`](Self::acceptor).
    pub(super) fn load(&self, reader: &mut Reader) -> Result<Set> {
        let wrong = |what: &'static str| Err(Error::new(Kind::BadOption).detail(format!("TLS: {what}")));
        if let Some(what) = self.misplaced {
            return wrong(what);
        }
        let certificates = self.certificates.iter().map(|source| source.read(reader));
        let certificates = certificates.collect::<Result<Vec<_>>>()?;
        let (clients, clients_digest) = match &self.clients {
            None => (None, TextsDigest::default()),
            Some(clients) => {
                let mut roots = Reader::default();
                let verifier = clients.verifier(&mut roots);
                let digest = roots.digest();
                reader.note(&digest);
                (Some(verifier?), digest)
            }
        };
        let names = certificates.iter().flat_map(Certificate::names).map(Into::into).collect();
        let by_name = ByName::new(&certificates, self.has_default);
        Ok(Set { resolver: Resolver::new(self.own.clone(), by_name), clients, clients_digest, names })
    }

    /// The files that all of it is in.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let sources = self.certificates.iter();
        let texts =
            sources.flat_map(|source| [&source.certificate, &source.key].into_iter().chain(&source.ocsp));
        texts.chain(self.clients.as_ref().map(ClientCertificates::text)).filter_map(Text::path).collect()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.paths())
            .field("http2", &self.http2)
            .finish_non_exhaustive()
    }
}

impl Source {
    fn read(&self, reader: &mut Reader) -> Result<Certificate> {
        let chain = reader.read(&self.certificate, CERTIFICATE)?;
        let key = reader.read(&self.key, KEY)?;
        let certificate = Certificate::read(&chain, &key).map_err(|(part, wrong)| match part {
            Part::Certificate => self.certificate.is_wrong(CERTIFICATE, &wrong),
            Part::Key => self.key.is_wrong(KEY, &wrong),
        })?;
        match &self.ocsp {
            None => Ok(certificate),
            Some(text) => Ok(certificate.ocsp(&*reader.read(text, "OCSP response")?)),
        }
    }
}

/// What is wrong where it has no path.
const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";
