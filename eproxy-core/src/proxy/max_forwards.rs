//! Requests that go no further than here (RFC 9110 §7.6.2): TRACE and OPTIONS with `Max-Forwards: 0`.

use crate::http1::Lines;
use crate::message::{Answer, Known};

use super::relay::{Method, Relay};
use super::request_head::max_forwards;

/// The answer to such a request.
pub(super) fn answer(relay: &Relay<'_>) -> Option<Answer> {
    let lines = relay.raw_lines();
    if max_forwards(&lines) != Some(0) {
        return None;
    }
    match relay.head.method {
        Method::Options => Some(Answer::new(204)),
        Method::Trace => Some(trace(relay, &lines)),
        _ => None,
    }
}

/// The request as it came here (RFC 9110 §9.3.8), without what is nobody else's business.
fn trace(relay: &Relay<'_>, lines: &Lines<'_>) -> Answer {
    let is_secret = |name: &[u8]| {
        ["authorization", "cookie", "proxy-authorization"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    let head = relay.head_bytes();
    let line = head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |at| at + 1);
    let mut body = head[..line].to_vec();
    crate::http1::encode_lines(&mut body, lines, |field| {
        field.known != Known::ProxyAuthorization && !is_secret(field.name.of(lines.bytes))
    });
    body.extend_from_slice(b"\r\n");
    let mut answer = Answer::new(200).with_body(body);
    // A media type is a valid value.
    let _valid = answer.headers_mut().insert("Content-Type", "message/http");
    answer
}
