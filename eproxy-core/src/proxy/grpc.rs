//! Failures of calls, in the words of gRPC: its clients look for a status of theirs, and not for that of HTTP.

use crate::error::Kind;
use crate::message::grpc::{Code, encode_text};
use crate::message::{Answer, Body, Grpc};

/// Makes of an answer, which tells a client of a failure, one that a client of gRPC understands: all of it is in the head
/// ("Trailers-Only"). Other fields stay.
pub(super) fn translate(answer: Answer, dialect: Grpc, kind: Kind) -> Answer {
    let (_, mut headers, _) = answer.into_parts();
    for (name, value) in [
        ("Content-Type", dialect.content_type().to_owned()),
        ("grpc-status", code(kind).0.to_string()),
        ("grpc-message", encode_text(kind.row().text)),
    ] {
        // All of them are printable.
        let _valid = headers.insert(name, value);
    }
    Answer::from_parts(200, headers, Body::empty())
}

/// The code that tells a client of a failure.
fn code(kind: Kind) -> Code {
    match kind {
        Kind::UpstreamHeadTimeout
        | Kind::AttemptTimeout
        | Kind::UpstreamWriteTimeout
        | Kind::UpstreamBodyTimeout => Code::DEADLINE_EXCEEDED,
        // Of a limit, whoever retries at once makes it worse; gRPC says the same of messages over its own.
        Kind::Overloaded | Kind::QueueFull | Kind::QueueTimeout | Kind::BodyTooLarge => {
            Code::RESOURCE_EXHAUSTED
        }
        Kind::DownstreamGone | Kind::Truncated => Code::CANCELLED,
        kind => Code::of_status(kind.row().status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_a_code_and_a_text_in_the_head() {
        for (kind, code) in [
            (Kind::Connect, 14),
            (Kind::ConnectTimeout, 14),
            (Kind::NoEndpoint, 14),
            (Kind::UpstreamHeadTimeout, 4),
            (Kind::AttemptTimeout, 4),
            (Kind::Overloaded, 8),
            (Kind::QueueTimeout, 8),
            (Kind::BodyTooLarge, 8),
            (Kind::BadChunk, 13),
            (Kind::PortDenied, 7),
            (Kind::HookFailed, 2),
            (Kind::Truncated, 1),
        ] {
            let mut answer = Answer::plain(kind.row().status);
            answer.headers_mut().insert("Proxy-Status", "eproxy").unwrap();
            let answer = translate(answer, Grpc::Native, kind);
            let header = |name| answer.headers().get_str(name).map(str::to_owned);
            assert_eq!((answer.status(), answer.body().len()), (200, Some(0)));
            assert_eq!(header("grpc-status"), Some(code.to_string()), "{kind:?}");
            assert_eq!(header("grpc-message").as_deref(), Some(kind.row().text));
            assert_eq!(header("content-type").as_deref(), Some("application/grpc"));
            assert_eq!(header("proxy-status").as_deref(), Some("eproxy"));
        }
    }
}
