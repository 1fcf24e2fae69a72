//! Message heads: where one ends, its first line, its fields.
//!
//! Strict where leniency has been used to smuggle requests: every line ends with CR LF, names are tokens with the colon
//! right behind them, values hold no control character but the tab, no line is folded (RFC 9112 §2.2, §5).

use crate::error::Kind;
use crate::message::{Field, RequestLine, Span, StatusLine, Version, is_token_byte};

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

    /// Whether it has looked at anything.
    pub(crate) fn has_begun(&self) -> bool {
        self.seen > 0
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

/// Parses the head of a request at the front of `buffer` (RFC 9112 §3, §5); gives its length with it, or none where the
/// head does not end in the buffer. The fields are appended to `fields`.
///
/// # Errors
///
/// What is malformed, or `TargetTooLong`, `TooManyHeaders`.
pub(crate) fn parse_request(
    buffer: &[u8],
    fields: &mut Vec<Field>,
    max_target: usize,
    max_fields: usize,
) -> Result<Option<(RequestLine, usize)>, Kind> {
    let Some(method_end) = find(buffer, 0, |byte| !is_token_byte(byte)) else { return Ok(None) };
    if method_end == 0 || buffer[method_end] != b' ' {
        return Err(or_bare(Kind::BadRequestLine, &buffer[method_end..=method_end]));
    }
    let target_start = method_end + 1;
    let Some(target_end) = find_target_end(buffer, target_start) else { return Ok(None) };
    if target_end == target_start || buffer[target_end] != b' ' {
        return Err(or_bare(Kind::BadRequestLine, &buffer[target_end..=target_end]));
    }
    if target_end - target_start > max_target {
        return Err(Kind::TargetTooLong);
    }
    let version = match &buffer[target_end + 1..] {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n', ..] => {
            parse_version(*major, *minor).ok_or(Kind::BadRequestLine)??
        }
        rest if rest.len() >= 10 || rest.contains(&b'\n') => return Err(or_bare(Kind::BadRequestLine, rest)),
        _ => return Ok(None),
    };
    let line = RequestLine {
        method: Span::new(0, method_end),
        target: Span::new(target_start, target_end),
        version,
    };
    let end = parse_fields(buffer, target_end + 11, fields, max_fields)?;
    Ok(end.map(|end| (line, end)))
}

/// Parses the head of an answer at the front of `buffer` (RFC 9112 §4, §5), as [`parse_request`] does that of a request.
///
/// # Errors
///
/// What is malformed, or `TooManyHeaders`.
pub(crate) fn parse_answer(
    buffer: &[u8],
    fields: &mut Vec<Field>,
    max_fields: usize,
) -> Result<Option<(StatusLine, usize)>, Kind> {
    let (version, status) = match buffer {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            major,
            b'.',
            minor,
            b' ',
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            b' ' | b'\r',
            ..,
        ] => {
            let status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            (parse_version(*major, *minor).ok_or(Kind::BadAnswer)??, status)
        }
        _ if buffer.len() >= 13 || buffer.contains(&b'\n') => return Err(Kind::BadAnswer),
        _ => return Ok(None),
    };
    // The space behind the status may be missing where the reason is.
    let reason_start = if buffer[12] == b' ' { 13 } else { 12 };
    let Some(reason_end) = find_control(buffer, reason_start) else { return Ok(None) };
    let Some(next) = line_end(buffer, reason_end, Kind::BadAnswer)? else { return Ok(None) };
    let line = StatusLine { version, status, reason: Span::new(reason_start, reason_end) };
    let end = parse_fields(buffer, next, fields, max_fields)?;
    Ok(end.map(|end| (line, end)))
}

/// The version that two digits make; says `BadVersion` for one other than 1.x.
fn parse_version(major: u8, minor: u8) -> Option<Result<Version, Kind>> {
    match (major, minor) {
        (b'1', b'0') => Some(Ok(Version::Http10)),
        (b'1', b'1'..=b'9') => Some(Ok(Version::Http11)),
        (b'0'..=b'9', b'0'..=b'9') => Some(Err(Kind::BadVersion)),
        _ => None,
    }
}

