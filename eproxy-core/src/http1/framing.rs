//! Where a message's body ends (RFC 9112 §6): decided here once, from the head, and nowhere else.

use crate::error::Kind;
use crate::message::{Field, Grpc, Known, RequestLine, StatusLine, Version, hop, target};

/// How the end of a body is marked. Only this file makes one, so whoever holds one need not look at the head again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing(End);

/// The cases of [`Framing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// There is no body.
    None,
    /// It has so many bytes, more than none.
    Length(u64),
    /// It is in the chunked coding.
    Chunked,
    /// It ends with the connection; answers only.
    UntilClose,
}

impl Framing {
    pub(crate) fn end(self) -> End {
        self.0
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == End::None
    }

    /// Whether the end of the connection is the end of the body.
    pub(crate) fn ends_with_connection(self) -> bool {
        self.0 == End::UntilClose
    }

    /// The length in bytes, where the head tells it.
    pub(crate) fn length(self) -> Option<u64> {
        match self.0 {
            End::None => Some(0),
            End::Length(length) => Some(length),
            End::Chunked | End::UntilClose => None,
        }
    }

    fn from_length(length: u64) -> Self {
        Self(if length == 0 { End::None } else { End::Length(length) })
    }
}

/// What the head of an answer says about the message and its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerFacts {
    pub(crate) framing: Framing,
    /// The Content-Length, be there a body or not: answers to HEAD and 304 tell what another answer would have.
    pub(crate) length: Option<u64>,
    /// The connection can be used again once the body has been read (RFC 9112 §9.3).
    pub(crate) keep_alive: bool,
    /// How long the upstream says it keeps an unused connection (the `timeout` of Keep-Alive), in seconds.
    pub(crate) idle_seconds: Option<u32>,
    /// `Connection` names fields of the message.
    pub(crate) nominates: bool,
    /// It switches to another protocol, if its status says so, too.
    pub(crate) upgrades: bool,
    /// What it speaks of gRPC.
    pub(crate) grpc: Option<Grpc>,
}

impl AnswerFacts {
    /// Reads them from a parsed head (RFC 9112 §6.3).
    ///
    /// # Errors
    ///
    /// `BadAnswer` where the head contradicts itself: no guess is made that a peer could guess otherwise.
    pub(crate) fn read(
        head: &[u8],
        fields: &[Field],
        line: &StatusLine,
        method: &[u8],
    ) -> Result<Self, Kind> {
        let StatusLine { version, status, .. } = *line;
        let facts = Facts::gather(head, fields).map_err(|_| Kind::BadAnswer)?;
        let has_no_body = method == b"HEAD" || matches!(status, 100..200 | 204 | 304);
        let framing = match (facts.coding, facts.length) {
            _ if has_no_body => Framing(End::None),
            (Coding::None, Some(length)) => Framing::from_length(length),
            (Coding::None, None) => Framing(End::UntilClose),
            (Coding::Chunked, None) if version == Version::Http11 => Framing(End::Chunked),
            _ => return Err(Kind::BadAnswer),
        };
        Ok(Self {
            framing,
            length: facts.length,
            keep_alive: facts.keeps_alive(version) && !framing.ends_with_connection(),
            idle_seconds: facts.idle_seconds,
            nominates: facts.nominates,
            upgrades: facts.wants_upgrade,
            grpc: facts.grpc,
        })
    }
}

/// What a request head says about the message and its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts {
    pub(crate) framing: Framing,
    /// There is a Content-Length, be it 0.
    pub(crate) has_length: bool,
    /// The client wants the connection kept after this exchange (RFC 9112 §9.3).
    pub(crate) keep_alive: bool,
    /// The client waits for 100 (Continue) before it sends the body (RFC 9110 §10.1.1).
    pub(crate) expects_continue: bool,
    /// The client asks for another protocol (RFC 9110 §7.8).
    pub(crate) wants_upgrade: bool,
    /// `Connection` names fields of the message.
    pub(crate) nominates: bool,
    /// The client takes trailers (RFC 9110 §10.1.4).
    pub(crate) takes_trailers: bool,
    /// What it speaks of gRPC.
    pub(crate) grpc: Option<Grpc>,
}

