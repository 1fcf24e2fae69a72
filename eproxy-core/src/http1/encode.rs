//! Heads, chunks and bodies as bytes (RFC 9112 §4, §7.1). Everything appends to a buffer; nothing does I/O.

use crate::message::{Field, Headers, Known, Version, reason_phrase};

/// How an answer's body goes onto the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyCoding {
    /// There is no body and no length: 1xx, 204, and 304 (RFC 9110 §8.6).
    None,
    /// Content-Length; the body itself is left out of answers to HEAD.
    Length(u64),
    Chunked,
    /// The end of the connection is the end of the body: for HTTP/1.0, without a length.
    UntilClose,
}

/// What the head of an answer is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerParts<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a Headers,
    /// Content-Type, where the headers have none.
    pub(crate) mime: Option<&'a str>,
    pub(crate) coding: BodyCoding,
    /// The whole line of the Date header, which is left out where the headers have one.
    pub(crate) date_line: &'a [u8],
    /// The connection ends behind this answer.
    pub(crate) close: bool,
    /// The client's version: an HTTP/1.0 client must be told that the connection is kept.
    pub(crate) version: Version,
    /// The protocol of a 101 (Switching Protocols).
    pub(crate) upgrade: Option<&'a str>,
}

/// Appends the head of an answer. Fields that the wire decides about are not taken from the headers.
pub(crate) fn encode_head(out: &mut Vec<u8>, parts: &AnswerParts<'_>) {
    // What the lines without headers of its own need at most.
    out.reserve(256);
    encode_status_line(out, parts.status);
    let (mut has_date, mut has_type) = (false, false);
    let bytes = parts.headers.bytes();
    for field in parts.headers.fields() {
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        match field.known {
            Known::ContentLength => continue,
            // Named trailers come with chunks only.
            Known::Trailer if parts.coding != BodyCoding::Chunked => continue,
            // Which protocols would do, where this one does not (RFC 9110 §15.5.22).
            Known::Upgrade if parts.status == 426 => {}
            known if known.is_hop_by_hop() => continue,
            Known::Date => has_date = true,
            Known::ContentType => has_type = true,
            _ => {}
        }
        encode_field(out, name, value);
    }
    if !has_date {
        out.extend_from_slice(parts.date_line);
    }
    if let (Some(mime), false) = (parts.mime, has_type) {
        encode_field(out, b"Content-Type", mime.as_bytes());
    }
    match parts.coding {
        BodyCoding::None | BodyCoding::UntilClose => {}
        BodyCoding::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            encode_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyCoding::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    match (parts.upgrade, parts.close, parts.version) {
        (Some(protocol), ..) => {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            encode_field(out, b"Upgrade", protocol.as_bytes());
        }
        (None, true, _) if parts.status == 426 => out.extend_from_slice(b"Connection: close, upgrade\r\n"),
        (None, true, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (None, false, _) if parts.status == 426 => out.extend_from_slice(b"Connection: upgrade\r\n"),
        (None, false, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (None, false, Version::Http11 | Version::Http2) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an interim answer, 100 (Continue) or 103 (Early Hints) (RFC 9110 §15.2).
pub(crate) fn encode_interim(out: &mut Vec<u8>, status: u16) {
    encode_status_line(out, status);
    out.extend_from_slice(b"\r\n");
}

/// Appends what goes before `length` bytes of a chunk; a chunk is never empty.
pub(crate) fn encode_chunk_start(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length > 0, "an empty chunk ends the body");
    let digits = length.ilog2() / 4 + 1;
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[length >> (4 * digit) & 0xF]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what goes behind the bytes of a chunk.
pub(crate) fn encode_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body.
pub(crate) fn encode_last_chunk(out: &mut Vec<u8>, trailers: Option<&Headers>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.iter().flat_map(|trailers| trailers.iter()) {
        encode_field(out, name.as_bytes(), value);
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields of a message that is passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    /// What the fields point into.
    pub(crate) bytes: &'a [u8],
    pub(crate) fields: &'a [Field],
    /// The end of the last line, where the fields are the lines of a head as it came: one behind the other and checked.
    /// None where somebody has changed them.
    pub(crate) end: Option<usize>,
}

impl<'a> Lines<'a> {
    /// The lines of a head as it came.
    pub(crate) fn of_head(head: &'a [u8], fields: &'a [Field]) -> Self {
        Self { bytes: head, fields, end: Some(head.len() - 2) }
    }

    /// Fields that somebody may have changed.
    pub(crate) fn of_headers(headers: &'a Headers) -> Self {
        Self { bytes: headers.bytes(), fields: headers.fields(), end: None }
    }

    /// The values of the fields of a name, in their order.
    pub(crate) fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |field: &&Field| field.name.of(self.bytes).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(move |field| field.value.of(self.bytes))
    }
}

/// Appends the fields that `keep` says yes to. Lines as they came are copied with their neighbours, byte for byte.
pub(crate) fn encode_lines(out: &mut Vec<u8>, lines: &Lines<'_>, mut keep: impl FnMut(&Field) -> bool) {
    let Lines { bytes, fields, end } = *lines;
    let Some(end) = end else {
        for field in fields.iter().filter(|field| keep(field)) {
            encode_field(out, field.name.of(bytes), field.value.of(bytes));
        }
        return;
    };
    // The beginning of the lines that are kept and not copied yet.
    let mut run = None;
    for field in fields {
        let start = field.name.start as usize;
        match (keep(field), run) {
            (true, None) => run = Some(start),
            (false, Some(from)) => {
                out.extend_from_slice(&bytes[from..start]);
                run = None;
            }
            _ => {}
        }
    }
    if let Some(from) = run {
        out.extend_from_slice(&bytes[from..end]);
    }
}

fn encode_status_line(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    encode_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a field.
pub(crate) fn encode_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal digits.
pub(crate) fn encode_number(out: &mut Vec<u8>, number: u64) {
    let digit = |number: u64| b'0' + (number % 10) as u8;
    // Most are short: octets of addresses, statuses, lengths of small bodies.
    match number {
        0..10 => out.push(digit(number)),
        10..100 => out.extend_from_slice(&[digit(number / 10), digit(number)]),
        100..1000 => out.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]),
        _ => {
            let mut digits = [0; 20];
            let (mut at, mut rest) = (digits.len(), number);
            while rest > 0 {
                at -= 1;
                digits[at] = digit(rest);
                rest /= 10;
            }
            out.extend_from_slice(&digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &Headers, change: impl FnOnce(&mut AnswerParts<'_>)) -> String {
        let mut parts = AnswerParts {
            status: 200,
            headers,
            mime: Some("text/plain"),
            coding: BodyCoding::Length(12),
            date_line: b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
            close: false,
            version: Version::Http11,
            upgrade: None,
        };
        change(&mut parts);
        let mut out = Vec::new();
        encode_head(&mut out, &parts);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plain_answer() {
        assert_eq!(
            head(&Headers::new(), |_| {}),
            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n\
             Content-Length: 12\r\n\r\n"
        );
    }

    #[test]
    fn what_is_set_wins_except_for_framing() {
        let mut headers = Headers::new();
        headers.append("date", "never").unwrap();
        headers.append("Content-Type", "a/b").unwrap();
        headers.append("Content-Length", "99").unwrap();
        headers.append("Transfer-Encoding", "gzip").unwrap();
        let text = head(&headers, |parts| {
            (parts.status, parts.coding, parts.close) = (404, BodyCoding::Chunked, true);
        });
        assert_eq!(
            text,
            "HTTP/1.1 404 Not Found\r\ndate: never\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn unknown_statuses_have_no_reason_and_old_clients_are_told_of_keep_alive() {
        let text = head(&Headers::new(), |parts| (parts.status, parts.version) = (599, Version::Http10));
        assert!(
            text.starts_with("HTTP/1.1 599 \r\n") && text.contains("Connection: keep-alive\r\n"),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 99, 100, 255, 999, 1000, 65_536, u64::MAX] {
            let mut out = Vec::new();
            encode_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn chunk_sizes_are_hexadecimal() {
        for size in [1, 9, 10, 15, 16, 255, 256, 65_535, 65_536, 1 << 30] {
            let mut out = Vec::new();
            encode_chunk_start(&mut out, size);
            assert_eq!(out, format!("{size:x}\r\n").as_bytes());
        }
    }
}
