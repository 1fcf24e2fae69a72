//! Long messages over TLS: byte by byte what was sent, however slowly somebody reads, and nothing lost at the end.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Group, Proxy, Request, Response, Route, Server, Timeouts};

use crate::echoing::{pattern, relay};
use crate::support::certificates::{VERSIONS, pair, tls, trusting};
use crate::support::secure::{Secure, TlsClient, socket};
use crate::support::{Connection, PATIENCE, Running, crlf, eventually, get, pause, post, post_chunked};
use crate::upstream::{Upstream, echo, secure_upstream, upstream};

const MIB: usize = 1 << 20;

fn server(upstream: Option<&Upstream>) -> Running {
    let echo = |req: Request, res: Response| req.read(|body| res.send(body.expect("the body is whole")));
    let builder = Server::builder()
        .workers(1)
        .route(Route::new("/echo").any(echo).body_limit(u64::MAX))
        .route(Route::new("/relay").any(relay).body_limit(u64::MAX))
        .get("/much/:mib", |req: Request, res: Response| {
            let mib: usize = req.param("mib").and_then(|mib| mib.parse().ok()).expect("a number");
            res.send(pattern(mib * MIB));
        });
    let builder = match upstream {
        Some(upstream) => builder
            .at("/up/*path", Proxy::to(Group::from(upstream.url()).tls(trusting())).strip_prefix("/up")),
        None => builder,
    };
    Running::new(builder.bind_tls("127.0.0.1:0", tls()))
}

/// A client into whose socket little fits.
fn narrow(address: SocketAddr) -> Connection<Secure> {
    let socket = socket(address);
    socket2::SockRef::from(&socket).set_recv_buffer_size(64 * 1024).expect("an option can be set");
    Connection::over(TlsClient::new().over(socket).expect("the handshake comes to its end"))
}

/// An upstream, plain or over TLS, that echoes.
fn echoing(is_secure: bool) -> Upstream {
    let script = |peer: &mut crate::upstream::Peer| {
        while let Some(seen) = peer.next().filter(|seen| seen.is_whole) {
            peer.say(echo(&seen));
        }
    };
    if is_secure { secure_upstream(pair().server(&[]), script) } else { upstream(script) }
}

#[test]
fn bodies_of_all_sizes_around_those_of_records_come_back() {
    for is_secure in [false, true] {
        let upstream = echoing(is_secure);
        let server = server(Some(&upstream));
        for version in VERSIONS {
            let mut client = TlsClient::version(version).connect(server.address());
            for size in
                [0, 1, 4095, 4097, 16_383, 16_384, 16_385, 32_767, 32_769, 65_535, 65_536, 65_537, 3 * MIB]
            {
                for target in ["/echo", "/relay", "/up/x"] {
                    let body = pattern(size);
                    let reply = client.ask(post(target, &body));
                    let expected = if size == 0 && target == "/up/x" { b"/x".to_vec() } else { body };
                    assert!(
                        reply.body == expected,
                        "{size} bytes to {target} came back as {}",
                        reply.body.len()
                    );
                }
            }
        }
    }
}

#[test]
fn who_reads_slowly_gets_all_of_it() {
    let upstream = echoing(true);
    let server = server(Some(&upstream));
    let mut client = narrow(server.address());
    client.send(get("/much/12"));
    pause(100);
    assert!(client.reply().body == pattern(12 * MIB));
    // Behind others, too: nothing is mixed up.
    client.send([get("/much/1"), get("/much/2"), post("/up/x", pattern(MIB))].concat());
    pause(100);
    assert!(client.reply().body == pattern(MIB));
    assert!(client.reply().body == pattern(2 * MIB));
    assert!(client.reply().body == pattern(MIB));
    assert_eq!(client.ask(get("/up/end")).text(), "/end");
}

