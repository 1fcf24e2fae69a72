//! Bodies on their way up and down.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use eproxy_core::{Client, http_types};
use futures_lite::io::{AsyncRead, BufReader, Cursor};

use crate::raw::{eventually, pause};
use crate::support::{client, ok, pattern, post, send, text, upstream, wait_for};

const MIB: usize = 1 << 20;

fn reader(body: impl AsyncRead + Send + Sync + Unpin + 'static, length: Option<usize>) -> http_types::Body {
    http_types::Body::from_reader(BufReader::new(body), length)
}

/// A body without an end that counts what is read of it.
struct Endless(Arc<AtomicUsize>);

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.fetch_add(into.len(), Ordering::Relaxed);
        into.fill(b'x');
        Poll::Ready(Ok(into.len()))
    }
}

/// A body that fails behind its first bytes.
struct Failing(Cursor<&'static [u8]>);

impl AsyncRead for Failing {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_read(cx, into) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::Error::other("the disk is gone"))),
            read => read,
        }
    }
}

#[test]
fn a_body_goes_up_chunked_without_a_length_and_as_it_is_with_one() {
    let upstream = upstream(1, |_, peer| {
        while peer.next().is_some() {
            peer.say(ok("thanks"));
        }
    });
    let client = Client::new();
    for size in [0, 1, 1023, 1024, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 3 * MIB] {
        for length in [None, Some(size)] {
            let body = reader(Cursor::new(pattern(size)), length);
            assert_eq!(text(&client, post(&upstream.url("/"), body)).unwrap(), "thanks");
            let sent = upstream.seen().pop().unwrap();
            let framing = (sent.header("content-length"), sent.header("transfer-encoding"));
            let expected = length.map(|length| length.to_string());
            match length {
                None => assert_eq!(framing, (None, Some("chunked")), "{size}"),
                Some(_) => assert_eq!(framing, (expected.as_deref(), None), "{size}"),
            }
            assert!(sent.body == pattern(size), "{size} bytes, {length:?}: {}", sent.body.len());
        }
    }
    // And by surf's builder.
    let sent = wait_for(client.post(upstream.url("/")).body("by surf").recv_string()).unwrap();
    assert_eq!((sent.as_str(), upstream.seen().pop().unwrap().body), ("thanks", b"by surf".to_vec()));
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_body_shorter_than_announced_is_an_error_and_costs_the_connection() {
    let upstream = upstream(2, |number, peer| {
        peer.head();
        match number {
            0 => peer.stay_deaf(),
            _ => peer.say(ok("next")),
        }
    });
    let client = Client::new();
    let error = send(&client, post(&upstream.url("/"), reader(Cursor::new("12345"), Some(9))))
        .expect_err("the body is too short");
    assert_eq!((error.name(), error.is_retryable()), ("body_failed", false));
    assert!(error.to_string().contains("4 bytes shorter"), "{error}");
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "next");
}

#[test]
fn a_body_that_fails_is_an_error_and_never_ends_in_good_order() {
    for length in [None, Some(9)] {
        let upstream = upstream(1, |_, peer| {
            peer.head();
            peer.stay_deaf();
        });
        let body = reader(Failing(Cursor::new(b"12345")), length);
        let error = send(&Client::new(), post(&upstream.url("/"), body)).expect_err("the body fails");
        assert_eq!(error.name(), "body_failed");
        let source = std::error::Error::source(&error).expect("there is a cause").to_string();
        assert!(source.contains("the disk is gone"), "{source}");
    }
}

