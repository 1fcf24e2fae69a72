//! The end of a server whose clients speak HTTP/2 or TLS: what runs is finished, and nobody loses a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{Builder, Group, Proxy, Request, Response, Server, Shutdown};

use crate::support::certificates::{tls, trusting};
use crate::support::http2::Http2;
use crate::support::http2_upstream::{Settings, echoing2};
use crate::support::secure::TlsClient;
use crate::support::{Helper, PATIENCE, Running, eventually, get, start};

fn builder() -> Builder {
    Server::builder().workers(1).get("/", |_: Request, res: Response| res.send("hello"))
}

fn shut_down(server: Running) -> Helper<(Running, Shutdown)> {
    Helper::run(move || {
        let end = block_on(server.handle().shutdown(PATIENCE));
        (server, end)
    })
}

#[test]
fn what_runs_is_finished_and_nothing_new_is_taken() {
    let (give, take) = channel();
    let server =
        start(builder().get("/wait", move |_: Request, res: Response| give.send(res).expect("it waits")));
    let client = Http2::to(server.address());
    let idle = Http2::to(server.address());
    assert_eq!(idle.get("/").text(), "hello");
    let exchanges: Vec<_> = (0..5).map(|_| client.ask("GET", "/wait")).collect();
    let waiting: Vec<_> = (0..5).map(|_| take.recv_timeout(PATIENCE).expect("they are asked")).collect();
    let ending = shut_down(server);
    let end = idle.ended();
    assert!(end.is_ok(), "{end:?}");
    eventually("the client was told", || client.is_closed());
    waiting.into_iter().for_each(|res| res.send("finished"));
    for exchange in exchanges {
        assert_eq!(exchange.whole().text(), "finished");
    }
    let end = client.ended();
    assert!(end.is_ok(), "{end:?}");
    let (server, end) = ending.join();
    assert_eq!((end, server.stats().open), (Shutdown::Clean, 0));
}

#[test]
fn a_long_answer_is_finished_too() {
    let (give, take) = channel();
    let server = Running::new(
        builder()
            .get("/stream", move |_: Request, res: Response| give.send(res.stream()).expect("it waits"))
            .bind_tls("127.0.0.1:0", tls()),
    );
    let client = Http2::secure(server.address());
    let mut exchange = client.ask("GET", "/stream");
    let mut writer = take.recv_timeout(PATIENCE).expect("it is asked");
    block_on(writer.send("before, ")).expect("the client reads");
    assert_eq!(exchange.head().status, 200);
    let ending = shut_down(server);
    eventually("the client was told", || client.is_closed());
    block_on(writer.send("and after")).expect("the client reads");
    writer.finish();
    let (body, end) = exchange.rest();
    assert_eq!((&body[..], end.is_ok()), (&b"before, and after"[..], true));
    assert_eq!(ending.join().1, Shutdown::Clean);
}

#[test]
fn whoever_does_not_go_is_left_at_the_deadline() {
    let (give, take) = channel();
    let server =
        start(builder().get("/wait", move |_: Request, res: Response| give.send(res).expect("it waits")));
    let client = Http2::to(server.address());
    let mut exchange = client.ask("GET", "/wait");
    let _res = take.recv_timeout(PATIENCE).expect("it is asked");
    let end = block_on(server.handle().shutdown(Duration::from_millis(100)));
    assert_ne!(end, Shutdown::Clean);
    assert!(exchange.try_head().is_err());
}

/// Asks without a pause until the server takes no more; counts what came back, and fails with what did not.
fn load(server: &Running, is_secure: bool, is_over: &Arc<AtomicBool>, asked: &Arc<AtomicU64>) -> Helper {
    let address = server.handle().addresses()[usize::from(is_secure)];
    let (is_over, asked) = (is_over.clone(), asked.clone());
    let connect = move || if is_secure { Http2::secure(address) } else { Http2::to(address) };
    // It is there before the server ends.
    let mut client = connect();
    Helper::run(move || {
        loop {
            // Requests that were begun before the client was told to go are answered.
            while !client.is_closed() {
                let exchanges: Vec<_> = (0..4).filter_map(|_| client.try_ask("GET", "/x")).collect();
                for mut exchange in exchanges {
                    match exchange.try_whole() {
                        Ok(answer) => {
                            assert_eq!(answer.status, 200);
                            asked.fetch_add(1, Ordering::SeqCst);
                        }
                        // What came too late was not looked at (RFC 9113 §6.8): it may be sent again elsewhere.
                        Err(reason) => {
                            assert!(client.is_closed() && reason == Some(h2::Reason::NO_ERROR), "{reason:?}");
                        }
                    }
                }
            }
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            client = connect();
        }
    })
}

#[test]
fn no_request_is_lost_when_a_server_ends_under_load() {
    let upstream = echoing2(Settings::secure());
    for _ in 0..5 {
        let proxy = Proxy::to(Group::from(upstream.url()).tls(trusting()));
        let server = Server::builder().workers(2).at("/*path", proxy).bind("127.0.0.1:0");
        let server = Running::new(server.bind_tls("127.0.0.1:0", tls()));
        let (is_over, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let helpers = [load(&server, false, &is_over, &asked), load(&server, true, &is_over, &asked)];
        eventually("requests are answered", || asked.load(Ordering::SeqCst) > 50);
        is_over.store(true, Ordering::SeqCst);
        let (server, end) = shut_down(server).join();
        assert_eq!(end, Shutdown::Clean);
        helpers.into_iter().for_each(Helper::join);
        assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
        assert_eq!(server.stats().open, 0);
    }
}

#[test]
fn no_request_over_tls_is_lost_either() {
    for _ in 0..3 {
        let server = Running::new(builder().bind_tls("127.0.0.1:0", tls()));
        let address = server.address();
        let asked = Arc::<AtomicU64>::default();
        let helpers = [(); 2].map(|()| {
            let asked = asked.clone();
            // Both are there before the server ends.
            let mut client = TlsClient::new().connect(address);
            Helper::run(move || {
                loop {
                    let _gone = client.try_send(get("/"));
                    match client.next(false) {
                        Some(reply) => {
                            assert!(reply.is_whole && reply.text() == "hello", "{reply:?}");
                            asked.fetch_add(1, Ordering::SeqCst);
                            if reply.says_close() {
                                return client.is_closed_with_goodbye();
                            }
                        }
                        // Between two requests it may just end.
                        None => return assert!(client.has_heard_goodbye()),
                    }
                }
            })
        });
        eventually("requests are answered", || asked.load(Ordering::SeqCst) > 50);
        assert_eq!(shut_down(server).join().1, Shutdown::Clean);
        helpers.into_iter().for_each(Helper::join);
    }
}
