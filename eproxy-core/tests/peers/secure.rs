//! TLS for these tests: an authority that is made for a run of them, and a certificate of it for this machine.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use eproxy_core::{Builder, Tls, UpstreamTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::support::Running;

/// A certificate for this machine and what belongs to it, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// Who vouches for it.
    pub(crate) root: String,
}

/// The name that the certificate is for; it is for the address 127.0.0.1, too.
pub(crate) const NAME: &str = "localhost";

pub(crate) fn identity() -> &'static Identity {
    static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
        let mut params = CertificateParams::new([]).expect("no name is no wrong name");
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let authority = CertifiedIssuer::self_signed(params, key).expect("it certifies itself");
        let key = KeyPair::generate().expect("a key can be made");
        let names = [NAME, "127.0.0.1"].map(str::to_owned);
        let params = CertificateParams::new(names).expect("a name and an address");
        let certificate = params.signed_by(&key, &authority).expect("it is certified");
        Identity { certificate: certificate.pem(), key: key.serialize_pem(), root: authority.pem() }
    });
    &IDENTITY
}

/// Leaves `cert.pem`, `key.pem`, both in `both.pem`, and `root.pem` in a folder.
pub(crate) fn leave_in(folder: &Path) {
    let Identity { certificate, key, root } = identity();
    let both = format!("{certificate}{key}");
    for (name, text) in [("cert.pem", certificate), ("key.pem", key), ("both.pem", &both), ("root.pem", root)]
    {
        fs::write(folder.join(name), text).expect("the folder is there");
    }
}

/// What trusts a server with the certificate.
pub(crate) fn trusting() -> UpstreamTls {
    UpstreamTls::new().roots_pem(&identity().root).server_name(NAME)
}

/// Starts a server that speaks TLS on a free port of 127.0.0.1.
pub(crate) fn start_secure(builder: Builder) -> Running {
    let Identity { certificate, key, .. } = identity();
    Running::new(builder.bind_tls("127.0.0.1:0", Tls::pem(certificate, key)))
}
