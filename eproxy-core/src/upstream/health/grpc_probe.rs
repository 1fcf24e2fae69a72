//! The question that gRPC has for health checking (grpc.health.v1 in its project): whether a service is serving.

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::driver::Stream;
use crate::error::Kind;
use crate::http1::{AnswerHead, Decoder, Step, encode_field, encode_number, read_answer};
use crate::message::grpc::{Code, MESSAGE, PREFIX, prefix};
use crate::message::{Buffer, Grpc, Headers, SMALL};

use super::probe::Unwell;
use super::probe_options::BODY;

/// What is asked of a server.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// Which of its services is asked for; all of it where this is empty.
    pub(super) service: String,
    /// What to call the endpoint; none calls it what its URL does.
    pub(super) host: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

/// Asks, and looks at the answer.
///
/// # Errors
///
/// Why the endpoint is not well.
pub(super) async fn ask(stream: &mut Stream, check: &Check, host: &str, base: &str) -> Result<(), Unwell> {
    stream.write_all(&encode(check, host, base)).await?;
    stream.flush().await?;
    let mut input = Buffer::new();
    let answer = read_answer(stream, &mut input, b"POST").await?;
    if answer.status != 200 {
        return Err(Unwell::Status(answer.status));
    }
    let is_grpc = answer.headers.get("content-type").is_some_and(|value| Grpc::of(value).is_some());
    if !is_grpc {
        return Err(Kind::BadAnswer.into());
    }
    let (body, trailers) = read(stream, &mut input, &answer).await?;
    // All is in the head where there is no message.
    let code = trailers.as_ref().and_then(code).or_else(|| code(&answer.headers)).unwrap_or(Code::UNKNOWN);
    match (code, serving(&body)) {
        (Code::OK, Some(SERVING)) => Ok(()),
        (Code::OK, Some(_)) => Err(Unwell::NotServing),
        (Code::OK, None) => Err(Kind::BadAnswer.into()),
        (code, _) => Err(Unwell::Code(code)),
    }
}

/// The call, in the words of HTTP/1.1: the connection puts it into those of HTTP/2, and serves nothing else.
fn encode(check: &Check, host: &str, base: &str) -> Vec<u8> {
    let message = message(&check.service);
    let mut call = format!("POST {base}/grpc.health.v1.Health/Check HTTP/1.1\r\n").into_bytes();
    encode_field(&mut call, b"Host", host.as_bytes());
    encode_field(&mut call, b"Content-Type", Grpc::Native.content_type().as_bytes());
    encode_field(&mut call, b"Connection", b"TE");
    encode_field(&mut call, b"TE", b"trailers");
    if !check.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent")) {
        encode_field(&mut call, b"User-Agent", b"eproxy-probe");
    }
    for (name, value) in &check.headers {
        encode_field(&mut call, name.as_bytes(), value.as_bytes());
    }
    call.extend_from_slice(b"Content-Length: ");
    encode_number(&mut call, (PREFIX + message.len()) as u64);
    call.extend_from_slice(b"\r\n\r\n");
    call.extend_from_slice(&prefix(MESSAGE, message.len()));
    call.extend_from_slice(&message);
    call
}

/// `HealthCheckRequest { string service = 1; }` in the encoding of Protocol Buffers.
fn message(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0A);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    message
}

/// Reads the body and what comes behind it; a longer one than is looked at is no answer.
async fn read(
    stream: &mut Stream,
    input: &mut Buffer,
    answer: &AnswerHead,
) -> Result<(Vec<u8>, Option<Headers>), Unwell> {
    let (mut decoder, mut body) = (Decoder::new(answer.framing), Vec::new());
    while !decoder.is_done() {
        if input.is_empty() {
            match stream.read(input.space(SMALL)).await? {
                0 if decoder.ends_with_connection() => break,
                0 => return Err(Kind::UpstreamTruncated.into()),
                n => input.filled(n),
            }
        }
        match decoder.decode(input.data(), BODY).map_err(|_| Kind::BadAnswer)? {
            Step::Data { skip, data } => {
                body.extend_from_slice(&input.data()[skip..skip + data]);
                input.consume(skip + data);
            }
            Step::Done { skip } => input.consume(skip),
        }
        if body.len() > BODY {
            return Err(Kind::BadAnswer.into());
        }
    }
    Ok((body, decoder.take_trailers()))
}

/// How the call has ended.
fn code(fields: &Headers) -> Option<Code> {
    fields.get_str("grpc-status")?.parse().ok().map(Code)
}

/// The value of `ServingStatus` that says yes.
const SERVING: u64 = 1;

/// What a body says with one message: `HealthCheckResponse { ServingStatus status = 1; }`. None where it is no such.
pub(crate) fn serving(body: &[u8]) -> Option<u64> {
    let (begins, message) = body.split_first_chunk::<PREFIX>()?;
    // It was not compressed: nobody has offered that.
    if *begins != prefix(MESSAGE, message.len()) {
        return None;
    }
    let (mut rest, mut status) = (message, 0);
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match key & 7 {
            0 => {
                let value = varint(&mut rest)?;
                status = if key >> 3 == 1 { value } else { status };
            }
            // Fields that nobody knows yet.
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// Takes a number from the front.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_asks_for_a_service_or_for_all() {
        let check = |service: &str| Check { service: service.into(), host: None, headers: Vec::new() };
        let call = encode(&check(""), "app.test", "/base");
        assert_eq!(
            String::from_utf8(call).unwrap(),
            "POST /base/grpc.health.v1.Health/Check HTTP/1.1\r\nHost: app.test\r\n\
             Content-Type: application/grpc\r\nConnection: TE\r\nTE: trailers\r\nUser-Agent: eproxy-probe\r\n\
             Content-Length: 5\r\n\r\n\0\0\0\0\0"
        );
        assert!(
            encode(&check("a.B"), "app.test", "")
                .ends_with(b"Content-Length: 10\r\n\r\n\0\0\0\0\x05\x0A\x03a.B")
        );
        let long = message(&"x".repeat(300));
        assert_eq!((&long[..3], long.len()), (&[0x0A, 0xAC, 0x02][..], 303));
    }

    #[test]
    fn an_answer_says_whether_the_service_is_serving() {
        for (message, said) in [
            (&b"\x08\x01"[..], Some(1)),
            (b"\x08\x02", Some(2)),
            (b"", Some(0)),
            // With fields of every kind that nobody knows.
            (b"\x12\x02ab\x08\x01\x1d1234\x2112345678\x30\x85\x01", Some(1)),
            (b"\x08", None),
            (b"\x12\x7fab", None),
            (b"\x0f\x01", None),
            (&[0xFF; 11], None),
        ] {
            let body = [&prefix(MESSAGE, message.len()), message].concat();
            assert_eq!(serving(&body), said, "{message:?}");
        }
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\0\0\0\x01\x08\x01",
        ] {
            assert_eq!(serving(body), None, "{body:?}");
        }
    }
}
