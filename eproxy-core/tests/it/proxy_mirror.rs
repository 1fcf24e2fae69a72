//! Copies of requests for another upstream: they are the same requests, and nothing that becomes of them touches those.

use std::io;
use std::time::Duration;

use eproxy_core::{Answer, BodyFilter, Endpoint, Group, Proxy, ProxyRequest, Server, UpstreamOptions};

use crate::support::server::nobody;
use crate::support::{Running, eventually, get, post, post_chunked, start};
use crate::upstream::{Upstream, echo, echoing, gate, serve, upstream};

/// A server with an echoing upstream, and a mirror.
fn mirrored(mirror: &Upstream) -> (Running, Upstream) {
    let upstream = echoing();
    (serve(Proxy::to(upstream.url()).mirror(mirror.url())), upstream)
}

/// Waits until so many copies were answered, and so many dropped.
fn copies(server: &Running, mirrored: u64, dropped: u64) {
    eventually("the copies came to their ends", || {
        let stats = server.stats();
        (stats.mirrored, stats.mirror_dropped) == (mirrored, dropped)
    });
}

#[test]
fn a_copy_is_the_same_request() {
    let mirror = echoing();
    let (server, upstream) = mirrored(&mirror);
    let mut client = server.connect();
    let requests = [
        get("/a?b=%20c"),
        b"HEAD /h HTTP/1.1\r\nHost: test\r\n\r\n".to_vec(),
        b"GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\nx-A:  1\r\nX-a: \xE9\r\n\r\n".to_vec(),
        b"UNKNOWN http://a.example/x HTTP/1.1\r\nHost: test\r\nConnection: X-Gone\r\nX-Gone: 1\r\n\r\n"
            .to_vec(),
        post("/p", "body"),
        post("/empty", ""),
        post_chunked("/c", "2\r\nhi\r\n0\r\n\r\n"),
        post_chunked("/t", "2\r\nhi\r\n0\r\nX-T: 1\r\nx-u:  2\r\n\r\n"),
    ];
    for (number, request) in requests.iter().enumerate() {
        client.send(request);
        let reply = client.next(request.starts_with(b"HEAD")).unwrap();
        assert_eq!(reply.status, 200);
        // One after the other, as copies keep no order among themselves.
        copies(&server, number as u64 + 1, 0);
    }
    let (seen, copied) = (upstream.seen(), mirror.seen());
    assert_eq!(copied.len(), requests.len());
    for (seen, copied) in seen.iter().zip(copied) {
        assert_eq!(seen.head.escape_ascii().to_string(), copied.head.escape_ascii().to_string());
        assert_eq!((&seen.body, &seen.trailers), (&copied.body, &copied.trailers));
    }
    assert_eq!(seen.last().map(|seen| seen.trailers.len()), Some(2));
    assert_eq!(mirror.accepted(), 1, "its connection is used again");
}

#[test]
fn a_copy_has_what_hooks_and_rules_have_made_of_the_request_and_its_own_host_where_that_is_asked_for() {
    struct Capitals;
    impl BodyFilter for Capitals {
        fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
            out.extend(bytes.iter().map(u8::to_ascii_uppercase));
            Ok(())
        }
    }
    let (upstream, mirror) = (echoing(), echoing());
    let server = serve(
        Proxy::to(upstream.url())
            .mirror(format!("{}/base", mirror.url()))
            .upstream_host()
            .request_header("X-Rule", "1")
            .on_request(|req: &mut ProxyRequest| {
                req.transform_body(Capitals);
                req.headers_mut().insert("X-Hook", "1")
            }),
    );
    let mut client = server.connect();
    for (number, request) in
        [post("/a", "body"), post_chunked("/a", "4\r\nbody\r\n0\r\n\r\n")].iter().enumerate()
    {
        assert_eq!(client.ask(request).text(), "BODY");
        copies(&server, number as u64 + 1, 0);
        let host = mirror.address();
        assert_eq!(
            mirror.last().text(),
            format!("POST /base/a [Host: {host}|X-Hook: 1|X-Rule: 1|Transfer-Encoding: chunked] BODY")
        );
    }
}

