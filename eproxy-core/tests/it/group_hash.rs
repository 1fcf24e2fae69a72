//! Balancing by a key: the same key leads to the same endpoint, and hardly any other moves when one leaves.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Balance, Endpoint, Group, HashKey, Proxy};

use crate::support::lab::{group, lettered, serve};

/// A way to put a key into a request.
#[derive(Clone, Copy, Debug)]
enum By {
    Header,
    Cookie,
    Query,
    Path,
    Client,
}

const ALL: [By; 5] = [By::Header, By::Cookie, By::Query, By::Path, By::Client];

impl By {
    fn key(self) -> HashKey {
        match self {
            Self::Header => HashKey::Header("X-User".into()),
            Self::Cookie => HashKey::Cookie("user".into()),
            Self::Query => HashKey::Query("user".into()),
            Self::Path => HashKey::Path,
            Self::Client => HashKey::Client,
        }
    }

    /// Asks with a key; gives who has answered.
    fn ask(self, lab: &Lab, key: u16) -> String {
        let client = match self {
            Self::Client => {
                let [high, low] = key.to_be_bytes();
                // The port says nothing of who it is.
                let port = 1000 + u16::try_from(lab.stats().requests % 1000).expect("it is small");
                lab.connect_from(SocketAddr::from(([198, 51, high, low], port)))
            }
            _ => lab.connect(),
        };
        let (target, fields) = match self {
            Self::Header => ("/".into(), format!("x-user: {key}\r\n")),
            Self::Cookie => ("/".into(), format!("Cookie: a=b; user={key}; c=d\r\n")),
            Self::Query => (format!("/?a=b&user={key}&c=d"), String::new()),
            Self::Path => (format!("/{key}?a=b"), String::new()),
            Self::Client => ("/".into(), String::new()),
        };
        client.ask(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")).text().to_owned()
    }

    fn ask_all(self, lab: &Lab) -> BTreeMap<u16, String> {
        (0..KEYS).map(|key| (key, self.ask(lab, key))).collect()
    }
}

const KEYS: u16 = 200;

fn hashing(by: By) -> (Lab, Group) {
    let (lab, _upstreams) = lettered(['a', 'b', 'c', 'd', 'e']);
    let group = group("abcde").balance(Balance::Hash(by.key()));
    serve(&lab, Proxy::to(group.clone()));
    (lab, group)
}

#[test]
fn the_same_key_leads_to_the_same_endpoint() {
    for by in ALL {
        let (lab, _group) = hashing(by);
        let first = by.ask_all(&lab);
        assert_eq!(by.ask_all(&lab), first, "{by:?}");
        for letter in ["a", "b", "c", "d", "e"] {
            let keys = first.values().filter(|said| *said == letter).count();
            assert!(keys > usize::from(KEYS) / 15, "{by:?}: {letter} has {keys} keys");
        }
    }
}

#[test]
fn replicas_lead_the_same_key_to_the_same_endpoint_in_whatever_order_they_know_them() {
    let (lab, _group) = hashing(By::Header);
    let (other, _upstreams) = lettered(['a', 'b', 'c', 'd', 'e']);
    serve(&other, Proxy::to(group("decab").balance(Balance::Hash(By::Header.key()))));
    assert_eq!(By::Header.ask_all(&lab), By::Header.ask_all(&other));
}

#[test]
fn only_the_keys_of_an_endpoint_that_leaves_move_and_they_come_back() {
    for by in ALL {
        let (lab, group) = hashing(by);
        let before = by.ask_all(&lab);
        let check = |what: &str| {
            let meanwhile = by.ask_all(&lab);
            let moved = before.iter().filter(|(key, said)| meanwhile[*key] != **said).count();
            for (key, said) in &meanwhile {
                assert_ne!(said, "c", "{by:?}, {what}");
                assert!(before[key] == "c" || before[key] == *said, "{by:?}, {what}: {key} has moved");
            }
            let most = f64::from(KEYS) * (1.0 / 5.0 + 0.1);
            assert!(moved > 0 && moved as f64 <= most, "{by:?}, {what}: {moved} have moved");
        };
        group.drain("http://c.test").unwrap();
        check("it is drained");
        group.resume("http://c.test").unwrap();
        assert_eq!(by.ask_all(&lab), before, "{by:?}: it is back");
        group.remove("http://c.test").unwrap();
        check("it is gone");
        group.add(Endpoint::new("http://c.test")).unwrap();
        assert_eq!(by.ask_all(&lab), before, "{by:?}: it is there again");
    }
}

#[test]
fn a_request_without_a_key_is_served_by_anybody() {
    for by in [By::Header, By::Cookie, By::Query] {
        let (lab, _group) = hashing(by);
        let client = lab.connect();
        let mut said: Vec<_> = (0..200)
            .map(|_| client.ask("GET /?a=b HTTP/1.1\r\nHost: test\r\nCookie: a=b\r\n\r\n").text().to_owned())
            .collect();
        said.sort_unstable();
        said.dedup();
        assert_eq!(said, ["a", "b", "c", "d", "e"], "{by:?}");
    }
}

#[test]
fn a_few_requests_at_once_do_not_take_a_key_from_its_endpoint() {
    let (lab, upstreams) = lettered(['a', 'b', 'c', 'd']);
    upstreams.iter().for_each(|upstream| upstream.set(Script::new().stall()));
    serve(&lab, Proxy::to(group("abcd").balance(Balance::Hash(HashKey::Header("X-User".into())))));
    let _pending: Vec<_> =
        (0..10).map(|_| lab.send("GET / HTTP/1.1\r\nHost: test\r\nX-User: 7\r\n\r\n")).collect();
    let mut requests: Vec<_> = upstreams.iter().map(|upstream| upstream.requests()).collect();
    requests.sort_unstable();
    assert_eq!(requests, [0, 0, 0, 10]);
}

#[test]
fn a_key_that_everybody_has_does_not_bury_its_endpoint() {
    let (lab, upstreams) = lettered(['a', 'b', 'c', 'd']);
    upstreams.iter().for_each(|upstream| upstream.set(Script::new().stall()));
    serve(&lab, Proxy::to(group("abcd").balance(Balance::Hash(HashKey::Header("X-User".into())))));
    let _pending: Vec<_> =
        (0..200).map(|_| lab.send("GET / HTTP/1.1\r\nHost: test\r\nX-User: 7\r\n\r\n")).collect();
    for upstream in &upstreams {
        let requests = upstream.requests();
        assert!(requests <= 200 / 4 * 5 / 4 + 1, "one has {requests} of 200");
    }
}
