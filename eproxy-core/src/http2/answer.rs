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
        // Trailers come with chunks only (RFC 9110 §6.5.1).
        _ if fields.contains_key(http::header::TRAILER) && !is_end => Ends::Chunked,
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
        if ends != Ends::Chunked || name != http::header::CONTENT_LENGTH {
            encode_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
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

#[cfg(test)]
mod tests {
    use crate::http1::{Finder, find_answer};

    use super::*;

    fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    #[test]
    fn how_a_body_ends_is_told_in_the_words_of_http_1() {
        let told = fields(&[("content-length", "5")]);
        let with_trailer = fields(&[("content-length", "5"), ("trailer", "x")]);
        for (status, fields, is_end, is_head, cargo, ends) in [
            (200, HeaderMap::new(), false, false, Cargo::Nothing, Ends::Chunked),
            (200, HeaderMap::new(), true, false, Cargo::Nothing, Ends::Now),
            (200, told.clone(), false, false, Cargo::Chunked, Ends::Length),
            (200, told.clone(), true, true, Cargo::Nothing, Ends::Known),
            (200, with_trailer, false, false, Cargo::Nothing, Ends::Chunked),
            (204, HeaderMap::new(), true, false, Cargo::Nothing, Ends::Known),
            (304, HeaderMap::new(), true, false, Cargo::Nothing, Ends::Known),
            (103, HeaderMap::new(), false, false, Cargo::Nothing, Ends::Known),
            (200, HeaderMap::new(), false, false, Cargo::Tunnel(Opens::Connect), Ends::Never),
            (403, HeaderMap::new(), false, false, Cargo::Tunnel(Opens::WebSocket), Ends::Chunked),
        ] {
            let mut out = Vec::new();
            assert_eq!(encode(&mut out, status, &fields, is_end, is_head, cargo), ends, "{status}");
            out.extend_from_slice(b"\r\n");
            let method: &[u8] = if is_head { b"HEAD" } else { b"" };
            let found = find_answer(&mut Finder::new(), &out, &mut Vec::new(), method).unwrap().unwrap();
            let length = found.1.framing.length();
            match ends {
                Ends::Known | Ends::Now => assert_eq!(length, Some(0)),
                Ends::Length => assert_eq!(length, Some(5)),
                Ends::Chunked => assert!(length.is_none() && !found.1.framing.ends_with_connection()),
                Ends::Never => assert!(found.1.framing.ends_with_connection()),
            }
        }
    }

    #[test]
    fn an_answer_loses_what_is_of_its_connection() {
        let text = b"HTTP/1.1 200 OK\r\nDate: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n";
        let mut fields = Vec::new();
        let (line, _, length) = find_answer(&mut Finder::new(), text, &mut fields, b"").unwrap().unwrap();
        let lines = Lines::of_head(&text[..length], &fields);
        let answer = decode(&line, &lines, None).unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().len()), (200, 2));
        let switched = StatusLine { status: 101, ..line };
        assert_eq!(decode(&switched, &lines, Some(Opens::WebSocket)).unwrap().status(), 200);
    }
}
