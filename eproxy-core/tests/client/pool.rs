//! Connections between requests: which ones are used again, and what happens when one of them has died.

use std::time::Duration;

use async_std::task::sleep;
use eproxy_core::http_types::{Method, Request, Url};
use eproxy_core::{Client, ClientOptions};
use futures_lite::AsyncReadExt as _;

use crate::raw::{eventually, pause};
use crate::support::{Peer, answering, client, ok, pattern, post, send, text, upstream, wait_for};

/// Answers every request with the number of its connection.
fn count(number: usize, peer: &mut Peer) {
    while peer.next().is_some() {
        peer.say(ok(&number.to_string()));
    }
}

#[test]
fn the_second_request_uses_the_connection_of_the_first() {
    let upstream = upstream(2, count);
    let client = Client::new();
    for _ in 0..5 {
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
        assert_eq!(text(&client.clone(), post(&upstream.url("/"), "body")).unwrap(), "0");
        assert_eq!(wait_for(client.get(upstream.url("/")).recv_string()).unwrap(), "0");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_long_body_gives_its_connection_back_whoever_reads_it() {
    let upstream = upstream(2, |_, peer| {
        while let Some(sent) = peer.next() {
            let body = pattern(300_000);
            match sent.line().contains("chunked") {
                true => {
                    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493E0\r\n");
                    peer.say([&body[..], b"\r\n0\r\n\r\n"].concat());
                }
                false => peer.say([b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", &body[..]].concat()),
            }
        }
    });
    let client = Client::new();
    for target in ["/length", "/chunked"] {
        for _ in 0..2 {
            assert_eq!(text(&client, upstream.url(target)).unwrap().len(), 300_000);
            let bytes = wait_for(client.get(upstream.url(target)).recv_bytes()).unwrap();
            assert_eq!(bytes.len(), 300_000);
        }
    }
    // A reader that knows the length does not ask for more.
    let mut body = send(&client, upstream.url("/length")).unwrap().into_body();
    wait_for(body.read_exact(&mut vec![0; 300_000])).unwrap();
    assert_eq!(text(&client, upstream.url("/length")).unwrap().len(), 300_000);
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_connection_is_not_used_again_if_its_answer_or_its_request_says_close() {
    let upstream = upstream(3, |number, peer| {
        peer.request();
        match number {
            0 => peer.say("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\n0"),
            _ => peer.say(ok(&number.to_string())),
        }
        peer.stay();
    });
    let client = Client::new();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
    let mut request = Request::new(Method::Get, Url::parse(&upstream.url("/")).unwrap());
    request.insert_header("connection", "close");
    assert_eq!(text(&client, request).unwrap(), "1");
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "2");
}

#[test]
fn a_connection_with_bytes_that_nobody_asked_for_is_not_used_again() {
    for pause_before in [0, 30] {
        let upstream = upstream(2, move |number, peer| {
            peer.request();
            peer.say(ok(&number.to_string()));
            if number == 0 {
                pause(pause_before);
                // What the next request would take for its own answer.
                let _closed = peer.try_say(ok("smuggled"));
            }
            peer.stay();
        });
        let client = Client::new();
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
        pause(100);
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "1", "after {pause_before} ms");
    }
}

#[test]
fn connections_are_kept_apart_by_host_and_port() {
    let one = upstream(2, |_, peer| {
        while peer.next().is_some() {
            peer.say(ok("one"))
        }
    });
    let other = upstream(1, |_, peer| {
        while peer.next().is_some() {
            peer.say(ok("other"))
        }
    });
    let client = Client::new();
    for _ in 0..2 {
        assert_eq!(text(&client, one.url("/")).unwrap(), "one");
        assert_eq!(text(&client, other.url("/")).unwrap(), "other");
        let by_name = format!("http://localhost:{}/", one.address().port());
        assert_eq!(text(&client, by_name).unwrap(), "one");
    }
    assert_eq!((one.accepted(), other.accepted()), (2, 1));
    let hosts: Vec<_> = one.seen().iter().map(|sent| sent.header("host").unwrap().to_owned()).collect();
    assert_eq!(hosts[0], one.address().to_string());
    assert_eq!(hosts[1], format!("localhost:{}", one.address().port()));
}

#[test]
fn a_body_that_was_not_read_to_its_end_costs_the_connection() {
    let upstream = upstream(2, |number, peer| {
        peer.request();
        match number {
            0 => {
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nbeginning");
                peer.stay();
            }
            _ => peer.say(ok("next")),
        }
    });
    let client = Client::new();
    drop(send(&client, upstream.url("/")).unwrap());
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "next");
}

#[test]
fn a_get_whose_reused_connection_died_is_sent_once_more() {
    for reset in [false, true] {
        let upstream = upstream(2, move |number, peer| {
            peer.request();
            peer.say(ok(&number.to_string()));
            if number == 0 {
                // The second request arrives, and nothing of an answer leaves.
                peer.request();
                if reset {
                    peer.reset();
                }
                return;
            }
            peer.stay();
        });
        let client = Client::new();
        assert_eq!(text(&client, upstream.url("/first")).unwrap(), "0");
        assert_eq!(text(&client, upstream.url("/again")).unwrap(), "1", "reset: {reset}");
        let lines: Vec<_> = upstream.seen().iter().map(|sent| sent.line().to_owned()).collect();
        assert_eq!(lines, ["GET /first HTTP/1.1", "GET /again HTTP/1.1", "GET /again HTTP/1.1"]);
    }
}

#[test]
fn a_get_is_not_sent_a_third_time() {
    let upstream = upstream(3, |number, peer| {
        peer.request();
        if number == 0 {
            peer.say(ok("0"));
            peer.request();
        }
    });
    let client = Client::new();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
    let error = text(&client, upstream.url("/")).expect_err("the new connection died as well");
    assert_eq!((error.name(), error.status(), error.is_retryable()), ("upstream_closed", 502, false));
    assert_eq!((upstream.accepted(), upstream.seen().len()), (2, 3));
}

#[test]
fn a_post_whose_reused_connection_died_is_never_sent_again() {
    for body in ["", "body"] {
        let upstream = upstream(2, |_, peer| {
            peer.request();
            peer.say(ok("0"));
            peer.request();
        });
        let client = Client::new();
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
        let error = text(&client, post(&upstream.url("/"), body)).expect_err("it is not sent again");
        assert_eq!((error.name(), error.is_retryable()), ("upstream_closed", false), "{body:?}");
        assert_eq!((upstream.accepted(), upstream.seen().len()), (1, 2), "{body:?}");
    }
}

#[test]
fn a_put_with_a_body_whose_reused_connection_died_is_never_sent_again() {
    let upstream = upstream(2, |_, peer| {
        peer.request();
        peer.say(ok("0"));
        peer.request();
    });
    let client = Client::new();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
    let mut request = Request::put(&*upstream.url("/"));
    request.set_body("body");
    assert_eq!(text(&client, request).err().map(|error| error.name()), Some("upstream_closed"));
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn an_answer_that_has_begun_is_not_asked_for_again() {
    for beginning in ["HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
        let upstream = upstream(2, move |_, peer| {
            peer.request();
            peer.say(ok("0"));
            peer.request();
            peer.say(beginning);
        });
        let client = Client::new();
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
        let error = text(&client, upstream.url("/")).expect_err("the answer broke off");
        assert_eq!((error.name(), error.is_retryable()), ("upstream_truncated", false), "{beginning:?}");
        assert_eq!(upstream.accepted(), 1);
    }
}

#[test]
fn an_interim_answer_is_an_answer_that_has_begun() {
    let upstream = upstream(2, |_, peer| {
        peer.request();
        peer.say(ok("0"));
        peer.request();
        peer.say("HTTP/1.1 103 Early Hints\r\n\r\n");
    });
    let client = Client::new();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
    assert_eq!(text(&client, upstream.url("/")).err().map(|error| error.name()), Some("upstream_truncated"));
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_post_does_not_use_a_connection_that_has_ended() {
    let upstream = upstream(2, |number, peer| {
        peer.request();
        peer.say(ok(&number.to_string()));
    });
    let client = Client::new();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
    pause(100);
    assert_eq!(text(&client, post(&upstream.url("/"), "body")).unwrap(), "1");
}

#[test]
fn an_unused_connection_is_closed_when_its_time_is_over() {
    let (ended, closed) = std::sync::mpsc::channel();
    let upstream = upstream(1, move |_, peer| {
        peer.request();
        peer.say(ok("0"));
        peer.stay();
        ended.send(()).expect("the test is there");
    });
    let client = client(|options| options.keep_alive = Duration::from_millis(300));
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "0");
    assert!(closed.recv_timeout(Duration::from_millis(200)).is_err(), "it is closed early");
    // Nothing more is asked of the client.
    closed.recv_timeout(Duration::from_secs(5)).expect("the connection is closed");
}

#[test]
fn no_more_connections_are_kept_than_asked_for() {
    for (pool_size, connections) in [(0, 6), (1, 5), (3, 3)] {
        let upstream = upstream(8, |number, peer| {
            while peer.next().is_some() {
                pause(50);
                peer.say(ok(&number.to_string()));
            }
        });
        let client = Client::with_options(ClientOptions { pool_size, ..ClientOptions::default() });
        for _ in 0..2 {
            let three = [0; 3].map(|_| {
                let (client, url) = (client.clone(), upstream.url("/"));
                async_std::task::spawn(async move { client.send(url).await?.bytes(99).await })
            });
            for one in three {
                wait_for(one).unwrap();
            }
        }
        assert_eq!(upstream.accepted(), connections, "with room for {pool_size}");
    }
}

#[test]
fn a_request_that_is_given_up_costs_the_connection_and_not_the_next_request() {
    let upstream = upstream(2, |number, peer| {
        peer.request();
        match number {
            0 => peer.stay(),
            _ => peer.say(ok("next")),
        }
    });
    let client = Client::new();
    let given_up =
        futures_lite::future::or(async { client.send(upstream.url("/")).await.map(drop) }, async {
            while upstream.seen().is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        });
    wait_for(given_up).unwrap();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "next");
}

#[test]
fn fifty_requests_at_once_are_all_answered() {
    let upstream = upstream(50, |_, peer| {
        while let Some(sent) = peer.next() {
            pause(20);
            peer.say(ok(sent.line()));
        }
    });
    let client = Client::new();
    let (give, take) = std::sync::mpsc::channel();
    for round in 0..3 {
        for number in 0..50 {
            let give = give.clone();
            client.fetch(upstream.url(&format!("/{round}/{number}")), move |answer| {
                async_std::task::spawn(async move {
                    let text =
                        async { String::from_utf8(answer?.bytes(99).await?).map_err(|_| unreachable!()) };
                    let text: eproxy_core::Result<String> = text.await;
                    give.send((number, text.map_err(|error| error.to_string()))).expect("the test is there");
                });
            });
        }
        for _ in 0..50 {
            let (number, text) = take.recv_timeout(Duration::from_secs(10)).expect("an answer comes");
            assert_eq!(text.unwrap(), format!("GET /{round}/{number} HTTP/1.1"));
        }
    }
    assert!(upstream.accepted() <= 50);
    eventually("all of them were seen", || upstream.seen().len() == 150);
}

#[test]
fn an_answer_to_connect_is_not_taken_for_an_exchange() {
    let upstream = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let request = Request::new(Method::Connect, Url::parse(&upstream.url("/")).unwrap());
    let error = send(&Client::new(), request).expect_err("a client opens no tunnels");
    assert_eq!(error.name(), "bad_outgoing_request");
    assert_eq!(upstream.accepted(), 0);
}
