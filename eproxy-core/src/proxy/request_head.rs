//! The head of a request on its way to an upstream.

use std::io::Write as _;
use std::net::IpAddr;

use crate::driver::Peer;
use crate::http1::{BodyCoding, Lines, encode_field, encode_number};
use crate::message::{Field, Grpc, Known, Version, hop};
use crate::tls::Session;
use crate::upstream::Origin;

use super::grpc_web;
use super::relay::{Head, Method, NAME, Relay};
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
    pub(super) telling: Telling,
    /// Targets stay as they came, absolute ones, too: the upstream is a forward proxy.
    pub(super) keeps_target: bool,
    /// What the upstream is told of who we are (RFC 9110 §11.7.2).
    pub(super) proxy_authorization: Option<Vec<u8>>,
    /// Calls of gRPC-Web become calls of gRPC.
    pub(super) grpc_web: bool,
}

/// What upstreams are told of where a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Telling {
    /// All that is known, with what a trusted client says.
    #[default]
    Origin,
    /// What a trusted client says.
    Nothing,
    /// What the client says.
    AsItCame,
}

/// Appends the head of the request as an upstream gets it, but for what [`encode_end`] adds; says whether the length of the
/// body is in it: it may stay where it is.
pub(super) fn encode(
    out: &mut Vec<u8>,
    relay: &Relay<'_>,
    rules: &RequestRules,
    origin: &Origin,
    coding: BodyCoding,
) -> bool {
    let lines = relay.lines();
    let host = host(relay, &lines);
    let is_trusted = relay.is_trusted() || rules.telling == Telling::AsItCame;
    encode_request_line(out, relay, rules, origin);
    // The client's own Host field may stay where it is, if it is what is to be sent.
    let mut has_host = false;
    let keeps_host = rules.host == HostRule::Keep && relay.authority().is_none();
    if !keeps_host || host.is_none() {
        has_host = true;
        encode_field(
            out,
            b"Host",
            match &rules.host {
                HostRule::Keep => host.unwrap_or(origin.authority.as_bytes()),
                HostRule::Upstream => origin.authority.as_bytes(),
                HostRule::Set(host) => host.as_bytes(),
            },
        );
    }
    // So may the Content-Length, unless hooks may have had their hands on it.
    let may_stay = matches!(coding, BodyCoding::Length(_)) && lines.end.is_some();
    let mut has_length = false;
    let web = grpc_web::dialect(relay, rules);
    let story = relay.account.story.as_deref();
    rules.headers.encode(out, &lines, |field| match field.known {
        Known::Other => !story.is_some_and(|story| story.owns_of_request(field.name.of(lines.bytes))),
        Known::Via => true,
        Known::Host => !std::mem::replace(&mut has_host, true),
        Known::ContentLength => may_stay && !std::mem::replace(&mut has_length, true),
        Known::ContentType => web.is_none(),
        // Written anew, or together with ours.
        Known::Expect | Known::MaxForwards | Known::Forwarded | Known::XForwardedFor => false,
        // Meant for us (RFC 9110 §11.7.2).
        Known::ProxyAuthorization => false,
        Known::XForwardedHost | Known::XForwardedProto | Known::XForwardedOther => is_trusted,
        // Nobody but us knows the client that is connected to us.
        Known::ClientCertificate => is_trusted && relay.client.session.is_none(),
        // Named trailers come with chunks only.
        Known::Trailer => coding == BodyCoding::Chunked,
        known => !known.is_hop_by_hop(),
    });
    if web.is_some() && !rules.headers.decide(b"Content-Type") {
        grpc_web::encode_content_type(out, &lines, Grpc::Native);
    }
    if let Some(credentials) = &rules.proxy_authorization {
        encode_field(out, b"Proxy-Authorization", credentials);
    }
    if let Some(story) = story {
        story.encode_for_upstream(out, |name| rules.headers.decide(name));
    }
    encode_max_forwards(out, &lines);
    match rules.telling {
        Telling::Origin => {
            encode_forwarding(out, relay, &rules.headers, &lines, host);
            encode_client_certificate(out, relay, &rules.headers);
        }
        _ if is_trusted => {
            pass_on(out, &rules.headers, &lines, Known::XForwardedFor, b"X-Forwarded-For");
            pass_on(out, &rules.headers, &lines, Known::Forwarded, b"Forwarded");
        }
        Telling::Nothing | Telling::AsItCame => {}
    }
    // We are added to those that the message came by (RFC 9110 §7.6.3); the others' entries stay in fields of their own.
    out.extend_from_slice(match relay.head.line.version {
        Version::Http10 => b"Via: 1.0 eproxy\r\n",
        Version::Http11 => b"Via: 1.1 eproxy\r\n",
        Version::Http2 => b"Via: 2.0 eproxy\r\n",
    });
    has_length
}

