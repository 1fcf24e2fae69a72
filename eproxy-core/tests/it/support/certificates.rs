//! Certificates of the tests' own: who certifies, and what was certified.

use std::sync::{Arc, LazyLock};

use eproxy_core::{Tls, UpstreamTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// Who certifies.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The authority that everybody in the tests trusts.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("eproxy tests"));
    &AUTHORITY
}

/// A certificate for `localhost`, `127.0.0.1` and everything under `test`.
pub(crate) fn pair() -> &'static Pair {
    static PAIR: LazyLock<Pair> =
        LazyLock::new(|| authority().certify(&["localhost", "127.0.0.1", "test", "a.test", "b.test"]));
    &PAIR
}

/// What a listener shows that certificate with.
pub(crate) fn tls() -> Tls {
    pair().tls()
}

/// What trusts the [`authority`].
pub(crate) fn trusting() -> UpstreamTls {
    UpstreamTls::new().roots_pem(authority().pem())
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no name is a wrong one");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("it certifies itself"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn certify(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).expect("names of hosts"))
    }

    pub(crate) fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("it can be certified");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        roots
    }
}

impl Pair {
    pub(crate) fn tls(&self) -> Tls {
        Tls::pem(&self.certificate, &self.key)
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(|one| one.expect("PEM")).collect()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM")
    }

    /// How a scripted server shows it, and what it speaks inside.
    pub(crate) fn server(&self, alpn: &[&str]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions that the provider has");
        let config = builder.with_no_client_auth().with_single_cert(self.chain(), self.private_key());
        let mut config = config.expect("a certificate and its key");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// Who does the cryptography of the tests' side.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    static PROVIDER: LazyLock<Arc<rustls::crypto::CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    PROVIDER.clone()
}

/// Both versions that are spoken.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];
