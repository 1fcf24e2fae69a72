//! Requests that an upstream which speaks HTTP/2 did not look at, and says so: they are sent again, whatever they are. Others
//! are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eproxy_core::{Group, Proxy, Server};
use h2::Reason;

use crate::support::certificates::{pair, trusting};
use crate::support::http2::Http2;
use crate::support::http2_upstream::{Asked, Http2Upstream, Settings, echoing2, http2_upstream};
use crate::support::{Running, eventually, get, post, start};
use crate::upstream::{Peer, Upstream, secure_upstream, upstream};

const BOTH: [fn() -> Settings; 2] = [Settings::plain, Settings::secure];

fn serve(group: Group) -> Running {
    start(Server::builder().workers(1).at("/*path", Proxy::to(group.tls(trusting()))))
}

/// An upstream that refuses the first requests, and answers the others with what they were.
fn refusing(settings: Settings, most: usize) -> (Http2Upstream, Arc<AtomicUsize>) {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = refused.clone();
    let upstream = http2_upstream(settings, move |asked| {
        if counted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < most).then_some(n + 1)).is_ok() {
            return asked.reset(Reason::REFUSED_STREAM);
        }
        asked.read();
        let body = [asked.seen.target.as_bytes(), b" ", &asked.seen.body].concat();
        asked.answer(200, &[], body);
    });
    (upstream, refused)
}

#[test]
fn what_was_refused_is_sent_again_whatever_it_is() {
    for settings in BOTH {
        let (upstream, refused) = refusing(settings(), 1);
        let server = serve(Group::from(upstream.url()));
        let mut client = server.connect();
        let http2 = Http2::to(server.address());
        for (number, request) in [get("/a"), post("/a", "once")].iter().enumerate() {
            for is_first in [true, false] {
                if is_first {
                    refused.store(0, Ordering::SeqCst);
                }
                let reply = client.ask(request);
                assert_eq!(reply.status, 200, "{number} {is_first}");
                assert_eq!(reply.text(), if number == 0 { "/a " } else { "/a once" });
            }
        }
        refused.store(0, Ordering::SeqCst);
        assert_eq!(http2.get("/b").text(), "/b ");
        assert_eq!((server.stats().retries, server.failures("upstream_refused")), (3, 3));
    }
}

#[test]
fn what_is_refused_for_ever_is_a_bad_gateway() {
    let (upstream, refused) = refusing(Settings::plain(), usize::MAX);
    let server = serve(Group::from(upstream.url()));
    assert_eq!(server.connect().ask(post("/", "x")).status, 502);
    assert!((2..20).contains(&refused.load(Ordering::SeqCst)));
}

#[test]
fn another_endpoint_is_asked_first() {
    let (busy, _) = refusing(Settings::plain(), usize::MAX);
    let (other, _) = refusing(Settings::plain(), 0);
    let server = serve(Group::from([busy.url(), other.url()]));
    let mut client = server.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(post("/x", "body")).text(), "/x body");
    }
    assert_eq!(other.count(), 20);
    assert!(busy.count() > 0);
    // It is busy, not ill.
    assert_eq!(server.stats().ejections, 0);
}

/// Refuses a request of which so much was read.
fn refusing_late(much: usize) -> Http2Upstream {
    http2_upstream(Settings::plain(), move |asked: &mut Asked| {
        while asked.seen.body.len() < much {
            asked.try_data().expect("more comes");
        }
        asked.reset(Reason::REFUSED_STREAM);
    })
}

#[test]
fn what_is_not_there_any_more_is_not_sent_again() {
    let refusing = refusing_late(300_000);
    let other = echoing2(Settings::plain());
    let group = Group::from([refusing.url(), other.url()]);
    let server = serve(group);
    let http2 = Http2::to(server.address());
    let body = vec![b'x'; 400_000];
    for _ in 0..20 {
        // Long ones are sent on as they come: half of one would be another request.
        let mut exchange = http2.open("POST", "/");
        let _cut = exchange.try_send(&body[..], true);
        let answer = exchange.whole();
        assert!(
            answer.status == 502 || answer.body.len() == body.len(),
            "{} {}",
            answer.status,
            answer.body.len()
        );
    }
    assert!(refusing.count() > 0 && other.seen().iter().all(|seen| seen.body.len() == body.len()));
}