#[test]
fn bodies_go_along_as_they_come() {
    const SIZE: usize = 3_000_000;
    let mirror = echoing();
    let (server, upstream) = mirrored(&mirror);
    let mut client = server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\nfour", SIZE + 4));
    eventually("its beginning is there", || mirror.heard(0).ends_with(b"four"));
    // No faster than the copy can be sent.
    let piece = vec![b'x'; 100_000];
    for number in 1..=SIZE / piece.len() {
        client.send(&piece);
        eventually("it has arrived", || mirror.bytes() > number * piece.len());
    }
    assert_eq!(client.reply().body.len(), SIZE + 4);
    copies(&server, 1, 0);
    let (seen, copied) = (upstream.last(), mirror.last());
    assert!(copied.is_whole && copied.body.len() == SIZE + 4 && seen.body == copied.body);
    assert_eq!(seen.head, copied.head);
}

#[test]
fn a_body_that_was_read_before_is_copied_whole() {
    let (upstream, mirror) = (echoing(), echoing());
    let server = serve(Proxy::to(upstream.url()).mirror(mirror.url()).buffer_requests(8));
    let mut client = server.connect();
    for (number, body) in ["hello", "hello world"].into_iter().enumerate() {
        client.send(format!("POST /{number} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"));
        client.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
        assert_eq!(client.reply().text(), body);
        copies(&server, number as u64 + 1, 0);
        assert_eq!(mirror.last().text(), upstream.last().text());
        assert_eq!(mirror.last().body, body.as_bytes());
    }
}

#[test]
fn what_a_mirror_answers_is_nobodys_business() {
    let answers = [
        "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nOOPS",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nOOPS\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n",
    ];
    for answer in answers {
        let mirror = upstream(move |peer| {
            while peer.next().is_some() {
                peer.say(answer);
            }
        });
        let (server, upstream) = mirrored(&mirror);
        let mut client = server.connect();
        for number in 1..=3 {
            let reply = client.ask(post("/a", "body"));
            assert_eq!((reply.status, reply.text(), reply.header("set-cookie")), (200, "body", None));
            copies(&server, number, 0);
        }
        assert_eq!(upstream.count(), 3);
    }
}

#[test]
fn a_mirror_that_fails_is_counted_and_nobody_waits_for_it() {
    type Fail = fn(&mut crate::upstream::Peer);
    let failures: [(&str, Fail); 5] = [
        ("closes at once", |_| {}),
        ("closes", |peer| drop(peer.next())),
        ("resets", |peer| {
            peer.request();
            peer.reset();
        }),
        ("talks nonsense", |peer| {
            peer.request();
            peer.say("SSH-2.0-OpenSSH_9.7\r\n\r\n");
        }),
        ("breaks off", |peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour");
        }),
    ];
    for (name, fail) in failures {
        let mirror = upstream(fail);
        let (server, upstream) = mirrored(&mirror);
        let mut client = server.connect();
        for number in 1..=2 {
            for request in [get("/a"), post("/a", "body")] {
                assert_eq!(client.ask(request).status, 200, "{name}");
            }
            copies(&server, 0, 2 * number);
        }
        assert_eq!(upstream.count(), 4, "{name}");
    }
    // The same where nobody is there at all.
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).mirror(nobody()));
    let mut client = server.connect();
    for number in 1..=3 {
        assert_eq!(client.ask(get("/a")).text(), "/a");
        copies(&server, 0, number);
    }
    assert_eq!(server.failures("connect"), 0, "no request has failed");
}

#[test]
fn a_mirror_that_answers_late_holds_nobody_up() {
    let (open, gate) = gate();
    let mirror = upstream(move |peer| {
        while let Some(seen) = peer.next() {
            gate.wait();
            peer.say(echo(&seen));
        }
    });
    let (server, upstream) = mirrored(&mirror);
    let mut client = server.connect();
    for number in 1..=5 {
        let target = format!("/{number}");
        assert_eq!(client.ask(get(&target)).text(), target);
    }
    assert_eq!((upstream.count(), server.stats().mirrored), (5, 0));
    eventually("the copies are there", || mirror.count() == 5);
    (0..5).for_each(|_| open.send(()).unwrap());
    copies(&server, 5, 0);
}

