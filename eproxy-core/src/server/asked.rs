//! A request that is asked about and never sent.

use std::net::IpAddr;

use crate::error::{Error, Kind, Result};
use crate::http1::{encode_field, parse_request};
use crate::message::target::Form;
use crate::message::{Field, Headers, Known, Limits, RequestLine};

/// A request that is asked about and never sent; see [`Handle::explain`](crate::Handle::explain) and
/// [`Builder::explain`](crate::Builder::explain).
///
/// ```
/// use eproxy_core::Asked;
///
/// let asked = Asked::new("GET", "https://example.com/users/7?full").header("X-Version", "2");
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is asked about by explain"]
pub struct Asked {
    method: String,
    url: String,
    headers: Headers,
    is_absolute: bool,
    pub(super) client: Option<IpAddr>,
    wrong: Option<String>,
}

impl Asked {
    /// A request with this method for this URL, or for a path alone: `https://example.com/a?b`, `/a?b`; for CONNECT,
    /// `example.com:443`. Paths are taken as a client sends them, percent-escapes included.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Headers::new(),
            is_absolute: false,
            client: None,
            wrong: None,
        }
    }

    /// Adds a header field. A Host stands in the place of the URL's.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        if let Err(error) = self.headers.append(name.as_ref(), value.as_ref()) {
            self.wrong.get_or_insert_with(|| error.into_detail());
        }
        self
    }

    /// Has the URL be sent as a whole, as clients do that take the server for their forward proxy (RFC 9112 §3.2.2).
    pub fn absolute(mut self) -> Self {
        self.is_absolute = true;
        self
    }

    /// Says whom it comes from, for groups that choose by that. Default: nobody knows.
    pub fn client(mut self, address: impl Into<IpAddr>) -> Self {
        self.client = Some(address.into());
        self
    }

    /// The head as the client would send it.
    ///
    /// # Errors
    ///
    /// What a client would be refused for: 400, 414, 431.
    pub(super) fn head(&self, limits: &Limits) -> Result<AskedHead> {
        if let Some(what) = &self.wrong {
            return Err(Error::new(Kind::BadHeaderName).detail(what.clone()));
        }
        let bad = || Error::new(Kind::BadTarget).detail(format!("{:?}", self.url));
        let url = self.url.as_bytes();
        if !url.iter().all(|byte| matches!(byte, 0x21..=0x7E) && *byte != b'#') {
            return Err(bad());
        }
        let (target, host) = match Form::parse(self.method.as_bytes(), url).map_err(|_| bad())? {
            Form::Absolute { authority, path, .. } if !self.is_absolute => {
                let slash = if path.is_empty() { "/" } else { "" };
                (format!("{slash}{}", &self.url[path.start..]), Some(&self.url[authority]))
            }
            Form::Absolute { authority, .. } => (self.url.clone(), Some(&self.url[authority])),
            Form::Authority => (self.url.clone(), Some(&*self.url)),
            Form::Origin { .. } | Form::Asterisk => (self.url.clone(), None),
        };
        let is_named = self.headers.get("host").is_some();
        let host = host.filter(|_| !is_named);
        // Nobody else may leave the host out.
        let version = if is_named || host.is_some() { "1.1" } else { "1.0" };
        let mut bytes = format!("{} {target} HTTP/{version}\r\n", self.method).into_bytes();
        if let Some(host) = host {
            encode_field(&mut bytes, b"Host", host.as_bytes());
        }
        self.headers.iter().for_each(|(name, value)| encode_field(&mut bytes, name.as_bytes(), value));
        bytes.extend_from_slice(b"\r\n");
        let mut fields = Vec::new();
        let parsed = parse_request(&bytes, &mut fields, limits.target, limits.headers)?;
        // A method may hold anything, the end of a head included.
        let whole = parsed.filter(|(_, length)| *length == bytes.len());
        let (line, length) = whole.ok_or(Kind::BadRequestLine)?;
        match length <= limits.head {
            true => Ok(AskedHead { bytes, line, fields }),
            false => Err(Kind::HeadTooLarge.into()),
        }
    }
}

/// The head of a request that is asked about.
pub(super) struct AskedHead {
    pub(super) bytes: Vec<u8>,
    pub(super) line: RequestLine,
    pub(super) fields: Vec<Field>,
}

/// The header fields of requests that ask about themselves: what means something to a proxy is none.
///
/// # Errors
///
/// `BadOption`: it can't be one.
pub(super) fn check_name(name: &str) -> Result<()> {
    match crate::message::is_token(name.as_bytes()) && Known::of(name.as_bytes()) == Known::Other {
        true => Ok(()),
        false => Err(Error::new(Kind::BadOption).detail(format!("the header {name:?} for explanations"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(asked: &Asked) -> String {
        let head = asked.head(&Limits::default()).unwrap();
        String::from_utf8(head.bytes).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn requests_are_those_of_clients() {
        let get = |url: &str| Asked::new("GET", url);
        assert_eq!(head(&get("http://a:1/b?c").header("X", "1")), "GET /b?c HTTP/1.1|Host: a:1|X: 1||");
        assert_eq!(head(&get("https://a?c")), "GET /?c HTTP/1.1|Host: a||");
        assert_eq!(head(&get("https://a").header("host", "b")), "GET / HTTP/1.1|host: b||");
        assert_eq!(head(&get("http://a/b").absolute()), "GET http://a/b HTTP/1.1|Host: a||");
        assert_eq!(head(&get("/b%20c")), "GET /b%20c HTTP/1.0||");
        assert_eq!(head(&Asked::new("CONNECT", "a:443")), "CONNECT a:443 HTTP/1.1|Host: a:443||");
        assert_eq!(head(&Asked::new("OPTIONS", "*").header("Host", "a")), "OPTIONS * HTTP/1.1|Host: a||");
    }

    #[test]
    fn what_no_client_can_send_is_refused() {
        for asked in [
            Asked::new("GET", "b"),
            Asked::new("GET", "/a b"),
            Asked::new("GET", "/#a"),
            Asked::new("G T", "/"),
            Asked::new("", "/"),
            Asked::new("GET", "/").header("a b", "1"),
            Asked::new("GET", "/\r\nX: 1"),
            Asked::new("GET /a HTTP/1.0\r\n\r\nGET", "/b"),
        ] {
            assert_eq!(
                asked.head(&Limits::default()).err().map(|error| error.status()),
                Some(400),
                "{asked:?}"
            );
        }
        let limits = Limits { head: 100, target: 50, headers: 2, ..Limits::default() };
        let get = |url: &str| Asked::new("GET", url);
        for (asked, status) in [
            (get(&format!("/{}", "a".repeat(50))), 414),
            (get("/").header("A", "1").header("B", "2").header("C", "3"), 431),
            (get("/").header("A", "a".repeat(100)), 431),
        ] {
            assert_eq!(asked.head(&limits).err().map(|error| error.status()), Some(status), "{asked:?}");
        }
        assert!(check_name("X-Eproxy-Explain").is_ok());
        assert!(check_name("Via").is_err() && check_name("a b").is_err());
    }
}
