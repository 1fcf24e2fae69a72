//! What is made of bytes: records in any pieces, damaged ones, messages cut into crumbs.

use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::server::UnbufferedServerConnection;

use crate::driver::Then;
use crate::tls::cipher::TlsCipher;
use crate::tls::provider::provider;
use crate::tls::{Certificate, Session};

use super::sides::*;

/// Two sides that have come to the end of their handshake.
fn ready(versions: &[&'static SupportedProtocolVersion]) -> Both {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    Both::new(&speaking(versions, &authority, |_| {}), "shop.test", &server).shake(100_000).expect_over()
}

#[test]
fn much_is_sealed_in_full_records_and_opened_however_it_comes() {
    for versions in [TLS12, TLS13] {
        let mut both = ready(versions);
        let body: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
        let slices =
            [&body[..200], &[], &body[200..300], &body[300..60_000], &body[60_000..]].map(IoSlice::new);
        let mut out = b"before".to_vec();
        assert_eq!(both.server.cipher.seal(&slices, 70_000, &mut out).unwrap(), 70_000);
        let sealed = out.split_off(6);
        assert_eq!(out, b"before");
        let mut lengths = Vec::new();
        let mut rest = &sealed[..];
        while let [23, 3, 3, high, low, behind @ ..] = rest {
            lengths.push(usize::from(u16::from_be_bytes([*high, *low])));
            rest = &behind[*lengths.last().unwrap()..];
        }
        assert_eq!(lengths.len(), 70_000_usize.div_ceil(16 * 1024), "{lengths:?}");
        for pieces in [1, 1000, 16_411, 100_000] {
            both.client.came.extend(&sealed[..if pieces == 1 { sealed.len() } else { 0 }]);
            assert!(both.client.open(pieces).is_empty());
        }
        assert_eq!(both.client.heard, body[..70_000]);

        both.client.heard.clear();
        let mut sealed = Vec::new();
        assert_eq!(
            both.server.cipher.seal(&[IoSlice::new(&body)], usize::MAX, &mut sealed).unwrap(),
            body.len()
        );
        both.client.came = sealed;
        both.client.open(1000);
        assert_eq!(both.client.heard, body);
        assert_eq!(both.server.cipher.seal(&[IoSlice::new(&[])], 10, &mut Vec::new()).unwrap(), 0);
        assert_eq!(both.server.cipher.seal(&[IoSlice::new(b"x")], 0, &mut Vec::new()).unwrap(), 0);
    }
}

#[test]
fn nothing_is_sealed_before_the_handshake_is_over_nor_after_the_end() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let mut fresh = Both::new(&client, "shop.test", &server);
    let mut out = Vec::new();
    for end in [&mut fresh.client, &mut fresh.server] {
        let error = end.cipher.seal(&[IoSlice::new(b"x")], 1, &mut out).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        end.cipher.close(&mut out);
        assert!(out.is_empty());
    }
    let mut both = fresh.shake(100_000).expect_over();
    both.talk();
    both.server.cipher.close(&mut out);
    both.client.came = std::mem::take(&mut out);
    both.server.cipher.close(&mut out);
    assert!(out.is_empty(), "it is said once");
    assert_eq!(
        both.server.cipher.seal(&[IoSlice::new(b"x")], 1, &mut out).unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
    both.client.open(100_000);
    assert_eq!(both.client.then, Ok(Then::End));
    both.client.came = b"whatever".to_vec();
    both.client.open(3);
    assert_eq!((&both.client.then, both.client.came.len()), (&Ok(Then::End), 0), "the end stays the end");
    // The other side may have more to say.
    let more = both.client.say(b"more");
    both.server.came.extend(more);
    both.server.open(100_000);
    assert_eq!(both.server.heard, b"pingmore");
    both.client.cipher.close(&mut out);
    both.server.came = out;
    both.server.open(1);
    assert_eq!(both.server.then, Ok(Then::End));
}

#[test]
fn garbage_gets_an_alert_and_stays_an_error() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let hello = Both::new(&client, "shop.test", &server).client.open(1);
    let mut short = hello.clone();
    short[3..5].copy_from_slice(&[0, 0]);
    let mut long = hello.clone();
    long[3..5].copy_from_slice(&[0xff, 0xff]);
    for garbage in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[0; 40][..], &[0xff; 40], &short, &long] {
        for pieces in [1, 100_000] {
            let mut end = Both::new(&client, "shop.test", &server).server;
            end.came = garbage.to_vec();
            let out = end.open(pieces);
            assert!(end.then.as_ref().is_err_and(|told| told.starts_with("tls: ")), "{garbage:?}");
            assert!(matches!(out[..], [21, 3, _, 0, 2, 2, _]), "{out:?}");
            assert!(end.came.is_empty());
            end.came = hello.clone();
            assert!(end.open(pieces).is_empty());
            assert!(end.then.is_err());
            assert!(end.cipher.seal(&[IoSlice::new(b"x")], 1, &mut Vec::new()).is_err());
        }
    }
    let mut end = Both::new(&client, "shop.test", &server).server;
    end.came = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    end.open(100_000);
    assert_eq!(end.then.unwrap_err(), "tls: what came is not TLS");
}

