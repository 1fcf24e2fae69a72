//! The words of gRPC: its dialects, the codes that calls end with, and the frames of its messages.
//!
//! What is said here is in the documents of the gRPC project: PROTOCOL-HTTP2, PROTOCOL-WEB, statuscodes and
//! http-grpc-status-mapping.

use std::fmt;

/// A dialect of gRPC, which the content type of a message tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grpc {
    /// `application/grpc`: over HTTP/2, with the end of a call in trailers.
    Native,
    /// `application/grpc-web`: for browsers, which see no trailers. They are the last frame of the body.
    Web,
    /// `application/grpc-web-text`: the same in base64.
    WebText,
}

impl Grpc {
    /// Tells the dialect, and what follows it in the content type: `+proto`, for example.
    pub(crate) fn of(content_type: &[u8]) -> Option<(Self, &[u8])> {
        [Self::WebText, Self::Web, Self::Native].into_iter().find_map(|dialect| {
            let name = dialect.content_type().as_bytes();
            let (begins, rest) = content_type.split_at_checked(name.len())?;
            let is_end = matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'));
            (is_end && begins.eq_ignore_ascii_case(name)).then_some((dialect, rest))
        })
    }

    /// The content type, without what says how messages are encoded.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Native => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }
}

/// How a call has ended: the value of `grpc-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const CANCELLED: Self = Self(1);
    pub(crate) const UNKNOWN: Self = Self(2);
    pub(crate) const DEADLINE_EXCEEDED: Self = Self(4);
    pub(crate) const PERMISSION_DENIED: Self = Self(7);
    pub(crate) const RESOURCE_EXHAUSTED: Self = Self(8);
    pub(crate) const UNIMPLEMENTED: Self = Self(12);
    pub(crate) const INTERNAL: Self = Self(13);
    pub(crate) const UNAVAILABLE: Self = Self(14);
    pub(crate) const UNAUTHENTICATED: Self = Self(16);

    /// What the status of an answer that is none of gRPC's means to its clients.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    const NAMES: [&'static str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// Text as the value of `grpc-message`: what is no printable ASCII is percent-encoded, and so is the percent sign.
pub(crate) fn encode_text(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..b' ' | 0x7F.. => encoded.push_str(&format!("%{byte:02X}")),
            byte => encoded.push(char::from(byte)),
        }
    }
    encoded
}

/// What the first byte of a frame says.
pub(crate) const MESSAGE: u8 = 0;
pub(crate) const TRAILERS: u8 = 0x80;

/// Bytes in front of what a frame carries: its kind, and its length as a big-endian number.
pub(crate) const PREFIX: usize = 5;

/// What goes in front of a frame with so many bytes.
pub(crate) fn prefix(kind: u8, length: usize) -> [u8; PREFIX] {
    let [a, b, c, d] = (length as u32).to_be_bytes();
    [kind, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_are_told_by_the_content_type() {
        for (content_type, told) in [
            ("application/grpc", Some((Grpc::Native, ""))),
            ("Application/GRPC+proto", Some((Grpc::Native, "+proto"))),
            ("application/grpc;charset=x", Some((Grpc::Native, ";charset=x"))),
            ("application/grpc-web", Some((Grpc::Web, ""))),
            ("application/grpc-web+json", Some((Grpc::Web, "+json"))),
            ("application/grpc-web-text+proto", Some((Grpc::WebText, "+proto"))),
            ("application/grpc-web-texts", None),
            ("application/grpcx", None),
            ("application/json", None),
            ("", None),
        ] {
            let told = told.map(|(dialect, rest): (Grpc, &str)| (dialect, rest.as_bytes()));
            assert_eq!(Grpc::of(content_type.as_bytes()), told, "{content_type}");
        }
    }

    #[test]
    fn text_is_percent_encoded_where_it_has_to_be() {
        assert_eq!(encode_text("100 % gr\u{fc}n\n~"), "100 %25 gr%C3%BCn%0A~");
    }

    #[test]
    fn statuses_have_the_codes_that_clients_would_give_them() {
        let codes = [400, 401, 403, 404, 429, 502, 503, 504, 500, 418].map(Code::of_status);
        let numbers = codes.map(|code| code.0);
        assert_eq!(numbers, [13, 16, 7, 12, 14, 14, 14, 14, 2, 2]);
        assert_eq!((Code(5).to_string(), Code(99).to_string()), ("NOT_FOUND".into(), "99".into()));
    }

    #[test]
    fn a_frame_has_its_kind_and_length_in_front() {
        assert_eq!(prefix(TRAILERS, 0x0102), [0x80, 0, 0, 1, 2]);
    }
}
