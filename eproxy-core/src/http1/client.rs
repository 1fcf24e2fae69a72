//! The upstream connection: reads answer heads.

use futures_io::AsyncRead;
use futures_lite::AsyncReadExt as _;

use crate::error::Kind;
use crate::message::{Buffer, Headers};

use super::framing::{self, Framing};
use super::parse::{self, Finder, Found};

/// What an upstream may send as a head. Not options: they bound what a broken upstream costs.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 256;
/// Interim answers before the final one; more mean an upstream that never gets to it.
const MAX_INTERIM: usize = 64;

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
    for number in 0..MAX_INTERIM {
        let (start, end) = match find_head(stream, input).await {
            // An interim answer is a beginning: the request has been seen.
            Err(Kind::UpstreamClosed) if number > 0 => return Err(Kind::UpstreamTruncated),
            found => found?,
        };
        input.consume(start);
        let answer = parse_head(&input.data()[..end - start], method)?;
        input.consume(end - start);
        match answer.status {
            // Nobody asked for another protocol (RFC 9110 §15.2.2).
            101 => return Err(Kind::BadAnswer),
            100..200 => {}
            _ => return Ok(answer),
        }
    }
    Err(Kind::BadAnswer)
}

async fn find_head(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut Buffer,
) -> Result<(usize, usize), Kind> {
    let mut finder = Finder::new();
    loop {
        if let Found::Head { start, end } = finder.find(input.data()).map_err(|_| Kind::BadAnswer)? {
            return Ok((start, end));
        }
        if input.len() >= MAX_HEAD {
            return Err(Kind::BadAnswer);
        }
        let closed = if input.is_empty() { Kind::UpstreamClosed } else { Kind::UpstreamTruncated };
        match stream.read(input.space(INPUT)).await {
            Ok(0) => return Err(closed),
            Ok(n) => input.filled(n),
            // A reset before the first byte is what closing an idle connection can look like.
            Err(_) if input.is_empty() => return Err(closed),
            Err(_) => return Err(Kind::UpstreamIo),
        }
    }
}

fn parse_head(head: &[u8], method: &[u8]) -> Result<AnswerHead, Kind> {
    let mut fields = Vec::with_capacity(16);
    let (version, status) =
        parse::parse_answer(head, &mut fields, MAX_FIELDS).map_err(|_| Kind::BadAnswer)?;
    let framing = Framing::of_answer(head, &fields, version, status, method)?;
    let keep_alive = framing::keeps_alive(head, &fields, version) && !framing.ends_with_connection();
    let mut headers = Headers::new();
    headers.assign(head, &mut fields);
    Ok(AnswerHead { status, headers, framing, keep_alive })
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
        assert_eq!(read(long.as_bytes(), "GET").err(), Some(Kind::BadAnswer));
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