#[test]
fn an_upload_waits_for_an_upstream_that_does_not_read() {
    let read = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(AtomicBool::new(false));
    let gate = go.clone();
    let upstream = upstream(1, move |_, peer| {
        peer.head();
        while !gate.load(Ordering::Relaxed) {
            pause(5);
        }
        peer.say(ok("enough"));
        peer.stay_deaf();
    });
    let (client, body) = (Client::new(), reader(Endless(read.clone()), None));
    let answer = async_std::task::spawn({
        let (client, url) = (client.clone(), upstream.url("/"));
        async move { client.send(post(&url, body)).await?.bytes(99).await }
    });
    let mut before = 0;
    eventually("the upload stands still", || {
        pause(50);
        let now = read.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    assert!(before < 32 * MIB, "{before} bytes were read that nobody takes");
    go.store(true, Ordering::Relaxed);
    assert_eq!(wait_for(answer).unwrap(), b"enough");
}

#[test]
fn an_answer_that_comes_during_the_upload_ends_it() {
    let upstream = upstream(2, |number, peer| {
        peer.head();
        match number {
            0 => {
                peer.take(100_000);
                peer.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo long");
                peer.stay_deaf();
            }
            _ => peer.say(ok("next")),
        }
    });
    let client = Client::new();
    let answer = send(&client, post(&upstream.url("/"), reader(Endless(Arc::default()), None))).unwrap();
    assert_eq!((answer.status(), wait_for(answer.bytes(99)).unwrap()), (413, b"too long".to_vec()));
    // The connection is in the middle of a request.
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "next");
}

#[test]
fn an_early_answer_is_seen_although_the_upstream_closes_behind_it() {
    let upstream = upstream(1, |_, peer| {
        peer.head();
        peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        peer.finish();
        peer.stay_deaf();
    });
    let body = reader(Endless(Arc::default()), Some(1 << 40));
    let answer = send(&Client::new(), post(&upstream.url("/"), body)).unwrap();
    assert_eq!((answer.status(), wait_for(answer.bytes(99)).unwrap()), (403, b"no".to_vec()));
}

#[test]
#[cfg(unix)]
fn an_upload_that_moves_is_not_cut_off_by_the_limit_for_the_head() {
    use std::time::Duration;

    let upstream = upstream(1, |_, peer| {
        peer.request();
        peer.say(ok("thanks"));
    });
    let (mut writer, pipe) = async_std::os::unix::net::UnixStream::pair().unwrap();
    let writing = async_std::task::spawn(async move {
        for _ in 0..10 {
            async_std::task::sleep(Duration::from_millis(80)).await;
            futures_lite::AsyncWriteExt::write_all(&mut writer, b"x").await?;
        }
        io::Result::Ok(())
    });
    let client = client(|options| options.head = Duration::from_millis(400));
    assert_eq!(text(&client, post(&upstream.url("/"), reader(pipe, None))).unwrap(), "thanks");
    wait_for(writing).unwrap();
    assert_eq!(upstream.seen()[0].body, b"xxxxxxxxxx");
}

#[test]
fn a_download_waits_for_its_reader() {
    let said = Arc::new(AtomicUsize::new(0));
    let count = said.clone();
    let upstream = upstream(1, move |_, peer| {
        peer.request();
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * MIB));
        let chunk = pattern(65_536);
        for _ in 0..1024 {
            peer.say(&chunk);
            count.fetch_add(chunk.len(), Ordering::Relaxed);
        }
    });
    let answer = send(&Client::new(), upstream.url("/")).unwrap();
    let mut before = 0;
    eventually("the upstream stands still", || {
        pause(50);
        let now = said.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    assert!(before < 32 * MIB, "{before} bytes were said that nobody reads");
    let body = wait_for(answer.bytes(1 << 30)).unwrap();
    assert!(body.len() == 64 * MIB && body.chunks(65_536).all(|chunk| chunk == pattern(65_536)));
}

#[test]
fn a_chunked_answer_is_whole_whatever_its_pieces_are() {
    let coded = "5\r\nhello\r\nA;x=y\r\n, the rest\r\n0\r\n\r\n";
    for size in [1, 3, 7, 1000] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.say_in_pieces(coded, size);
            peer.stay();
        });
        assert_eq!(text(&Client::new(), upstream.url("/")).unwrap(), "hello, the rest", "pieces of {size}");
    }
}

#[test]
fn a_body_over_the_readers_limit_is_an_error() {
    let upstream = upstream(2, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    });
    let client = Client::new();
    let error = wait_for(send(&client, upstream.url("/")).unwrap().bytes(4)).expect_err("it is too long");
    assert!(error.is_limit(), "{error}");
    assert_eq!(wait_for(send(&client, upstream.url("/")).unwrap().bytes(5)).unwrap(), b"hello");
}
