//! What stands in front of a connection that somebody else passes on.

use std::net::{IpAddr, SocketAddr};

use crate::tunnel::{ProxyProtocol, TwoEnds, proxy_protocol};

/// Bytes after which no header of this kind is still open.
const MOST: usize = 5000;

/// Reads `input` as a PROXY protocol header, whole and in pieces, and writes down what it says in both versions.
///
/// # Panics
///
/// The pieces matter, what follows the header does, the standard library reads other addresses in a line, or what is
/// written says something else.
pub fn proxy_header(input: &[u8]) {
    let whole = proxy_protocol::parse(input);
    let most = input.len().min(MOST);
    let decided = (0..=most).map(|end| proxy_protocol::parse(&input[..end])).find(|found| *found != Ok(None));
    assert_eq!(decided.unwrap_or(Ok(None)).ok(), whole.ok(), "it becomes clear at some byte");
    let Ok(Some((length, ends))) = whole else { return };
    let header = &input[..length];
    assert_eq!(proxy_protocol::parse(header), whole, "what follows does not matter");
    if let Some(line) = header.strip_prefix(b"PROXY ") {
        compare_line_with_std(line, ends);
    }
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut written = Vec::new();
        proxy_protocol::encode(&mut written, version, ends);
        let read = proxy_protocol::parse(&written);
        let Ok(Some((length, read))) = read else { panic!("{version:?}: {read:?} of {ends:?}") };
        assert_eq!(length, written.len(), "{version:?}");
        assert_eq!(read.map(plain), ends.map(plain), "{version:?}");
        let mut again = Vec::new();
        proxy_protocol::encode(&mut again, version, read);
        assert_eq!(again, written, "{version:?}");
    }
}

/// Addresses of IPv4 are the same when they are written as those of IPv6.
fn plain((source, destination): TwoEnds) -> TwoEnds {
    let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    (plain(source), plain(destination))
}

/// A line of version 1, behind its first word.
fn compare_line_with_std(line: &[u8], ends: Option<TwoEnds>) {
    let line = std::str::from_utf8(line).expect("a line is text");
    let words: Vec<_> = line.strip_suffix("\r\n").expect("a line ends").split(' ').collect();
    let Some((source, destination)) = ends else {
        assert_eq!(words[0], "UNKNOWN");
        return;
    };
    let [family, from, to, from_port, to_port] = words[..] else { panic!("words of {line:?}") };
    assert_eq!(family, if source.is_ipv4() { "TCP4" } else { "TCP6" });
    let end = |ip: &str, port: &str| (ip.parse::<IpAddr>().ok(), port.parse::<u16>().ok());
    assert_eq!(end(from, from_port), (Some(source.ip()), Some(source.port())), "{line:?}");
    assert_eq!(end(to, to_port), (Some(destination.ip()), Some(destination.port())), "{line:?}");
}
