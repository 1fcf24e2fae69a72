//! A handler that fetches and forwards: from a client of raw bytes through a server to an upstream and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eproxy_core::{Client, Request, Response, Server};

use crate::raw::{Running, eventually, get, pause, start};
use crate::support::{Upstream, answering, ok, pattern, upstream};

const MIB: usize = 1 << 20;

/// A server that relays every path to the same path of an upstream.
fn relay(upstream: &Upstream) -> Running {
    let (client, base) = (Client::new(), upstream.url(""));
    start(Server::builder().at("/*rest", move |req: Request, res: Response| {
        client.fetch(format!("{base}{}", req.target()), move |answer| match answer {
            Ok(answer) => res.forward(answer),
            Err(error) => res.status(error.status()).send(error.name()),
        });
    }))
}

fn fields(reply: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    reply.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}

#[test]
fn status_headers_and_body_come_through_in_their_order_case_and_bytes() {
    let upstream = answering(
        b"HTTP/1.1 418 I'm a teapot\r\nX-sMaLl: 1\r\nset-cookie: a=1\r\nX-Latin: caf\xE9 \xFF\r\nSet-Cookie: b=2\r\n\
          Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: other/1\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nshort"
            .as_slice(),
    );
    let server = relay(&upstream);
    let reply = server.ask(get("/a/b?c=d"));
    assert_eq!((reply.status, reply.text()), (418, "short"));
    let own: Vec<_> =
        fields(&reply.headers).into_iter().filter(|(name, _)| *name != "Content-Length").collect();
    assert_eq!(
        own,
        [
            ("X-sMaLl", &b"1"[..]),
            ("set-cookie", b"a=1"),
            ("X-Latin", b"caf\xE9 \xFF"),
            ("Set-Cookie", b"b=2"),
            ("Date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Server", b"other/1"),
            ("X-Empty", b""),
        ]
    );
    assert_eq!(reply.header("content-length"), Some("5"));
    assert_eq!(upstream.seen()[0].line(), "GET /a/b?c=d HTTP/1.1");
}

#[test]
fn fields_that_concern_one_connection_stay_on_it() {
    let upstream = answering(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: x\r\nUpgrade: h2c\r\nTE: trailers\r\nX-Yours: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    let server = relay(&upstream);
    let mut client = server.connect();
    let reply = client.ask(get("/"));
    for name in ["x-mine", "keep-alive", "proxy-connection", "upgrade", "te", "connection"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
    assert_eq!((reply.header("x-yours"), reply.text()), (Some("2"), "ok"));
    // That the upstream closes is no reason to close here.
    assert_eq!(client.ask(get("/")).status, 502);
}

#[test]
fn long_bodies_come_through_by_length_chunked_or_up_to_the_end() {
    let upstream = upstream(9, |_, peer| {
        while let Some(sent) = peer.next() {
            let body = pattern(3 * MIB);
            if sent.line().contains("length") {
                peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
                peer.say(&body);
            } else if sent.line().contains("chunked") {
                peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(100_000) {
                    peer.say(format!("{:x}\r\n", chunk.len()));
                    peer.say([chunk, b"\r\n"].concat());
                }
                peer.say("0\r\n\r\n");
            } else {
                peer.say("HTTP/1.1 200 OK\r\n\r\n");
                peer.say(&body);
                return;
            }
        }
    });
    let server = relay(&upstream);
    let mut client = server.connect();
    for (target, length) in [("/length", Some("3145728")), ("/chunked", None), ("/end", None)] {
        for _ in 0..2 {
            let reply = client.ask(get(target));
            assert!(reply.body == pattern(3 * MIB), "{target}: {} bytes", reply.body.len());
            assert_eq!(reply.header("content-length"), length, "{target}");
        }
    }
    // One connection for the lengths and the chunks; the ends cost one each.
    assert_eq!(upstream.accepted(), 2);
}

#[test]
fn the_first_bytes_arrive_before_the_upstream_has_the_last() {
    let upstream = upstream(1, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.say("7\r\ndata: 1\r\n");
        // Until the client tells that it has seen the first event, by closing.
        peer.stay();
    });
    let server = relay(&upstream);
    let mut client = server.connect();
    client.send(get("/"));
    let head = client.head().unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(client.raw(12), b"7\r\ndata: 1\r\n");
}

#[test]
fn a_client_that_leaves_ends_the_upstreams_work() {
    let upstream = upstream(1, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while peer.try_say([b'x'; 65_536]) {}
    });
    let server = relay(&upstream);
    let mut client = server.connect();
    client.send(get("/"));
    client.head().unwrap();
    drop(client);
    // The script ends when its connection does, and the upstream waits for it.
    drop(upstream);
}

