//! The PROXY protocol: what stands in front of everything else on a connection, and says whose it is
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};

use crate::error::Kind;

/// The versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The two ends of a connection: where it comes from, and where it was made to.
pub(crate) type TwoEnds = (SocketAddr, SocketAddr);

/// Bytes of the longest header of version 1, with its line end.
const LINE: usize = 107;

/// Bytes of the longest header of version 2 that is taken: addresses take up to 232, and extensions what they like.
const MOST: usize = 4096;

/// Reads the header at the front of a connection: its length, and whose connection it is, if it says so. None where its
/// end has not come.
///
/// # Errors
///
/// `BadProxyProtocol`: there is none, or it is malformed.
pub(crate) fn parse(input: &[u8]) -> Result<Option<(usize, Option<TwoEnds>)>, Kind> {
    let is_binary = v2::PROTOCOL_PREFIX.starts_with(&input[..input.len().min(v2::PROTOCOL_PREFIX.len())]);
    if input.is_empty() {
        return Ok(None);
    }
    if is_binary { parse_binary(input) } else { parse_line(input) }
}

fn parse_line(input: &[u8]) -> Result<Option<(usize, Option<TwoEnds>)>, Kind> {
    let start = &input[..input.len().min(LINE)];
    let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
        let may_begin = v1::PROTOCOL_PREFIX.as_bytes().iter().zip(input).all(|(known, byte)| known == byte);
        return if may_begin && input.len() < LINE { Ok(None) } else { Err(Kind::BadProxyProtocol) };
    };
    // Behind UNKNOWN anything goes, but the line ends as every line does, and only there.
    if start.iter().position(|byte| *byte == b'\r') != end.checked_sub(1) {
        return Err(Kind::BadProxyProtocol);
    }
    let header = v1::Header::try_from(&input[..=end]).map_err(|_| Kind::BadProxyProtocol)?;
    let ends = match header.addresses {
        v1::Addresses::Tcp4(ip) => {
            Some(ends(ip.source_address, ip.source_port, ip.destination_address, ip.destination_port))
        }
        v1::Addresses::Tcp6(ip) => {
            Some(ends(ip.source_address, ip.source_port, ip.destination_address, ip.destination_port))
        }
        v1::Addresses::Unknown => None,
    };
    Ok(Some((end + 1, ends)))
}

fn parse_binary(input: &[u8]) -> Result<Option<(usize, Option<TwoEnds>)>, Kind> {
    const FIXED: usize = 16;
    let Some(fixed) = input.get(..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MOST {
        return Err(Kind::BadProxyProtocol);
    }
    let Some(header) = input.get(..length) else { return Ok(None) };
    let header = v2::Header::try_from(header).map_err(|_| Kind::BadProxyProtocol)?;
    let ends = match (header.command, header.addresses) {
        // A connection of the proxy's own: a health check.
        (v2::Command::Local, _) => None,
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some(ends(ip.source_address, ip.source_port, ip.destination_address, ip.destination_port))
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some(ends(ip.source_address, ip.source_port, ip.destination_address, ip.destination_port))
        }
        (v2::Command::Proxy, v2::Addresses::Unix(_) | v2::Addresses::Unspecified) => None,
    };
    Ok(Some((length, ends)))
}

fn ends(source: impl Into<IpAddr>, from: u16, destination: impl Into<IpAddr>, to: u16) -> TwoEnds {
    (SocketAddr::new(source.into(), from), SocketAddr::new(destination.into(), to))
}

/// Appends the header for a connection that is made on behalf of another one; none where that has no addresses.
pub(crate) fn encode(out: &mut Vec<u8>, version: ProxyProtocol, ends: Option<TwoEnds>) {
    let ends = ends.map(|(source, destination)| same_family(source, destination));
    match version {
        ProxyProtocol::V1 => out.extend_from_slice(
            match ends {
                Some((source, destination)) => {
                    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
                    let (from, to) = (source.ip(), destination.ip());
                    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port())
                }
                None => "PROXY UNKNOWN\r\n".to_owned(),
            }
            .as_bytes(),
        ),
        ProxyProtocol::V2 => {
            // What is written is memory, which does not fail.
            let _written = encode_binary(ends).map(|header| out.extend_from_slice(&header));
        }
    }
}

