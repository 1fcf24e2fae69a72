//! Request targets: their four forms, and the canonical path.
//!
//! A target is forwarded as it came. Routes are chosen by its *canonical path*: percent-escapes decoded, backslashes
//! turned into slashes, runs of slashes merged, dot segments resolved. Two spellings that any origin could take for the
//! same path therefore always meet the same route.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::Kind;

use super::headers::letters_digits_and;

/// The form of a request target (RFC 9112 §3.2), with the places of its parts in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/path?query`
    Origin { path: Range<usize>, query: Option<Range<usize>> },
    /// `http://authority/path?query`; an empty path means `/`.
    Absolute { authority: Range<usize>, path: Range<usize>, query: Option<Range<usize>> },
    /// `host:port`, with CONNECT only
    Authority,
    /// `*`, with OPTIONS only
    Asterisk,
}

impl Form {
    /// Tells the form of `target`, which the wire has checked to be visible ASCII without `#`.
    pub(crate) fn parse(method: &[u8], target: &[u8]) -> Result<Self, Kind> {
        if method == b"CONNECT" {
            return match is_authority(target) && target.contains(&b':') {
                true => Ok(Self::Authority),
                false => Err(Kind::BadTarget),
            };
        }
        if target.first() == Some(&b'/') {
            let (path, query) = split_query(target, 0);
            return Ok(Self::Origin { path, query });
        }
        if target == b"*" {
            return match method == b"OPTIONS" {
                true => Ok(Self::Asterisk),
                false => Err(Kind::BadTarget),
            };
        }
        let start = ["http://", "https://"]
            .iter()
            .find(|scheme| {
                target.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme.as_bytes()))
            })
            .map(|scheme| scheme.len())
            .ok_or(Kind::BadTarget)?;
        let end = target[start..]
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .map_or(target.len(), |at| start + at);
        if !is_authority(&target[start..end]) || start == end {
            return Err(Kind::BadTarget);
        }
        let (path, query) = split_query(target, end);
        Ok(Self::Absolute { authority: start..end, path, query })
    }
}

fn split_query(target: &[u8], from: usize) -> (Range<usize>, Option<Range<usize>>) {
    match memchr::memchr(b'?', &target[from..]) {
        Some(at) => (from..from + at, Some(from + at + 1..target.len())),
        None => (from..target.len(), None),
    }
}

/// Whether this is `host` or `host:port` (RFC 3986 §3.2), user information left out on purpose: it has no place in a
/// request (RFC 9110 §4.2.4). A comma is legal in a registered name but only ever seen where two Host lines were
/// joined, so it is refused.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let rest = match text {
        [b'[', rest @ ..] => after_literal(rest),
        name => Some(after_name(name)),
    };
    match rest {
        Some([] | [b':']) => true,
        Some([b':', port @ ..]) => is_port(port),
        _ => false,
    }
}

/// What stands behind a registered name or an IPv4 address.
fn after_name(mut text: &[u8]) -> &[u8] {
    loop {
        let end = text.iter().position(|byte| !is_host_byte(*byte)).unwrap_or(text.len());
        match &text[end..] {
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text = rest
            }
            rest => return rest,
        }
    }
}

/// What stands behind the bracket that closes an IP literal.
fn after_literal(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| *byte == b']')?;
    let is_valid = match &text[..end] {
        [b'v' | b'V', future @ ..] => future.iter().all(|byte| is_host_byte(*byte) || *byte == b':'),
        v6 => std::str::from_utf8(v6).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok()),
    };
    is_valid.then_some(&text[end + 1..])
}

fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65535
}

fn is_host_byte(byte: u8) -> bool {
    HOST[byte as usize]
}

/// Unreserved characters and sub-delimiters (RFC 3986 §3.2.2), without the comma.
static HOST: [bool; 256] = letters_digits_and(b"-._~!$&'()*+;=");

