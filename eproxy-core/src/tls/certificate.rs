//! A certificate of ours: its chain, its key, the names that it is for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::InconsistentKeys;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::{Error, Kind, Result};

use super::asked::canonical;
use super::pem::{self, Wrong};
use super::provider::provider;

/// A certificate with its chain and its private key, for servers and for clients that must show one.
///
/// A [`CertificateResolver`](crate::CertificateResolver) gives it to whom it is for. Making one takes some time, sharing one
/// none: keep it in an `Arc`.
///
/// ```
/// use eproxy_core::Certificate;
///
/// fn load() -> Result<Certificate, Box<dyn std::error::Error>> {
///     let chain = std::fs::read("/etc/eproxy/shop.pem")?;
///     let key = std::fs::read("/etc/eproxy/shop.key")?;
///     Ok(Certificate::from_pem(&chain, &key)?)
/// }
/// ```
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Arc<[Box<str>]>,
}

impl Certificate {
    /// The certificate in PEM, followed by those that certify it, and its private key in PEM: PKCS #8, or as OpenSSL
    /// wrote them before, not encrypted. Both may be in one text, which is then given twice.
    ///
    /// # Errors
    ///
    /// `bad_option`, with what is wrong and where: a text that is no PEM, one without a certificate or a key, a key of a
    /// kind that is not known, one that belongs to another certificate.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self> {
        Self::read(certificate, key)
            .map_err(|(part, wrong)| Error::new(Kind::BadOption).detail(format!("{}: {wrong}", part.name())))
    }

    /// The same, with an OCSP response in DER (RFC 6960) that clients are shown with it if they ask for one.
    #[must_use]
    pub fn ocsp(mut self, response: impl Into<Vec<u8>>) -> Self {
        Arc::make_mut(&mut self.key).ocsp = Some(response.into());
        self
    }

    /// The host names that it is for, in lower case, as the certificate says (`subjectAltName`, RFC 5280 §4.2.1.6):
    /// `shop.test`, `*.shop.test`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// From when and until when it is valid (RFC 5280 §4.1.2.5).
    #[must_use]
    pub fn validity(&self) -> Option<(SystemTime, SystemTime)> {
        let (_, parsed) = X509Certificate::from_der(self.key.cert.first()?).ok()?;
        let time = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default());
        let validity = parsed.validity();
        Some((time(validity.not_before.timestamp()), time(validity.not_after.timestamp())))
    }

    /// # Errors
    ///
    /// Which of the two is wrong, and what is.
    pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<Self, (Part, Wrong)> {
        let chain = pem::certificates(certificate).map_err(|wrong| (Part::Certificate, wrong))?;
        let names = names(&chain[0]).map_err(|wrong| (Part::Certificate, wrong))?;
        let of_key = |wrong: &str| (Part::Key, wrong.to_owned());
        let key = pem::private_key(key).map_err(|wrong| (Part::Key, wrong))?;
        let key = provider().key_provider.load_private_key(key);
        let key =
            key.map_err(|_| of_key("the private key can't be read, or is of a kind that is not known"))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            // A key that can't say what belongs to it is taken at its word.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(of_key("the private key belongs to another certificate"));
            }
            Err(error) => return Err((Part::Certificate, error.to_string())),
        }
        Ok(Self { key: Arc::new(key), names: names.into() })
    }

    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).finish_non_exhaustive()
    }
}

/// What a certificate is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Certificate,
    Key,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }
}

/// The names that a certificate is for.
fn names(der: &[u8]) -> Result<Vec<Box<str>>, Wrong> {
    let parsed = X509Certificate::from_der(der);
    let (_, parsed) = parsed.map_err(|error| format!("the first certificate can't be read: {error}"))?;
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Ok(Vec::new()) };
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(canonical(name)),
        _ => None,
    });
    Ok(names.collect())
}

/// An address as certificates have it.
pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Authority;
    use super::*;

    #[test]
    fn a_certificate_says_whom_it_is_for_and_its_key_must_fit() {
        let authority = Authority::new("root");
        let [one, other] = [authority.certify(&["A.test", "*.b.test"]), authority.certify(&["c.test"])];
        let read =
            |certificate: &str, key: &str| Certificate::from_pem(certificate.as_bytes(), key.as_bytes());
        let good = read(&one.certificate, &one.key).unwrap();
        assert_eq!(good.names().collect::<Vec<_>>(), ["a.test", "*.b.test"]);
        let both = format!("{}{}", one.key, one.certificate);
        assert!(read(&both, &both).is_ok());
        for (certificate, key, told) in [
            (&one.certificate, &other.key, "private key: the private key belongs to another certificate"),
            (&one.certificate, &one.certificate, "private key: there is no private key in it"),
            (&one.key, &one.key, "certificate: there is no certificate in it"),
        ] {
            let error = read(certificate, key).unwrap_err();
            assert_eq!((error.name(), error.to_string()), ("bad_option", format!("invalid option: {told}")));
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(read(broken, &one.key).unwrap_err().to_string().contains("first certificate can't be read"));
    }
}