#[test]
fn other_resets_are_not_a_reason_to_send_it_again() {
    for settings in BOTH {
        for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM, Reason::NO_ERROR] {
            let upstream = http2_upstream(settings(), move |asked| asked.reset(reason));
            let server = serve(Group::from(upstream.url()));
            let mut client = server.connect();
            assert_eq!(client.ask(post("/x", "body")).status, 502, "{reason:?}");
            assert_eq!(upstream.count(), 1, "{reason:?}");
            assert_eq!(server.failures("upstream_closed"), 1, "{reason:?}");
        }
    }
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames until the head of a request has come; gives the number of its stream, if it comes.
fn next_request(peer: &mut Peer, came: &mut Vec<u8>) -> Option<u32> {
    loop {
        while let [a, b, c, kind, _, stream @ ..] = &came[..]
            && let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)
            && came.len() >= 9 + length
        {
            let (kind, stream) = (*kind, [stream[0], stream[1], stream[2], stream[3]]);
            came.drain(..9 + length);
            if kind == 1 {
                return Some(u32::from_be_bytes(stream));
            }
        }
        came.extend(peer.some()?);
    }
}

/// An upstream whose first connections answer so many requests, and then leave without having looked at the next.
fn leaving(is_secure: bool, connections: usize, answered: usize, reason: u8) -> Upstream {
    let script = move |peer: &mut Peer| {
        peer.raw(24);
        peer.say([frame(4, 0, 0, b""), frame(4, 1, 0, b"")].concat());
        let (mut came, mut last, mut number) = (Vec::new(), 0_u32, 0);
        while let Some(stream) = next_request(peer, &mut came) {
            if peer.number < connections && number == answered {
                // GOAWAY (§6.8): what has come since was not looked at.
                peer.say(frame(7, 0, 0, &[last.to_be_bytes(), [0, 0, 0, reason]].concat()));
                peer.rest();
                return;
            }
            // 200, and a body.
            peer.say([frame(1, 4, stream, b"\x88"), frame(0, 1, stream, b"here")].concat());
            (last, number) = (stream, number + 1);
        }
    };
    match is_secure {
        true => secure_upstream(pair().server(&["h2"]), script),
        false => upstream(script),
    }
}

#[test]
fn what_came_too_late_for_a_connection_that_leaves_is_sent_over_another() {
    for is_secure in [false, true] {
        let upstream = leaving(is_secure, 3, 0, 0);
        let url = upstream.url().replace("http://", "h2c://");
        let server = serve(Group::from(url));
        assert_eq!(server.connect().ask(post("/x", "body")).text(), "here");
        assert_eq!((upstream.accepted(), server.stats().retries), (4, 3));
        eventually("the others are closed", || upstream.open() == 1);
    }
}

#[test]
fn a_connection_that_leaves_between_requests_costs_none() {
    let upstream = leaving(false, 1, 3, 0);
    let url = upstream.url().replace("http://", "h2c://");
    let server = serve(Group::from(url));
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(post("/x", "body")).text(), "here");
    }
    assert_eq!(client.ask(post("/y", "body")).text(), "here");
    assert_eq!(upstream.accepted(), 2);
}

#[test]
fn an_answer_is_whole_although_a_reset_without_an_error_comes_with_its_end() {
    // 200, with a length of 4 in the second one; RFC 9113 §8.1: the rest of the request is not wanted.
    for head in [&b"\x88"[..], b"\x88\x5c\x014"] {
        let upstream = upstream(move |peer| {
            peer.raw(24);
            peer.say([frame(4, 0, 0, b""), frame(4, 1, 0, b"")].concat());
            let mut came = Vec::new();
            while let Some(stream) = next_request(peer, &mut came) {
                let answer = [frame(1, 4, stream, head), frame(0, 1, stream, b"here")].concat();
                peer.say([answer, frame(3, 0, stream, &[0; 4])].concat());
            }
        });
        let server = serve(Group::from(upstream.url().replace("http://", "h2c://")));
        let http2 = Http2::to(server.address());
        for _ in 0..20 {
            let mut client = server.connect();
            let _cut = client.try_send(post("/", vec![b'x'; 300_000]));
            assert_eq!(client.reply().text(), "here");
            let mut exchange = http2.open("POST", "/");
            let _cut = exchange.try_send(vec![b'x'; 300_000], true);
            assert_eq!(exchange.whole().text(), "here");
            assert_eq!(http2.get("/").text(), "here");
        }
        assert_eq!(upstream.accepted(), 1);
    }
}

#[test]
fn what_has_come_of_an_answer_is_passed_on_before_it_breaks_off() {
    let upstream = upstream(move |peer| {
        peer.raw(24);
        peer.say([frame(4, 0, 0, b""), frame(4, 1, 0, b"")].concat());
        let mut came = Vec::new();
        while let Some(stream) = next_request(peer, &mut came) {
            let answer = [frame(1, 4, stream, b"\x88"), frame(0, 0, stream, b"half")].concat();
            peer.say([answer, frame(3, 0, stream, &[0, 0, 0, 2])].concat());
        }
    });
    let server = serve(Group::from(upstream.url().replace("http://", "h2c://")));
    for _ in 0..20 {
        let mut client = server.connect();
        client.send(get("/"));
        let reply = client.next(false).expect("an answer");
        assert_eq!((reply.status, reply.text(), reply.is_whole), (200, "half", false));
    }
}
