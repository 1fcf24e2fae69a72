//! The head of a request on its way to an upstream.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::driver::Peer;
use crate::http1::{BodyCoding, Lines, encode_field, encode_number};
use crate::message::{Field, Known, Version, hop};
use crate::upstream::Origin;

use super::relay::{NAME, Relay};
use super::rules::{HeaderRules, PathRules};

/// How the Host field of a request is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum HostRule {
    /// As the client sent it.
    #[default]
    Keep,
    /// The upstream's own host and port.
    Upstream,
    /// This.
    Set(String),
}

/// What is changed of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestRules {
    pub(super) host: HostRule,
    pub(super) path: PathRules,
    pub(super) headers: HeaderRules,
    /// Upstreams are not told where requests come from.
    pub(super) is_quiet: bool,
}

/// What one attempt adds to the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending<'a> {
    pub(super) origin: &'a Origin,
    pub(super) coding: BodyCoding,
    /// The client waits for 100 (Continue), and so do we (RFC 9110 §10.1.1).
    pub(super) expects_continue: bool,
    /// The protocols of an upgrade.
    pub(super) upgrade: Option<&'a [u8]>,
}

/// Appends the head of the request as an upstream gets it.
pub(super) fn encode(out: &mut Vec<u8>, relay: &Relay<'_>, rules: &RequestRules, sending: &Sending<'_>) {
    let lines = relay.lines();
    let host = host(relay, &lines);
    let is_trusted = relay.client.is_trusted;
    encode_request_line(out, relay, &rules.path, sending.origin);
    // The client's own Host field may stay where it is, if it is what is to be sent.
    let mut has_host = false;
    let keeps_host = rules.host == HostRule::Keep && relay.head.authority.is_none();
    if !keeps_host || host.is_none() {
        has_host = true;
        encode_field(out, b"Host", match &rules.host {
            HostRule::Keep => host.unwrap_or(sending.origin.authority.as_bytes()),
            HostRule::Upstream => sending.origin.authority.as_bytes(),
            HostRule::Set(host) => host.as_bytes(),
        });
    }
    // So may the Content-Length.
    let mut has_length = !matches!(sending.coding, BodyCoding::Length(_));
    rules.headers.encode(out, &lines, |field| match field.known {
        Known::Other | Known::Via => true,
        Known::Host => !std::mem::replace(&mut has_host, true),
        Known::ContentLength => !std::mem::replace(&mut has_length, true),
        // Written anew, or together with ours.
        Known::Expect | Known::MaxForwards | Known::Forwarded | Known::XForwardedFor => false,
        // Meant for us (RFC 9110 §11.7.2).
        Known::ProxyAuthorization => false,
        Known::XForwardedHost | Known::XForwardedProto | Known::XForwardedOther => is_trusted,
        // Named trailers come with chunks only.
        Known::Trailer => sending.coding == BodyCoding::Chunked,
        known => !known.is_hop_by_hop(),
    });
    encode_max_forwards(out, &lines);
    match rules.is_quiet {
        false => encode_forwarding(out, relay, &lines, host),
        true if is_trusted => {
            pass_on(out, &lines, Known::XForwardedFor, b"X-Forwarded-For");
            pass_on(out, &lines, Known::Forwarded, b"Forwarded");
        }
        true => {}
    }
    // We are added to those that the message came by (RFC 9110 §7.6.3); the others' entries stay in fields of their own.
    out.extend_from_slice(match relay.head.line.version {
        Version::Http10 => b"Via: 1.0 eproxy\r\n",
        Version::Http11 => b"Via: 1.1 eproxy\r\n",
    });
    match sending.coding {
        BodyCoding::Length(length) if !has_length => {
            out.extend_from_slice(b"Content-Length: ");
            encode_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyCoding::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyCoding::Length(_) | BodyCoding::None | BodyCoding::UntilClose => {}
    }
    if sending.expects_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    match (sending.upgrade, relay.head.facts.takes_trailers) {
        (Some(protocols), _) => {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            encode_field(out, b"Upgrade", protocols);
        }
        // We pass trailers on, so that a client which takes them is told of truthfully (RFC 9110 §10.1.4).
        (None, true) => out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n"),
        (None, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

fn encode_request_line(out: &mut Vec<u8>, relay: &Relay<'_>, rules: &PathRules, origin: &Origin) {
    let head = relay.head_bytes();
    out.extend_from_slice(relay.head.line.method.of(head));
    out.push(b' ');
    rules.encode(out, relay.head.path.of(head), &origin.base);
    if let Some(query) = relay.head.query {
        out.push(b'?');
        out.extend_from_slice(query.of(head));
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// The host and port that the client asked for, which an absolute target overrides (RFC 9112 §3.2.2); none where an
/// HTTP/1.0 client did not say.
pub(super) fn host<'r>(relay: &'r Relay<'_>, lines: &Lines<'r>) -> Option<&'r [u8]> {
    if let Some(authority) = relay.head.authority {
        return Some(authority.of(relay.head_bytes()));
    }
    let field = lines.fields.iter().find(|field| field.known == Known::Host)?;
    Some(field.value.of(lines.bytes))
}

/// Counted down on its way (RFC 9110 §7.6.2); that there is one left was checked before.
fn encode_max_forwards(out: &mut Vec<u8>, lines: &Lines<'_>) {
    for field in lines.fields.iter().filter(|field| field.known == Known::MaxForwards) {
        if let Some(left) = parse_number(field.value.of(lines.bytes)) {
            out.extend_from_slice(b"Max-Forwards: ");
            encode_number(out, left.saturating_sub(1));
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// What `Max-Forwards` allows, where it says so.
pub(super) fn max_forwards(lines: &Lines<'_>) -> Option<u64> {
    let field = lines.fields.iter().find(|field| field.known == Known::MaxForwards)?;
    parse_number(field.value.of(lines.bytes))
}

fn parse_number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Tells the upstream where the request comes from: X-Forwarded-For, -Proto, -Host, and Forwarded (RFC 7239). What the
/// client says of that itself is left out unless it is trusted; then ours is added to it.
fn encode_forwarding(out: &mut Vec<u8>, relay: &Relay<'_>, lines: &Lines<'_>, host: Option<&[u8]>) {
    let is_trusted = relay.client.is_trusted;
    let has = |known: Known| is_trusted && lines.fields.iter().any(|field| field.known == known);
    let peer = match relay.client.peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    };
    let host = host.filter(|host| !host.is_empty());
    // Where the peer's address is in `out`, to be copied from there.
    let mut address = 0..0;
    if peer.is_some() || has(Known::XForwardedFor) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        let is_first = !is_trusted || encode_list(out, lines, Known::XForwardedFor);
        if let Some(peer) = peer {
            out.extend_from_slice(if is_first { b"" } else { b", " });
            let start = out.len();
            encode_ip(out, peer);
            address = start..out.len();
        }
        out.extend_from_slice(b"\r\n");
    }
    if !has(Known::XForwardedProto) {
        out.extend_from_slice(b"X-Forwarded-Proto: http\r\n");
    }
    if let Some(host) = host.filter(|_| !has(Known::XForwardedHost)) {
        encode_field(out, b"X-Forwarded-Host", host);
    }
    out.extend_from_slice(b"Forwarded: ");
    if is_trusted && !encode_list(out, lines, Known::Forwarded) {
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"for=");
    match peer {
        Some(IpAddr::V4(_)) => out.extend_from_within(address),
        Some(IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            out.extend_from_within(address);
            out.extend_from_slice(b"]\"");
        }
        None => out.extend_from_slice(b"unknown"),
    }
    if let Some(host) = host {
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\"");
    }
    out.extend_from_slice(b";proto=http\r\n");
}

/// Appends the values of all fields of a kind as one list; says whether there were none.
fn encode_list(out: &mut Vec<u8>, lines: &Lines<'_>, known: Known) -> bool {
    let mut is_first = true;
    for field in lines.fields.iter().filter(|field| field.known == known) {
        for member in hop::members(field.value.of(lines.bytes)) {
            out.extend_from_slice(if is_first { b"" } else { b", " });
            out.extend_from_slice(member);
            is_first = false;
        }
    }
    is_first
}

fn pass_on(out: &mut Vec<u8>, lines: &Lines<'_>, known: Known, name: &[u8]) {
    let is_there = |field: &&Field| field.known == known;
    for field in lines.fields.iter().filter(is_there) {
        encode_field(out, name, field.value.of(lines.bytes));
    }
}

/// How often the message came by here, or by somebody of our name.
pub(super) fn visits(lines: &Lines<'_>) -> usize {
    let ours = |member: &&[u8]| {
        let mut words = member.split(|byte| *byte == b' ');
        words.nth(1).is_some_and(|by| by == NAME.as_bytes())
    };
    let via = lines.fields.iter().filter(|field| field.known == Known::Via);
    via.map(|field| hop::members(field.value.of(lines.bytes)).filter(ours).count()).sum()
}

fn encode_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            encode_number(out, u64::from(a));
            for octet in [b, c, d] {
                out.push(b'.');
                encode_number(out, u64::from(octet));
            }
        }
        // Writing to a vector can't fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// The two ends of the client's connection, for the PROXY protocol.
pub(super) fn ends(relay: &Relay<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let Peer::Tcp(peer) = relay.client.peer else { return None };
    let local = relay.client.local.or_else(|| relay.client.stream.local_addr())?;
    Some((peer, local))
}