impl RequestFacts {
    /// Reads them from a parsed head.
    ///
    /// # Errors
    ///
    /// What in the head is contradictory or may not be sent: see the kinds.
    pub(crate) fn read(head: &[u8], line: &RequestLine, fields: &[Field]) -> Result<Self, Kind> {
        let facts = Facts::gather(head, fields)?;
        let is_11 = line.version != Version::Http10;
        // RFC 9112 §3.2: exactly one Host in HTTP/1.1; RFC 9110 §7.2: what it holds.
        match facts.host {
            Once::Never if is_11 => return Err(Kind::BadHost),
            Once::Never => {}
            Once::Just(host) if target::is_authority(host.value.of(head)) => {}
            Once::Just(_) | Once::Again => return Err(Kind::BadHost),
        }
        let framing = match (facts.coding, facts.length) {
            (Coding::None, length) => Framing::from_length(length.unwrap_or(0)),
            // RFC 9112 §6.1: either of these is how requests are smuggled.
            (_, Some(_)) => return Err(Kind::LengthAndCoding),
            _ if !is_11 => return Err(Kind::BadTransferEncoding),
            (Coding::Chunked, None) => Framing(End::Chunked),
            (Coding::Unknown, None) => return Err(Kind::UnknownCoding),
            (Coding::Pending | Coding::Invalid, None) => return Err(Kind::BadTransferEncoding),
        };
        if facts.expects_other {
            return Err(Kind::BadExpectation);
        }
        Ok(Self {
            framing,
            has_length: facts.length.is_some(),
            keep_alive: facts.keeps_alive(line.version),
            // RFC 9110 §10.1.1: ignored in HTTP/1.0, and pointless without a body.
            expects_continue: facts.expects_continue && is_11 && !framing.is_none(),
            wants_upgrade: facts.wants_upgrade && is_11,
            nominates: facts.nominates,
            takes_trailers: facts.takes_trailers,
            grpc: facts.grpc,
        })
    }
}

/// The Transfer-Encoding of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    /// `chunked`, and nothing else.
    Chunked,
    /// Codings that are not implemented, without `chunked` so far.
    Pending,
    /// Ends with `chunked`, over codings that are not implemented.
    Unknown,
    /// Anything else: it leaves open where the body ends.
    Invalid,
}

/// A field that may come once.
#[derive(Clone, Copy, Debug, Default)]
enum Once {
    #[default]
    Never,
    Just(Field),
    Again,
}

/// What one pass over the fields finds.
#[derive(Debug, Default)]
struct Facts {
    host: Once,
    length: Option<u64>,
    coding: Coding,
    close: bool,
    keep_alive: bool,
    upgrade_named: bool,
    upgrade_present: bool,
    wants_upgrade: bool,
    expects_continue: bool,
    expects_other: bool,
    nominates: bool,
    takes_trailers: bool,
    idle_seconds: Option<u32>,
    grpc: Option<Grpc>,
}

