//! Message heads: where one ends, its first line, its fields.
//!
//! Strict where leniency has been used to smuggle requests: every line ends with CR LF, names are tokens with the colon
//! right behind them, values hold no control character but the tab, no line is folded (RFC 9112 §2.2, §5).

use crate::error::Kind;
use crate::message::{Field, RequestLine, Span, Version, is_token_byte};

/// Looks for the end of a head in a buffer that grows; what has been looked at is not looked at again, however small
/// the pieces in which it comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finder {
    /// Where the current line starts.
    line: usize,
    /// No LF before this.
    seen: usize,
}

/// What a [`Finder`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not the end yet.
    Partial,
    /// The head is `start..end`, its last empty line included; `start` skips empty lines before the first line.
    Head { start: usize, end: usize },
}

impl Finder {
    pub(crate) const fn new() -> Self {
        Self { line: 0, seen: 0 }
    }

    /// Looks at what was added to `buffer` since the last call.
    ///
    /// # Errors
    ///
    /// A line that ends with a bare LF.
    pub(crate) fn find(&mut self, buffer: &[u8]) -> Result<Found, Kind> {
        let mut start = self.first_line(buffer);
        while let Some(at) = memchr::memchr(b'\n', &buffer[self.seen..]) {
            let at = self.seen + at;
            if at == self.line || buffer[at - 1] != b'\r' {
                return Err(Kind::BareLineFeed);
            }
            let is_empty = at - 1 == self.line;
            (self.line, self.seen) = (at + 1, at + 1);
            match is_empty && at - 1 == start {
                // RFC 9112 §2.2: empty lines before a request line are ignored.
                true => start = self.line,
                false if is_empty => return Ok(Found::Head { start, end: self.line }),
                false => {}
            }
        }
        self.seen = buffer.len();
        Ok(Found::Partial)
    }

    /// Whether the first line is complete.
    pub(crate) fn has_first_line(&self, buffer: &[u8]) -> bool {
        self.line > self.first_line(buffer)
    }

    fn first_line(&self, buffer: &[u8]) -> usize {
        let mut start = 0;
        while start + 2 <= self.line && buffer[start..].starts_with(b"\r\n") {
            start += 2;
        }
        start
    }
}

/// Parses the head of a request (RFC 9112 §3, §5), which a [`Finder`] has found. The fields are appended to `fields`.
///
/// # Errors
///
/// What is malformed, or `TargetTooLong`, `TooManyHeaders`.
pub(crate) fn parse_request(
    head: &[u8],
    fields: &mut Vec<Field>,
    max_target: usize,
    max_fields: usize,
) -> Result<RequestLine, Kind> {
    let method_end = head.iter().position(|byte| !is_token_byte(*byte)).ok_or(Kind::BadRequestLine)?;
    if method_end == 0 || head[method_end] != b' ' {
        return Err(Kind::BadRequestLine);
    }
    let target_start = method_end + 1;
    // Visible ASCII; `#` starts a fragment, which is never sent (RFC 9112 §3.2).
    let target_len = head[target_start..]
        .iter()
        .position(|byte| !matches!(byte, 0x21..=0x7E) || *byte == b'#')
        .ok_or(Kind::BadRequestLine)?;
    let target_end = target_start + target_len;
    if target_len == 0 || head[target_end] != b' ' {
        return Err(Kind::BadRequestLine);
    }
    if target_len > max_target {
        return Err(Kind::TargetTooLong);
    }
    let (version, rest) = parse_version(&head[target_end + 1..]).ok_or(Kind::BadRequestLine)?;
    let version = version?;
    if !rest.starts_with(b"\r\n") {
        return Err(Kind::BadRequestLine);
    }
    parse_fields(head, head.len() - rest.len() + 2, fields, max_fields)?;
    Ok(RequestLine { method: Span::new(0, method_end), target: Span::new(target_start, target_end), version })
}

