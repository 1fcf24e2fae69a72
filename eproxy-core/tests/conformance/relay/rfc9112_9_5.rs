//! RFC 9112 §9.5, Failures and Timeouts: connections that end at an awkward moment, answers that come before the request
//! was sent, and clients that leave.

use crate::support::{eventually, get, post};

use super::table::{Relay, server};
use super::upstream::{echo, gate, upstream};

#[test]
fn a_connection_that_ended_between_two_requests_costs_neither() {
    for resets in [false, true] {
        for request in [get("/2"), post("/2", "/2")] {
            let (end, ends) = gate();
            let upstream = upstream(move |peer| {
                while let Some(seen) = peer.next() {
                    peer.say(echo(&seen));
                    if seen.target == "/1" {
                        ends.wait();
                        if resets {
                            peer.reset();
                        }
                        return;
                    }
                }
            });
            let server = server(&upstream);
            let mut client = server.connect();
            assert_eq!(client.ask(get("/1")).text(), "/1");
            end.send(()).unwrap();
            eventually("the connection has ended", || upstream.open() == 0);
            assert_eq!(client.ask(&request).text(), "/2");
            let targets: Vec<_> = upstream.seen().iter().map(|seen| seen.target.clone()).collect();
            assert_eq!((targets, upstream.accepted()), (vec!["/1".into(), "/2".into()], 2));
        }
    }
}

#[test]
fn a_refusal_before_the_request_was_sent_reaches_the_client() {
    let (stop, stops) = gate();
    let upstream = upstream(move |peer| {
        peer.head();
        peer.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig");
        stops.wait();
    });
    let server = server(&upstream);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\nbeginning");
    let reply = client.reply();
    // What is still to come of the request will be read by nobody.
    assert_eq!((reply.status, reply.text(), reply.says_close()), (413, "big", true));
    let _cut = client.try_send(vec![b'x'; 1 << 20]);
    client.is_closed();
    stop.send(()).unwrap();
    eventually("the upstream's connection ends", || upstream.open() == 0);
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let upstream = upstream(|peer| {
        let seen = peer.request();
        assert_eq!(peer.rest(), b"", "{seen:?}");
    });
    let server = server(&upstream);
    for target in ["/reset", "/closed"] {
        let mut client = server.connect();
        client.send(get(target));
        eventually("the request is with the upstream", || upstream.open() == 1);
        eventually("the request was seen", || {
            upstream.seen().last().is_some_and(|seen| seen.target == target)
        });
        if target == "/reset" {
            client.reset_on_drop();
        }
        drop(client);
        eventually("the upstream is told", || upstream.open() == 0);
    }
    eventually("both are counted", || server.failures("downstream_gone") == 2);
}

#[test]
fn an_upload_that_its_client_gives_up_is_never_whole() {
    for resets in [false, true] {
        let relay = Relay::start(true);
        let mut client = relay.server.connect();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
        client.send(vec![b'u'; 300_000]);
        eventually("much of it is with the upstream", || relay.upstream.bytes() > 200_000);
        if resets {
            client.reset_on_drop();
        }
        drop(client);
        eventually("the upstream is told", || relay.upstream.open() == 0);
        eventually("it was seen", || relay.upstream.count() == 2);
        assert!(!relay.upstream.seen()[1].is_whole);
        relay.probe();
    }
}
