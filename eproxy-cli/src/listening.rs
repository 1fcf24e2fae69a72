//! What the program listens with: plain, with certificates from files, or with one that it has made itself.

use eproxy_core::{Builder, Tls};

use crate::flags::Flags;

/// Adds the listener that the flags ask for.
pub(crate) fn add(server: Builder, flags: &Flags) -> Builder {
    let pairs = flags.tls_cert.iter().zip(&flags.tls_key);
    let files = pairs.fold(None, |tls: Option<Tls>, (cert, key)| {
        Some(match tls {
            Some(tls) => tls.and_files(cert, key),
            None => Tls::files(cert, key),
        })
    });
    let tls = files.or_else(|| flags.tls_self_signed.then(|| self_signed(flags.host())));
    match tls {
        Some(tls) => server.bind_tls(flags.address(), tls),
        None => server.bind(flags.address()),
    }
}

/// What URLs of the listener begin with.
pub(crate) fn scheme(flags: &Flags) -> &'static str {
    if flags.tls_cert.is_empty() && !flags.tls_self_signed { "http" } else { "https" }
}

/// A certificate for this machine that nobody has reason to trust: for trying it out.
fn self_signed(host: &str) -> Tls {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    let host = host.trim_matches(['[', ']']);
    if host.is_ascii() && !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    let made = rcgen::generate_simple_self_signed(names).expect("ASCII names make a certificate");
    Tls::pem(made.cert.pem(), made.signing_key.serialize_pem())
}