/// Appends the end of the head: the framing of the body, unless [`encode`] said that it is there, and what concerns the
/// connection.
pub(super) fn encode_end(
    out: &mut Vec<u8>,
    relay: &Relay<'_>,
    rules: &RequestRules,
    coding: BodyCoding,
    has_length: bool,
    expects_continue: bool,
) {
    match coding {
        BodyCoding::Length(_) if has_length => {}
        BodyCoding::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            encode_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyCoding::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyCoding::None | BodyCoding::UntilClose => {}
    }
    // The client waits for 100 (Continue), and so do we (RFC 9110 §10.1.1).
    if expects_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    // Trailers of an answer in gRPC are for us.
    let takes_trailers = relay.head.facts.takes_trailers || grpc_web::dialect(relay, rules).is_some();
    match (&relay.desk.upgrade, takes_trailers) {
        (Some(upgrade), _) => {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            encode_field(out, b"Upgrade", &upgrade.protocols);
        }
        // We pass trailers on, so that a client which takes them is told of truthfully (RFC 9110 §10.1.4).
        (None, true) => out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n"),
        (None, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

fn encode_request_line(out: &mut Vec<u8>, relay: &Relay<'_>, rules: &RequestRules, origin: &Origin) {
    let head = relay.head_bytes();
    let Head { line, method, path, query, authority, .. } = relay.head;
    out.extend_from_slice(line.method.of(head));
    out.push(b' ');
    match relay.hooked.as_ref().and_then(|hooked| hooked.new_target.as_deref()) {
        Some(target) => out.extend_from_slice(target.as_bytes()),
        None if rules.keeps_target => out.extend_from_slice(line.target.of(head)),
        // RFC 9112 §3.2.4: what the last proxy makes of a question about the server.
        None if method == Method::Options
            && authority.is_some()
            && path.range().is_empty()
            && query.is_none() =>
        {
            out.push(b'*');
        }
        None => {
            rules.path.encode(out, path.of(head), &origin.base);
            if let Some(query) = query {
                out.push(b'?');
                out.extend_from_slice(query.of(head));
            }
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// The host and port that the client asked for, which an absolute target overrides (RFC 9112 §3.2.2); none where an
/// HTTP/1.0 client did not say.
pub(super) fn host<'r>(relay: &'r Relay<'_>, lines: &Lines<'r>) -> Option<&'r [u8]> {
    if let Some(authority) = relay.authority() {
        return Some(authority);
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
/// client says of that itself is left out unless it is trusted; then ours is added to it. What the user has rules for is left
/// to those.
fn encode_forwarding(
    out: &mut Vec<u8>,
    relay: &Relay<'_>,
    rules: &HeaderRules,
    lines: &Lines<'_>,
    host: Option<&[u8]>,
) {
    let is_trusted = relay.is_trusted();
    let has = |known: Known| is_trusted && lines.fields.iter().any(|field| field.known == known);
    let peer = match relay.client.peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    };
    let host = host.filter(|host| !host.is_empty());
    // Where the peer's address is in `out`, to be copied from there.
    let mut address = None;
    if (peer.is_some() || has(Known::XForwardedFor)) && !rules.decide(b"X-Forwarded-For") {
        out.extend_from_slice(b"X-Forwarded-For: ");
        let is_first = !is_trusted || encode_list(out, lines, Known::XForwardedFor);
        if let Some(peer) = peer {
            out.extend_from_slice(if is_first { b"" } else { b", " });
            let start = out.len();
            encode_ip(out, peer);
            address = Some(start..out.len());
        }
        out.extend_from_slice(b"\r\n");
    }
    if !has(Known::XForwardedProto) && !rules.decide(b"X-Forwarded-Proto") {
        encode_field(out, b"X-Forwarded-Proto", relay.client.scheme().as_bytes());
    }
    if let Some(host) = host.filter(|_| !has(Known::XForwardedHost) && !rules.decide(b"X-Forwarded-Host")) {
        encode_field(out, b"X-Forwarded-Host", host);
    }
    if rules.decide(b"Forwarded") {
        return;
    }
    out.extend_from_slice(b"Forwarded: ");
    if is_trusted && !encode_list(out, lines, Known::Forwarded) {
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"for=");
    let mut encode_address = |out: &mut Vec<u8>, ip| match address.take() {
        Some(address) => out.extend_from_within(address),
        None => encode_ip(out, ip),
    };
    match peer {
        Some(ip @ IpAddr::V4(_)) => encode_address(out, ip),
        Some(ip @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            encode_address(out, ip);
            out.extend_from_slice(b"]\"");
        }
        None => out.extend_from_slice(b"unknown"),
    }
    if let Some(host) = host {
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\"");
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(relay.client.scheme().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Tells the upstream who the client is, if it has shown a certificate: Client-Cert (RFC 9440 §2), and the subject in words.
/// What others say of that is left out above.
fn encode_client_certificate(out: &mut Vec<u8>, relay: &Relay<'_>, rules: &HeaderRules) {
    let Some(certificate) = relay.client.session.and_then(Session::client_certificate) else { return };
    if !rules.decide(b"Client-Cert") {
        let value = format!(":{}:", base64::encode(certificate.der()));
        encode_field(out, b"Client-Cert", value.as_bytes());
    }
    let subject = certificate.subject();
    // What would be another line, or is no text, stays in the certificate.
    let is_value = subject.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_value && !subject.is_empty() && !rules.decide(b"X-Client-Subject") {
        encode_field(out, b"X-Client-Subject", subject.as_bytes());
    }
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

fn pass_on(out: &mut Vec<u8>, rules: &HeaderRules, lines: &Lines<'_>, known: Known, name: &[u8]) {
    let is_there = |field: &&Field| field.known == known && !rules.decide(name);
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
