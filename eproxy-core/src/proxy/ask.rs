//! What a group wants to know of a request before it chooses an endpoint for it, and what it tells the client after that.

use std::net::IpAddr;

use crate::driver::Peer;
use crate::http1::Lines;
use crate::upstream::{Ask, HashKey, Wishes, cookie_values, hash};

use super::relay::Relay;
use super::reverse::Reverse;
use super::tries::Chosen;

/// Reads what is asked for; nothing is read of requests to groups that ask for nothing.
pub(super) fn ask(relay: &Relay<'_>, reverse: &Reverse) -> Ask {
    let Some(wishes) = &reverse.wishes else { return Ask::default() };
    let head = relay.head_bytes();
    let client = match relay.client.peer {
        Peer::Tcp(address) => Some(address.ip()),
        Peer::Unix => None,
    };
    let (path, query) = (relay.head.path.of(head), relay.head.query.map(|query| query.of(head)));
    read(&Asking { lines: relay.lines(), path, query, client }, wishes)
}

/// What wishes are read from.
pub(super) struct Asking<'a> {
    pub(super) lines: Lines<'a>,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    pub(super) client: Option<IpAddr>,
}

/// Reads what is asked for.
pub(super) fn read(asking: &Asking<'_>, wishes: &Wishes) -> Ask {
    let value = wishes.header.as_ref().and_then(|header| asking.lines.values(header).next());
    Ask {
        key: wishes.key.as_ref().and_then(|key| key_of(asking, key)),
        value: value.map(hash),
        token: token(asking.lines, wishes),
    }
}

/// The value of the Set-Cookie field that tells the client who has answered it, if it does not know that already.
pub(super) fn cookie(relay: &Relay<'_>, reverse: &Reverse, to: &Chosen<'_>) -> Option<String> {
    let wishes = reverse.wishes.as_ref()?;
    let (cookie, pick) = (wishes.cookie.as_ref()?, to.pick()?);
    (token(relay.lines(), wishes) != Some(pick.token())).then(|| cookie.set(pick.token()))
}

/// Who has answered this client before, as its cookie says.
fn token(lines: Lines<'_>, wishes: &Wishes) -> Option<u64> {
    wishes.cookie.as_ref()?.endpoint(lines.values("cookie"))
}

fn key_of(asking: &Asking<'_>, key: &HashKey) -> Option<u64> {
    match key {
        HashKey::Header(name) => asking.lines.values(name).next().map(hash),
        HashKey::Cookie(name) => {
            let mut fields = asking.lines.values("cookie");
            fields.find_map(|field| cookie_values(field, name.as_bytes()).next()).map(hash)
        }
        HashKey::Query(name) => {
            let mut pairs = asking.query?.split(|byte| *byte == b'&');
            pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).map(hash)
        }
        HashKey::Path => Some(hash(asking.path)),
        HashKey::Client => Some(match asking.client?.to_canonical() {
            IpAddr::V4(ip) => hash(&ip.octets()),
            IpAddr::V6(ip) => hash(&ip.octets()),
        }),
    }
}
