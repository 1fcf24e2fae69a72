//! Requests for another protocol (RFC 9110 §7.8), checked before they are passed on and again when they are granted.

use crate::error::Kind;
use crate::http1::{AnswerFacts, Lines};
use crate::message::{Known, hop};
use crate::tunnel::{Fields, Handshake};

/// What a client asks to switch to.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// The protocols, as they are passed on.
    pub(super) protocols: Vec<u8>,
    websocket: Option<Handshake>,
}

impl Upgrade {
    /// Reads it from a request that asks for an upgrade. None where nothing is left to ask for: HTTP/2 is negotiated in
    /// another way (RFC 9113 §3.1), and asking an upstream for it would let a client speak past this proxy.
    ///
    /// # Errors
    ///
    /// `BadUpgrade`, `WebSocketVersion`: what asks for a WebSocket is no valid handshake.
    pub(super) fn of_request(method: &[u8], lines: &Lines<'_>) -> Result<Option<Self>, Kind> {
        let mut protocols = Vec::new();
        let mut is_websocket = false;
        for protocol in wanted(lines).filter(|protocol| !is_http2(protocol)) {
            protocols.extend_from_slice(if protocols.is_empty() { b"" } else { b", " });
            protocols.extend_from_slice(protocol);
            is_websocket |= protocol.eq_ignore_ascii_case(b"websocket");
        }
        if protocols.is_empty() {
            return Ok(None);
        }
        let websocket = match is_websocket {
            true => Some(Handshake::of_request(method, fields(lines))?),
            false => None,
        };
        Ok(Some(Self { protocols, websocket }))
    }

    /// The protocol that an upstream has switched to with a 101; none where it was not asked to.
    pub(super) fn granted<'a>(
        &self,
        request: &Lines<'_>,
        answer: &Lines<'a>,
        facts: &AnswerFacts,
    ) -> Option<&'a [u8]> {
        if !facts.upgrades {
            return None;
        }
        let mut protocols = wanted(answer);
        let protocol = protocols.next()?;
        let was_offered = hop::members(&self.protocols).any(|offer| offer.eq_ignore_ascii_case(protocol));
        if !was_offered || protocols.next().is_some() {
            return None;
        }
        let is_good = match &self.websocket {
            Some(handshake) if protocol.eq_ignore_ascii_case(b"websocket") => {
                handshake.is_accepted(fields(request), fields(answer))
            }
            _ => true,
        };
        is_good.then_some(protocol)
    }
}

fn wanted<'a>(lines: &Lines<'a>) -> impl Iterator<Item = &'a [u8]> {
    let bytes = lines.bytes;
    let upgrades = lines.fields.iter().filter(|field| field.known == Known::Upgrade);
    upgrades.flat_map(move |field| hop::members(field.value.of(bytes)))
}

fn is_http2(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or(protocol);
    [&b"h2c"[..], b"h2", b"http"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn fields<'a>(lines: &Lines<'a>) -> Fields<'a> {
    Fields { bytes: lines.bytes, fields: lines.fields }
}
