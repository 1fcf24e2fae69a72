//! What a request is known by in the logs of everybody who has to do with it.

use crate::error::{Error, Kind, Result};
use crate::message::is_token;

use super::dice::Dice;
use super::text::push_hex;

/// Identifiers of requests: each request is given one, which its handler sees as a field of the request, its upstream as a
/// field of what it is sent, its client as a field of the answer, and whoever reads logs and traces beside it. One that a
/// [trusted](crate::Builder::trusted_proxies) client has given it already is kept.
///
/// An identifier that is made here is 32 hexadecimal digits: 12 of the time, in milliseconds since 1970, and 20 by chance, so
/// that they sort by when they were made. One that is kept has up to 128 visible characters of ASCII; what has others, more or
/// none is replaced, and so are several. A request that can't be understood is given a new one, whatever it says.
///
/// ```
/// use eproxy_core::{Proxy, RequestIds, Server};
///
/// let server = Server::builder()
///     .request_ids(RequestIds::new().header("X-Correlation-Id"))
///     .at("/*path", Proxy::to("http://10.0.0.7:3000"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "request ids are given to a Builder"]
pub struct RequestIds {
    header: String,
    from_anybody: bool,
}

impl RequestIds {
    /// Identifiers in `X-Request-Id`.
    pub fn new() -> Self {
        Self { header: "X-Request-Id".into(), from_anybody: false }
    }

    /// Sets the name of the field. What is no name of a field is told when the server starts.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.header = name.into();
        self
    }

    /// Keeps identifiers whoever has given them, and not those of trusted clients only.
    pub fn keep_from_anybody(mut self) -> Self {
        self.from_anybody = true;
        self
    }

    /// # Errors
    ///
    /// `BadOption`: the name is none of a field, or of one that means something else.
    pub(crate) fn build(&self) -> Result<IdRules> {
        let is_taken = crate::message::Known::of(self.header.as_bytes()) != crate::message::Known::Other;
        match is_token(self.header.as_bytes()) && !is_taken {
            true => {
                let line = format!("{}: ", self.header).into_bytes();
                Ok(IdRules { name: self.header.clone().into(), line, from_anybody: self.from_anybody })
            }
            false => Err(Error::new(Kind::BadOption).detail(format!("request ids in {:?}", self.header))),
        }
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// How requests are given identifiers.
#[derive(Clone, Debug)]
pub(crate) struct IdRules {
    pub(super) name: Box<str>,
    /// The name, and what stands between it and the value.
    pub(super) line: Vec<u8>,
    pub(super) from_anybody: bool,
}

impl IdRules {
    /// Whether a field is the one with the identifier.
    pub(super) fn is_field(&self, name: &[u8]) -> bool {
        name.len() == self.name.len() && name.eq_ignore_ascii_case(self.name.as_bytes())
    }
}

/// Whether somebody's identifier can be kept.
pub(super) fn is_fit(id: &[u8]) -> bool {
    /// Characters; what is longer would only be there to be stored.
    const MOST: usize = 128;
    (1..=MOST).contains(&id.len()) && id.iter().all(|byte| matches!(byte, b'!'..=b'~'))
}

/// Makes an identifier, at so many milliseconds after the beginning of 1970.
pub(super) fn make(out: &mut Vec<u8>, unix_milliseconds: u64, dice: &Dice) {
    let [high, low] = dice.throw();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&unix_milliseconds.to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&high.to_be_bytes()[..2]);
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    push_hex(out, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_sort_by_time_and_differ() {
        let dice = Dice::new(7);
        let made = |time| {
            let mut out = Vec::new();
            make(&mut out, time, &dice);
            String::from_utf8(out).unwrap()
        };
        let ids: Vec<_> = (0..1000).map(|number| made(1_700_000_000_000 + number / 500)).collect();
        assert!(ids.iter().all(|id| id.len() == 32 && is_fit(id.as_bytes())));
        assert!(ids[0].starts_with("018bcfe56800") && ids[..500] < ids[500..]);
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len());
    }

    #[test]
    fn only_short_ones_of_visible_characters_are_kept() {
        for (id, fits) in [
            (&b"a"[..], true),
            (b"0a1b-2c_3d./:=+~!", true),
            (&[b'x'; 128], true),
            (&[b'x'; 129], false),
            (b"", false),
            (b"a b", false),
            (b"a\tb", false),
            (b"a\xe9", false),
        ] {
            assert_eq!(is_fit(id), fits, "{}", id.escape_ascii());
        }
    }

    #[test]
    fn the_field_must_be_one_that_means_nothing_else() {
        for name in ["", "X Id", "Host", "content-length", "X-Forwarded-For"] {
            assert!(RequestIds::new().header(name).build().is_err(), "{name}");
        }
        let rules = RequestIds::new().header("X-Correlation-Id").build().unwrap();
        assert!(rules.is_field(b"x-correlation-ID") && !rules.is_field(b"x-request-id"));
    }
}