/// Parses field lines from `at` to an empty line (RFC 9112 §5; trailers: §7.1.2); gives the place behind that, or none
/// where it is not in the buffer.
///
/// # Errors
///
/// What is malformed, or `TooManyHeaders`.
pub(crate) fn parse_fields(
    buffer: &[u8],
    mut at: usize,
    fields: &mut Vec<Field>,
    max_fields: usize,
) -> Result<Option<usize>, Kind> {
    let first = fields.len();
    loop {
        let Some(name_end) = find(buffer, at, |byte| !is_token_byte(byte)) else { return Ok(None) };
        match buffer[name_end] {
            b':' if name_end > at => {}
            b'\r' if name_end == at => return line_end(buffer, at, Kind::BadHeaderName),
            b' ' | b'\t' if name_end == at => return Err(Kind::FoldedHeader),
            _ => return Err(or_bare(Kind::BadHeaderName, &buffer[name_end..=name_end])),
        }
        if fields.len() - first == max_fields {
            return Err(Kind::TooManyHeaders);
        }
        let value_start = name_end + 1;
        let Some(value_end) = find_control(buffer, value_start) else { return Ok(None) };
        let Some(next) = line_end(buffer, value_end, Kind::BareLineFeed)? else { return Ok(None) };
        let name = Span::new(at, name_end);
        fields.push(Field::new(buffer, name, trim(buffer, value_start, value_end)));
        at = next;
    }
}

/// `BareLineFeed` where a line in `rest` ends with an LF alone, else what is wrong otherwise.
fn or_bare(kind: Kind, rest: &[u8]) -> Kind {
    let line = rest.iter().position(|byte| *byte == b'\n').map(|end| &rest[..end]);
    if line.is_some_and(|line| !line.ends_with(b"\r")) { Kind::BareLineFeed } else { kind }
}

/// The place behind the CR LF that ends a line; none where its LF has not come.
///
/// # Errors
///
/// Another control character stands there: `BadHeaderValue`, or `bare` for a CR without its LF.
fn line_end(buffer: &[u8], at: usize, bare: Kind) -> Result<Option<usize>, Kind> {
    match (buffer[at], buffer.get(at + 1)) {
        (b'\r', Some(b'\n')) => Ok(Some(at + 2)),
        (b'\r', None) => Ok(None),
        (b'\r' | b'\n', _) => Err(bare),
        _ if bare == Kind::BadAnswer => Err(bare),
        _ => Err(Kind::BadHeaderValue),
    }
}

/// The span without the white space around it (RFC 9110 §5.5).
fn trim(buffer: &[u8], mut start: usize, mut end: usize) -> Span {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t');
    while start < end && is_space(buffer[start]) {
        start += 1;
    }
    while start < end && is_space(buffer[end - 1]) {
        end -= 1;
    }
    Span::new(start, end)
}

/// The first place from `at` on whose byte is one of these.
#[inline]
fn find(buffer: &[u8], at: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    buffer[at..].iter().position(|byte| is(*byte)).map(|found| at + found)
}

/// A byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Marks the bytes of a word that are below `limit`, up to 0x80. Above the first that is marked, marks may be wrong.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(eight(limit)) & !word & eight(0x80)
}

/// Finds the first byte that `mark` marks in words of eight bytes; `is` has the last word on each, and on those that do
/// not fill a word.
#[inline]
fn find_marked(
    buffer: &[u8],
    at: usize,
    mark: impl Fn(u64) -> u64,
    is: impl Fn(u8) -> bool,
) -> Option<usize> {
    let (words, rest) = buffer[at..].as_chunks::<8>();
    let mut start = at;
    for word in words {
        let marks = mark(u64::from_le_bytes(*word));
        if marks != 0 {
            // The first mark is right, unless the byte is one that `is` takes back.
            let first = (marks.trailing_zeros() / 8) as usize;
            if is(word[first]) {
                return Some(start + first);
            }
            if let Some(found) = find(word, first, &is) {
                return Some(start + found);
            }
        }
        start += 8;
    }
    find(rest, 0, is).map(|found| start + found)
}