fn encode_binary(ends: Option<TwoEnds>) -> io::Result<Vec<u8>> {
    let proxy = v2::Version::Two | v2::Command::Proxy;
    match ends {
        Some(ends) => v2::Builder::with_addresses(proxy, v2::Protocol::Stream, ends).build(),
        None => {
            v2::Builder::with_addresses(proxy, v2::Protocol::Unspecified, v2::Addresses::Unspecified).build()
        }
    }
}

/// Both addresses in one family, as a header has them.
fn same_family(source: SocketAddr, destination: SocketAddr) -> TwoEnds {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    let (source, destination) = (plain(source), plain(destination));
    match source.is_ipv4() == destination.is_ipv4() {
        true => (source, destination),
        false => (wide(source), wide(destination)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_what_follows_is_left() {
        for (source, destination, seen) in [
            ("10.0.0.1:1234", "10.0.0.2:80", ("10.0.0.1:1234", "10.0.0.2:80")),
            ("[2001:db8::1]:1234", "[2001:db8::2]:443", ("[2001:db8::1]:1234", "[2001:db8::2]:443")),
            ("[::ffff:10.0.0.1]:1", "10.0.0.2:2", ("10.0.0.1:1", "10.0.0.2:2")),
            ("10.0.0.1:1", "[2001:db8::2]:2", ("[::ffff:10.0.0.1]:1", "[2001:db8::2]:2")),
        ] {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let mut out = Vec::new();
                encode(&mut out, version, Some((address(source), address(destination))));
                let length = out.len();
                out.extend_from_slice(b"GET / HTTP/1.1\r\n");
                let expected = Some((length, Some((address(seen.0), address(seen.1)))));
                assert_eq!(parse(&out), Ok(expected), "{version:?} {source}");
                for shorter in 0..length {
                    assert_eq!(parse(&out[..shorter]), Ok(None), "{version:?}, {shorter} bytes of {source}");
                }
            }
        }
    }

    #[test]
    fn a_connection_of_nobody_keeps_its_own_addresses() {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            let mut out = Vec::new();
            encode(&mut out, version, None);
            assert_eq!(parse(&out), Ok(Some((out.len(), None))));
        }
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x03abcGET";
        assert_eq!(parse(local), Ok(Some((19, None))), "LOCAL, with an extension");
        assert_eq!(parse(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), Ok(Some((35, None))));
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_known() {
        let long_line = [b"PROXY TCP4 ".as_slice(), &[b' '; 100]].concat();
        for (input, why) in [
            (&b"GET / HTTP/1.1\r\n"[..], "a request"),
            (b"G", "the beginning of one"),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 80\r\n", "a port is missing"),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 80 99999\r\n", "a port that there is not"),
            (b"PROXY TCP4 ::1 ::1 80 80\r\n", "the other family"),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 80 81\n", "no CR"),
            (b"PROXY UNKNOWN\n", "no CR, and no addresses either"),
            (b"PROXY UNKNOWN a\rb\r\n", "a CR within"),
            (b"proxy UNKNOWN\r\n", "lower case"),
            (b"PROXY UDP4 10.0.0.1 10.0.0.2 80 81\r\n", "another protocol"),
            (&long_line, "a line without an end"),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x11\x11\x00\x0c\x01\x01\x01\x01\x02\x02\x02\x02\0\x50\0\x51",
                "version 1 of version 2",
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x04\x01\x01\x01\x01", "addresses that are too short"),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "64 KiB of extensions"),
            (b"\r\n\r\n\0\r\nQUIX", "nearly"),
        ] {
            assert_eq!(parse(input), Err(Kind::BadProxyProtocol), "{why}");
        }
    }
}
