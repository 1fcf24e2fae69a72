//! As much of WebSocket (RFC 6455) as an echo needs, in bytes: one handshake, and frames of one length.

/// What is sent: [`MESSAGE`] bytes that no other message of the run has.
pub(crate) type Message = [u8; MESSAGE];

/// A message as clients send it.
pub(crate) type Masked = [u8; HEAD + MASK + MESSAGE];

/// A message as servers send it.
pub(crate) type Plain = [u8; HEAD + MESSAGE];

pub(crate) const MESSAGE: usize = 64;

const HEAD: usize = 2;
const MASK: usize = 4;

/// The key of RFC 6455 §1.3 and the answer to it, which are as good as any.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) fn encode_handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

pub(crate) fn encode_switch() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

/// The value of a field of a head, the first of that name.
pub(crate) fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}

/// Bytes before the end of the head at the front of `input`, its empty line included; none where it isn't
/// whole.
pub(crate) fn head_length(input: &[u8]) -> Option<usize> {
    Some(input.windows(4).position(|four| four == b"\r\n\r\n")? + 4)
}

/// The message of a tunnel that has this number.
pub(crate) fn message(tunnel: u64, number: u64) -> Message {
    let mut message = std::array::from_fn(|at| (number as u8).wrapping_add(at as u8));
    message[..8].copy_from_slice(&tunnel.to_be_bytes());
    message[8..16].copy_from_slice(&number.to_be_bytes());
    message
}

pub(crate) fn encode_masked(message: &Message, mask: [u8; MASK]) -> Masked {
    let mut frame = [0; HEAD + MASK + MESSAGE];
    frame[..HEAD].copy_from_slice(&[WHOLE_BINARY, IS_MASKED | MESSAGE as u8]);
    frame[HEAD..HEAD + MASK].copy_from_slice(&mask);
    for (at, byte) in message.iter().enumerate() {
        frame[HEAD + MASK + at] = byte ^ mask[at % MASK];
    }
    frame
}

/// The message of a client's frame; none if it is no such frame.
pub(crate) fn decode_masked(frame: &Masked) -> Option<Message> {
    if frame[..HEAD] != [WHOLE_BINARY, IS_MASKED | MESSAGE as u8] {
        return None;
    }
    let (mask, masked) = frame[HEAD..].split_at(MASK);
    Some(std::array::from_fn(|at| masked[at] ^ mask[at % MASK]))
}

pub(crate) fn encode_plain(message: &Message) -> Plain {
    let mut frame = [0; HEAD + MESSAGE];
    frame[..HEAD].copy_from_slice(&[WHOLE_BINARY, MESSAGE as u8]);
    frame[HEAD..].copy_from_slice(message);
    frame
}

/// FIN, and the opcode of a binary message (RFC 6455 §5.2).
const WHOLE_BINARY: u8 = 0x82;

const IS_MASKED: u8 = 0x80;