/// Finds the first control character other than a tab.
fn find_control(buffer: &[u8], at: usize) -> Option<usize> {
    let mark = |word| below(word, 0x20) | below(word ^ eight(0x7F), 1);
    find_marked(buffer, at, mark, |byte| (byte < 0x20 && byte != b'\t') || byte == 0x7F)
}

/// Finds the first byte that may not stand in a target: what is not visible ASCII, and `#`, which starts a fragment, which
/// is never sent (RFC 9112 §3.2).
fn find_target_end(buffer: &[u8], at: usize) -> Option<usize> {
    let mark = |word: u64| {
        below(word, 0x21) | below(word ^ eight(0x7F), 1) | below(word ^ eight(b'#'), 1) | word & eight(0x80)
    };
    find_marked(buffer, at, mark, |byte| !matches!(byte, 0x21..=0x7E) || byte == b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Result<Found, Kind> {
        Finder::default().find(bytes)
    }

    fn request(head: &[u8]) -> Result<(RequestLine, Vec<Field>), Kind> {
        let mut fields = Vec::new();
        let parsed = parse_request(head, &mut fields, 8192, 100)?;
        let (line, length) = parsed.expect("the head is whole");
        assert_eq!(length, head.len());
        Ok((line, fields))
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
        let parse = |head: &'static [u8]| {
            let (line, length) = parse_answer(head, &mut Vec::new(), 9)?.expect("the head is whole");
            assert_eq!(length, head.len());
            Ok((line.version, line.status, line.reason.of(head)))
        };
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n"), Ok((Version::Http11, 200, &b"OK"[..])));
        assert_eq!(parse(b"HTTP/1.0 299\r\n\r\n"), Ok((Version::Http10, 299, &b""[..])));
        assert_eq!(parse(b"HTTP/1.1 404 \r\nA: b\r\n\r\n"), Ok((Version::Http11, 404, &b""[..])));
        assert_eq!(parse(b"HTTP/1.1 404 Not  Here\r\n\r\n"), Ok((Version::Http11, 404, &b"Not  Here"[..])));
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
    fn no_part_of_a_good_head_is_malformed() {
        let request = b"PROPFIND /a?b HTTP/1.1\r\nHost:  a \t\r\nX-Empty:\r\n\r\nbody";
        let answer = b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nbody";
        let parsed =
            |bytes: &[u8]| parse_request(bytes, &mut Vec::new(), 99, 9).map(|head| head.map(|head| head.1));
        let heard =
            |bytes: &[u8]| parse_answer(bytes, &mut Vec::new(), 9).map(|head| head.map(|head| head.1));
        for end in 0..=request.len() {
            let length = request.len() - 4;
            assert_eq!(parsed(&request[..end]), Ok((end >= length).then_some(length)), "{end}");
        }
        for end in 0..=answer.len() {
            let length = answer.len() - 4;
            assert_eq!(heard(&answer[..end]), Ok((end >= length).then_some(length)), "{end}");
        }
    }

    #[test]
    fn bytes_are_found_at_every_place_whatever_stands_around_them() {
        let fill = [b'\t', 0x80, 0xFF, b'~', b' ', 0x7E, 0x21, 0xA0, 0x20, 0x9F].repeat(4);
        for byte in [0x00, 0x1F, 0x7F, b'\r', b'\n'] {
            for place in 0..40 {
                let mut bytes = fill.clone();
                assert_eq!(find_control(&bytes, 0), None);
                bytes[place] = byte;
                assert_eq!(find_control(&bytes, 0), Some(place));
                assert_eq!(find_control(&bytes, place), Some(place));
            }
        }
        for byte in 0..=255 {
            for place in 0..20 {
                let mut bytes = b"!/~\"$azAZ09%?&=+-._".repeat(2);
                bytes[place] = byte;
                let expected = bytes.iter().position(|byte| !matches!(byte, 0x21..=0x7E) || *byte == b'#');
                assert_eq!(find_target_end(&bytes, 0), expected, "{byte} at {place}");
            }
        }
    }
}