/// Parses the status line and fields of an answer (RFC 9112 §4, §5).
///
/// # Errors
///
/// What is malformed, or `TooManyHeaders`.
pub(crate) fn parse_answer(
    head: &[u8],
    fields: &mut Vec<Field>,
    max_fields: usize,
) -> Result<(Version, u16), Kind> {
    let (version, rest) = parse_version(head).ok_or(Kind::BadAnswer)?;
    let version = version?;
    let status = match rest {
        [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ' | b'\r', ..] => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        _ => return Err(Kind::BadAnswer),
    };
    let reason_start = head.len() - rest.len() + 4;
    let reason_end = reason_start + find_control(&head[reason_start..]).ok_or(Kind::BadAnswer)?;
    if !head[reason_end..].starts_with(b"\r\n") {
        return Err(Kind::BadAnswer);
    }
    parse_fields(head, reason_end + 2, fields, max_fields)?;
    Ok((version, status))
}

/// Splits `HTTP/d.d` off; says `BadVersion` for a version other than 1.x.
fn parse_version(bytes: &[u8]) -> Option<(Result<Version, Kind>, &[u8])> {
    let rest = bytes.strip_prefix(b"HTTP/")?;
    match rest {
        [b'1', b'.', b'0', rest @ ..] => Some((Ok(Version::Http10), rest)),
        [b'1', b'.', b'1'..=b'9', rest @ ..] => Some((Ok(Version::Http11), rest)),
        [b'0'..=b'9', b'.', b'0'..=b'9', rest @ ..] => Some((Err(Kind::BadVersion), rest)),
        _ => None,
    }
}

/// Parses field lines from `at` to the empty line that ends `head` (RFC 9112 §5; trailers: §7.1.2).
///
/// # Errors
///
/// What is malformed, or `TooManyHeaders`.
pub(crate) fn parse_fields(
    head: &[u8],
    mut at: usize,
    fields: &mut Vec<Field>,
    max_fields: usize,
) -> Result<(), Kind> {
    let first = fields.len();
    loop {
        if head[at..].starts_with(b"\r\n") {
            return Ok(());
        }
        if fields.len() - first == max_fields {
            return Err(Kind::TooManyHeaders);
        }
        let name_len = head[at..].iter().position(|byte| !is_token_byte(*byte)).ok_or(Kind::BadHeaderName)?;
        let name = Span::new(at, at + name_len);
        match (name_len, head[at + name_len]) {
            (0, b' ' | b'\t') => return Err(Kind::FoldedHeader),
            (0, _) => return Err(Kind::BadHeaderName),
            (_, b':') => {}
            _ => return Err(Kind::BadHeaderName),
        }
        let start = at + name_len + 1;
        let end = start + find_control(&head[start..]).ok_or(Kind::BadHeaderValue)?;
        if !head[end..].starts_with(b"\r\n") {
            return Err(if head[end] == b'\r' { Kind::BareLineFeed } else { Kind::BadHeaderValue });
        }
        fields.push(Field { name, value: trim(head, start, end) });
        at = end + 2;
    }
}

/// The span without the white space around it (RFC 9110 §5.5).
fn trim(head: &[u8], mut start: usize, mut end: usize) -> Span {
    while start < end && matches!(head[start], b' ' | b'\t') {
        start += 1;
    }
    while start < end && matches!(head[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    Span::new(start, end)
}

/// Finds the first control character other than a tab, eight bytes at a time.
fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    for chunk in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks_exact gives eight bytes"));
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let delete = word ^ (ONES * 0x7F);
        let is_delete = delete.wrapping_sub(ONES) & !delete & HIGH;
        if (below_space | is_delete) != 0
            && let Some(found) = chunk.iter().position(|byte| is_control(*byte))
        {
            return Some(at + found);
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| is_control(*byte)).map(|found| at + found)
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Result<Found, Kind> {
        Finder::default().find(bytes)
    }

    fn request(head: &[u8]) -> Result<(RequestLine, Vec<Field>), Kind> {
        let mut fields = Vec::new();
        parse_request(head, &mut fields, 8192, 100).map(|line| (line, fields))
    }

    #[test]
    fn the_end_is_found_whatever_the_pieces() {
        let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        assert_eq!(found(head), Ok(Found::Head { start: 2, end: 29 }));
        let mut finder = Finder::default();
        for end in 1..29 {
            assert_eq!(finder.find(&head[..end]), Ok(Found::Partial), "{end}");
            assert_eq!(finder.has_first_line(&head[..end]), end >= 18, "{end}");
        }
        assert_eq!(finder.find(head), Ok(Found::Head { start: 2, end: 29 }));
    }

    #[test]
    fn bare_line_feeds_are_refused() {
        for head in ["GET / HTTP/1.1\nHost: a\r\n\r\n", "\nGET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\n"] {
            assert_eq!(found(head.as_bytes()), Err(Kind::BareLineFeed), "{head:?}");
        }
    }

    #[test]
    fn a_request_head_is_taken_apart() {
        let head = b"PROPFIND /a?b HTTP/1.1\r\nHost:  a \t\r\nX-Empty:\r\nX-Raw: \xE9\r\n\r\n";
        let (line, fields) = request(head).unwrap();
        assert_eq!(line.method.of(head), b"PROPFIND");
        assert_eq!(line.target.of(head), b"/a?b");
        assert_eq!(line.version, Version::Http11);
        let pairs: Vec<_> = fields.iter().map(|field| (field.name.of(head), field.value.of(head))).collect();
        assert_eq!(pairs, [(&b"Host"[..], &b"a"[..]), (b"X-Empty", b""), (b"X-Raw", b"\xE9")]);
    }

    #[test]
    fn malformed_heads_are_refused_with_their_reason() {
        for (head, kind) in [
            ("GET /\r\n\r\n", Kind::BadRequestLine),
            ("GET  / HTTP/1.1\r\n\r\n", Kind::BadRequestLine),
            ("GET / HTTP/1.1 \r\n\r\n", Kind::BadRequestLine),
            ("GET\t/ HTTP/1.1\r\n\r\n", Kind::BadRequestLine),
            ("G(T / HTTP/1.1\r\n\r\n", Kind::BadRequestLine),
            ("GET /a#b HTTP/1.1\r\n\r\n", Kind::BadRequestLine),
            ("GET /\u{e9} HTTP/1.1\r\n\r\n", Kind::BadRequestLine),
            ("GET / http/1.1\r\n\r\n", Kind::BadRequestLine),
            ("GET / HTTP/1.10\r\n\r\n", Kind::BadRequestLine),
            ("GET / HTTP/2.0\r\n\r\n", Kind::BadVersion),
            ("GET / HTTP/1.1\r\nA b: c\r\n\r\n", Kind::BadHeaderName),
            ("GET / HTTP/1.1\r\nA : c\r\n\r\n", Kind::BadHeaderName),
            ("GET / HTTP/1.1\r\nA\r\n\r\n", Kind::BadHeaderName),
            ("GET / HTTP/1.1\r\n: c\r\n\r\n", Kind::BadHeaderName),
            ("GET / HTTP/1.1\r\n A: c\r\n\r\n", Kind::FoldedHeader),
            ("GET / HTTP/1.1\r\nA: c\r\n d\r\n\r\n", Kind::FoldedHeader),
            ("GET / HTTP/1.1\r\nA: c\0d\r\n\r\n", Kind::BadHeaderValue),
            ("GET / HTTP/1.1\r\nA: c\u{7f}d\r\n\r\n", Kind::BadHeaderValue),
            ("GET / HTTP/1.1\r\nA: c\rd\r\n\r\n", Kind::BareLineFeed),
        ] {
            assert_eq!(request(head.as_bytes()).err(), Some(kind), "{head:?}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let mut fields = Vec::new();
        let head = b"GET /abc HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n";
        assert_eq!(parse_request(head, &mut fields, 3, 9).err(), Some(Kind::TargetTooLong));
        assert_eq!(parse_request(head, &mut fields, 4, 1).err(), Some(Kind::TooManyHeaders));
    }

    #[test]
    fn answers_are_taken_apart_and_checked() {
        let parse = |head: &[u8]| parse_answer(head, &mut Vec::new(), 9);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n"), Ok((Version::Http11, 200)));
        assert_eq!(parse(b"HTTP/1.0 299\r\n\r\n"), Ok((Version::Http10, 299)));
        assert_eq!(parse(b"HTTP/1.1 404 \r\nA: b\r\n\r\n"), Ok((Version::Http11, 404)));
        for bad in [
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 X\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(Kind::BadAnswer), "{bad:?}");
        }
    }

    #[test]
    fn controls_are_found_at_every_place() {
        for byte in [0x00, 0x1F, 0x7F, b'\r', b'\n'] {
            for place in 0..40 {
                let mut bytes = [b'\t', 0x80, 0xFF, b'~', b' ', 0x7E, 0x21, 0xA0, 0x20, 0x9F].repeat(4);
                assert_eq!(find_control(&bytes), None);
                bytes[place] = byte;
                assert_eq!(find_control(&bytes), Some(place));
            }
        }
    }
}
