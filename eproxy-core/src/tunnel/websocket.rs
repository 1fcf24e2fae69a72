//! The handshake of WebSocket (RFC 6455 §4), checked on both sides: an upstream that never meant to switch must not be made
//! to, and a client must not be told that it did.

use crate::error::Kind;
use crate::message::{Field, Known, hop};

/// The fields of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) fields: &'a [Field],
}

impl<'a> Fields<'a> {
    fn all(self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |field: &&Field| {
            field.known == Known::SecWebSocket
                && field.name.of(self.bytes).eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(is_named).map(move |field| field.value.of(self.bytes))
    }

    /// The value of a field that may come once.
    fn once(self, name: &'a str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The members of all fields of a name, each up to its first semicolon.
    fn members(self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let word =
            |member: &'a [u8]| member.split(|byte| *byte == b';').next().unwrap_or(member).trim_ascii();
        self.all(name).flat_map(hop::members).map(word)
    }
}

/// What the answer to a handshake must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    accept: String,
}

impl Handshake {
    /// Checks the request of a client (RFC 6455 §4.2.1).
    ///
    /// # Errors
    ///
    /// `BadUpgrade`; `WebSocketVersion` for another version than 13.
    pub(crate) fn of_request(method: &[u8], request: Fields<'_>) -> Result<Self, Kind> {
        if method != b"GET" {
            return Err(Kind::BadUpgrade);
        }
        let version = request.once("sec-websocket-version").ok_or(Kind::BadUpgrade)?;
        if version != b"13" {
            return Err(Kind::WebSocketVersion);
        }
        let key = request.once("sec-websocket-key").ok_or(Kind::BadUpgrade)?;
        match base64::decode(key) {
            Ok(nonce) if nonce.len() == 16 => Ok(Self { accept: accept(key) }),
            _ => Err(Kind::BadUpgrade),
        }
    }

    /// What answers it.
    pub(crate) fn into_accept(self) -> String {
        self.accept
    }

    /// Whether the upstream's answer is that to the request (RFC 6455 §4.1): its key, and nothing that was not offered.
    pub(crate) fn is_accepted(&self, request: Fields<'_>, answer: Fields<'_>) -> bool {
        let offered = |name: &'static str, word: &[u8]| {
            request.members(name).any(|offer| offer.eq_ignore_ascii_case(word))
        };
        let protocols = "sec-websocket-protocol";
        let extensions = "sec-websocket-extensions";
        answer.once("sec-websocket-accept").is_some_and(|value| value == self.accept.as_bytes())
            && answer.members(protocols).count() <= 1
            && answer.members(protocols).all(|word| offered(protocols, word))
            && answer.members(extensions).all(|word| offered(extensions, word))
    }
}

/// The answer to a key (RFC 6455 §4.2.2).
fn accept(key: &[u8]) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::encode(hash.digest().bytes())
}

#[cfg(test)]
mod tests {
    use crate::message::Headers;

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        fields.iter().for_each(|(name, value)| headers.append(name, value).unwrap());
        headers
    }

    fn fields(headers: &Headers) -> Fields<'_> {
        Fields { bytes: headers.bytes(), fields: headers.fields() }
    }

    const KEY: (&str, &str) = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    const VERSION: (&str, &str) = ("sec-websocket-version", "13");
    const ACCEPT: (&str, &str) = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

    #[test]
    fn the_example_of_the_rfc_is_a_handshake() {
        let request = headers(&[KEY, VERSION, ("Sec-WebSocket-Protocol", "chat, superchat")]);
        let handshake = Handshake::of_request(b"GET", fields(&request)).unwrap();
        let good = headers(&[ACCEPT, ("Sec-WebSocket-Protocol", "chat")]);
        assert!(handshake.is_accepted(fields(&request), fields(&good)));
        for (bad, why) in [
            (headers(&[]), "no answer to the key"),
            (headers(&[("Sec-WebSocket-Accept", "c3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]), "another key's"),
            (headers(&[ACCEPT, ACCEPT]), "twice"),
            (headers(&[ACCEPT, ("Sec-WebSocket-Protocol", "other")]), "a protocol that was not offered"),
            (headers(&[ACCEPT, ("Sec-WebSocket-Protocol", "chat, superchat")]), "two protocols"),
            (headers(&[ACCEPT, ("Sec-WebSocket-Extensions", "permessage-deflate; x=1")]), "an extension"),
        ] {
            assert!(!handshake.is_accepted(fields(&request), fields(&bad)), "{why}");
        }
        let request = headers(&[KEY, VERSION, ("Sec-WebSocket-Extensions", "a, permessage-deflate; y")]);
        let answer = headers(&[ACCEPT, ("Sec-WebSocket-Extensions", "permessage-deflate; x=1")]);
        assert!(handshake.is_accepted(fields(&request), fields(&answer)));
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        for (method, request, kind) in [
            ("POST", headers(&[KEY, VERSION]), Kind::BadUpgrade),
            ("GET", headers(&[KEY]), Kind::BadUpgrade),
            ("GET", headers(&[VERSION]), Kind::BadUpgrade),
            ("GET", headers(&[KEY, KEY, VERSION]), Kind::BadUpgrade),
            ("GET", headers(&[("Sec-WebSocket-Key", "c2hvcnQ="), VERSION]), Kind::BadUpgrade),
            ("GET", headers(&[("Sec-WebSocket-Key", "not base64 at all....."), VERSION]), Kind::BadUpgrade),
            ("GET", headers(&[KEY, ("Sec-WebSocket-Version", "8")]), Kind::WebSocketVersion),
        ] {
            assert_eq!(
                Handshake::of_request(method.as_bytes(), fields(&request)).err(),
                Some(kind),
                "{request:?}"
            );
        }
    }
}
