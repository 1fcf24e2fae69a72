//! What is known of a connection once its handshake is over.

use std::cell::OnceCell;
use std::sync::Arc;

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use super::{ClientCertificate, TlsVersion};

/// A protocol that is spoken inside TLS, as ALPN names it (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Alpn {
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
}

impl Alpn {
    pub(super) fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        [Self::Http1, Self::Http2].into_iter().find(|alpn| alpn.name() == name)
    }

    /// What a side that can do HTTP/2 as well offers; the first is preferred.
    pub(super) fn offer(http2: bool) -> Vec<Vec<u8>> {
        let offered: &[Self] = if http2 { &[Self::Http2, Self::Http1] } else { &[Self::Http1] };
        offered.iter().map(|alpn| alpn.name().to_vec()).collect()
    }
}

/// What two sides will have agreed on. Nothing is known before the handshake is over.
#[derive(Debug, Default)]
pub(crate) struct Session(OnceCell<TlsSession>);

/// What was agreed on with the client of a connection that speaks TLS; see [`Request::tls`](crate::Request::tls).
#[derive(Clone, Debug)]
pub struct TlsSession(Arc<Agreed>);

#[derive(Debug)]
struct Agreed {
    alpn: Option<Alpn>,
    server_name: Option<Box<str>>,
    client_certificate: Option<ClientCertificate>,
    version: TlsVersion,
    is_resumed: bool,
    cipher_suite: &'static str,
    key_exchange: Option<&'static str>,
}

impl TlsSession {
    /// The name that the client has asked for (RFC 6066 §3), in lower case and without a dot at its end.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// The certificate that the client has shown, and that was verified; of a resumed session, the one of its beginning.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.0.client_certificate.as_ref()
    }

    /// The version of TLS.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.0.version
    }

    /// Whether it goes on with what was agreed on in an earlier connection.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.0.is_resumed
    }

    /// The cipher suite, as IANA calls it: `TLS_AES_128_GCM_SHA256`.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        self.0.cipher_suite
    }

    /// The group in which keys were exchanged: `X25519MLKEM768`. None where a resumed session of TLS 1.2 has exchanged none.
    #[must_use]
    pub fn key_exchange(&self) -> Option<&'static str> {
        self.0.key_exchange
    }
}

impl Session {
    /// Takes down what was agreed on, once; `server_name` is in lower case.
    pub(super) fn begin(&self, state: &CommonState, server_name: Option<Box<str>>, is_server: bool) {
        let client_certificate = match is_server {
            true => state.peer_certificates().and_then(<[_]>::first).map(|der| ClientCertificate::new(der)),
            false => None,
        };
        let agreed = Agreed {
            alpn: state.alpn_protocol().and_then(Alpn::of),
            server_name,
            client_certificate,
            version: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
                _ => TlsVersion::Tls13,
            },
            is_resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            cipher_suite: state.negotiated_cipher_suite().map_or("unknown", |suite| iana(suite.suite())),
            key_exchange: state
                .negotiated_key_exchange_group()
                .map(|group| group.name().as_str().unwrap_or("unknown")),
        };
        let _is_first = self.0.set(TlsSession(Arc::new(agreed)));
    }

    /// What was agreed on.
    pub(crate) fn agreed(&self) -> Option<&TlsSession> {
        self.0.get()
    }

    /// The protocol inside; none where nobody has asked for one, which means HTTP/1.1.
    pub(crate) fn alpn(&self) -> Option<Alpn> {
        self.agreed()?.0.alpn
    }

    /// The certificate that the client has shown.
    pub(crate) fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.agreed()?.client_certificate()
    }

    /// Whether it goes on with an earlier one.
    pub(crate) fn is_resumed(&self) -> bool {
        self.agreed().is_some_and(TlsSession::is_resumed)
    }

    /// Whether a request for this host may come over the connection: it must be for the host that the client asked for
    /// when it was chosen which certificate it is shown (RFC 9110 §7.4); otherwise it is misdirected (§15.5.20). A client
    /// that has asked for none may ask for all.
    pub(crate) fn answers_for(&self, host: &str) -> bool {
        let Some(name) = self.agreed().and_then(TlsSession::server_name) else { return true };
        // A colon in brackets is part of an address, and no address is a server name.
        let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
        name.eq_ignore_ascii_case(host.strip_suffix('.').unwrap_or(host))
    }
}

/// The name of a suite in IANA's registry: those of TLS 1.3 are without the version there.
fn iana(suite: rustls::CipherSuite) -> &'static str {
    use rustls::CipherSuite as Suite;
    match suite {
        Suite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        Suite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        Suite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_host_that_its_client_has_asked_for() {
        let of = |name: Option<&str>, host| {
            let session = Session::default();
            let agreed = Agreed {
                alpn: None,
                server_name: name.map(Into::into),
                client_certificate: None,
                version: TlsVersion::Tls13,
                is_resumed: false,
                cipher_suite: "",
                key_exchange: None,
            };
            session.0.set(TlsSession(Arc::new(agreed))).unwrap();
            session.answers_for(host)
        };
        for host in ["a.test", "A.Test", "a.test:8443", "a.test.", "a.test.:443"] {
            assert!(of(Some("a.test"), host) && of(None, host), "{host}");
        }
        for host in ["b.test", "x.a.test", "", "a.test..", "[::1]", "[::1]:443", "127.0.0.1", "a.test:8443:"]
        {
            assert!(!of(Some("a.test"), host) && of(None, host), "{host}");
        }
    }
}
