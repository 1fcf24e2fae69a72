//! Connections to upstreams between two requests: used again as long as nothing speaks against it, and never again once
//! something does.

use std::time::Duration;

use eproxy_core::{Proxy, Server, UpstreamOptions};

use crate::support::{Connection, Helper, eventually, get, pause, post, post_chunked, start};
use crate::upstream::{echo, echoing, gate, serve, upstream};

const SHORT: Duration = Duration::from_millis(150);

#[test]
fn connections_are_used_again_by_whichever_client_comes_next() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()));
    for number in 0..10 {
        let target = format!("/{number}");
        assert_eq!(server.ask(get(&target)).text(), target);
    }
    let stats = server.stats();
    assert_eq!((upstream.accepted(), stats.upstream_connects, stats.upstream_reused), (1, 1, 9));
}

#[test]
fn routes_to_the_same_upstream_share_their_connections() {
    let upstream = echoing();
    let proxy = || Proxy::to(upstream.url());
    let server = start(Server::builder().workers(1).at("/a", proxy()).at("/b", proxy()));
    for target in ["/a", "/b", "/a"] {
        assert_eq!(server.ask(get(target)).text(), target);
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_connection_on_which_something_comes_that_nobody_asked_for_is_not_used_again() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        let is_first = peer.number == 0;
        while let Some(seen) = peer.next() {
            peer.say(echo(&seen));
            if is_first {
                gate.wait();
                // What would be taken for the answer to whatever is asked next.
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL");
            }
        }
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    assert_eq!(client.ask(get("/a")).text(), "/a");
    open.send(()).unwrap();
    eventually("that connection ends", || upstream.open() == 0);
    assert_eq!(client.ask(get("/b")).text(), "/b");
    assert_eq!(upstream.accepted(), 2);
}

#[test]
fn a_connection_whose_answer_was_given_up_is_not_used_again() {
    // Its rest would be taken for the next answer.
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next() {
            match seen.target.as_str() {
                "/endless" => {
                    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    let chunk = format!("10000\r\n{}\r\n", "d".repeat(0x10000));
                    // Until it is told.
                    while peer.try_say(&chunk) {}
                    return;
                }
                _ => peer.say(echo(&seen)),
            }
        }
    });
    let server = serve(Proxy::to(upstream.url()));
    for resets in [false, true] {
        let mut client = server.connect();
        client.send(get("/endless"));
        assert_eq!(client.head().unwrap().status, 200);
        client.raw(100_000);
        if resets {
            client.reset_on_drop();
        }
        drop(client);
        eventually("the upstream is told", || upstream.open() == 0);
        assert_eq!(server.ask(get("/next")).text(), "/next");
    }
    assert_eq!((server.failures("downstream_gone"), upstream.accepted()), (2, 3));
}

#[test]
fn a_connection_whose_request_was_given_up_is_not_used_again() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next() {
            match seen.target.as_str() {
                "/slow" => assert_eq!(peer.rest(), b""),
                _ => peer.say(echo(&seen)),
            }
        }
    });
    let server = serve(Proxy::to(upstream.url()));
    assert_eq!(server.ask(get("/first")).text(), "/first");
    let mut client = server.connect();
    client.send(get("/slow"));
    eventually("it is with the upstream", || upstream.count() == 2);
    client.reset_on_drop();
    drop(client);
    eventually("the upstream is told", || upstream.open() == 0);
    assert_eq!(server.ask(get("/next")).text(), "/next");
    assert_eq!((server.failures("downstream_gone"), upstream.accepted()), (1, 2));
}

#[test]
fn an_unused_connection_is_kept_as_long_as_the_upstream_says_and_no_longer_than_we_say() {
    let keeping = |announced: &'static str, keep_alive| {
        let upstream = upstream(move |peer| {
            while peer.next().is_some() {
                peer.say(format!("HTTP/1.1 200 OK\r\n{announced}Content-Length: 0\r\n\r\n"));
            }
        });
        let options = UpstreamOptions { keep_alive, ..UpstreamOptions::default() };
        (serve(Proxy::to(upstream.url()).upstream_options(options)), upstream)
    };
    let long = Duration::from_secs(60);
    // A second less than is announced, so that none is used in the moment in which it ends.
    let (server, upstream) = keeping("Keep-Alive: timeout=1, max=100\r\n", long);
    assert_eq!(server.ask(get("/")).status, 200);
    eventually("it is let go", || upstream.open() == 0);

    let (server, upstream) = keeping("Connection: keep-alive\r\nKeep-Alive: max=5, timeout=600\r\n", SHORT);
    assert_eq!(server.ask(get("/")).status, 200);
    eventually("it is let go", || upstream.open() == 0);

    for announced in
        ["", "Keep-Alive: timeout=600\r\n", "Keep-Alive: nonsense\r\n", "Keep-Alive: timeout=x\r\n"]
    {
        let (server, upstream) = keeping(announced, long);
        assert_eq!(server.ask(get("/")).status, 200);
        pause(100);
        assert_eq!(server.ask(get("/")).status, 200);
        assert_eq!((upstream.accepted(), upstream.open()), (1, 1), "{announced:?}");
    }
}

#[test]
fn only_so_many_unused_connections_are_kept() {
    for pool_size in [0, 1, 3] {
        let (open, gate) = gate();
        let upstream = upstream(move |peer| {
            while let Some(seen) = peer.next() {
                gate.wait();
                peer.say(echo(&seen));
            }
        });
        let options = UpstreamOptions { pool_size, ..UpstreamOptions::default() };
        let server = serve(Proxy::to(upstream.url()).upstream_options(options));
        let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(get("/a")));
        eventually("all of them are with the upstream", || upstream.count() == 3);
        (0..3).for_each(|_| open.send(()).unwrap());
        for client in &mut clients {
            assert_eq!(client.reply().text(), "/a");
        }
        eventually("those that are too many end", || upstream.open() == pool_size);
        pause(20);
        assert_eq!(upstream.open(), pool_size);
    }
}