impl Facts {
    fn gather(head: &[u8], fields: &[Field]) -> Result<Self, Kind> {
        let mut facts = Self::default();
        for field in fields {
            let value = field.value.of(head);
            match field.known {
                Known::Host => {
                    facts.host = match facts.host {
                        Once::Never => Once::Just(*field),
                        _ => Once::Again,
                    }
                }
                Known::Expect => facts.expect(value),
                Known::Upgrade => facts.upgrade_present = true,
                Known::Connection => facts.connection(value),
                Known::ContentLength => {
                    let length = parse_length(value).ok_or(Kind::BadContentLength)?;
                    if facts.length.is_some_and(|other| other != length) {
                        return Err(Kind::BadContentLength);
                    }
                    facts.length = Some(length);
                }
                Known::TransferEncoding => facts.transfer_encoding(value),
                Known::Te => {
                    facts.takes_trailers |=
                        hop::members(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                }
                Known::ContentType => facts.grpc = Grpc::of(value).map(|(dialect, _)| dialect),
                Known::KeepAlive => facts.idle_seconds = parse_idle_seconds(value).or(facts.idle_seconds),
                _ => {}
            }
        }
        facts.wants_upgrade = facts.upgrade_named && facts.upgrade_present;
        Ok(facts)
    }

    fn keeps_alive(&self, version: Version) -> bool {
        !self.close && (version != Version::Http10 || self.keep_alive)
    }

    fn expect(&mut self, value: &[u8]) {
        match value.eq_ignore_ascii_case(b"100-continue") {
            true => self.expects_continue = true,
            false => self.expects_other = true,
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in hop::members(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade_named = true,
                _ => self.nominates = true,
            }
        }
    }

    /// Adds the codings of one line to those of the lines before (RFC 9112 §6.1). White space other than space and tab
    /// is part of a coding's name here, which then is not `chunked`.
    fn transfer_encoding(&mut self, value: &[u8]) {
        for coding in value.split(|byte| *byte == b',') {
            let start = coding.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(coding.len());
            let end =
                coding.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(start, |at| at + 1);
            let is_chunked = coding[start..end].eq_ignore_ascii_case(b"chunked");
            let is_token = crate::message::is_token(&coding[start..end]);
            self.coding = match (self.coding, is_chunked) {
                (Coding::None, true) => Coding::Chunked,
                (Coding::Pending, true) => Coding::Unknown,
                (Coding::None | Coding::Pending, false) if is_token => Coding::Pending,
                _ => Coding::Invalid,
            };
        }
    }
}

/// The `timeout` of a Keep-Alive field, which RFC 2068 §19.7.1.1 had last.
fn parse_idle_seconds(value: &[u8]) -> Option<u32> {
    let timeout = |member: &[u8]| std::str::from_utf8(member.strip_prefix(b"timeout=")?).ok()?.parse().ok();
    hop::members(value).find_map(timeout)
}

/// Digits alone, up to 2^63: no sign, no list, no white space (RFC 9110 §8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |length, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        length.checked_mul(10)?.checked_add(digit).filter(|length| *length <= i64::MAX as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn facts(head: &str) -> Result<RequestFacts, Kind> {
        let mut fields = Vec::new();
        let (line, _) = parse::parse_request(head.as_bytes(), &mut fields, 8192, 100)?.unwrap();
        RequestFacts::read(head.as_bytes(), &line, &fields)
    }

    fn post(fields: &str) -> Result<End, Kind> {
        facts(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).map(|facts| facts.framing.end())
    }

    #[test]
    fn the_end_of_a_request_body_is_told_by_its_head() {
        assert_eq!(post(""), Ok(End::None));
        assert_eq!(post("Content-Length: 0\r\n"), Ok(End::None));
        assert_eq!(post("Content-Length: 007\r\n"), Ok(End::Length(7)));
        assert_eq!(post("Content-Length: 7\r\ncontent-length: 7\r\n"), Ok(End::Length(7)));
        assert_eq!(post("Transfer-Encoding: Chunked\r\n"), Ok(End::Chunked));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for value in [
            "",
            "+7",
            "-7",
            "7,7",
            "7 7",
            "0x7",
            "7.0",
            "9223372036854775808",
            "99999999999999999999",
            "7\u{a0}",
        ] {
            assert_eq!(
                post(&format!("Content-Length: {value}\r\n")),
                Err(Kind::BadContentLength),
                "{value:?}"
            );
        }
        assert_eq!(post("Content-Length: 7\r\nContent-Length: 8\r\n"), Err(Kind::BadContentLength));
        assert_eq!(post("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"), Err(Kind::LengthAndCoding));
        for value in [
            "",
            "identity",
            "gzip",
            "chunked, identity",
            "chunked,",
            "chunked, chunked",
            "xchunked",
            "\"chunked\"",
            "chunk ed",
        ] {
            let refused = post(&format!("Transfer-Encoding: {value}\r\n"));
            assert_eq!(refused, Err(Kind::BadTransferEncoding), "{value:?}");
        }
        assert_eq!(post("Transfer-Encoding: gzip, chunked\r\n"), Err(Kind::UnknownCoding));
        assert_eq!(
            post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
            Err(Kind::UnknownCoding)
        );
        let old = facts("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old.err(), Some(Kind::BadTransferEncoding));
    }

    #[test]
    fn one_valid_host_is_needed_in_http_1_1() {
        let with = |host: &str| facts(&format!("GET / HTTP/1.1\r\n{host}\r\n")).err();
        assert_eq!(with("Host: a\r\n"), None);
        assert_eq!(with("Host:\r\n"), None);
        assert_eq!(with(""), Some(Kind::BadHost));
        assert_eq!(with("Host: a\r\nHost: a\r\n"), Some(Kind::BadHost));
        assert_eq!(with("Host: a b\r\n"), Some(Kind::BadHost));
        assert_eq!(facts("GET / HTTP/1.0\r\n\r\n").err(), None);
    }

    #[test]
    fn connections_are_kept_as_their_version_and_options_say() {
        let kept = |head: &str| facts(head).unwrap().keep_alive;
        assert!(kept("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!kept("GET / HTTP/1.1\r\nHost: a\r\nConnection: x , Close\r\n\r\n"));
        assert!(!kept("GET / HTTP/1.0\r\n\r\n"));
        assert!(kept("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    }

    #[test]
    fn answers_end_as_status_method_and_head_say() {
        let of = |head: &str, method: &str| {
            let mut fields = Vec::new();
            let (line, _) = parse::parse_answer(head.as_bytes(), &mut fields, 100)?.unwrap();
            let facts = AnswerFacts::read(head.as_bytes(), &fields, &line, method.as_bytes());
            facts.map(|facts| facts.framing.end())
        };
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\n", "GET"), Ok(End::UntilClose));
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET"), Ok(End::Length(5)));
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), Ok(End::None));
        assert_eq!(of("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", "GET"), Ok(End::None));
        assert_eq!(of("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", "GET"), Ok(End::None));
        assert_eq!(of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET"), Ok(End::Chunked));
        for bad in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip",
            "Content-Length: x",
        ] {
            assert_eq!(
                of(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n"), "GET"),
                Err(Kind::BadAnswer),
                "{bad}"
            );
        }
        assert_eq!(of("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET"), Err(Kind::BadAnswer));
    }
}
