//! Hosts: what a route says of them, and the tree of patterns that belongs to the host of a request.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

use http_types::url::Host;

use crate::error::{Error, Kind, Result};

/// Bytes of a name (RFC 1035 §2.3.4, without the root's dot).
const LONGEST: usize = 253;

/// Which hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum HostPattern {
    /// This one, in lower case; IPv6 addresses in brackets, as they are written shortest.
    Exact(String),
    /// Those that have one or more labels in front of this.
    Wildcard(String),
    /// All of them, and requests without one.
    Any,
}

impl HostPattern {
    /// # Errors
    ///
    /// `BadPattern`, with what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(Kind::BadPattern).detail(format!("host {text:?} {what}")));
        if text == "*" {
            return Ok(Self::Any);
        }
        let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = literal.parse::<Ipv6Addr>() {
            return Ok(Self::Exact(format!("[{ip}]")));
        }
        let (is_wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return wrong("has a wildcard that is not its first label");
        }
        if name.contains(':') {
            return wrong("has a port, or is no IPv6 address; ports of requests are left out of account");
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        // Requests spell other scripts in ASCII (RFC 5890 §2.3.2.1).
        let ascii = match (name.is_ascii(), Host::parse(name)) {
            (false, Ok(Host::Domain(ascii))) => ascii,
            _ => name.to_ascii_lowercase(),
        };
        let is_label = |label: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
        };
        match ascii.len() <= LONGEST && ascii.split('.').all(is_label) {
            false => wrong("is not a name, an address, or a name behind *."),
            true if is_wildcard => Ok(Self::Wildcard(ascii)),
            true => Ok(Self::Exact(ascii)),
        }
    }
}

impl HostPattern {
    /// Whether the host of a request is one of these.
    pub(super) fn is_for(&self, host: Option<&HostName>) -> bool {
        let host = host.map(HostName::as_bytes);
        match self {
            Self::Any => true,
            Self::Exact(name) => host == Some(name.as_bytes()),
            Self::Wildcard(name) => {
                let front = host.and_then(|host| host.strip_suffix(name.as_bytes()));
                front.is_some_and(|front| front.len() > 1 && front.ends_with(b"."))
            }
        }
    }

