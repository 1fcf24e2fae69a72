//! What a connection to a server can be told.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Kind, Result};

use super::certificate::{Certificate, Part};
use super::connector::{Connector, server_name};
use super::provider::provider;
use super::roots::{roots, system_roots};
use super::session::Alpn;
use super::text::{Reader, Text};
use super::trusting::Trusting;
use super::version::TlsVersion;

/// How servers are spoken to over TLS: whom to trust, and what to show.
///
/// By default the system's roots are trusted, or Mozilla's where there are none, and a server must prove that it is the host
/// that was asked for (RFC 9110 §4.3.4).
///
/// Files are read once: a [`Client`](crate::Client) reads them with its first request to an `https://` server.
///
/// ```
/// use eproxy_core::{Client, ClientOptions, UpstreamTls};
///
/// let inside = ClientOptions {
///     tls: UpstreamTls::new().roots_file("/etc/eproxy/inside.pem"),
///     ..ClientOptions::default()
/// };
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does something where it is given to a client or an upstream"]
pub struct UpstreamTls {
    roots: Vec<Text>,
    has_system_roots: bool,
    server_name: Option<String>,
    certificate: Option<(Text, Text)>,
    http2: bool,
    verifies: bool,
    min_version: TlsVersion,
}

impl UpstreamTls {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            roots: Vec::new(),
            has_system_roots: false,
            server_name: None,
            certificate: None,
            http2: true,
            verifies: true,
            min_version: TlsVersion::Tls12,
        }
    }

    /// Trusts the roots in this file, in PEM, and not the system's. May be said several times.
    pub fn roots_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Text::file(path));
        self
    }

    /// The same, with what would be in the file.
    pub fn roots_pem(mut self, roots: impl AsRef<[u8]>) -> Self {
        self.roots.push(Text::bytes(roots));
        self
    }

    /// Trusts the system's roots as well as those that were given.
    pub fn and_system_roots(mut self) -> Self {
        self.has_system_roots = true;
        self
    }

    /// The name to ask for (RFC 6066 §3), and to be proven, whatever host or address is connected to.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The certificate to show to servers that ask for one, followed by those that certify it, and its private key, both in
    /// PEM.
    pub fn client_certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificate = Some((Text::file(certificate), Text::file(key)));
        self
    }

    /// The same, with what would be in the files.
    pub fn client_certificate_pem(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.certificate = Some((Text::bytes(certificate), Text::bytes(key)));
        self
    }

    /// Whether HTTP/2 is offered as well (RFC 9113 §3.2). On by default. The [`Client`](crate::Client) never does: it speaks
    /// HTTP/1.1.
    pub fn http2(mut self, offered: bool) -> Self {
        self.http2 = offered;
        self
    }

    /// The oldest version that is spoken. [`TlsVersion::Tls12`] by default.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// **Trusts everybody.** Whoever can put himself between this program and the server can read and change everything
    /// that is sent and received, passwords included, and nobody will notice. That is no better than `http://`, though it
    /// looks like it.
    ///
    /// For tests with servers whose certificate nobody has certified; better is to trust that very certificate, with
    /// [`roots_pem`](Self::roots_pem).
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.verifies = false;
        self
    }

    /// Reads everything, and makes what connects.
    ///
    /// # Errors
    ///
    /// `bad_option`, with the file and what is wrong with it.
    pub(crate) fn connector(&self) -> Result<Connector> {
        let failed =
            |error: &dyn std::fmt::Display| Error::new(Kind::BadOption).detail(format!("TLS: {error}"));
        let mut reader = Reader::default();
        let mut options = format!("{} {} {:?} ", self.http2, self.verifies, self.min_version);
        options += if self.has_system_roots || self.roots.is_empty() { "system " } else { "own " };
        options += self.server_name.as_deref().unwrap_or_default();
        reader.read(&Text::bytes(options), "options")?;
        let name = self.server_name.as_deref().map(|name| {
            server_name(name).ok_or_else(|| failed(&format_args!("{name:?} is no name of a server")))
        });
        let name = name.transpose()?;
        let verifier = self.verifier(&mut reader)?;
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(self.min_version.and_later());
        // Not dangerous by itself: it is the verifier that would be there without, or one that was asked for by name.
        let builder =
            builder.map_err(|error| failed(&error))?.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match self.certificate(&mut reader)? {
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.key().clone())))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = Alpn::offer(self.http2);
        Ok(Connector::new(config, name, reader.digest()))
    }

    fn verifier(&self, reader: &mut Reader) -> Result<Arc<dyn ServerCertVerifier>> {
        const WHAT: &str = "roots";
        if !self.verifies {
            return Ok(Arc::new(Trusting::new(provider())));
        }
        let mut trusted = RootCertStore::empty();
        for text in &self.roots {
            let read = roots(&reader.read(text, WHAT)?);
            trusted.roots.append(&mut read.map_err(|wrong| text.is_wrong(WHAT, &wrong))?.roots);
        }
        if self.has_system_roots || self.roots.is_empty() {
            trusted.roots.extend_from_slice(&system_roots().roots);
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted), provider()).build();
        verifier
            .map(|verifier| verifier as _)
            .map_err(|error| Error::new(Kind::BadOption).detail(format!("TLS: {error}")))
    }

    fn certificate(&self, reader: &mut Reader) -> Result<Option<Certificate>> {
        let Some((certificate, key)) = &self.certificate else { return Ok(None) };
        let chain = reader.read(certificate, "client certificate")?;
        let secret = reader.read(key, "private key of the client certificate")?;
        let read = Certificate::read(&chain, &secret).map_err(|(part, wrong)| match part {
            Part::Certificate => certificate.is_wrong("client certificate", &wrong),
            Part::Key => key.is_wrong("private key of the client certificate", &wrong),
        });
        read.map(Some)
    }
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self::new()
    }
}
