//! Certificates and keys in PEM (RFC 7468), and what is wrong with them, with the line.

use rustls::pki_types::pem::{Error, PemObject, SectionKind};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

/// What is wrong, in words.
pub(super) type Wrong = String;

/// The certificates in a text, in their order; there must be one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let mut found = Vec::new();
    each(text, |kind, der| {
        if kind == SectionKind::Certificate {
            found.push(CertificateDer::from(der));
        }
    })?;
    match found.is_empty() {
        true => Err(match looks_like_der(text) {
            true => "it is DER, and should be PEM".into(),
            false => "there is no certificate in it".into(),
        }),
        false => Ok(found),
    }
}

/// The first private key in a text: PKCS #8, or as OpenSSL wrote them before, for RSA and for elliptic curves.
pub(super) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    let mut found = None;
    each(text, |kind, der| {
        let key = match kind {
            SectionKind::PrivateKey => PrivatePkcs8KeyDer::from(der).into(),
            SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
            SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
            _ => return,
        };
        found.get_or_insert(key);
    })?;
    found.ok_or_else(|| match memchr::memmem::find(text, b"ENCRYPTED").is_some() {
        true => "the private key is encrypted, and there is nobody to ask for its passphrase".into(),
        false if looks_like_der(text) => "it is DER, and should be PEM".into(),
        false => "there is no private key in it".into(),
    })
}

/// Calls with each section of a text.
fn each(text: &[u8], mut section: impl FnMut(SectionKind, Vec<u8>)) -> Result<(), Wrong> {
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text);
    loop {
        let before = sections.remainder();
        match sections.next() {
            None => return Ok(()),
            Some(Ok((kind, der))) => section(kind, der),
            Some(Err(error)) => {
                let begins = memchr::memmem::find(before, b"-----BEGIN").unwrap_or(0);
                let line =
                    1 + memchr::memchr_iter(b'\n', &text[..text.len() - before.len() + begins]).count();
                return Err(format!("the section that begins in line {line} {}", what(&error)));
            }
        }
    }
}

fn what(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "has no end",
        Error::IllegalSectionStart { .. } => "begins with no proper line",
        Error::Base64Decode(_) => "is not base64",
        _ => "can't be read",
    }
}

/// Whether a text begins as a sequence of ASN.1 with a length of two bytes does, as certificates and most keys.
fn looks_like_der(text: &[u8]) -> bool {
    text.starts_with(&[0x30, 0x82])
}

#[cfg(test)]
mod tests {
    use super::super::tests::Authority;
    use super::*;

    #[test]
    fn what_is_wrong_with_a_text_is_said_with_its_line() {
        let pair = Authority::new("root").certify(&["a.test"]);
        let good = &pair.certificate;
        assert_eq!(certificates(format!("words\n{good}{good}").as_bytes()).unwrap().len(), 2);
        let lines = good.lines().count();
        for (text, told) in [
            (String::new(), "there is no certificate in it".to_owned()),
            (pair.key.clone(), "there is no certificate in it".to_owned()),
            (
                format!("{good}# more\n-----BEGIN CERTIFICATE-----\nMIIB\n"),
                format!("the section that begins in line {} has no end", lines + 2),
            ),
            (
                format!("\n{}", good.replace("MII", "M*I")),
                "the section that begins in line 2 is not base64".to_owned(),
            ),
        ] {
            assert_eq!(certificates(text.as_bytes()).unwrap_err(), told, "{text}");
        }
        assert_eq!(certificates(&[0x30, 0x82, 1, 2]).unwrap_err(), "it is DER, and should be PEM");
    }

    #[test]
    fn an_encrypted_key_is_told_from_none() {
        let none =
            private_key(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap_err();
        assert_eq!(none, "there is no private key in it");
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(private_key(encrypted).unwrap_err().starts_with("the private key is encrypted"));
    }
}