#[test]
fn a_client_that_does_not_read_holds_the_upstream_up() {
    let said = Arc::new(AtomicUsize::new(0));
    let count = said.clone();
    let upstream = upstream(1, move |_, peer| {
        peer.request();
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * MIB));
        for _ in 0..1024 {
            peer.say([b'x'; 65_536]);
            count.fetch_add(65_536, Ordering::Relaxed);
        }
    });
    let server = relay(&upstream);
    let mut client = server.connect();
    client.send(get("/"));
    let mut before = 0;
    eventually("the upstream stands still", || {
        pause(50);
        let now = said.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    assert!(before < 40 * MIB, "{before} bytes were said that nobody reads");
    assert_eq!(client.reply().body.len(), 64 * MIB);
}

#[test]
fn a_head_request_is_answered_with_the_head_alone() {
    let upstream = upstream(1, |_, peer| {
        while peer.next().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nX-Kind: text\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let server = relay(&upstream);
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    let reply = client.reply_to_head();
    assert_eq!((reply.header("content-length"), reply.header("x-kind")), (Some("5"), Some("text")));
    assert_eq!(client.ask(get("/")).text(), "hello");
}

#[test]
fn an_upstream_that_dies_inside_its_body_leaves_a_message_that_is_visibly_broken() {
    for (answer, reset) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf of it\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf of it\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf of it\r\nzz\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it", true),
        ("HTTP/1.1 200 OK\r\n\r\nhalf of it", true),
    ] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say(answer);
            pause(50);
            if reset {
                peer.reset();
            }
        });
        let server = relay(&upstream);
        let mut client = server.connect();
        client.send(get("/"));
        let reply = client.next(false).expect("the head comes");
        assert!(!reply.is_whole, "{answer:?}, reset: {reset}: {reply:?}");
        assert_eq!((reply.status, reply.text()), (200, "half of it"), "{answer:?}, reset: {reset}");
        client.is_closed();
    }
}

#[test]
fn the_failures_of_an_upstream_get_their_status() {
    for (answer, status, name) in [
        ("", 502, "upstream_closed"),
        ("HTTP/1.1 200 OK\r\nContent-", 502, "upstream_truncated"),
        ("220 ftp ready\r\n\r\n", 502, "bad_answer"),
    ] {
        let upstream = answering(answer);
        let server = relay(&upstream);
        let mut client = server.connect();
        let reply = client.ask(get("/"));
        assert_eq!((reply.status, reply.text()), (status, name), "{answer:?}");
        assert!(!reply.says_close(), "{answer:?}");
    }
}

#[test]
fn an_upload_is_relayed_as_it_comes() {
    let upstream = upstream(1, |_, peer| {
        while let Some(sent) = peer.next() {
            peer.say(ok(&String::from_utf8(sent.body).expect("a body of text")));
        }
    });
    let (client, url) = (Client::new(), upstream.url("/"));
    let server = start(Server::builder().post("/", move |req: Request, res: Response| {
        let request = eproxy_core::http_types::Request::try_from(req).map(|mut request| {
            *request.url_mut() = url.parse().expect("a URL");
            request.remove_header("host");
            request
        });
        let Ok(request) = request else { return res.status(400).send(()) };
        client.fetch(request, move |answer| match answer {
            Ok(answer) => res.forward(answer),
            Err(error) => res.status(error.status()).send(error.name()),
        });
    }));
    let mut client = server.connect();
    let body = String::from_utf8(pattern(2 * MIB)).unwrap();
    assert!(client.ask(crate::raw::post("/", &body)).text() == body);
    let coded = "5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n";
    assert_eq!(client.ask(crate::raw::post_chunked("/", coded)).text(), "hello there");
    let seen = upstream.seen();
    assert_eq!(
        (seen[0].header("content-length"), seen[0].header("transfer-encoding")),
        (Some("2097152"), None)
    );
    assert_eq!(
        (seen[1].header("content-length"), seen[1].header("transfer-encoding")),
        (None, Some("chunked"))
    );
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn fifty_clients_at_once_get_their_own_answers() {
    let upstream = upstream(50, |_, peer| {
        while let Some(sent) = peer.next() {
            pause(10);
            peer.say(ok(sent.line()));
        }
    });
    let server = relay(&upstream);
    let address = server.address();
    let helpers: Vec<_> = (0..50)
        .map(|number| {
            crate::raw::Helper::run(move || {
                let mut client = crate::raw::Connection::to(address);
                for round in 0..3 {
                    let target = format!("/{number}/{round}");
                    let reply = client.ask(get(&target));
                    assert_eq!((reply.status, reply.text()), (200, &*format!("GET {target} HTTP/1.1")));
                }
            })
        })
        .collect();
    helpers.into_iter().for_each(crate::raw::Helper::join);
    assert_eq!(upstream.seen().len(), 150);
    assert!(upstream.accepted() <= 50);
}

#[test]
fn the_trailers_of_an_upstream_come_through() {
    let upstream = answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let reply = relay(&upstream).ask(get("/"));
    assert_eq!(reply.trailers, [("X-Sum".into(), b"7".to_vec())]);
}
