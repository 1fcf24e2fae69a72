//! Clients that stay with the endpoint that served them first: a cookie tells which one that was.
//!
//! What the cookie holds is signed. A client can come back to an endpoint that it was given, but can't choose one, nor
//! learn an address.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

use hmac::{Hmac, Mac, NewMac};
use sha2::Sha256;

use crate::error::{Error, Kind, Result};
use crate::message::is_token;

/// Bytes of an endpoint's number, and of the signature: HMAC-SHA-256 cut to 128 bits.
const ID: usize = 8;
const SIGNATURE: usize = 16;

/// Characters of both in base64url, which come out even.
const TOKEN: usize = (ID + SIGNATURE) / 3 * 4;

/// How clients stay with the endpoint that served them first: by a cookie that eproxy adds to answers.
///
/// It is sent with `Path=/; HttpOnly; SameSite=Lax`, and for as long as the browser runs unless
/// [`max_age`](Self::max_age) says otherwise.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::Sticky;
///
/// let sticky = Sticky::cookie("node").secret(b"32 random bytes that are secret").max_age(Duration::from_secs(3600));
/// ```
#[derive(Clone)]
#[must_use = "it says how a group's clients stay with an endpoint"]
pub struct Sticky {
    name: String,
    secret: Option<Vec<u8>>,
    is_secure: bool,
    max_age: Option<Duration>,
}

impl Sticky {
    /// By a cookie of this name, which has to be a token (RFC 6265 §4.1.1); what is wrong with it is said when the server
    /// starts.
    pub fn cookie(name: impl Into<String>) -> Self {
        Self { name: name.into(), secret: None, is_secure: false, max_age: None }
    }

    /// What cookies are signed with: best 32 random bytes. The same for all replicas, and over restarts; default: one that
    /// is made up when the process starts, so that cookies of another process, or of this one before, count as none.
    pub fn secret(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(bytes.into());
        self
    }

    /// Has browsers send the cookie over TLS only. Default: over anything.
    pub fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// How long browsers keep the cookie, in whole seconds, from 1 s on. Default: until they are closed.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Checks what was said.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(in crate::upstream) fn build(&self) -> Result<Cookie> {
        let wrong = |what: String| Err(Error::new(Kind::BadOption).detail(what));
        let Self { name, secret, is_secure, max_age } = self;
        if !is_token(name.as_bytes()) {
            return wrong(format!("the cookie name {name:?} is no token"));
        }
        // Browsers drop it otherwise (draft-ietf-httpbis-rfc6265bis §4.1.3), and compare without regard to case.
        let begins =
            |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        if !is_secure && (begins("__Host-") || begins("__Secure-")) {
            return wrong(format!("the cookie name {name:?} wants a secure cookie"));
        }
        let signer = match secret.as_deref() {
            None => Signer::new(secret_of_this_process()),
            Some([]) => return wrong(format!("the secret of the cookie {name:?} is empty")),
            Some(secret) => Signer::new(secret),
        };
        let mut attributes = String::from("; Path=/; HttpOnly; SameSite=Lax");
        if *is_secure {
            attributes.push_str("; Secure");
        }
        match max_age.map(|age| age.as_secs()) {
            None => {}
            Some(0) => return wrong(format!("the cookie {name:?} is kept for less than a second")),
            Some(seconds) => attributes.push_str(&format!("; Max-Age={seconds}")),
        }
        Ok(Cookie { name: name.clone(), attributes, signer })
    }
}

impl fmt::Debug for Sticky {
    /// The secret stays one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, secret, is_secure, max_age } = self;
        let secret = secret.as_ref().map(|_| "…");
        let mut shown = f.debug_struct("Sticky");
        shown.field("name", name).field("secret", &secret).field("is_secure", is_secure);
        shown.field("max_age", max_age).finish()
    }
}

/// The cookie of a group.
#[derive(Clone, Debug)]
pub(crate) struct Cookie {
    name: String,
    /// What is sent behind the value.
    attributes: String,
    signer: Signer,
}

