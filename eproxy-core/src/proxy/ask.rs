//! What a group wants to know of a request before it chooses an endpoint for it, and what it tells the client after that.

use std::net::IpAddr;

use crate::driver::Peer;
use crate::upstream::{Ask, HashKey, Wishes, cookie_values, hash};

use super::relay::Relay;
use super::reverse::Reverse;
use super::tries::Chosen;

/// Reads what is asked for; nothing is read of requests to groups that ask for nothing.
pub(super) fn ask(relay: &Relay<'_>, reverse: &Reverse) -> Ask {
    let Some(wishes) = &reverse.wishes else { return Ask::default() };
    let value = wishes.header.as_ref().and_then(|header| relay.lines().values(header).next());
    Ask {
        key: wishes.key.as_ref().and_then(|key| key_of(relay, key)),
        value: value.map(hash),
        token: token(relay, wishes),
    }
}

/// The value of the Set-Cookie field that tells the client who has answered it, if it does not know that already.
pub(super) fn cookie(relay: &Relay<'_>, reverse: &Reverse, to: &Chosen<'_>) -> Option<String> {
    let wishes = reverse.wishes.as_ref()?;
    let (cookie, pick) = (wishes.cookie.as_ref()?, to.pick()?);
    (token(relay, wishes) != Some(pick.token())).then(|| cookie.set(pick.token()))
}

/// Who has answered this client before, as its cookie says.
fn token(relay: &Relay<'_>, wishes: &Wishes) -> Option<u64> {
    wishes.cookie.as_ref()?.endpoint(relay.lines().values("cookie"))
}

fn key_of(relay: &Relay<'_>, key: &HashKey) -> Option<u64> {
    let head = relay.head_bytes();
    match key {
        HashKey::Header(name) => relay.lines().values(name).next().map(hash),
        HashKey::Cookie(name) => {
            let mut fields = relay.lines().values("cookie");
            fields.find_map(|field| cookie_values(field, name.as_bytes()).next()).map(hash)
        }
        HashKey::Query(name) => {
            let mut pairs = relay.head.query?.of(head).split(|byte| *byte == b'&');
            pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).map(hash)
        }
        HashKey::Path => Some(hash(relay.head.path.of(head))),
        HashKey::Client => match relay.client.peer {
            Peer::Tcp(address) => Some(match address.ip().to_canonical() {
                IpAddr::V4(ip) => hash(&ip.octets()),
                IpAddr::V6(ip) => hash(&ip.octets()),
            }),
            Peer::Unix => None,
        },
    }
}
