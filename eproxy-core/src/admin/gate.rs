//! Who may ask for what.
//!
//! Three dangers come from browsers, whose users may reach what others may not. A page of others can point a name of its own
//! here and ask as if it came from here (DNS rebinding): so only known names are answered to. It can send requests blindly
//! (cross-site request forgery): so whatever changes something has to come with the token, or with a sign that no page of
//! others can give. And it can show this page in a frame: that is forbidden by fields (`answer.rs`).

use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

use crate::driver::Address;
use crate::error::{Error, Kind, Result};
use crate::handler::Request;

/// The field that says that a request means what it asks for: a browser asks first before it sends it to others' servers.
pub(super) const INTENT: &str = "X-Eproxy-Admin";

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: anybody may know.
    Nothing,
    /// The token, if there is one.
    Token,
    /// That it is no forgery, too.
    Intent,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is for another host.
    Host,
    /// It has no token.
    NoToken,
    /// Its token is another.
    Token,
    /// A page of others has sent it.
    Foreign,
    /// It may be from a page of others.
    Unclear,
}

/// What a request says of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Claims<'a> {
    host: Option<&'a str>,
    authorization: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    site: Option<&'a [u8]>,
    /// Somebody goes there, by a link or otherwise, and not in a frame (Fetch Metadata §2.1).
    is_visit: bool,
    has_intent: bool,
}

#[derive(Debug)]
pub(super) struct Gate {
    /// Hashed, so that comparing takes the same time whatever is compared.
    token: Option<[u8; 32]>,
    /// Names that are answered to, in lower case.
    names: Vec<String>,
}

impl Gate {
    /// # Errors
    ///
    /// There has to be a token, or it can't be one.
    pub(super) fn new(text: &str, place: Address, token: Option<&str>, hosts: Vec<String>) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        match token {
            None if !is_local(&place) => {
                return wrong(format!("an admin listener on {text}, which others reach, without a token"));
            }
            // RFC 6750 §2.1, and a little more: what a field can carry and nothing trims.
            Some(token) if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return wrong(
                    "an admin token that is empty, or has other than visible ASCII characters".into(),
                );
            }
            _ => {}
        }
        let mut names: Vec<_> = hosts.iter().map(|name| name_of(name).to_ascii_lowercase()).collect();
        names.push("localhost".into());
        if matches!(place, Address::Tcp(_)) {
            names.push(name_of(text).to_ascii_lowercase());
        }
        Ok(Self { token: token.map(|token| digest(token.as_bytes())), names })
    }

    /// # Errors
    ///
    /// Why it may not.
    pub(super) fn check(&self, request: &Request, need: Need) -> Result<(), Refusal> {
        let headers = request.headers();
        self.judge(
            Claims {
                host: request.host(),
                authorization: headers.get("authorization"),
                origin: headers.get("origin"),
                site: headers.get("sec-fetch-site"),
                is_visit: headers.get("sec-fetch-dest") == Some(b"document"),
                has_intent: headers.get(INTENT).is_some(),
            },
            need,
        )
    }

    fn judge(&self, claims: Claims<'_>, need: Need) -> Result<(), Refusal> {
        let host = claims.host.filter(|host| self.is_own(host)).ok_or(Refusal::Host)?;
        if need == Need::Nothing {
            return Ok(());
        }
        if let Some(token) = &self.token {
            let given = claims.authorization.and_then(bearer).ok_or(Refusal::NoToken)?;
            if !is_same(&digest(given), token) {
                return Err(Refusal::Token);
            }
        }
        if need == Need::Token {
            // No page of others can read what is told, but it could have all places of those who listen taken.
            let is_sent_by_others =
                matches!(claims.site, Some(site) if !matches!(site, b"same-origin" | b"none"));
            return if is_sent_by_others && !claims.is_visit { Err(Refusal::Foreign) } else { Ok(()) };
        }
        let is_from_here = claims.site.map(|site| site == b"same-origin");
        let has_own_origin = claims.origin.map(|origin| is_origin_of(origin, host));
        if is_from_here == Some(false) || has_own_origin == Some(false) {
            return Err(Refusal::Foreign);
        }
        let is_clear = self.token.is_some() || claims.has_intent || is_from_here.or(has_own_origin).is_some();
        is_clear.then_some(()).ok_or(Refusal::Unclear)
    }

    /// Whether a host is this one. Addresses always are: for a page of others to be at one, it has to be served there.
    fn is_own(&self, host: &str) -> bool {
        let name = name_of(host);
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_address = match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
            None => name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
        };
        is_address || self.names.iter().any(|known| name.eq_ignore_ascii_case(known))
    }
}

