//! Where an upstream is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http_types::Url;
use http_types::url::Host;

use crate::driver::Address;
use crate::error::{Error, Kind, Result};

/// Where to connect to: what tells one pool of connections from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Here.
    Address(Address),
    /// Wherever the name leads to at the time.
    Name(String, u16),
}

/// An upstream: where it is, and what requests to it are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    /// What a Host field for it holds (RFC 9110 §7.2).
    pub(crate) authority: String,
    /// What paths begin with there; empty, or a slash and what follows without one at its end.
    pub(crate) base: String,
}

impl Origin {
    /// Reads `http://host:port/base` or `unix:/path`.
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
                    authority: "localhost".into(),
                    base: String::new(),
                }),
                false => wrong("is not unix: and an absolute path"),
            };
        }
        let Ok(url) = Url::parse(text) else { return wrong("is neither http://HOST:PORT nor unix:/PATH") };
        match url.scheme() {
            "http" => {}
            "https" => return wrong("needs TLS, which this version does not have yet; use http://"),
            _ => return wrong("is neither http://HOST:PORT nor unix:/PATH"),
        }
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
        Ok(Self { place, authority, base: url.path().trim_end_matches('/').to_owned() })
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
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, what) in [
            ("https://a/", "TLS"),
            ("ftp://a/", "neither"),
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
