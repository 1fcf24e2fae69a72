//! Heads of answers, into the words of HTTP/1.1 and out of them (RFC 9113 §8.3.2).

use http::{HeaderMap, Response, StatusCode};

use crate::error::Kind;
use crate::http1::{Lines, encode_field, encode_number};
use crate::message::{Headers, Known, StatusLine, reason_phrase};

use super::request::{Cargo, Opens, decode_fields};

/// Makes the head of an answer of one in the words of HTTP/1.1, which eproxy itself has written. With `status`, it is told
/// otherwise.
///
/// # Errors
///
/// `BadResponse`: HTTP/2 has no word for something in it.
pub(crate) fn decode(
    line: &StatusLine,
    lines: &Lines<'_>,
    opened: Option<Opens>,
) -> Result<Response<()>, Kind> {
    let bad = |_| Kind::BadResponse;
    let mut answer = Response::new(());
    let status = if opened == Some(Opens::WebSocket) { 200 } else { line.status };
    *answer.status_mut() = StatusCode::from_u16(status).map_err(|_| Kind::BadResponse)?;
    let is_tunnel = opened.is_some();
    decode_fields(answer.headers_mut(), lines, |known, name| match known {
        Known::SecWebSocket => !name.eq_ignore_ascii_case(b"sec-websocket-accept"),
        // RFC 9113 §8.5: what follows is no body.
        Known::ContentLength => !is_tunnel,
        _ => true,
    })
    .map_err(bad)?;
    Ok(answer)
}

/// How the end of an answer's body is told in the words of HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// There is none, and the head need not say so: 1xx, 204, 304, answers to HEAD.
    Known,
    /// It is over with the head.
    Now,
    /// The head tells its length.
    Length,
    Chunked,
    /// It is no body: the stream is a tunnel.
    Never,
}

/// Appends the head of an upstream's answer in the words of HTTP/1.1; says how its body ends.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    status: u16,
    fields: &HeaderMap,
    is_end: bool,
    is_head: bool,
    cargo: Cargo,
) -> Ends {
    let ends = match (status, cargo) {
        (200..300, Cargo::Tunnel(_)) => Ends::Never,
        (100..200 | 204 | 304, _) => Ends::Known,
        _ if is_head => Ends::Known,
        _ if fields.contains_key(http::header::CONTENT_LENGTH) => Ends::Length,
        _ if is_end => Ends::Now,
        _ => Ends::Chunked,
    };
    let switches = ends == Ends::Never && cargo == Cargo::Tunnel(Opens::WebSocket);
    let status = if switches { 101 } else { status };
    out.extend_from_slice(b"HTTP/1.1 ");
    encode_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        encode_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    match ends {
        Ends::Now => out.extend_from_slice(b"content-length: 0\r\n"),
        Ends::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Ends::Never if switches => out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n"),
        Ends::Known | Ends::Length | Ends::Never => {}
    }
    ends
}

/// Trailers as HTTP/2 has them; names and values that it has no word for are left out.
pub(super) fn trailers(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    let lines = Lines::of_headers(headers);
    for field in lines.fields {
        let (name, value) = (field.name.of(lines.bytes), field.value.of(lines.bytes));
        if let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}