/// The canonical form of a path. What does not decode to UTF-8 gets replacement characters, which no route spells.
pub(crate) fn canonical(path: &[u8]) -> Cow<'_, str> {
    let plain = match std::str::from_utf8(path) {
        Ok("") => return Cow::Borrowed("/"),
        Ok(text) if is_plain(path) => return Cow::Borrowed(text),
        _ => decode(path),
    };
    let text = String::from_utf8_lossy(&plain);
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in text.split(['/', '\\']) {
        is_folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut out = String::with_capacity(text.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if is_folder || out.is_empty() {
        out.push('/');
    }
    Cow::Owned(out)
}

/// Whether the path is its own canonical form.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for byte in path {
        if matches!(byte, b'%' | b'\\') || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = *byte;
    }
    true
}

/// Decodes percent-escapes; what is not an escape stays as it is.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    out
}

/// Appends a decoded path, its bytes escaped where they may not stand in one (RFC 3986 §3.3).
pub(crate) fn encode(out: &mut Vec<u8>, path: &str) {
    escape(out, path.as_bytes(), is_path_byte);
}

/// Whether a path may hold this byte as it is (RFC 3986 §3.3).
pub(crate) fn is_path_byte(byte: u8) -> bool {
    PATH[byte as usize]
}

static PATH: [bool; 256] = letters_digits_and(b"/-._~!$&'()*+,;=:@");

/// Appends a text, with percent-escapes for the bytes that may not stand where it goes (RFC 3986 §2.1).
pub(crate) fn escape(out: &mut Vec<u8>, text: &[u8], may_stand: impl Fn(u8) -> bool) {
    for byte in text {
        if may_stand(*byte) {
            out.push(*byte);
        } else {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xF)]);
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_an_origin_could_take_for_the_same_are_the_same() {
        for (raw, expected) in [
            ("/", "/"),
            ("", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a%2fb", "/a/b"),
            ("/a%2Fb", "/a/b"),
            ("/a%5cb", "/a/b"),
            ("/a\\b", "/a/b"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2e/b", "/b"),
            ("/../../etc", "/etc"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/..b", "/a/..b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a%zz", "/a%zz"),
            ("/a%", "/a%"),
            ("/%00", "/\0"),
            ("/%c3%a9", "/é"),
            ("/%ff", "/\u{FFFD}"),
            ("/admin%2f..%2fpublic", "/public"),
        ] {
            assert_eq!(canonical(raw.as_bytes()), expected, "{raw}");
        }
    }

    #[test]
    fn forms_are_told_apart() {
        let origin = Form::parse(b"GET", b"/a?b?c").unwrap();
        assert_eq!(origin, Form::Origin { path: 0..2, query: Some(3..6) });
        let absolute = Form::parse(b"GET", b"HTTP://h:80/p").unwrap();
        assert_eq!(absolute, Form::Absolute { authority: 7..11, path: 11..13, query: None });
        let bare = Form::parse(b"GET", b"http://h?q").unwrap();
        assert_eq!(bare, Form::Absolute { authority: 7..8, path: 8..8, query: Some(9..10) });
        assert_eq!(Form::parse(b"OPTIONS", b"*"), Ok(Form::Asterisk));
        assert_eq!(Form::parse(b"CONNECT", b"h:443"), Ok(Form::Authority));
        for (method, target) in [
            ("GET", "*"),
            ("GET", "h:80"),
            ("CONNECT", "/"),
            ("CONNECT", "h"),
            ("GET", "http:///p"),
            ("GET", "ftp://h/"),
        ] {
            assert_eq!(
                Form::parse(method.as_bytes(), target.as_bytes()),
                Err(Kind::BadTarget),
                "{method} {target}"
            );
        }
    }

    #[test]
    fn authorities() {
        for good in ["h", "h:80", "h:", "127.0.0.1:8080", "[::1]", "[::1]:80", "a-b_c.d", "%41b", ""] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a/b", "u@h", "a,b", "h:x", "h:99999", "[::1", "[::1]x", "[zz]", "h#", "h?", "%4", "é",
            "a:1:2",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
