//! gRPC-Web: calls of browsers, which see no trailers, for upstreams that speak gRPC (PROTOCOL-WEB of the gRPC project).
//!
//! ```text
//!   request   application/grpc-web(-text) ──base64 decoded──▶ application/grpc
//!   answer    application/grpc-web(-text) ◀──base64 encoded── messages, and a frame ◀── messages, trailers
//! ```

use std::io;

use base64::{STANDARD, decode_config_buf, encode_config_slice};

use crate::error::{Error, Kind};
use crate::http1::{Lines, encode_field};
use crate::message::grpc::{PREFIX, TRAILERS, prefix};
use crate::message::{Grpc, Headers, Known};

use super::filter::{BodyFilter, Filters};
use super::relay::Relay;
use super::request_head::RequestRules;

/// The dialect of a call that is to be translated; none where it is none, or where the proxy does not translate.
pub(super) fn dialect(relay: &Relay<'_>, rules: &RequestRules) -> Option<Grpc> {
    relay.head.facts.grpc.filter(|dialect| rules.grpc_web && *dialect != Grpc::Native)
}

/// Whether something is done to the body of a request: by hooks, or because it is in base64.
pub(super) fn is_filtered(relay: &Relay<'_>, rules: &RequestRules) -> bool {
    dialect(relay, rules) == Some(Grpc::WebText)
        || relay.hooked.as_ref().is_some_and(|hooked| !hooked.request_filters.is_empty())
}

/// Takes what is done to the body of a request: hooks see what the upstream gets.
pub(super) fn take_filters(relay: &mut Relay<'_>, rules: &RequestRules) -> Filters {
    let hooked = relay.hooked.as_mut().map(|hooked| std::mem::take(&mut hooked.request_filters));
    let mut filters = hooked.unwrap_or_default();
    if dialect(relay, rules) == Some(Grpc::WebText) {
        filters.transform_first(FromText::default());
    }
    filters
}

/// Appends the content type of a message in another dialect; what says how messages are encoded stays.
pub(super) fn encode_content_type(out: &mut Vec<u8>, lines: &Lines<'_>, dialect: Grpc) {
    let field = lines.fields.iter().find(|field| field.known == Known::ContentType);
    let told = field.and_then(|field| Grpc::of(field.value.of(lines.bytes)));
    let rest = told.map_or(&b""[..], |(_, rest)| rest);
    encode_field(out, b"Content-Type", &[dialect.content_type().as_bytes(), rest].concat());
}

/// Decodes a body in base64. It may come in several pieces that are each padded.
#[derive(Debug, Default)]
struct FromText {
    /// The beginning of what four letters make, up to three of them.
    left: Vec<u8>,
}

impl BodyFilter for FromText {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.left.extend_from_slice(bytes);
        let whole = self.left.len() - self.left.len() % 4;
        let mut rest = &self.left[..whole];
        while !rest.is_empty() {
            // What follows a group that is padded begins anew.
            let end = memchr::memchr(b'=', rest).map_or(rest.len(), |at| (at / 4 + 1) * 4);
            decode_config_buf(&rest[..end], STANDARD, out).map_err(|_| malformed())?;
            rest = &rest[end..];
        }
        self.left.drain(..whole);
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        if self.left.is_empty() { Ok(()) } else { Err(malformed()) }
    }
}

/// Decodes a body in base64 that comes in pieces; none where it is malformed.
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) fn decode_text<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let (mut filter, mut out) = (FromText::default(), Vec::new());
    for piece in pieces {
        filter.filter(piece, &mut out).ok()?;
    }
    filter.finish(&mut out).ok().map(|()| out)
}

fn malformed() -> io::Error {
    Error::from(Kind::BadGrpcWeb).into()
}

/// What becomes of the body of an answer.
#[derive(Debug)]
pub(super) struct ToWeb {
    is_text: bool,
}

impl ToWeb {
    pub(super) fn new(dialect: Grpc) -> Self {
        Self { is_text: dialect == Grpc::WebText }
    }

    /// Appends a piece of the body. In base64 each piece is padded, so that none of it has to wait for the next.
    pub(super) fn encode(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.is_text {
            return out.extend_from_slice(bytes);
        }
        let begin = out.len();
        out.resize(begin + bytes.len().div_ceil(3) * 4, 0);
        encode_config_slice(bytes, STANDARD, &mut out[begin..]);
    }

    /// Appends the trailers as a frame. A body without trailers gets none: that says as much as it did before.
    pub(super) fn encode_trailers(&self, trailers: Option<&Headers>, out: &mut Vec<u8>) {
        let Some(trailers) = trailers.filter(|trailers| !trailers.is_empty()) else { return };
        let mut frame = vec![0; PREFIX];
        let lines = Lines::of_headers(trailers);
        for field in lines.fields {
            let name = field.name.of(lines.bytes).to_ascii_lowercase();
            encode_field(&mut frame, &name, field.value.of(lines.bytes));
        }
        let length = frame.len() - PREFIX;
        frame[..PREFIX].copy_from_slice(&prefix(TRAILERS, length));
        self.encode(&frame, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(pieces: &[&str]) -> Option<Vec<u8>> {
        decode_text(pieces.iter().map(|piece| piece.as_bytes()))
    }

    #[test]
    fn base64_is_decoded_however_it_is_cut_and_padded() {
        let text = format!("{}{}{}", base64::encode("a"), base64::encode("bcd"), base64::encode("efgh"));
        for at in 0..text.len() {
            let (begins, ends) = text.split_at(at);
            let ends: Vec<_> = (0..ends.len()).map(|at| &ends[at..=at]).collect();
            let pieces: Vec<_> =
                std::iter::once(begins).chain(ends).filter(|piece| !piece.is_empty()).collect();
            assert_eq!(decoded(&pieces).unwrap(), b"abcdefgh", "{at}");
        }
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["QQ=", "Q", "QQ==Q", "Q*==", "====", "QQ= =", "Q=Q="] {
            assert_eq!(decoded(&[text]), None, "{text}");
        }
    }

    #[test]
    fn trailers_are_the_last_frame() {
        let mut trailers = Headers::new();
        trailers.append("Grpc-Status", "0").unwrap();
        trailers.append("x-a", "b").unwrap();
        let framed = |dialect, trailers: Option<&Headers>| {
            let mut out = Vec::new();
            ToWeb::new(dialect).encode_trailers(trailers, &mut out);
            out
        };
        let frame = b"\x80\0\0\0\x18grpc-status: 0\r\nx-a: b\r\n";
        assert_eq!(framed(Grpc::Web, Some(&trailers)), frame);
        assert_eq!(framed(Grpc::WebText, Some(&trailers)), base64::encode(frame).into_bytes());
        assert_eq!(framed(Grpc::Web, Some(&Headers::new())), b"");
        assert_eq!(framed(Grpc::Web, None), b"");
    }

    #[test]
    fn pieces_in_base64_are_padded_each() {
        let mut out = Vec::new();
        let web = ToWeb::new(Grpc::WebText);
        web.encode(b"a", &mut out);
        web.encode(b"bcd", &mut out);
        assert_eq!(out, b"YQ==YmNk");
    }
}
