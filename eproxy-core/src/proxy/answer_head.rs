//! The head of an answer on its way to the client.

use crate::http1::{BodyCoding, Lines, encode_field, encode_number};
use crate::message::{Grpc, Known, StatusLine, Version};
use crate::upstream::Origin;

use super::grpc_web;
use super::redirects::RedirectRules;
use super::relay::Relay;
use super::rules::{HeaderRules, PathRules};

/// What is changed of answers.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerRules {
    pub(super) headers: HeaderRules,
    pub(super) redirects: RedirectRules,
    /// Says in Via that the answer came by here: a proxy must, a gateway need not (RFC 9110 §7.6.3).
    pub(super) tells_via: bool,
}

/// What is known of an answer when its head is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answering<'a> {
    pub(super) line: StatusLine,
    /// The reason phrase, which is passed on with the status.
    pub(super) reason: &'a [u8],
    pub(super) coding: BodyCoding,
    /// The connection ends behind the answer.
    pub(super) closes: bool,
    /// The protocol that a 101 switches to.
    pub(super) upgrade: Option<&'a [u8]>,
    /// A cookie that tells the client who has answered it.
    pub(super) cookie: Option<&'a str>,
    /// The dialect of gRPC-Web that it is translated to.
    pub(super) web: Option<Grpc>,
}

/// Where the answer comes from, for what it says of places.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'a> {
    pub(super) origin: &'a Origin,
    pub(super) paths: &'a PathRules,
    /// That of the client's URLs.
    pub(super) scheme: &'static str,
}

/// Appends the head of an answer as the client gets it.
pub(super) fn encode(
    out: &mut Vec<u8>,
    relay: &Relay<'_>,
    rules: &AnswerRules,
    lines: &Lines<'_>,
    from: From<'_>,
    answering: &Answering<'_>,
) {
    encode_status_line(out, answering.line.status, answering.reason);
    let (mut has_date, mut names_places, mut names_protocols) = (false, false, false);
    // The upstream's own Content-Length may stay where it is, unless hooks may have had their hands on it.
    let is_its_own = lines.end.is_some();
    let mut has_length = !matches!(answering.coding, BodyCoding::Length(_));
    let rewrites = !rules.redirects.is_empty();
    let story = relay.account.story.as_deref();
    rules.headers.encode(out, lines, |field| match field.known {
        Known::Other => !story.is_some_and(|story| story.owns_of_answer(field.name.of(lines.bytes))),
        Known::ContentLength => is_its_own && !std::mem::replace(&mut has_length, true),
        Known::Date => {
            has_date = true;
            true
        }
        Known::Location | Known::ContentLocation | Known::SetCookie if rewrites => {
            names_places = true;
            false
        }
        // Which protocols would do, where this one does not (RFC 9110 §15.5.22).
        Known::Upgrade => {
            names_protocols |= answering.line.status == 426;
            answering.line.status == 426
        }
        Known::ContentType => answering.web.is_none(),
        // Named trailers come with chunks only.
        Known::Trailer => answering.coding == BodyCoding::Chunked && answering.web.is_none(),
        known => !known.is_hop_by_hop(),
    });
    if let Some(dialect) = answering.web.filter(|_| !rules.headers.decide(b"Content-Type")) {
        grpc_web::encode_content_type(out, lines, dialect);
    }
    if names_places {
        rules.redirects.encode(out, lines, &relay.desk.host, from);
    }
    if !has_date && !rules.headers.decide(b"Date") {
        out.extend_from_slice(relay.site.date.at(relay.site.core.unix_seconds()).as_bytes());
    }
    if let Some(story) = story {
        story.encode_id(out, |name| rules.headers.decide(name));
    }
    if let Some(cookie) = answering.cookie {
        encode_field(out, b"Set-Cookie", cookie.as_bytes());
    }
    if rules.tells_via {
        out.extend_from_slice(match answering.line.version {
            Version::Http10 => b"Via: 1.0 eproxy\r\n",
            Version::Http11 => b"Via: 1.1 eproxy\r\n",
            Version::Http2 => b"Via: 2.0 eproxy\r\n",
        });
    }
    match answering.coding {
        BodyCoding::Length(length) if !has_length => {
            out.extend_from_slice(b"Content-Length: ");
            encode_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyCoding::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyCoding::Length(_) | BodyCoding::None | BodyCoding::UntilClose => {}
    }
    match (answering.upgrade, answering.closes) {
        (Some(protocol), _) => {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            encode_field(out, b"Upgrade", protocol);
        }
        (None, true) if names_protocols => {
            out.extend_from_slice(b"Connection: close, upgrade\r\n");
        }
        (None, true) => out.extend_from_slice(b"Connection: close\r\n"),
        (None, false) if names_protocols => out.extend_from_slice(b"Connection: upgrade\r\n"),
        (None, false) if relay.is_http10() => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (None, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an interim answer; it tells nothing of a body or a connection.
pub(super) fn encode_interim(out: &mut Vec<u8>, status: u16, reason: &[u8], lines: &Lines<'_>) {
    encode_status_line(out, status, reason);
    crate::http1::encode_lines(out, lines, |field| {
        !matches!(field.known, Known::ContentLength | Known::Trailer) && !field.known.is_hop_by_hop()
    });
    out.extend_from_slice(b"\r\n");
}

/// Our version, whatever the upstream's is (RFC 9110 §2.5).
fn encode_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    encode_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}
