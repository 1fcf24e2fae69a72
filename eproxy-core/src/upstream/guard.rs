//! Which addresses a client may have us connect to.
//!
//! Whoever can name a destination can reach what only this machine can: the database behind it, the cloud's metadata
//! service, this proxy's own admin side. So the *address that is dialled* is judged, after the name was looked up, and on
//! every connection: a name that leads somewhere else the next time is judged again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The addresses that are allowed beside those of the public internet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) allowed: Vec<IpNet>,
    pub(crate) denied: Vec<IpNet>,
    /// Names that may lead anywhere, in lower case.
    pub(crate) hosts: Vec<String>,
}

impl Guard {
    /// Whether `address` may be dialled for `host`, a name as the client gave it or none for a literal address.
    pub(crate) fn allows(&self, host: Option<&str>, address: SocketAddr) -> bool {
        let ip = address.ip();
        // One address may be written in several ways: the innermost is where packets go.
        let inner = innermost(ip);
        let is_in = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip) || net.contains(&inner));
        if is_in(&self.denied) {
            return false;
        }
        let is_named = host.is_some_and(|host| {
            let host = host.strip_suffix('.').unwrap_or(host);
            self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
        });
        is_named || is_in(&self.allowed) || (is_public(ip) && is_public(inner))
    }
}

/// The IPv4 address that an IPv6 address embeds: mapped and compatible (RFC 4291 §2.5.5), NAT64 (RFC 6052 §2.1),
/// 6to4 (RFC 3056 §2).
fn innermost(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let octets = v6.octets();
    let tail =
        |at: usize| IpAddr::V4(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]));
    match v6.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        [0, 0, 0, 0, 0, 0 | 0xFFFF, ..] | [0x64, 0xFF9B, 0, 0, 0, 0, ..] => tail(12),
        // Stateless translation puts a zero segment between (RFC 2765 §2.1).
        [0, 0, 0, 0, 0xFFFF, 0, ..] => tail(12),
        [0x2002, ..] => tail(2),
        _ => ip,
    }
}

/// Whether an address is one of the public internet: not of this machine, a private network, a link, a group, and not
/// set aside (RFC 6890 and the registries that it began).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) if innermost(ip) == ip => {
            GLOBAL_UNICAST.contains(&v6) && !SPECIAL_V6.iter().any(|net| net.contains(&v6))
        }
        // Judged by what it embeds.
        IpAddr::V6(_) => true,
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 addresses that are not of the public internet (IANA's special-purpose registry).
const SPECIAL_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // Link-local, the clouds' metadata services among them.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 31, 196, 0, 24),
    v4(192, 52, 193, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(192, 175, 48, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Groups, what was once reserved, and everybody on the link.
    v4(224, 0, 0, 0, 3),
];

/// Where global unicast addresses of IPv6 are taken from.
const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is set aside among them: protocol assignments with Teredo, documentation, AS112.
const SPECIAL_V6: [Ipv6Net; 4] =
    [v6(0x2001, 0, 0, 23), v6(0x2001, 0xDB8, 0, 32), v6(0x2620, 0x4F, 0x8000, 48), v6(0x3FFF, 0, 0, 20)];

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(guard: &Guard, host: Option<&str>, ip: &str) -> bool {
        guard.allows(host, SocketAddr::new(ip.parse().unwrap(), 443))
    }

    #[test]
    fn only_the_public_internet_may_be_reached_whatever_the_spelling() {
        let guard = Guard::default();
        for ip in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(allows(&guard, None, ip), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.0.9",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.100.100.200",
            "169.254.169.254",
            "192.0.0.192",
            "198.19.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1.1.1.1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
        ] {
            assert!(!allows(&guard, None, ip), "{ip}");
        }
    }

    #[test]
    fn lists_open_and_close_what_they_name() {
        let guard = Guard {
            allowed: vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()],
            denied: vec!["10.1.9.0/24".parse().unwrap(), "1.1.1.1/32".parse().unwrap()],
            hosts: vec!["db.internal".into()],
        };
        assert!(allows(&guard, None, "10.1.2.3") && allows(&guard, None, "::ffff:10.1.2.3"));
        assert!(allows(&guard, None, "::1") && !allows(&guard, None, "10.2.0.1"));
        assert!(!allows(&guard, None, "10.1.9.1") && !allows(&guard, None, "::ffff:1.1.1.1"));
        assert!(allows(&guard, Some("DB.internal."), "192.168.0.9"));
        assert!(
            !allows(&guard, Some("db.internal"), "10.1.9.1")
                && !allows(&guard, Some("a.db.internal"), "10.9.9.9")
        );
    }
}
