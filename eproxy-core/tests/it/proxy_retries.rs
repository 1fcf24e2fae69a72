//! Which requests a proxy sends again: those that no upstream can have seen, whatever they are; and those that do no harm
//! when they are seen twice, once (RFC 9110 §9.2.2).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eproxy_core::{Ejection, Endpoint, Group, Proxy, UpstreamOptions};

use crate::support::server::nobody;
use crate::support::{Running, eventually, get, post};
use crate::upstream::{Peer, Upstream, echo, echoing, serve, upstream, upstream_at};

/// A request with a body of four bytes.
fn with_body(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody")
}

/// An upstream that answers requests for `/first`, and does this when another was read.
fn failing(fail: impl Fn(&mut Peer) + Send + Sync + 'static) -> Upstream {
    upstream(move |peer| {
        while let Some(seen) = peer.next() {
            if seen.target != "/first" {
                return fail(peer);
            }
            peer.say(echo(&seen));
        }
    })
}

/// A proxy that prefers the first of two upstreams.
fn preferring(first: &str, second: &Upstream) -> Running {
    serve(Proxy::to(Group::from(first).with(Endpoint::new(second.url()).priority(1))))
}

fn targets(upstream: &Upstream) -> Vec<String> {
    upstream.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
}

#[test]
fn a_post_is_never_sent_twice_whatever_happens_once_it_was_sent() {
    type Fail = fn(&mut Peer);
    let failures: [(&str, Fail); 5] = [
        ("upstream_closed", |_| {}),
        ("upstream_closed", |peer| peer.reset()),
        ("upstream_truncated", |peer| peer.say("HTTP/1.1 200 OK\r\nContent-Le")),
        ("upstream_truncated", |peer| peer.say("H")),
        ("bad_answer", |peer| peer.say("NONSENSE\r\n\r\n")),
    ];
    for (name, fail) in failures {
        for method in ["POST", "PATCH", "FOO"] {
            for is_reused in [false, true] {
                let (bad, good) = (failing(fail), echoing());
                let server = preferring(&bad.url(), &good);
                let mut client = server.connect();
                if is_reused {
                    assert_eq!(client.ask(get("/first")).text(), "/first");
                }
                let reply = client.ask(with_body(method, "/pay"));
                assert_eq!(reply.status, 502, "{method}, {name}, reused: {is_reused}");
                let seen = targets(&bad);
                assert_eq!(seen.last(), Some(&format!("{method} /pay")), "{name}, reused: {is_reused}");
                assert_eq!(seen.len(), 1 + usize::from(is_reused), "{method}, {name}: {seen:?}");
                assert_eq!((good.accepted(), server.stats().retries), (0, 0), "{method}, {name}");
                assert_eq!(server.failures(name), 1, "{method}, {name}");
            }
        }
    }
}

#[test]
fn what_may_be_repeated_is_sent_again_once_where_a_used_connection_died_before_an_answer() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let deaths = AtomicUsize::new(0);
        let upstream = upstream(move |peer| {
            while let Some(seen) = peer.next() {
                if seen.target == "/again" && deaths.fetch_add(1, Ordering::SeqCst) == 0 {
                    return;
                }
                peer.say(echo(&seen));
            }
        });
        let server = serve(Proxy::to(upstream.url()));
        let mut client = server.connect();
        assert_eq!(client.ask(get("/first")).text(), "/first");
        client.send(with_body(method, "/again"));
        let reply = if method == "HEAD" { client.reply_to_head() } else { client.reply() };
        assert_eq!(reply.status, 200, "{method}");
        let again = format!("{method} /again");
        assert_eq!(targets(&upstream), ["GET /first", &again, &again], "{method}");
        assert!(upstream.seen().iter().skip(1).all(|seen| seen.body == b"body"), "{method}");
        assert_eq!((server.stats().retries, server.failures("upstream_closed")), (1, 1), "{method}");
        // The connection is as good as any.
        assert_eq!(client.ask(get("/next")).text(), "/next");
    }
}

#[test]
fn where_the_others_are_not_there_the_one_whose_connection_died_is_asked_again() {
    let deaths = AtomicUsize::new(0);
    let good = upstream(move |peer| {
        while let Some(seen) = peer.next() {
            if seen.target == "/second" && deaths.fetch_add(1, Ordering::SeqCst) == 0 {
                return;
            }
            peer.say(echo(&seen));
        }
    });
    let ejection = Ejection { shortest: Duration::from_secs(10), ..Ejection::default() };
    let server = serve(Proxy::to(Group::from([nobody(), good.url()]).ejection(ejection)));
    let mut client = server.connect();
    // Nobody rests from the first connection that it does not take.
    while server.failures("connect") == 0 {
        assert_eq!(client.ask(get("/first")).text(), "/first");
    }
    for target in ["/second", "/third"] {
        assert_eq!(client.ask(get(target)).text(), target);
    }
    let seen = targets(&good).into_iter().filter(|target| target != "GET /first");
    assert_eq!(seen.collect::<Vec<_>>(), ["GET /second", "GET /second", "GET /third"]);
}

#[test]
fn the_second_failure_is_the_last() {
    let upstream = failing(|_| {});
    let server = serve(Proxy::to(upstream.url()));
    let mut client = server.connect();
    assert_eq!(client.ask(get("/first")).text(), "/first");
    let reply = client.ask(get("/again"));
    assert_eq!((reply.status, reply.says_close()), (502, false));
    assert_eq!(targets(&upstream), ["GET /first", "GET /again", "GET /again"]);
    assert_eq!((server.stats().retries, server.failures("upstream_closed")), (1, 2));
}

