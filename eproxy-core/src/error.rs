//! The one error of the crate, and the one table that says what each kind of failure means.
//!
//! Every failure has a private [`Kind`]. A kind fixes four decisions at once: the status a client gets, whether
//! another attempt may be made, whether the downstream connection closes, and how loudly it is logged. The table has
//! no catch-all arm, so a new kind does not compile until all of them are decided.
//!
//! Nothing here does I/O, and nothing here knows which part of the crate failed beyond its [`Side`].

use std::borrow::Cow;
use std::fmt;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the server, of a handler, or of an exchange with an upstream.
///
/// It says on which [`Side`] it happened and which [`status`](Self::status) an HTTP client should be given for it; the
/// exact kind is private, so that kinds can be added. `Display` gives one line without the cause;
/// [`source`](std::error::Error::source) has the cause.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let error = eproxy_core::Client::new().send("ftp://localhost/").await.err().expect("only http is spoken");
/// assert_eq!(error.status(), 502);
/// # })
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    detail: Option<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The side of the proxy on which a failure happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client that sent the request.
    Downstream,
    /// The server that the request was sent on to.
    Upstream,
    /// This program: its configuration, its handlers, its machine.
    Local,
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, detail: None, source: None }))
    }

    /// Adds what exactly was wrong, for logs and for the programmer; never sent to a client.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// What exactly was wrong.
    pub(crate) fn into_detail(self) -> String {
        self.0.detail.map(Cow::into_owned).unwrap_or_default()
    }

    /// The same error once more, without its cause.
    pub(crate) fn again(&self) -> Self {
        Self(Box::new(Inner { kind: self.0.kind, detail: self.0.detail.clone(), source: None }))
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the pattern of the route that it is about.
    pub(crate) fn on_route(mut self, pattern: &str) -> Self {
        let detail = self.0.detail.as_deref().unwrap_or_default();
        self.0.detail = Some(format!("{detail}, on route {pattern}").into());
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The side on which it failed.
    #[must_use]
    pub fn side(&self) -> Side {
        self.0.kind.row().side
    }

    /// The HTTP status that tells a client of this failure: 4xx for its own faults, 500 for ours, 502 and 504 for the
    /// upstream's (RFC 9110 §15.5, §15.6).
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.kind.row().status
    }

    /// Whether the same request may be sent again without the risk that it takes effect twice, as far as this
    /// failure is concerned (RFC 9110 §9.2.2): nothing of it reached the upstream.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.kind.row().retryable
    }

    /// Whether a time limit ended it.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::HeadTimeout
                | Kind::BodyTimeout
                | Kind::ConnectTimeout
                | Kind::UpstreamHeadTimeout
                | Kind::AttemptTimeout
                | Kind::QueueTimeout
                | Kind::UpstreamWriteTimeout
                | Kind::UpstreamBodyTimeout
        )
    }

    /// Whether a limit on size or number ended it.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::HeadTooLarge
                | Kind::TooManyHeaders
                | Kind::TargetTooLong
                | Kind::BodyTooLarge
                | Kind::Overloaded
                | Kind::QueueFull
        )
    }

    /// The name under which it is counted, in snake case: `bare_line_feed`, `connect_timeout`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.kind.row().name
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.row().text)?;
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind);
        if let Some(detail) = &self.0.detail {
            out.field("detail", detail);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

/// For `AsyncRead` and `AsyncWrite`, whose errors are I/O errors: the eproxy error travels inside.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            Kind::Truncated | Kind::UpstreamTruncated => ErrorKind::UnexpectedEof,
            Kind::DownstreamGone => ErrorKind::BrokenPipe,
            _ if error.is_timeout() => ErrorKind::TimedOut,
            _ => ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Takes the eproxy error out of an I/O error that carries one, such as that of reading a body; any other failed with
/// the body that it was read from or written to.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => Self::new(Kind::BodyFailed).because(error),
        }
    }
}

/// What a kind of failure means; see [`Kind::row`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Counter and log name.
    pub(crate) name: &'static str,
    /// One line for people, without a full stop.
    pub(crate) text: &'static str,
    pub(crate) side: Side,
    pub(crate) status: u16,
    /// Nothing of the request can have taken effect at an upstream.
    pub(crate) retryable: bool,
    /// The downstream connection cannot be used for another exchange.
    pub(crate) close: bool,
    pub(crate) level: log::Level,
    /// The error type of a Proxy-Status field (RFC 9209 §2.3); empty where there is nothing to tell.
    pub(crate) proxy_status: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $side:ident $status:literal $retry:ident $close:ident $level:ident
        $proxy_status:literal $text:literal;)+) => {
        /// Every way in which something fails.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum Kind { $($(#[$doc])* $kind),+ }

        impl Kind {
            /// All kinds, in the order of their numbers.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The table: kind → name, side, status, retryable, close, level, Proxy-Status, text.
            pub(crate) const fn row(self) -> Row {
                match self {
                    $(Self::$kind => Row {
                        name: $name,
                        text: $text,
                        side: Side::$side,
                        status: $status,
                        retryable: kinds!(@ $retry),
                        close: kinds!(@ $close),
                        level: log::Level::$level,
                        proxy_status: $proxy_status,
                    }),+
                }
            }
        }
    };
    (@ retry) => { true };
    (@ once) => { false };
    (@ close) => { true };
    (@ keep) => { false };
}

