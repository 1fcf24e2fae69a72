//! Which certificates clients may or must show.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::error::Result;

use super::provider::provider;
use super::roots::roots;
use super::text::{Reader, Text};

/// Asks clients who they are: they show a certificate that one of the given roots has certified, directly or through
/// others, and prove that they have its key (RFC 8446 §4.4.2).
///
/// Which one it was is then to be had of the request. A client whose certificate is expired, of another issuer or not
/// made for clients is refused in the handshake, whether or not it would have needed one. Who goes on with a session is
/// taken for whom it was when the session began, up to twelve hours ago, as long as the roots are the same;
/// [`Tls::tickets`](crate::Tls::tickets) turns that off.
///
/// ```
/// use eproxy_core::{ClientCertificates, Tls};
///
/// let tls = Tls::files("/etc/eproxy/shop.pem", "/etc/eproxy/shop.key")
///     .client_certificates(ClientCertificates::required("/etc/eproxy/partners.pem"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does something where it is given to `Tls::client_certificates`"]
pub struct ClientCertificates {
    roots: Text,
    is_required: bool,
}

impl ClientCertificates {
    /// No client without one. The file has the roots, in PEM; it is looked at again as the certificates are.
    pub fn required(roots: impl Into<PathBuf>) -> Self {
        Self { roots: Text::file(roots), is_required: true }
    }

    /// A client may show one.
    pub fn optional(roots: impl Into<PathBuf>) -> Self {
        Self { roots: Text::file(roots), is_required: false }
    }

    /// As [`required`](Self::required), with the roots themselves.
    pub fn required_pem(roots: impl AsRef<[u8]>) -> Self {
        Self { roots: Text::bytes(roots), is_required: true }
    }

    /// As [`optional`](Self::optional), with the roots themselves.
    pub fn optional_pem(roots: impl AsRef<[u8]>) -> Self {
        Self { roots: Text::bytes(roots), is_required: false }
    }

    pub(super) fn text(&self) -> &Text {
        &self.roots
    }

    pub(super) fn verifier(&self, reader: &mut Reader) -> Result<Arc<dyn ClientCertVerifier>> {
        const WHAT: &str = "roots of client certificates";
        let text = reader.read(&self.roots, WHAT)?;
        let roots = roots(&text).map_err(|wrong| self.roots.is_wrong(WHAT, &wrong))?;
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        if !self.is_required {
            verifier = verifier.allow_unauthenticated();
        }
        verifier.build().map_err(|error| self.roots.is_wrong(WHAT, &error.to_string()))
    }
}
