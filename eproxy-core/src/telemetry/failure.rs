//! What is logged of a failure.

use std::fmt;

use crate::driver::Peer;
use crate::error::Error;

use super::attempt::Attempt;

/// The log line of a failure: what it was, and where, as far as that is known.
#[derive(Debug)]
pub(crate) struct FailureLine<'a> {
    pub(crate) error: &'a Error,
    /// The pattern of the route; empty where there is none, as for what goes through a forward proxy.
    pub(crate) route: &'a str,
    pub(crate) upstream: Option<&'a str>,
    /// The try that it was.
    pub(crate) attempt: Option<&'a Attempt>,
    pub(crate) peer: Peer,
}

impl fmt::Display for FailureLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error.name(), self.error)?;
        if !self.route.is_empty() {
            write!(f, ", on route {}", self.route)?;
        }
        if let Some(upstream) = self.upstream {
            write!(f, ", upstream {upstream}")?;
        }
        if let Some(attempt) = self.attempt {
            write!(f, " ({attempt})")?;
        }
        match self.peer {
            Peer::Tcp(address) => write!(f, ", from {address}"),
            Peer::Unix => f.write_str(", from a local process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;

    use super::*;

    #[test]
    fn what_is_not_known_is_left_out() {
        let error = Error::new(Kind::Destination).detail("10.0.0.1:80");
        let peer = Peer::Tcp("192.0.2.7:1234".parse().unwrap());
        let what = "destination_denied: destination address not allowed: 10.0.0.1:80";
        for (route, upstream, peer, place) in [
            ("", None, peer, ", from 192.0.2.7:1234"),
            ("/*path", None, peer, ", on route /*path, from 192.0.2.7:1234"),
            ("", Some("a:80"), Peer::Unix, ", upstream a:80, from a local process"),
            ("/", Some("a:80"), Peer::Unix, ", on route /, upstream a:80, from a local process"),
        ] {
            let line = FailureLine { error: &error, route, upstream, attempt: None, peer }.to_string();
            assert_eq!(line, format!("{what}{place}"));
        }
    }
}
