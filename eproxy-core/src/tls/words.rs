//! What went wrong, in words that an operator understands.

use std::borrow::Cow;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// The error of bytes, or of a peer, that can't be trusted.
pub(super) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("tls: {what}"))
}

/// What an error means; `is_server` tells which side this is.
pub(super) fn words(error: &Error, is_server: bool) -> Cow<'static, str> {
    match error {
        Error::NoApplicationProtocol => "the client knows no protocol that this side speaks".into(),
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "the client has shown no certificate, and must".into(),
        Error::AlertReceived(alert) => told(*alert, is_server),
        Error::DecryptError => "a record was changed on its way, or is none".into(),
        Error::PeerSentOversizedRecord => "a record is longer than one may be".into(),
        Error::InvalidMessage(error) => message(error),
        Error::PeerIncompatible(error) => incompatible(error, is_server),
        Error::PeerMisbehaved(error) => format!("the peer breaks the rules: {error:?}").into(),
        Error::InappropriateMessage { got_type, .. } => {
            format!("a message of a kind that has no place here: {got_type:?}").into()
        }
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            format!("a message of the handshake that has no place here: {got_type:?}").into()
        }
        other => other.to_string().into(),
    }
}

/// What is wrong with a certificate of the peer.
fn certificate(error: &CertificateError) -> Cow<'static, str> {
    use CertificateError as Wrong;
    match error {
        Wrong::Expired | Wrong::ExpiredContext { .. } => "certificate expired".into(),
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => "certificate not valid yet".into(),
        Wrong::Revoked => "certificate revoked".into(),
        Wrong::UnknownIssuer => "certificate of an issuer that is not trusted here".into(),
        Wrong::BadSignature => "certificate or handshake with a wrong signature".into(),
        Wrong::NotValidForName => "certificate not valid for the name".into(),
        Wrong::NotValidForNameContext { expected, presented } => {
            let presented = if presented.is_empty() { "no name".into() } else { presented.join(", ") };
            format!("certificate not valid for {:?}, but for {presented}", expected.to_str()).into()
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            "certificate not made for this side of a connection".into()
        }
        Wrong::BadEncoding => "certificate can't be read".into(),
        other => format!("certificate not accepted: {other}").into(),
    }
}

/// What the peer has told as the reason why it gives up (RFC 8446 §6.2).
fn told(alert: AlertDescription, is_server: bool) -> Cow<'static, str> {
    use AlertDescription as Alert;
    let peer = if is_server { "client" } else { "server" };
    let reason = match alert {
        Alert::UnknownCA => "it does not trust the issuer of our certificate",
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => {
            "it does not accept our certificate"
        }
        Alert::CertificateExpired => "our certificate has expired for it",
        Alert::CertificateRequired => "it wants a certificate of us",
        Alert::UnrecognisedName => "it has no certificate for the name",
        Alert::NoApplicationProtocol => "it speaks no protocol that we offer",
        Alert::ProtocolVersion => "it speaks no version of TLS that we speak",
        Alert::HandshakeFailure => "there is nothing that both sides could agree on",
        Alert::UserCanceled => "its user has",
        other => return format!("the {peer} gave up: {other:?}").into(),
    };
    format!("the {peer} gave up: {reason}").into()
}

fn message(error: &InvalidMessage) -> Cow<'static, str> {
    match error {
        // What a connection begins with that is meant for another port.
        InvalidMessage::InvalidContentType => "what came is not TLS".into(),
        InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge => {
            TOO_LONG.into()
        }
        other => format!("a message that can't be read: {other:?}").into(),
    }
}

/// A handshake in one message that is longer than what is kept for one.
pub(super) const TOO_LONG: &str = "a message of the handshake is too long";

fn incompatible(error: &PeerIncompatible, is_server: bool) -> Cow<'static, str> {
    use PeerIncompatible as Lacks;
    let peer = if is_server { "client" } else { "server" };
    let what = match error {
        Lacks::NoCipherSuitesInCommon => "cipher suite",
        Lacks::NoKxGroupsInCommon => "key exchange",
        Lacks::NoSignatureSchemesInCommon | Lacks::NoCertificateRequestSignatureSchemesInCommon => {
            "signature scheme"
        }
        Lacks::Tls12NotOffered
        | Lacks::Tls12NotOfferedOrEnabled
        | Lacks::SupportedVersionsExtensionRequired
        | Lacks::ServerDoesNotSupportTls12Or13
        | Lacks::ServerTlsVersionIsDisabledByOurConfig => "version of TLS",
        other => return format!("the {peer} lacks what is needed: {other:?}").into(),
    };
    format!("the {peer} knows no {what} that this side speaks").into()
}
