//! Where an upstream is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http_types::Url;
use http_types::url::Host;

use crate::driver::Address;
use crate::error::{Error, Kind, Result};
use crate::tls::Connector;

use super::transport::{Target, Transport, default_connector};

/// Where to connect to: what tells one pool of connections from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Here.
    Address(Address),
    /// Wherever the name leads to at the time.
    Name(String, u16),
}

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// `http`: HTTP/1.1.
    Http,
    /// `h2c`: HTTP/2 without TLS, which it must be known to speak (RFC 9113 §3.3).
    H2c,
    /// `https`: over TLS, HTTP/2 or HTTP/1.1 as it chooses.
    Https,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
        }
    }

    /// The port that is meant where none is written.
    pub(crate) fn port(self) -> u16 {
        if self == Self::Https { 443 } else { 80 }
    }
}

/// An upstream: where it is, and what requests to it are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    pub(crate) scheme: Scheme,
    /// What a Host field for it holds (RFC 9110 §7.2).
    pub(crate) authority: String,
    /// What paths begin with there; empty, or a slash and what follows without one at its end.
    pub(crate) base: String,
}

impl Origin {
    /// Reads `http://host:port/base`, the same with `https` or `h2c`, or `unix:/path`.
    ///
    /// # Errors
    ///
    /// `BadOption`, with what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(Kind::BadOption).detail(format!("upstream {text:?} {what}")));
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self {
                    place: Place::Address(Address::Unix(path.into())),
                    scheme: Scheme::Http,
                    authority: "localhost".into(),
                    base: String::new(),
                }),
                false => wrong("is not unix: and an absolute path"),
            };
        }
        let neither = "is neither http://HOST:PORT, https:// or h2c:// nor unix:/PATH";
        // What is no scheme of the Web would not be parsed as one.
        let h2c = text.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("h2c://"));
        let parsed = match h2c {
            Some(scheme) => Url::parse(&format!("http://{}", &text[scheme.len()..])),
            None => Url::parse(text),
        };
        let Ok(url) = parsed else { return wrong(neither) };
        let scheme = match (h2c, url.scheme()) {
            (Some(_), _) => Scheme::H2c,
            (None, "http") => Scheme::Http,
            (None, "https") => Scheme::Https,
            _ => return wrong(neither),
        };
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return wrong("has more than a host, a port and a path");
        }
        let port = url.port_or_known_default().unwrap_or(80);
        let place = match url.host() {
            Some(Host::Ipv4(ip)) => Place::Address(Address::Tcp(SocketAddr::new(IpAddr::V4(ip), port))),
            Some(Host::Ipv6(ip)) => Place::Address(Address::Tcp(SocketAddr::new(IpAddr::V6(ip), port))),
            Some(Host::Domain(name)) => Place::Name(name.to_owned(), port),
            None => return wrong("has no host"),
        };
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { place, scheme, authority, base: url.path().trim_end_matches('/').to_owned() })
    }

    /// Where connections to it lead and how they are made; over TLS by `connector`, or the default one.
    pub(crate) fn target(&self, connector: Option<&Connector>) -> Target {
        let transport = match self.scheme {
            Scheme::Http => Transport::Plain,
            Scheme::H2c => Transport::Http2,
            Scheme::Https => Transport::Tls {
                // Who it must prove to be: what it is called, without the port.
                host: host_of(&self.authority).into(),
                connector: connector.cloned().unwrap_or_else(default_connector),
            },
        };
        Target { place: self.place.clone(), transport }
    }
}

/// An authority without its port.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

impl Place {
    /// The TCP port.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Address(Address::Tcp(address)) => Some(address.port()),
            Self::Address(Address::Unix(_)) => None,
            Self::Name(_, port) => Some(*port),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths_of_sockets_are_read() {
        let parsed = |text: &str| {
            let origin = Origin::parse(text).unwrap();
            (origin.place.to_string(), origin.authority, origin.base)
        };
        let expected =
            |place: &str, authority: &str, base: &str| (place.into(), authority.into(), base.into());
        assert_eq!(parsed("http://10.0.0.7:3000"), expected("10.0.0.7:3000", "10.0.0.7:3000", ""));
        assert_eq!(parsed("http://[::1]/"), expected("[::1]:80", "[::1]", ""));
        assert_eq!(parsed("http://App.test:80/a/b/"), expected("app.test:80", "app.test", "/a/b"));
        assert_eq!(parsed("unix:/run/app.sock"), expected("unix:/run/app.sock", "localhost", ""));
        assert_eq!(parsed("https://App.test/a/"), expected("app.test:443", "app.test", "/a"));
        assert_eq!(parsed("H2C://10.0.0.7:3000"), expected("10.0.0.7:3000", "10.0.0.7:3000", ""));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, what) in [
            ("ftp://a/", "neither http://"),
            ("10.0.0.7:3000", "neither"),
            ("", "neither"),
            ("unix:app.sock", "absolute"),
            ("http://a/?q", "more than"),
            ("http://u@a/", "more than"),
        ] {
            let error = Origin::parse(text).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(text), "{error}");
        }
    }
}