#[test]
fn a_mirror_that_never_reads_loses_its_copy_and_the_request_goes_on() {
    const SIZE: usize = 30_000_000;
    let (open, gate) = gate();
    let mirror = upstream(move |_| gate.wait());
    let upstream = upstream(|peer| {
        while let Some(mut seen) = peer.next() {
            assert!(seen.is_whole);
            seen.body = seen.body.len().to_string().into();
            peer.say(echo(&seen));
        }
    });
    // It holds for the upstream as well, which must not seem slow on a machine that is busy.
    let options = UpstreamOptions { write_idle: Duration::from_secs(3), ..UpstreamOptions::default() };
    let proxy = Proxy::to(upstream.url()).mirror(mirror.url()).upstream_options(options);
    let server = start(Server::builder().workers(1).at("/*path", proxy));
    let mut client = server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {SIZE}\r\n\r\n"));
    client.send(vec![b'x'; SIZE]);
    assert_eq!(client.reply().text(), SIZE.to_string());
    copies(&server, 0, 1);
    open.send(()).unwrap();
}

#[test]
fn copies_beyond_those_that_may_be_under_way_are_dropped() {
    const MOST: u64 = 256;
    // Takes connections and never answers.
    let mirror = upstream(|peer| drop(peer.rest()));
    let (server, upstream) = mirrored(&mirror);
    let mut client = server.connect();
    for number in 1..=MOST + 3 {
        assert_eq!(client.ask(get("/a")).text(), "/a");
        assert_eq!(server.stats().mirror_dropped, number.saturating_sub(MOST));
    }
    assert_eq!(upstream.count() as u64, MOST + 3);
}

#[test]
fn a_request_that_its_client_breaks_off_is_broken_off_at_the_mirror_too() {
    let mirror = upstream(|peer| {
        let seen = peer.next().unwrap();
        assert!(!seen.is_whole);
    });
    let (server, upstream) = mirrored(&mirror);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nfour");
    eventually("both have begun", || {
        upstream.heard(0).ends_with(b"four") && mirror.heard(0).ends_with(b"four")
    });
    client.reset_on_drop();
    drop(client);
    copies(&server, 0, 1);
    eventually("both were let go", || mirror.open() + upstream.open() == 0);
}

#[test]
fn what_is_answered_here_and_what_is_sent_again_makes_no_second_copy() {
    let mirror = echoing();
    let bad = upstream(|peer| {
        let seen = peer.request();
        peer.say(echo(&seen));
        peer.next();
    });
    let good = echoing();
    let group = Group::from(bad.url()).with(Endpoint::new(good.url()).priority(1));
    let server = serve(
        Proxy::to(group)
            .mirror(mirror.url())
            .on_request(|req: &mut ProxyRequest| (req.path() == "/no").then(|| Answer::new(403))),
    );
    let mut client = server.connect();
    for (target, status) in [("/first", 200), ("/no", 403), ("/again", 200)] {
        assert_eq!(client.ask(get(target)).status, status);
    }
    copies(&server, 2, 0);
    let mut targets: Vec<_> = mirror.seen().into_iter().map(|seen| seen.target).collect();
    targets.sort();
    assert_eq!((targets, server.stats().retries), (vec!["/again".to_owned(), "/first".to_owned()], 1));
}

#[test]
fn a_body_that_comes_later_is_copied_though_the_first_upstream_was_not_there() {
    let (good, mirror) = (echoing(), echoing());
    let group = Group::from(nobody()).with(Endpoint::new(good.url()).priority(1));
    let server = serve(Proxy::to(group).mirror(mirror.url()));
    let mut client = server.connect();
    client.send("POST /a HTTP/1.1\r\nHost: test\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n");
    eventually("both have the head", || good.bytes() > 0 && mirror.bytes() > 0);
    client.send("hello");
    assert_eq!(client.reply().text(), "hello");
    copies(&server, 1, 0);
    let expected = "POST /a [Host: test|X-A: 1|Content-Length: 5] hello";
    assert_eq!((good.last().text(), mirror.last().text()), (expected.into(), expected.into()));
}

#[test]
fn a_request_for_an_upgrade_is_not_copied() {
    let mirror = echoing();
    let (server, _upstream) = mirrored(&mirror);
    let mut client = server.connect();
    let asking = "GET /up HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    assert_eq!(client.ask(asking).text(), "/up");
    assert_eq!(client.ask(get("/a")).text(), "/a");
    copies(&server, 1, 0);
    assert_eq!(mirror.texts(), ["GET /a [Host: test] "]);
}

#[test]
fn a_server_ends_though_copies_are_under_way() {
    let mirror = upstream(|peer| drop(peer.rest()));
    let (server, _upstream) = mirrored(&mirror);
    assert_eq!(server.ask(get("/a")).text(), "/a");
    eventually("it is there", || mirror.accepted() == 1);
    drop(server);
    eventually("it was let go", || mirror.open() == 0);
}