impl Cookie {
    /// The endpoint that a client was given, from the values of its `Cookie` fields: the first cookie of this name that
    /// was signed here.
    pub(crate) fn endpoint<'a>(&self, fields: impl IntoIterator<Item = &'a [u8]>) -> Option<u64> {
        fields
            .into_iter()
            .flat_map(|field| values(field, self.name.as_bytes()))
            .find_map(|value| self.signer.verify(value))
    }

    /// The value of the `Set-Cookie` field that gives a client an endpoint.
    pub(crate) fn set(&self, endpoint: u64) -> String {
        format!("{}={}{}", self.name, self.signer.token(endpoint), self.attributes)
    }
}

/// The values that a `Cookie` field has for a name (RFC 6265 §4.2.1), without the quotes that may be around one.
pub(crate) fn values<'a>(field: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let value = move |pair: &'a [u8]| {
        let value = trim(pair).strip_prefix(name)?.strip_prefix(b"=")?;
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    };
    field.split(|byte| *byte == b';').filter_map(value)
}

/// Spaces and tabs at the ends are no part of a cookie.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(from, |last| last + 1);
    &bytes[from..to]
}

/// Signs the numbers of endpoints.
#[derive(Clone)]
pub(in crate::upstream) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(in crate::upstream) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_varkey(secret).expect("HMAC takes keys of any length"))
    }

    /// What stands for an endpoint: its number and a signature in base64url (RFC 4648 §5), without padding.
    pub(in crate::upstream) fn token(&self, endpoint: u64) -> String {
        let mut bytes = [0; ID + SIGNATURE];
        let (id, signature) = bytes.split_at_mut(ID);
        id.copy_from_slice(&endpoint.to_be_bytes());
        signature.copy_from_slice(&self.sign(id));
        base64::encode_config(bytes, base64::URL_SAFE_NO_PAD)
    }

    /// The endpoint that a token stands for, if it was signed here.
    pub(in crate::upstream) fn verify(&self, token: &[u8]) -> Option<u64> {
        if token.len() != TOKEN {
            return None;
        }
        let bytes = base64::decode_config(token, base64::URL_SAFE_NO_PAD).ok()?;
        let (id, signature) = bytes.split_first_chunk::<ID>()?;
        is_same(signature, &self.sign(id)).then(|| u64::from_be_bytes(*id))
    }

    fn sign(&self, id: &[u8]) -> [u8; SIGNATURE] {
        let mut mac = self.0.clone();
        mac.update(id);
        let whole = mac.finalize().into_bytes();
        *whole.first_chunk().expect("a signature is longer than its first half")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// Compares signatures in a time that does not tell where they differ. What `hmac` has for this compares whole ones only.
fn is_same(one: &[u8], other: &[u8; SIGNATURE]) -> bool {
    let differ = |sum, (one, other): (&u8, &u8)| black_box(sum | (one ^ other));
    one.len() == SIGNATURE && one.iter().zip(other).fold(0, differ) == 0
}

/// A secret that this process made up. Its hash maps are seeded by the system, and nobody outside can tell how.
fn secret_of_this_process() -> &'static [u8; 32] {
    static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
    SECRET.get_or_init(|| {
        let mut secret = [0; 32];
        for (number, part) in secret.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&RandomState::new().hash_one(number).to_be_bytes());
        }
        secret
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> Cookie {
        Sticky::cookie("node").secret(b"a secret").build().unwrap()
    }

    #[test]
    fn a_token_leads_back_to_its_endpoint() {
        let signer = Signer::new(b"a secret");
        for endpoint in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let token = signer.token(endpoint);
            assert_eq!(token.len(), TOKEN);
            assert!(
                token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{token}"
            );
            assert_eq!(signer.verify(token.as_bytes()), Some(endpoint));
        }
    }

    #[test]
    fn tokens_are_what_they_have_always_been() {
        assert_eq!(Signer::new(b"a secret").token(1), "AAAAAAAAAAGLVKAhVOAi8rSxdXeJLUYN");
        assert_eq!(Signer::new(&[7; 100]).token(0xfedc_ba98_7654_3210), "_ty6mHZUMhBvr5wGgOZE2rRiU7o1Uw7H");
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_none() {
        let signer = Signer::new(b"a secret");
        let token = signer.token(77).into_bytes();
        for at in 0..token.len() {
            for other in [b'A', b'B', b'_', b'=', b' ', 0, 0xff] {
                let mut changed = token.clone();
                if std::mem::replace(&mut changed[at], other) != other {
                    assert_eq!(signer.verify(&changed), None, "{}", changed.escape_ascii());
                }
            }
            assert_eq!(signer.verify(&token[..at]), None);
        }
        assert_eq!(signer.verify(&[&token[..], b"A"].concat()), None);
        assert_eq!(Signer::new(b"another secret").verify(&token), None);
    }

    #[test]
    fn signatures_are_compared_to_the_last_byte() {
        let signature = [9; SIGNATURE];
        assert!(is_same(&signature, &signature));
        for at in 0..SIGNATURE {
            let mut other = signature;
            other[at] ^= 0x80;
            assert!(!is_same(&other, &signature));
        }
        assert!(!is_same(&signature[1..], &signature) && !is_same(&[], &signature));
    }

    #[test]
    fn cookies_are_found_by_their_name() {
        for (field, expected) in [
            (&b"node=x"[..], &[&b"x"[..]][..]),
            (b"a=b; node=x; c=d", &[b"x"]),
            (b"a=b;node=x;c=d", &[b"x"]),
            (b"  node=x\t", &[b"x"]),
            (b"node=\"x\"; node=y", &[b"x", b"y"]),
            (b"node=x=y", &[b"x=y"]),
            (b"node=", &[b""]),
            (b"node=\"", &[b"\""]),
            (b"node", &[]),
            (b"Node=x; nod=y; nodes=z; xnode=w", &[]),
            (b"a=node=x", &[]),
            (b"a=\xff\xfe; node=\xff", &[b"\xff"]),
            (b"; ;; node=x;", &[b"x"]),
            (b"", &[]),
        ] {
            let found: Vec<_> = values(field, b"node").collect();
            assert_eq!(found, expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn a_client_comes_back_with_what_it_was_given() {
        let cookie = cookie();
        let set = cookie.set(42);
        let pair = set.split(';').next().unwrap();
        assert_eq!(cookie.endpoint([pair.as_bytes()]), Some(42));
        let among_others = format!("a=b; {pair}; c=d");
        assert_eq!(cookie.endpoint([&b"x=y"[..], among_others.as_bytes()]), Some(42), "in any field");
        let behind_a_false_one = format!("node=made-up; {pair}");
        assert_eq!(cookie.endpoint([behind_a_false_one.as_bytes()]), Some(42));
        assert_eq!(cookie.endpoint([&b"node=made-up"[..]]), None);
        assert_eq!(cookie.endpoint([]), None);
    }

    #[test]
    fn set_cookie_says_what_was_asked_for() {
        let token = Signer::new(b"a secret").token(1);
        assert_eq!(cookie().set(1), format!("node={token}; Path=/; HttpOnly; SameSite=Lax"));
        let sticky =
            Sticky::cookie("__Host-n").secret(b"a secret").secure().max_age(Duration::from_millis(90_500));
        let set = sticky.build().unwrap().set(1);
        assert_eq!(set, format!("__Host-n={token}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=90"));
    }

    #[test]
    fn what_is_wrong_with_the_options_is_said() {
        for (sticky, what) in [
            (Sticky::cookie(""), "no token"),
            (Sticky::cookie("a b"), "no token"),
            (Sticky::cookie("a\r\nSet-Cookie: x"), "no token"),
            (Sticky::cookie("a;b"), "no token"),
            (Sticky::cookie("é"), "no token"),
            (Sticky::cookie("__Host-a"), "secure"),
            (Sticky::cookie("__secure-a"), "secure"),
            (Sticky::cookie("a").secret(b""), "empty"),
            (Sticky::cookie("a").max_age(Duration::from_millis(999)), "less than a second"),
        ] {
            let error = sticky.build().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn without_a_secret_all_groups_of_a_process_have_the_same_one() {
        let (one, other) = (Sticky::cookie("a").build().unwrap(), Sticky::cookie("a").build().unwrap());
        assert_eq!(one.set(5), other.set(5));
        assert_ne!(one.set(5), Sticky::cookie("a").secret([0; 32]).build().unwrap().set(5));
        assert_eq!(secret_of_this_process().chunks(8).filter(|part| *part == [0; 8]).count(), 0);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let sticky = Sticky::cookie("node").secret(b"hush");
        let shown = format!("{sticky:?} {:?}", sticky.build().unwrap());
        assert!(shown.contains("node") && !shown.contains("hush") && !shown.contains("104"), "{shown}");
    }
}
