//! The certificate that a client has shown.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

use super::certificate::address;

/// The certificate with which a client has said who it is. It was verified before the first request was read.
///
/// The methods that take it apart do so anew each time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate(Arc<[u8]>);

impl ClientCertificate {
    pub(super) fn new(der: &[u8]) -> Self {
        Self(der.into())
    }

    /// The certificate itself, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The SHA-256 digest of [`der`](Self::der), in 64 lower-case hexadecimal digits: what tells this certificate from all
    /// others.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.0).iter().fold(String::with_capacity(64), |mut digits, byte| {
            let _never_fails = write!(digits, "{byte:02x}");
            digits
        })
    }

    /// Whose it is, as RFC 2253 writes it, the most specific part first: `CN=billing,OU=shop,O=Example`. Empty where the
    /// certificate does not say.
    #[must_use]
    pub fn subject(&self) -> String {
        self.parsed().map(|parsed| distinguished_name(parsed.subject())).unwrap_or_default()
    }

    /// What it is for besides (`subjectAltName`, RFC 5280 §4.2.1.6), with the kind in front: `DNS:billing.test`,
    /// `IP:10.0.0.7`, `email:a@shop.test`, `URI:spiffe://shop.test/billing`. Other kinds are left out.
    #[must_use]
    pub fn sans(&self) -> Vec<String> {
        let Some(parsed) = self.parsed() else { return Vec::new() };
        let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
        let name = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
            GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
            GeneralName::URI(name) => Some(format!("URI:{name}")),
            GeneralName::IPAddress(bytes) => Some(format!("IP:{}", address(bytes)?)),
            _ => None,
        };
        names.value.general_names.iter().filter_map(name).collect()
    }

    fn parsed(&self) -> Option<X509Certificate<'_>> {
        X509Certificate::from_der(&self.0).ok().map(|(_, parsed)| parsed)
    }
}

/// A name as RFC 2253 §2 writes it: the last part first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (number, part) in parts.into_iter().rev().enumerate() {
        for (of_part, attribute) in part.iter().enumerate() {
            match (number, of_part) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            let kind = attribute.attr_type();
            match abbreviation(&kind.to_id_string()) {
                Some(short) => text.push_str(short),
                None => text.push_str(&kind.to_id_string()),
            }
            text.push('=');
            match attribute.as_str() {
                Ok(value) => escape(value, &mut text),
                Err(_) => hexadecimal(attribute.as_slice(), &mut text),
            }
        }
    }
    text
}

/// The attributes that have a short name: those of RFC 2253 §2.3, and the address that certificates of people have.
fn abbreviation(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

/// A value with backslashes where it would be taken for something else (RFC 2253 §2.4); what is no printable character is
/// written as its bytes, so that a name stays in its line.
fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.extend(['\\', c]),
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _never_fails = write!(text, "\\{byte:02X}");
                }
            }
            c => text.push(c),
        }
    }
}

/// A value that is no text (RFC 2253 §2.4).
fn hexadecimal(value: &[u8], text: &mut String) {
    text.push('#');
    for byte in value {
        let _never_fails = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        ClientCertificate::new(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn a_subject_stays_in_its_line_and_can_be_taken_apart_again() {
        let shown = certificate(|params| {
            params.distinguished_name.push(DnType::CountryName, "DE");
            params.distinguished_name.push(DnType::OrganizationName, " a, b+c ");
            params.distinguished_name.push(DnType::OrganizationalUnitName, "#1 \"x\\y\" <z>;");
            params.distinguished_name.push(DnType::CommonName, "line\nbreak é");
            params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 42]), "Ann");
        });
        assert_eq!(
            shown.subject(),
            r#"2.5.4.42=Ann,CN=line\0Abreak é,OU=\#1 \"x\\y\" \<z\>\;,O=\ a\, b\+c\ ,C=DE"#
        );
        assert_eq!(certificate(|_| {}).subject(), "");
    }

    #[test]
    fn other_names_are_told_with_their_kind() {
        let shown = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("a.test".try_into().unwrap()),
                SanType::Rfc822Name("a@b.test".try_into().unwrap()),
                SanType::URI("spiffe://b.test/a".try_into().unwrap()),
                SanType::IpAddress("10.0.0.7".parse().unwrap()),
                SanType::IpAddress("2001:db8::1".parse().unwrap()),
            ];
        });
        let expected =
            ["DNS:a.test", "email:a@b.test", "URI:spiffe://b.test/a", "IP:10.0.0.7", "IP:2001:db8::1"];
        assert_eq!(shown.sans(), expected);
        assert!(certificate(|_| {}).sans().is_empty());
    }

    #[test]
    fn what_is_no_certificate_says_nothing_of_itself() {
        let none = ClientCertificate::new(b"abc");
        assert_eq!((none.subject(), none.sans().len(), none.der()), (String::new(), 0, &b"abc"[..]));
        assert_eq!(none.fingerprint(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
