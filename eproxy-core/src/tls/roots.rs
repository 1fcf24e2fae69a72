//! Whom to trust: the roots of the system, or those in a file.

use std::sync::OnceLock;

use rustls::RootCertStore;

use super::pem::{Wrong, certificates};

/// The roots in a text in PEM.
pub(super) fn roots(text: &[u8]) -> Result<RootCertStore, Wrong> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in certificates(text)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|error| format!("certificate {} in it is no root: {error}", number + 1))?;
    }
    Ok(roots)
}

/// The roots of the system, as they were when they were first asked for: there are hundreds, and they are read once. Where
/// there are none, those that Mozilla trusts.
pub(super) fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // What can't be read of a system's store is of no use to anybody, and never was.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots
    })
}