    /// The labels at the end that the host of a request has, too.
    pub(super) fn common_labels(&self, host: Option<&HostName>) -> usize {
        let (Self::Exact(name) | Self::Wildcard(name), Some(host)) = (self, host) else { return 0 };
        let given = host.as_bytes().rsplit(|byte| *byte == b'.');
        name.rsplit('.').zip(given).take_while(|(own, given)| own.as_bytes() == *given).count()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// The host of a request as it is looked up: without port and final dot, in lower case. It is made on the stack.
pub(super) struct HostName {
    bytes: [u8; LONGEST + 3],
    length: usize,
}

impl HostName {
    /// Of `host` or `host:port`, which was checked to be one; none where it names no host, or is longer than any.
    pub(super) fn of(authority: &[u8]) -> Option<Self> {
        let mut name = Self { bytes: [0; LONGEST + 3], length: 0 };
        if authority.first() == Some(&b'[') {
            let end = authority.iter().position(|byte| *byte == b']')?;
            let ip: Option<Ipv6Addr> =
                std::str::from_utf8(&authority[1..end]).ok().and_then(|text| text.parse().ok());
            write!(name, "[{}]", ip?).ok()?;
            return Some(name);
        }
        let end = authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len());
        let host = &authority[..end];
        let host = host.strip_suffix(b".").unwrap_or(host);
        if host.is_empty() || host.len() > LONGEST {
            return None;
        }
        name.bytes[..host.len()].copy_from_slice(host);
        name.length = host.len();
        name.bytes[..name.length].make_ascii_lowercase();
        Some(name)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Addresses are written where they are looked up from.
impl fmt::Write for HostName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// The number of a tree among those of a map.
pub(super) type TreeNumber = usize;

/// Which tree belongs to which host.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<[u8]>, TreeNumber>,
    /// By what stands behind `*.`.
    wildcards: HashMap<Box<[u8]>, TreeNumber>,
    /// The fewest and the most dots in one of these.
    dots: Option<(usize, usize)>,
}

impl Hosts {
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty()
    }

    /// The tree of a pattern, `next` if it has none yet; that of [`HostPattern::Any`] is not kept here.
    pub(super) fn tree(&mut self, host: &HostPattern, next: TreeNumber) -> Option<TreeNumber> {
        match host {
            HostPattern::Exact(name) => Some(*self.exact.entry(name.as_bytes().into()).or_insert(next)),
            HostPattern::Wildcard(name) => {
                let dots = dots(name.as_bytes());
                let (least, most) = self.dots.unwrap_or((dots, dots));
                self.dots = Some((least.min(dots), most.max(dots)));
                Some(*self.wildcards.entry(name.as_bytes().into()).or_insert(next))
            }
            HostPattern::Any => None,
        }
    }

    /// The trees of a host, in the order in which they are asked: its own, then those of the longer wildcards first.
    pub(super) fn trees(&self, host: &HostName) -> impl Iterator<Item = TreeNumber> {
        let name = host.as_bytes();
        let (least, most) = self.dots.unwrap_or((1, 0));
        // A name of many labels costs no more look-ups than there are wildcards of different lengths.
        let mut left = if self.dots.is_some() { dots(name) } else { 0 };
        let mut rest = name;
        let suffixes = std::iter::from_fn(move || {
            while left > least {
                rest = &rest[memchr::memchr(b'.', rest)? + 1..];
                left -= 1;
                if left <= most {
                    return Some(rest);
                }
            }
            None
        });
        // Down to as many dots as the shortest has.
        let wild = suffixes.filter_map(|suffix| self.wildcards.get(suffix));
        self.exact.get(name).into_iter().chain(wild).copied()
    }
}

fn dots(name: &[u8]) -> usize {
    memchr::memchr_iter(b'.', name).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(authority: &str) -> Option<String> {
        let name = HostName::of(authority.as_bytes())?;
        Some(String::from_utf8(name.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn hosts_of_requests_are_looked_up_without_port_case_and_final_dot() {
        for (authority, expected) in [
            ("example.com", Some("example.com")),
            ("EXAMPLE.com:8080", Some("example.com")),
            ("example.com.:80", Some("example.com")),
            ("example.com..", Some("example.com.")),
            ("[2001:DB8:0:0::1]:80", Some("[2001:db8::1]")),
            ("[::ffff:10.0.0.1]", Some("[::ffff:10.0.0.1]")),
            ("10.0.0.1:1", Some("10.0.0.1")),
            ("[v1.x]", None),
            ("[", None),
            (":80", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(name(authority).as_deref(), expected, "{authority}");
        }
        assert!(name(&"a".repeat(253)).is_some() && name(&"a".repeat(254)).is_none());
        let long = "[1111:1111:1111:1111:1111:1111:255.255.255.255]";
        assert_eq!(name(long).as_deref(), Some("[1111:1111:1111:1111:1111:1111:ffff:ffff]"));
    }

    #[test]
    fn hosts_of_routes_are_written_as_those_of_requests() {
        for (text, expected) in [
            ("Example.COM.", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("*", "*"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("2001:DB8::1", "[2001:db8::1]"),
            ("10.0.0.1", "10.0.0.1"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("a_b", "a_b"),
        ] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), expected, "{text}");
        }
        for (text, what) in [
            ("", "not a name"),
            ("*.", "not a name"),
            ("a..b", "not a name"),
            ("a.*.b", "first label"),
            ("**", "first label"),
            ("a*", "first label"),
            ("a:80", "port"),
            ("[::1]:80", "port"),
            ("http://a", "port"),
            ("a/b", "not a name"),
            ("a b", "not a name"),
        ] {
            let error = HostPattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_host_comes_before_wildcards_and_longer_wildcards_before_shorter_ones() {
        let mut hosts = Hosts::default();
        let given = ["a.b.c.d", "*.b.c.d", "*.d", "*.c.d", "*.x"];
        for (number, text) in given.iter().enumerate() {
            let host = HostPattern::parse(text).unwrap();
            assert_eq!(hosts.tree(&host, number), Some(number));
            assert_eq!(hosts.tree(&host, 99), Some(number));
        }
        assert_eq!(hosts.tree(&HostPattern::Any, 7), None);
        let found = |host: &str| -> Vec<&str> {
            let host = HostName::of(host.as_bytes()).unwrap();
            hosts.trees(&host).map(|tree| given[tree]).collect()
        };
        assert_eq!(found("a.b.c.d"), ["a.b.c.d", "*.b.c.d", "*.c.d", "*.d"]);
        assert_eq!(found("b.c.d"), ["*.c.d", "*.d"]);
        assert_eq!(found("1.2.3.4.b.c.d"), ["*.b.c.d", "*.c.d", "*.d"]);
        assert_eq!(found("y.x"), ["*.x"]);
        assert!(found("d").is_empty() && found("x").is_empty() && found("a.e").is_empty());
        assert!(found("xc.e").is_empty());
    }
}