#[test]
fn a_server_that_ends_takes_its_unused_connections_along() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()));
    assert_eq!(server.ask(get("/")).text(), "/");
    assert_eq!(upstream.open(), 1);
    drop(server);
    eventually("the upstream is told", || upstream.open() == 0);
}

#[test]
fn answers_of_all_kinds_find_their_way_to_whom_they_are_for() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next().filter(|seen| seen.is_whole) {
            let target = &seen.target;
            let length = target.len();
            match target.rsplit('/').next() {
                Some("none") => peer.say("HTTP/1.1 204 No Content\r\n\r\n"),
                Some("same") => peer.say("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
                Some("end") => return peer.say(format!("HTTP/1.1 200 OK\r\n\r\n{target}")),
                Some("error") => {
                    peer.say(format!("HTTP/1.1 500 Oops\r\nContent-Length: {length}\r\n\r\n{target}"))
                }
                Some("chunked") => peer.say(format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{target}\r\n0\r\n\r\n"
                )),
                Some("hints") => {
                    peer.say("HTTP/1.1 103 Early Hints\r\n\r\n");
                    peer.say(echo(&seen));
                }
                _ => peer.say(echo(&seen)),
            }
        }
    });
    let server = start(Server::builder().workers(2).at("/*path", Proxy::to(upstream.url())));
    let address = server.address();
    let clients: Vec<_> = (0..24)
        .map(|client| {
            Helper::run(move || {
                let mut rng = fastrand::Rng::with_seed(client);
                let mut connection = Connection::to(address);
                for number in 0..15 {
                    let kind = [
                        "none", "same", "end", "error", "chunked", "hints", "plain", "head", "post", "coded",
                    ];
                    let kind = kind[rng.usize(..kind.len())];
                    let target = format!("/{client}/{number}/{kind}");
                    let body = format!("{target}{}", "x".repeat(rng.usize(..3000)));
                    let reply = match kind {
                        "head" => {
                            connection.send(
                                get(&target)
                                    .strip_prefix(b"GET")
                                    .map(|rest| [b"HEAD", rest].concat())
                                    .unwrap(),
                            );
                            connection.reply_to_head()
                        }
                        "post" => connection.ask(post(&target, &body)),
                        "coded" => connection
                            .ask(post_chunked(&target, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))),
                        _ => connection.ask(get(&target)),
                    };
                    let expected = match kind {
                        "none" => (204, ""),
                        "same" => (304, ""),
                        "head" => (200, ""),
                        "error" => (500, target.as_str()),
                        "post" | "coded" => (200, body.as_str()),
                        _ => (200, target.as_str()),
                    };
                    assert_eq!((reply.status, reply.text()), expected, "{target}");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(Helper::join);
    assert!(upstream.accepted() < 24 * 15, "{} connections", upstream.accepted());
    assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn requests_that_hang_do_not_hold_up_others() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next() {
            match seen.target.as_str() {
                "/hang" => return drop(peer.rest()),
                _ => peer.say(echo(&seen)),
            }
        }
    });
    let server = serve(Proxy::to(upstream.url()));
    let mut hanging: Vec<_> = (0..50).map(|_| server.connect()).collect();
    hanging.iter_mut().for_each(|client| client.send(get("/hang")));
    eventually("all of them are with the upstream", || upstream.count() == 50);
    let mut client = server.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(get("/next")).text(), "/next");
    }
    assert_eq!((upstream.accepted(), server.stats().open), (51, 51));
    hanging.iter().for_each(Connection::reset_on_drop);
    drop(hanging);
    eventually("the upstream is told", || upstream.open() == 1);
}

#[test]
fn clients_that_reset_at_any_moment_do_others_no_harm() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next().filter(|seen| seen.is_whole) {
            match seen.target.as_str() {
                // Whoever asked may be gone.
                "/much" => {
                    peer.try_say(format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{}",
                        "x".repeat(300_000)
                    ));
                }
                _ => peer.say(echo(&seen)),
            }
        }
    });
    let server = start(Server::builder().workers(2).at("/*path", Proxy::to(upstream.url())));
    let address = server.address();
    let vandals: Vec<_> = (0..2)
        .map(|lane| {
            Helper::run(move || {
                let mut rng = fastrand::Rng::with_seed(lane);
                for _ in 0..150 {
                    let mut client = Connection::to(address);
                    client.reset_on_drop();
                    let upload = "POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 50000\r\n\r\n";
                    let _cut = match rng.u8(..6) {
                        0 => client.try_send("GET /a HTT"),
                        1 => client.try_send(get("/a")),
                        2 => client.try_send(get("/much")),
                        3 => client.try_send([upload.as_bytes(), &[b'x'; 20_000]].concat()),
                        4 => client.try_send(get("/a").repeat(10)),
                        _ => client.try_send(get("/much")).map(|()| drop(client.head())),
                    };
                    if rng.bool() {
                        pause(rng.u64(..3));
                    }
                }
            })
        })
        .collect();
    let mut client = server.connect();
    for vandal in vandals {
        for number in 0..40 {
            let body = format!("body {number}");
            assert_eq!(client.ask(post("/good", &body)).text(), body);
        }
        vandal.join();
    }
    assert_eq!(client.ask(get("/next")).text(), "/next");
    drop(client);
    eventually("no connection is left", || server.stats().open == 0);
}
