//! Many connections at once: what a core reads and writes together for all of them reaches whom it is for, whole and in
//! order.

use std::thread;

use eproxy_core::Proxy;
use fastrand::Rng;

use crate::support::{Connection, get, post};
use crate::upstream::{Peer, echoing, serve, upstream};

const CLIENTS: u64 = 48;

/// Runs a client on each of many threads, each with its own random numbers.
fn clients(run: impl Fn(u64, &mut Rng) + Sync) {
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let run = &run;
            scope.spawn(move || run(number, &mut Rng::with_seed(number)));
        }
    });
}

#[test]
fn each_client_hears_the_answers_to_its_own_requests() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()));
    clients(|number, random| {
        let mut client = server.connect();
        for round in 0..20 {
            let mut batch = Vec::new();
            let mut expected = Vec::new();
            for request in 0..random.usize(1..6) {
                let name = format!("/{number}/{round}/{request}");
                // Bodies that are sent at once, and some that are not.
                match random.usize(0..4) {
                    0 => {
                        let body = name.repeat(random.usize(1..1500));
                        batch.extend(post(&name, &body));
                        expected.push(body);
                    }
                    _ => {
                        batch.extend(get(&name));
                        expected.push(name);
                    }
                }
            }
            client.send(batch);
            for text in expected {
                assert!(client.reply().text() == text, "client {number}, round {round}");
            }
        }
    });
    assert!(server.stats().failures().all(|(_, count)| count == 0));
}

#[test]
fn tunnels_do_not_mix_and_lose_nothing() {
    let upstream = upstream(|peer: &mut Peer| {
        peer.request();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        loop {
            let message = peer.raw(4);
            let length = std::str::from_utf8(&message).unwrap().parse::<usize>().unwrap();
            if length == 0 {
                return;
            }
            let body = peer.raw(length);
            peer.say(body);
        }
    });
    let server = serve(Proxy::to(upstream.url()));
    clients(|number, random| {
        let mut client: Connection = server.connect();
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        assert_eq!(client.head().unwrap().status, 101);
        for round in 0..30 {
            let length = if random.bool() { random.usize(1..100) } else { random.usize(100..9999) };
            let body: Vec<_> = (0..length).map(|_| random.alphanumeric() as u8).collect();
            client.send([format!("{length:04}").as_bytes(), &body].concat());
            assert!(client.raw(length) == body, "client {number}, round {round}");
        }
        client.send("0000");
        client.is_closed();
    });
}