/// Whether nobody from elsewhere gets there.
fn is_local(place: &Address) -> bool {
    match place {
        Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => true,
    }
}

/// A host without its port (RFC 3986 §3.2.2).
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The token of an Authorization field (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn is_origin_of(origin: &[u8], host: &str) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares all of both, whatever they are.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(address: &str, token: Option<&str>) -> Result<Gate> {
        Gate::new(address, address.parse().unwrap(), token, vec!["Admin.example:9901".into()])
    }

    fn judge(token: Option<&str>, claims: Claims<'_>, need: Need) -> Result<(), Refusal> {
        gate("127.0.0.1:9901", token).unwrap().judge(claims, need)
    }

    #[test]
    fn only_the_loopback_does_without_a_token() {
        for address in ["127.0.0.1:0", "[::1]:0", "127.9.9.9:1", "unix:/run/admin.sock"] {
            assert!(gate(address, None).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:1", "[2001:db8::1]:1"] {
            let error = gate(address, None).unwrap_err().to_string();
            assert!(error.contains(address) && error.contains("without a token"), "{error}");
            assert!(gate(address, Some("secret")).is_ok());
        }
        for token in ["", "a b", "a\n", "ä"] {
            assert!(gate("127.0.0.1:0", Some(token)).is_err());
        }
    }

    #[test]
    fn names_of_others_are_not_answered_to() {
        let gate = gate("127.0.0.1:9901", None).unwrap();
        for own in ["localhost", "LOCALHOST:9901", "127.0.0.1:1", "[::1]:9901", "10.1.2.3", "admin.example"] {
            assert!(gate.is_own(own), "{own}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example:9901",
            "evil-localhost",
            "",
            ":9901",
            "::1",
            "[::1",
            "[a]",
        ] {
            assert!(!gate.is_own(other), "{other}");
        }
        assert_eq!(judge(None, Claims::default(), Need::Nothing), Err(Refusal::Host));
    }

    #[test]
    fn the_token_is_asked_for_where_there_is_one() {
        let claims = |authorization: Option<&'static str>| Claims {
            host: Some("localhost"),
            authorization: authorization.map(str::as_bytes),
            ..Claims::default()
        };
        for right in ["Bearer secret", "bearer secret", "BEARER  secret"] {
            assert_eq!(judge(Some("secret"), claims(Some(right)), Need::Intent), Ok(()), "{right}");
        }
        for (wrong, refusal) in [
            ("Bearer secre", Refusal::Token),
            ("Bearer secrets", Refusal::Token),
            ("Basic secret", Refusal::NoToken),
            ("secret", Refusal::NoToken),
            ("Bearer", Refusal::NoToken),
            ("", Refusal::NoToken),
        ] {
            assert_eq!(judge(Some("secret"), claims(Some(wrong)), Need::Token), Err(refusal), "{wrong}");
        }
        assert_eq!(judge(Some("secret"), claims(None), Need::Token), Err(Refusal::NoToken));
        assert_eq!(judge(Some("secret"), claims(None), Need::Nothing), Ok(()));
        assert_eq!(judge(None, claims(None), Need::Token), Ok(()));
    }

    #[test]
    fn what_changes_something_is_no_forgery() {
        let claims = |site: Option<&'static str>, origin: Option<&'static str>, has_intent| Claims {
            host: Some("localhost:9901"),
            site: site.map(str::as_bytes),
            origin: origin.map(str::as_bytes),
            has_intent,
            is_visit: false,
            authorization: Some(b"Bearer secret"),
        };
        let own = Some("http://localhost:9901");
        for (site, origin, has_intent, judgement) in [
            (None, None, true, Ok(())),
            (Some("same-origin"), own, false, Ok(())),
            (None, own, false, Ok(())),
            (None, Some("https://localhost:9901"), false, Ok(())),
            (None, None, false, Err(Refusal::Unclear)),
            (Some("cross-site"), None, true, Err(Refusal::Foreign)),
            (Some("same-site"), own, true, Err(Refusal::Foreign)),
            (Some("none"), None, false, Err(Refusal::Foreign)),
            (None, Some("http://evil.example"), true, Err(Refusal::Foreign)),
            (None, Some("http://localhost:1"), true, Err(Refusal::Foreign)),
            (None, Some("null"), true, Err(Refusal::Foreign)),
        ] {
            let claims = claims(site, origin, has_intent);
            assert_eq!(judge(None, claims, Need::Intent), judgement, "{claims:?}");
            let with_token = if judgement == Err(Refusal::Unclear) { Ok(()) } else { judgement };
            assert_eq!(judge(Some("secret"), claims, Need::Intent), with_token, "{claims:?}");
        }
    }
}
