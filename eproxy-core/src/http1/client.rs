//! The upstream connection: reads answer heads.

use std::io;

use futures_io::AsyncRead;
use futures_lite::AsyncReadExt as _;

use crate::error::Kind;
use crate::message::{Buffer, Field, Headers, StatusLine};

use super::framing::{AnswerFacts, Framing};
use super::parse::{self, Finder, Found};

/// What an upstream may send as a head. Not options: they bound what a broken upstream costs.
const MAX_HEAD: usize = 64 * 1024;
const MAX_ANSWER_FIELDS: usize = 256;
/// Interim answers before the final one; more mean an upstream that never gets to it.
pub(crate) const MAX_INTERIM: usize = 64;

/// The input buffer's size until a head needs more.
const INPUT: usize = 8 * 1024;

/// The head of a final answer.
#[derive(Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
    /// The connection can be used again once the body has been read.
    pub(crate) keep_alive: bool,
}

/// Reads the head of the final answer to a request of `method`; interim answers before it are skipped (RFC 9110
/// §15.2). What has been read of the body stays in `input`.
///
/// # Errors
///
/// `UpstreamClosed` where nothing came at all, `UpstreamTruncated` where the head was broken off, `BadAnswer` where it
/// is malformed, `UpstreamIo`.
pub(crate) async fn read_answer(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut Buffer,
    method: &[u8],
) -> Result<AnswerHead, Kind> {
    let mut fields = Vec::with_capacity(16);
    for number in 0..MAX_INTERIM {
        let (line, facts, length) = match read_head(stream, input, &mut fields, method).await {
            // An interim answer is a beginning: the request has been seen.
            Err(Kind::UpstreamClosed) if number > 0 => return Err(Kind::UpstreamTruncated),
            found => found?,
        };
        let mut headers = Headers::new();
        headers.assign(&input.data()[..length], &fields);
        input.consume(length);
        match line.status {
            // Nobody asked for another protocol (RFC 9110 §15.2.2).
            101 => return Err(Kind::BadAnswer),
            100..200 => {}
            status => {
                let AnswerFacts { framing, keep_alive, .. } = facts;
                return Ok(AnswerHead { status, headers, framing, keep_alive });
            }
        }
    }
    Err(Kind::BadAnswer)
}

async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut Buffer,
    fields: &mut Vec<Field>,
    method: &[u8],
) -> Result<(StatusLine, AnswerFacts, usize), Kind> {
    let mut finder = Finder::new();
    loop {
        if let Some(found) = find_answer(&mut finder, input.data(), fields, method)? {
            return Ok(found);
        }
        let closed = if input.is_empty() { Kind::UpstreamClosed } else { Kind::UpstreamTruncated };
        match stream.read(input.space(INPUT)).await {
            Ok(0) => return Err(closed),
            Ok(n) => input.filled(n),
            // A reset before the first byte is what closing an idle connection can look like. The other is how TLS tells
            // of an end that nobody has announced.
            Err(error) if input.is_empty() || error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(closed);
            }
            Err(_) => return Err(Kind::UpstreamIo),
        }
    }
}

/// Looks for the head of an answer to a request of `method` in what was read, and parses it; gives its length with it.
/// It is then at the front of the input. The fields are left in `fields`.
///
/// # Errors
///
/// `BadAnswer`, `UpstreamHeadTooLarge`.
pub(crate) fn find_answer(
    finder: &mut Finder,
    input: &[u8],
    fields: &mut Vec<Field>,
    method: &[u8],
) -> Result<Option<(StatusLine, AnswerFacts, usize)>, Kind> {
    if input.is_empty() {
        return Ok(None);
    }
    // As on the other side: at once, and in a way that looks at no byte twice if that was too early.
    let mut parsed = if finder.has_begun() { None } else { parse_head(input, fields)? };
    if parsed.is_none() {
        match finder.find(input).map_err(|_| Kind::BadAnswer)? {
            // Empty lines are ignored before a request only (RFC 9112 §2.2).
            Found::Head { start: 1.., .. } => return Err(Kind::BadAnswer),
            Found::Head { .. } => parsed = parse_head(input, fields)?,
            Found::Partial if input.len() >= MAX_HEAD => return Err(Kind::UpstreamHeadTooLarge),
            Found::Partial => {}
        }
    }
    let Some((line, length)) = parsed else { return Ok(None) };
    if length > MAX_HEAD {
        return Err(Kind::UpstreamHeadTooLarge);
    }
    let facts = AnswerFacts::read(&input[..length], fields, &line, method)?;
    Ok(Some((line, facts, length)))
}

fn parse_head(input: &[u8], fields: &mut Vec<Field>) -> Result<Option<(StatusLine, usize)>, Kind> {
    fields.clear();
    parse::parse_answer(input, fields, MAX_ANSWER_FIELDS).map_err(|kind| match kind {
        Kind::TooManyHeaders => Kind::UpstreamHeadTooLarge,
        _ => Kind::BadAnswer,
    })
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    fn read(mut bytes: &[u8], method: &str) -> Result<(AnswerHead, Vec<u8>), Kind> {
        let mut input = Buffer::new();
        let head = block_on(read_answer(&mut bytes, &mut input, method.as_bytes()))?;
        Ok((head, input.data().to_vec()))
    }

    #[test]
    fn interim_answers_are_skipped_and_the_body_is_left() {
        let (head, rest) = read(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
              HTTP/1.1 299 Odd\r\nContent-Length: 2\r\nX-Name: caf\xE9\r\n\r\nok",
            "GET",
        )
        .unwrap();
        assert_eq!((head.status, head.keep_alive, rest.as_slice()), (299, true, &b"ok"[..]));
        assert_eq!(head.headers.get("x-name"), Some(&b"caf\xE9"[..]));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        assert_eq!(read(b"", "GET").err(), Some(Kind::UpstreamClosed));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nA: b", "GET").err(), Some(Kind::UpstreamTruncated));
        assert_eq!(read(b"SSH-2.0-x\r\n\r\n", "GET").err(), Some(Kind::BadAnswer));
        assert_eq!(read(b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", "GET").err(), Some(Kind::BadAnswer));
        let endless = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MAX_INTERIM + 1);
        assert_eq!(read(&endless, "GET").err(), Some(Kind::BadAnswer));
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
        assert_eq!(read(long.as_bytes(), "GET").err(), Some(Kind::UpstreamHeadTooLarge));
    }

    #[test]
    fn an_empty_line_before_a_head_is_malformed_however_it_comes() {
        const ANSWER: &[u8] = b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        for piece in [1, 2, 20, ANSWER.len()] {
            let (mut finder, mut input) = (Finder::new(), Buffer::new());
            let found = ANSWER.chunks(piece).find_map(|piece| {
                input.space(ANSWER.len())[..piece.len()].copy_from_slice(piece);
                input.filled(piece.len());
                find_answer(&mut finder, input.data(), &mut Vec::new(), b"GET").transpose()
            });
            assert_eq!(
                found.map(|found| found.err()),
                Some(Some(Kind::BadAnswer)),
                "{piece} bytes at a time"
            );
        }
    }

    #[test]
    fn connections_that_end_with_the_body_are_not_kept() {
        let kept = |head: &[u8]| read(head, "GET").unwrap().0.keep_alive;
        assert!(kept(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!kept(b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!kept(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        assert!(!kept(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    }
}
