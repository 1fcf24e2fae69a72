//! Whose word is taken for where a request comes from.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::driver::Peer;
use crate::error::{Error, Kind, Result};

/// The peers that are believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Trusted {
    nets: Vec<IpNet>,
    unix: bool,
}

impl Trusted {
    /// Reads addresses, networks, and `unix`.
    ///
    /// # Errors
    ///
    /// `BadOption`: one is none of these.
    pub(super) fn parse(given: &[String]) -> Result<Self> {
        let mut trusted = Self::default();
        for text in given {
            match (text.as_str(), text.parse::<IpNet>(), text.parse::<IpAddr>()) {
                ("unix", ..) => trusted.unix = true,
                (_, Ok(net), _) => trusted.nets.push(net),
                (_, _, Ok(address)) => trusted.nets.push(address.into()),
                _ => {
                    let what = format!(
                        "trusted proxy {text:?}, expected an address, a network like 10.0.0.0/8, or unix"
                    );
                    return Err(Error::new(Kind::BadOption).detail(what));
                }
            }
        }
        Ok(trusted)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nets.is_empty() && !self.unix
    }

    /// Whether a peer is believed.
    pub(super) fn believes(&self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp(address) => {
                let ip = address.ip().to_canonical();
                self.nets.iter().any(|net| net.contains(&ip))
            }
            Peer::Unix => self.unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_addresses_and_the_machine_itself_are_believed_as_they_are_named() {
        let given = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "unix"].map(str::to_owned);
        let trusted = Trusted::parse(&given).unwrap();
        let believes = |address: &str| trusted.believes(Peer::Tcp(address.parse().unwrap()));
        for address in ["10.1.2.3:4", "192.0.2.7:1", "[2001:db8::9]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(believes(address), "{address}");
        }
        for address in ["11.0.0.1:1", "192.0.2.8:1", "[2001:db9::1]:1", "127.0.0.1:1"] {
            assert!(!believes(address), "{address}");
        }
        assert!(trusted.believes(Peer::Unix) && !Trusted::default().believes(Peer::Unix));
        assert!(Trusted::parse(&["10.0.0".to_owned()]).unwrap_err().to_string().contains("10.0.0"));
    }
}
