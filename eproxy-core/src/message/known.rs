//! The header fields that mean something to a proxy.

/// A field's name, told once when it is parsed: whoever looks for one of these need not compare names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Known {
    /// Any other field.
    Other,
    /// What says who the client is by a certificate: `Client-Cert` and its like (RFC 9440).
    ClientCertificate,
    Connection,
    ContentLength,
    ContentLocation,
    ContentType,
    Date,
    Expect,
    Forwarded,
    Host,
    KeepAlive,
    Location,
    MaxForwards,
    /// Named by `Connection`, whatever it is.
    Nominated,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    SecWebSocket,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Http2Settings,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    /// What else claims to say where a request came from: `X-Real-IP`, `X-Forwarded-Port` and its like.
    XForwardedOther,
}

impl Known {
    /// Tells the field by its name; without regard to case.
    pub(crate) fn of(name: &[u8]) -> Self {
        let first = name.first().map_or(0, |byte| byte | 0x20);
        let is = |known: &str| first == known.as_bytes()[0] && name.eq_ignore_ascii_case(known.as_bytes());
        // By length first: most names are told apart without being compared.
        match name.len() {
            2 if is("te") => Self::Te,
            3 if is("via") => Self::Via,
            4 if is("host") => Self::Host,
            4 if is("date") => Self::Date,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            7 if is("trailer") => Self::Trailer,
            8 if is("location") => Self::Location,
            9 if is("forwarded") => Self::Forwarded,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            10 if is("set-cookie") => Self::SetCookie,
            12 if is("max-forwards") => Self::MaxForwards,
            12 if is("content-type") => Self::ContentType,
            14 if is("content-length") => Self::ContentLength,
            14 if is("http2-settings") => Self::Http2Settings,
            16 if is("content-location") => Self::ContentLocation,
            16 if is("proxy-connection") => Self::ProxyConnection,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            18 if is("proxy-authenticate") => Self::ProxyAuthenticate,
            19 if is("proxy-authorization") => Self::ProxyAuthorization,
            11 if first == b'c' && begins(name, "client-cert") => Self::ClientCertificate,
            17 if first == b'c' && begins(name, "client-cert-chain") => Self::ClientCertificate,
            17 | 20..=24 if first == b's' && starts(name, "sec-websocket-") => Self::SecWebSocket,
            9.. if first == b'x' => Self::of_x(name),
            _ => Self::Other,
        }
    }

    /// The fields that claim where a request came from.
    fn of_x(name: &[u8]) -> Self {
        match name.len() {
            9 if begins(name, "x-real-ip") => Self::XForwardedOther,
            15 if begins(name, "x-forwarded-for") => Self::XForwardedFor,
            16 if begins(name, "x-forwarded-host") => Self::XForwardedHost,
            16 if begins(name, "x-client-subject") => Self::ClientCertificate,
            17 if begins(name, "x-forwarded-proto") => Self::XForwardedProto,
            _ if begins(name, "x-forwarded-") => Self::XForwardedOther,
            _ => Self::Other,
        }
    }

    /// Whether the field belongs to a single connection whatever `Connection` says (RFC 9110 §7.6.1). `Trailer` does
    /// not: it stays with the trailers that it names.
    pub(crate) fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::Nominated
                | Self::ProxyConnection
                | Self::TransferEncoding
                | Self::Te
                | Self::Upgrade
                | Self::Http2Settings
        )
    }
}

/// The same, with an underscore for a hyphen: gateways that hand fields on as variables can't tell one from the other.
fn begins(name: &[u8], known: &str) -> bool {
    let same = |byte: &u8, known: &u8| (*byte == b'_' && *known == b'-') || byte.eq_ignore_ascii_case(known);
    name.len() >= known.len() && name.iter().zip(known.as_bytes()).all(|(byte, known)| same(byte, known))
}

fn starts(name: &[u8], known: &str) -> bool {
    name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_without_regard_to_case() {
        for (name, known) in [
            ("HOST", Known::Host),
            ("Content-length", Known::ContentLength),
            ("Sec-WebSocket-Key", Known::SecWebSocket),
            ("sec-websocket-extensions", Known::SecWebSocket),
            ("X-Forwarded-For", Known::XForwardedFor),
            ("x_forwarded_for", Known::XForwardedFor),
            ("X-Forwarded_Proto", Known::XForwardedProto),
            ("X-Forwarded-Server", Known::XForwardedOther),
            ("X-Real-IP", Known::XForwardedOther),
            ("X-Forwarded", Known::Other),
            ("client_cert", Known::ClientCertificate),
            ("Client-Cert-Chain", Known::ClientCertificate),
            ("X-Client_Subject", Known::ClientCertificate),
            ("content-Type", Known::ContentType),
            ("X-Request-Id", Known::Other),
            ("Content_Length", Known::Other),
            ("Accept", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
        assert!(Known::of(b"Keep-ALIVE").is_hop_by_hop() && !Known::of(b"Date").is_hop_by_hop());
    }
}