#[test]
fn a_new_connection_that_ends_without_an_answer_is_not_tried_again_at_the_same_upstream() {
    let upstream = failing(|_| {});
    let server = serve(Proxy::to(upstream.url()));
    assert_eq!(server.ask(get("/a")).status, 502);
    assert_eq!((targets(&upstream), upstream.accepted()), (vec!["GET /a".into()], 1));
    assert_eq!((server.stats().retries, server.failures("upstream_closed")), (0, 1));
    // At another one it may fare better.
    let good = echoing();
    let server = preferring(&upstream.url(), &good);
    assert_eq!(server.ask(get("/b")).text(), "/b");
    assert_eq!((targets(&good), server.stats().retries), (vec!["GET /b".into()], 1));
}

#[test]
fn once_something_of_an_answer_has_come_nothing_is_sent_again() {
    type Fail = fn(&mut Peer);
    let failures: [(&str, Fail); 4] = [
        ("upstream_truncated", |peer| peer.say("H")),
        ("upstream_truncated", |peer| peer.say("HTTP/1.1 200 OK\r\n")),
        ("upstream_truncated", |peer| peer.say("HTTP/1.1 103 Early Hints\r\n\r\n")),
        ("bad_answer", |peer| peer.say("HTTP/1.1 200 OK\r\nA : b\r\n\r\n")),
    ];
    for (name, fail) in failures {
        let (bad, good) = (failing(fail), echoing());
        let server = preferring(&bad.url(), &good);
        let mut client = server.connect();
        assert_eq!(client.ask(get("/first")).text(), "/first");
        let reply = client.ask(get("/a"));
        assert_eq!(reply.status, 502, "{name}: {reply:?}");
        assert_eq!(targets(&bad), ["GET /first", "GET /a"], "{name}");
        assert_eq!((good.accepted(), server.stats().retries, server.failures(name)), (0, 0, 1), "{name}");
    }
}

#[test]
fn an_upstream_that_is_late_may_be_working_on_it() {
    let (bad, good) = (failing(|peer| drop(peer.rest())), echoing());
    let options = UpstreamOptions { head: Duration::from_millis(400), ..UpstreamOptions::default() };
    let group = Group::from(bad.url()).with(Endpoint::new(good.url()).priority(1));
    let server = serve(Proxy::to(group).upstream_options(options));
    let mut client = server.connect();
    assert_eq!(client.ask(get("/first")).text(), "/first");
    for (number, request) in [get("/a"), with_body("POST", "/a").into()].into_iter().enumerate() {
        assert_eq!(client.ask(request).status, 504);
        assert_eq!(bad.count(), 2 + number);
    }
    assert_eq!((good.accepted(), server.stats().retries), (0, 0));
    assert_eq!(server.failures("upstream_head_timeout"), 2);
}

#[test]
fn a_body_that_is_on_its_way_is_not_sent_again() {
    let (bad, good) = (failing(|_| {}), echoing());
    let server = preferring(&bad.url(), &good);
    let mut client = server.connect();
    assert_eq!(client.ask(get("/first")).text(), "/first");
    // It can't be: nobody has kept it.
    let reply = client
        .ask("PUT /a HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    assert_eq!((reply.status, good.accepted(), server.stats().retries), (502, 0, 0));
    assert_eq!(targets(&bad), ["GET /first", "PUT /a"]);
}

#[test]
fn an_upstream_that_can_not_be_connected_to_gives_way_to_the_next_whatever_the_request() {
    let chunked = "POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n/c\r\n0\r\n\r\n";
    for (request, answer) in [(get("/a"), "/a"), (post("/b", "/b"), "/b"), (chunked.into(), "/c")] {
        let good = echoing();
        let server = preferring(&nobody(), &good);
        assert_eq!(server.ask(request).text(), answer);
        assert_eq!((good.count(), server.stats().retries, server.failures("connect")), (1, 1, 1), "{answer}");
    }
}

#[test]
fn where_nobody_can_be_connected_to_the_client_is_told() {
    let server = serve(Proxy::to([nobody(), nobody()]));
    let mut client = server.connect();
    for request in [get("/a"), post("/b", "body")] {
        let reply = client.ask(request);
        assert_eq!((reply.status, reply.says_close(), reply.text()), (502, false, "502 Bad Gateway\n"));
        let status =
            "eproxy; error=connection_refused; details=\"2 attempts, the last: connect, 0 bytes sent\"";
        assert_eq!(reply.header("proxy-status"), Some(status));
    }
    assert_eq!(server.failures("connect"), 4, "each of them was tried");
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let first = echoing();
    let address = first.address();
    let server = serve(Proxy::to(first.url()));
    let mut client = server.connect();
    assert_eq!(client.ask(get("/a")).text(), "/a");
    drop(first);
    let reply = client.ask(post("/b", "body"));
    assert_eq!((reply.status, reply.says_close()), (502, false));
    let second = upstream_at(address, |peer| {
        while let Some(seen) = peer.next() {
            peer.say(echo(&seen));
        }
    });
    assert_eq!(client.ask(post("/c", "body")).text(), "body");
    assert_eq!(client.ask(get("/d")).text(), "/d");
    eventually("both were seen", || targets(&second) == ["POST /c", "GET /d"]);
}
