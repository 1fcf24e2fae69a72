//! Who the contenders are to their TLS clients: certificates with P-256 keys, made for the run, and the authority that they
//! are of.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

use crate::Outcome;

/// Issues the certificates of a run.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Identity {
    /// In PEM.
    pub(crate) certificate: String,
    /// In PEM.
    pub(crate) key: String,
    /// The certificate as it is on the wire.
    pub(crate) der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Outcome<Self> {
        let issuer = KeyPair::generate().and_then(|key| {
            let mut params = CertificateParams::new(Vec::new())?;
            params.distinguished_name.push(DnType::CommonName, "eproxy peers");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, key)
        });
        Ok(Self { issuer: issuer.map_err(cannot)? })
    }

    /// A new certificate for [`NAME`], which nobody else has, and a new key.
    pub(crate) fn issue(&self) -> Outcome<Identity> {
        let issued = KeyPair::generate().and_then(|key| {
            let mut params = CertificateParams::new([NAME.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, NAME);
            Ok((params.signed_by(&key, &self.issuer)?, key))
        });
        let (certificate, key) = issued.map_err(cannot)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        })
    }

    /// What clients have to trust.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.issuer.as_ref().der().clone()
    }
}

fn cannot(err: rcgen::Error) -> String {
    format!("a certificate can't be made: {err}")
}

/// Whom TLS clients ask for: a name, because addresses are never told to a server beforehand (RFC 6066 §3).
pub(crate) const NAME: &str = "localhost";