kinds! {
    // What a client sent that is refused (design: the promises on malformed messages and limits).
    BadRequestLine "bad_request_line" Downstream 400 once close Debug "" "malformed request line";
    BadVersion "bad_version" Downstream 505 once close Debug "" "HTTP version not supported";
    BareLineFeed "bare_line_feed" Downstream 400 once close Debug "" "line ended by a bare LF or broken by a bare CR";
    BadHeaderName "bad_header_name" Downstream 400 once close Debug "" "malformed header name";
    BadHeaderValue "bad_header_value" Downstream 400 once close Debug "" "control character in a header value";
    FoldedHeader "folded_header" Downstream 400 once close Debug "" "header line folded over two lines";
    BadHost "bad_host" Downstream 400 once close Debug "" "missing, repeated or invalid Host";
    BadTarget "bad_target" Downstream 400 once close Debug "" "malformed request target";
    BadContentLength "bad_content_length" Downstream 400 once close Debug "" "invalid or contradictory Content-Length";
    LengthAndCoding "length_and_coding" Downstream 400 once close Debug "" "Content-Length together with Transfer-Encoding";
    BadTransferEncoding "bad_transfer_encoding" Downstream 400 once close Debug "" "invalid Transfer-Encoding";
    UnknownCoding "unknown_coding" Downstream 501 once close Debug "" "transfer coding not implemented";
    BadChunk "bad_chunk" Downstream 400 once close Debug "" "malformed chunked body";
    BadTrailer "bad_trailer" Downstream 400 once close Debug "" "malformed trailer section";
    BadExpectation "bad_expectation" Downstream 417 once close Debug "" "expectation other than 100-continue";
    HeadTooLarge "head_too_large" Downstream 431 once close Debug "" "request head over its size limit";
    TooManyHeaders "too_many_headers" Downstream 431 once close Debug "" "more header lines than allowed";
    TargetTooLong "target_too_long" Downstream 414 once close Debug "" "request target over its size limit";
    BodyTooLarge "body_too_large" Downstream 413 once close Debug "" "request body over its size limit";
    HeadTimeout "head_timeout" Downstream 408 once close Debug "" "request head not complete in time";
    BodyTimeout "body_timeout" Downstream 408 once close Debug "" "request body stalled or too slow";
    BadConnectionOptions "bad_connection_options" Downstream 400 once close Debug "" "Connection names too many fields";
    BadUpgrade "bad_upgrade" Downstream 400 once close Debug "" "malformed request for another protocol";
    WebSocketVersion "websocket_version" Downstream 426 once keep Debug "" "WebSocket version not supported";
    BadProxyProtocol "bad_proxy_protocol" Downstream 400 once close Debug "" "malformed or missing PROXY protocol header";
    TlsTimeout "tls_handshake_timeout" Downstream 408 once close Debug "" "TLS handshake not complete in time";
    TlsHandshakeLimit "tls_handshake_limit" Downstream 503 once close Warn "" "too many TLS handshakes at once";
    Misdirected "misdirected" Downstream 421 once close Debug "" "request for another host than the TLS handshake named";
    Http2Error "http2_error" Downstream 400 once close Debug "" "HTTP/2 connection given up for what the client sent";
    Http2Flood "http2_flood" Downstream 400 once close Info "" "HTTP/2 client sent frames that do nothing but cost";
    BadGrpcWeb "bad_grpc_web" Downstream 400 once close Debug "" "gRPC-Web body is not valid base64";
    BodyWithTrace "body_with_trace" Downstream 400 once close Debug "" "TRACE or CONNECT with a body";
    LoopDetected "loop_detected" Downstream 508 once keep Warn "proxy_loop_detected" "request came by here several times";
    NotForward "not_forward" Downstream 400 once keep Debug "" "request is not one for a forward proxy";
    ProxyAuth "proxy_authentication" Downstream 407 once keep Debug "http_request_denied" "proxy credentials missing or wrong";
    PortDenied "port_denied" Downstream 403 once keep Info "http_request_denied" "port not allowed";
    /// No answer can be sent: there is nothing yet to send it in.
    TlsAccept "tls_handshake_failed" Downstream 400 once close Debug "" "TLS handshake with a client failed";
    Truncated "truncated" Downstream 400 once close Debug "" "connection ended inside a request";
    /// The client reset the connection or stopped taking the answer.
    DownstreamGone "downstream_gone" Downstream 499 once close Debug "" "client went away";

    // What a handler or the embedding program did.
    HandlerPanicked "handler_panicked" Local 500 once keep Error "" "handler panicked";
    ResponseDropped "response_dropped" Local 500 once keep Error "" "handler dropped its response unanswered";
    BadResponse "bad_response" Local 500 once keep Error "" "handler set a value that HTTP cannot carry";
    BodyFailed "body_failed" Local 500 once close Warn "" "response body failed before its end";
    BadPattern "bad_pattern" Local 500 once keep Error "" "invalid route pattern";
    BadAddress "bad_address" Local 500 once keep Error "" "invalid listen address";
    BadOption "bad_option" Local 500 once keep Error "" "invalid option";
    Listen "listen" Local 500 once keep Error "" "cannot listen";
    Start "start" Local 500 once keep Error "" "cannot start a worker";
    BadRequest "bad_outgoing_request" Local 500 once keep Error "" "request cannot be sent";
    Convert "convert" Local 500 once keep Debug "" "message cannot be expressed in the other type";
    HookFailed "hook_failed" Local 500 once keep Error "proxy_internal_error" "hook failed or panicked";
    FilterFailed "filter_failed" Local 502 once close Error "proxy_internal_error" "body filter failed";
    BodyTaken "body_taken" Local 500 once keep Error "" "request body was taken already";

    // What went wrong on the way to an upstream.
    Scheme "scheme" Upstream 502 retry keep Warn "proxy_configuration_error" "URL scheme not supported";
    Resolve "resolve" Upstream 502 retry keep Warn "dns_error" "upstream name does not resolve";
    Connect "connect" Upstream 502 retry keep Warn "connection_refused" "upstream refused the connection";
    ConnectTimeout "connect_timeout" Upstream 504 retry keep Warn "connection_timeout" "upstream did not accept the connection in time";
    TlsHandshake "tls_handshake" Upstream 502 retry keep Warn "tls_protocol_error" "TLS handshake with the upstream failed";
    Lookups "lookups" Local 503 retry keep Warn "dns_error" "too many name look-ups at once";
    NoEndpoint "no_endpoint" Upstream 503 retry keep Warn "destination_unavailable" "no endpoint of the group is fit";
    Overloaded "overloaded" Upstream 503 retry keep Warn "connection_limit_reached" "every endpoint of the group has all that it may be given";
    QueueFull "queue_full" Upstream 503 retry keep Warn "connection_limit_reached" "too many requests wait for an endpoint";
    QueueTimeout "queue_timeout" Upstream 503 retry keep Warn "connection_limit_reached" "no endpoint had room in time";
    Destination "destination_denied" Upstream 403 once keep Info "destination_ip_prohibited" "destination address not allowed";
    ParentRefused "parent_refused" Upstream 502 once keep Warn "http_request_denied" "parent proxy refused";
    UpstreamClosed "upstream_closed" Upstream 502 once keep Warn "connection_terminated" "upstream closed the connection before answering";
    UpstreamRefused "upstream_refused" Upstream 502 retry keep Warn "connection_terminated" "upstream refused the request without looking at it";
    UpstreamIo "upstream_io" Upstream 502 once keep Warn "connection_terminated" "connection to the upstream failed";
    UpstreamHeadTimeout "upstream_head_timeout" Upstream 504 once keep Warn "http_response_timeout" "upstream did not answer in time";
    AttemptTimeout "attempt_timeout" Upstream 504 once keep Warn "http_response_timeout" "endpoint did not answer in the time for one try";
    UpstreamWriteTimeout "upstream_write_timeout" Upstream 504 once keep Warn "connection_write_timeout" "upstream stopped taking the request";
    UpstreamHeadTooLarge "upstream_head_too_large" Upstream 502 once keep Warn "http_response_header_section_size" "upstream sent an answer head over the size limit";
    UpgradeFailed "upgrade_failed" Upstream 502 once keep Warn "http_upgrade_failed" "upstream switched protocols as it was not asked to";
    UpstreamBodyTimeout "upstream_body_timeout" Upstream 504 once close Warn "connection_read_timeout" "upstream stalled inside its answer";
    BadAnswer "bad_answer" Upstream 502 once keep Warn "http_protocol_error" "upstream sent a malformed answer";
    UpstreamTruncated "upstream_truncated" Upstream 502 once close Warn "http_response_incomplete" "upstream ended its answer early";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_numbers_follow_the_table() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.row().name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
        for (number, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, number);
        }
    }

    #[test]
    fn display_has_the_detail_and_leaves_the_cause_to_source() {
        let error = Error::new(Kind::Connect).detail("127.0.0.1:1").because(std::io::Error::other("boom"));
        assert_eq!(error.to_string(), "upstream refused the connection: 127.0.0.1:1");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some("boom".into()));
        assert_eq!((error.side(), error.status(), error.is_retryable()), (Side::Upstream, 502, true));
    }
}