#[test]
fn what_is_left_of_an_answer_is_sent_when_the_connection_is_closed() {
    let upstream = echoing(false);
    let server = server(Some(&upstream));
    for (target, body) in [("/much/2", 0), ("/echo", 2), ("/up/x", 2), ("/much/8", 0), ("/up/x", 8)] {
        let mut client = narrow(server.address());
        let (method, length) = if body == 0 { ("GET", 0) } else { ("POST", body * MIB) };
        let head = format!(
            "{method} {target} HTTP/1.1\nHost: test\nConnection: close\nContent-Length: {length}\n\n"
        );
        client.send([crlf(&head), pattern(length)].concat());
        pause(50);
        let reply = client.reply();
        assert!(reply.says_close());
        let expected = if target == "/much/8" || body == 8 { 8 * MIB } else { 2 * MIB };
        assert!(reply.body == pattern(expected), "{target}: {} bytes", reply.body.len());
        client.is_closed_with_goodbye();
    }
    eventually("nothing is left", || server.stats().open == 0);
}

#[test]
fn short_answers_to_many_requests_wait_for_who_reads_slowly() {
    let server = server(None);
    let client = narrow(server.address());
    let body = pattern(2000);
    // More than the sockets of both sides hold: they are posted, and what does not fit is kept.
    const MANY: usize = 4000;
    const AHEAD: usize = 2500;
    let (mut client, mut sent, mut read) = (client, 0, 0);
    let request = post("/echo", &body);
    while read < MANY {
        // As many as can be on their way before one of both sides is stuck.
        while sent < MANY && sent < read + AHEAD {
            client.send(&request);
            sent += 1;
        }
        assert!(client.reply().body == body, "answer {read}");
        read += 1;
    }
}

#[test]
fn an_upload_that_breaks_off_is_noticed() {
    let (give, take) = channel();
    let builder = Server::builder().workers(1).post("/", move |req: Request, res: Response| {
        let give = give.clone();
        req.read(move |body| {
            give.send(body.map_err(|error| error.name())).expect("the test waits");
            drop(res);
        });
    });
    let server = Running::new(builder.bind_tls("127.0.0.1:0", tls()));
    let beginnings = [
        post("/", vec![b'x'; 100_000])[..60_000].to_vec(),
        post_chunked("/", "5\r\nhello\r\n"),
        post_chunked("/", "5\r\nhel"),
    ];
    for beginning in &beginnings {
        for says_goodbye in [true, false] {
            let mut client = TlsClient::new().connect(server.address());
            client.send(beginning);
            pause(20);
            if says_goodbye {
                client.finish_secure();
            } else {
                // What a stranger in between could do as well.
                client.stream().socket().shutdown(std::net::Shutdown::Write).expect("it is there");
            }
            let heard = take.recv_timeout(PATIENCE).expect("the handler is told");
            assert!(matches!(heard, Err("truncated" | "downstream_gone")), "{heard:?}");
            drop(client);
        }
    }
    eventually("the connections are gone", || server.stats().open == 0);
}

#[test]
fn a_client_that_is_gone_ends_its_answer() {
    let timeouts = Timeouts { write_idle: PATIENCE, ..Timeouts::default() };
    let builder = Server::builder().workers(1).timeouts(timeouts).get("/", |_: Request, res: Response| {
        let mut writer = res.stream();
        task::spawn(async move { while writer.send(vec![b'x'; 10_000]).await.is_ok() {} });
    });
    let server = Running::new(builder.bind_tls("127.0.0.1:0", tls()));
    let mut client = narrow(server.address());
    client.send(get("/"));
    assert_eq!(client.head().map(|head| head.status), Some(200));
    drop(client);
    eventually("it is noticed", || server.failures("downstream_gone") == 1 && server.stats().open == 0);
}

#[test]
fn a_client_that_takes_nothing_is_left() {
    let timeouts = Timeouts { write_idle: Duration::from_millis(100), ..Timeouts::default() };
    let builder = Server::builder()
        .workers(1)
        .timeouts(timeouts)
        .get("/", |_: Request, res: Response| res.send(vec![b'x'; 16 * MIB]));
    let server = Running::new(builder.bind_tls("127.0.0.1:0", tls()));
    let mut client = narrow(server.address());
    client.send(get("/"));
    eventually("it is noticed", || server.stats().open == 0);
    assert_eq!(server.failures("downstream_gone"), 1);
    drop(client);
}