#[test]
fn a_record_that_is_not_whole_is_waited_for() {
    let mut both = ready(TLS13);
    let said = both.client.say(b"hello");
    both.server.came = said[..said.len() - 1].to_vec();
    for _ in 0..2 {
        assert!(both.server.open(100_000).is_empty());
        assert_eq!((&both.server.then, both.server.came.len()), (&Ok(Then::More), said.len() - 1));
    }
    both.server.came = said;
    both.server.open(100_000);
    assert_eq!(both.server.heard, b"hello");
}

#[test]
fn no_change_on_the_way_goes_unnoticed_and_none_is_fatal_to_us() {
    for versions in [TLS12, TLS13] {
        let length = ready(versions).client.say(b"hello").len();
        for at in 0..length {
            let mut both = ready(versions);
            both.server.came = both.client.say(b"hello");
            both.server.came[at] ^= 1 << (at % 8);
            both.server.open(100_000);
            // The first three bytes say what every record says, and nobody need look at them (RFC 8446 §5.2).
            assert!(both.server.heard.is_empty() || at < 3, "{at}");
        }
    }
}

#[test]
fn a_hello_with_changes_never_panics() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().refuse_unknown_names().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let hello = Both::new(&client, "shop.test", &server).client.open(1);
    for seed in 0..300 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut changed = hello.clone();
        for _ in 0..dice.usize(1..4) {
            let at = dice.usize(..changed.len());
            match dice.u8(..4) {
                0 => changed[at] = dice.u8(..),
                1 => changed[at] ^= 1 << dice.u8(..8),
                2 => drop(changed.remove(at)),
                _ => changed.insert(at, dice.u8(..)),
            }
        }
        let mut end = Both::new(&client, "shop.test", &server).server;
        end.came = changed;
        end.open(dice.usize(1..2000));
        end.open(100_000);
        assert!(end.session.agreed().is_none() && end.heard.is_empty());
    }
}

/// The message of a handshake in records of so many bytes each.
fn cut(record: &[u8], into: usize) -> Vec<u8> {
    let header = &record[..3];
    record[5..]
        .chunks(into)
        .flat_map(|part| [header, &(part.len() as u16).to_be_bytes(), part].concat())
        .collect()
}

#[test]
fn a_message_of_the_handshake_may_come_in_many_records() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    for into in [1, 3, 100, 700] {
        for pieces in [1, 4, 100_000] {
            let mut both = Both::new(&client, "shop.test", &server);
            let hello = both.client.open(1);
            both.server.came = cut(&hello, into);
            let answer = both.server.open(pieces);
            both.client.came = answer;
            let finished = both.client.open(pieces);
            both.server.came = finished;
            both.shake(pieces).expect_over().talk();
        }
    }
}

#[test]
fn nobody_is_kept_crumbs_for_without_end() {
    let authority = Authority::new("root");
    let server = authority.certify(&["shop.test"]).tls().acceptor().unwrap();
    let client = trusts(&authority).connector().unwrap();
    let mut long = vec![22, 3, 1, 0, 0, 1, 0, 0xff, 0xf0];
    long.resize(60_000, 7);
    let mut end = Both::new(&client, "shop.test", &server).server;
    end.came = cut(&long, 1);
    end.open(1000);
    assert_eq!(end.then.unwrap_err(), "tls: a message of the handshake is too long");
}

#[test]
fn what_is_put_together_does_not_disturb_what_is_said_meanwhile() {
    let authority = Authority::new("root");
    let pair = authority.certify(&["shop.test"]);
    // Tickets of 64-byte records: the first part of one leaves the client with a message that is not whole.
    let key = Certificate::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes()).unwrap();
    let builder =
        rustls::ServerConfig::builder_with_provider(provider()).with_protocol_versions(TLS13).unwrap();
    let resolver = rustls::sign::SingleCertAndKey::from(key.key().clone());
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    config.max_fragment_size = Some(64);
    config.ticketer = crate::tls::provider::ticketer().unwrap();
    let side = UnbufferedServerConnection::new(Arc::new(config)).unwrap();
    let session = Rc::new(Session::default());
    let server = End::new((Box::new(TlsCipher::new(side, None, session.clone())), session));
    let client = speaking(TLS13, &authority, |_| {});
    let mut both = Both { client: End::new(client.connect("shop.test").unwrap()), server };

    let hello = both.client.open(1);
    both.server.came = hello;
    let flight = both.server.open(100_000);
    both.client.came = flight;
    let finished = both.client.open(13);
    both.server.came = finished;
    let tickets = both.server.open(100_000);
    assert!(tickets.len() > 200);
    for byte in tickets {
        both.client.came.push(byte);
        both.client.open(1);
        let said = both.client.say(b"x");
        both.server.came.extend(said);
    }
    both.server.open(100_000);
    assert!(both.server.heard.iter().all(|byte| *byte == b'x') && both.server.heard.len() > 200);
    both.server.heard.clear();
    let mut out = Vec::new();
    both.client.cipher.close(&mut out);
    both.server.came = out;
    both.server.open(100_000);
    assert_eq!(both.server.then, Ok(Then::End));
}
