//! Requests that were damaged at random: the server refuses, answers or closes, and lives.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_std::task;
use eproxy_core::{Builder, Request, Response, Server, Timeouts};
use fastrand::Rng;
use futures_lite::AsyncReadExt;

use crate::support::{Helper, eventually, get, start};

/// Messages in all.
const MESSAGES: usize = 20_000;

/// Connections at once.
const LANES: usize = 16;

const BASES: [&str; 10] = [
    "GET /hello HTTP/1.1\r\nHost: test\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello",
    "POST /relay HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "POST /hello HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
    "GET /late?a=b HTTP/1.1\r\nHost: test\r\nConnection: close\r\nCookie: a=b; c=d\r\nAccept: */*\r\n\r\n",
    "PUT /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
    "GET http://test/upgrade HTTP/1.1\r\nHost: test\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbytes",
    "HEAD /panic HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
];

const SEPARATORS: [&[u8]; 11] =
    [b"\r\n", b"\r", b"\n", b"\0", b":", b"\t", b" ", b";", b",", b"\x0b", b"\xff"];

const LINES: [&str; 8] = [
    "Content-Length: 7\r\n",
    "Content-Length: -1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Host: b\r\n",
    "Connection: x, close\r\n",
    "Expect: 100-continue\r\n",
    "Expect: y\r\n",
];

fn random_bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    let n = rng.usize(1..most);
    (0..n).map(|_| rng.u8(..)).collect()
}

/// A message that was damaged in up to five places, or was never one.
pub(crate) fn message(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(0..10) {
        0 => return random_bytes(rng, 600),
        1 => {
            let n = rng.usize(1..400);
            let alphabet = b"GET /\r\n: HTP1.0\t\0abc";
            return (0..n).map(|_| alphabet[rng.usize(..alphabet.len())]).collect();
        }
        _ => {}
    }
    let base = BASES[rng.usize(..BASES.len())].as_bytes();
    let mut bytes = base.repeat(if rng.u8(0..4) == 0 { 2 } else { 1 });
    for _ in 0..rng.usize(1..6) {
        damage(rng, &mut bytes);
    }
    bytes
}

fn damage(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(..=bytes.len());
    let end = bytes.len().min(at + rng.usize(1..30));
    let new: Vec<u8> = match rng.u8(0..9) {
        0 => {
            bytes.drain(at..bytes.len().min(at + 1));
            return;
        }
        1 => {
            bytes.drain(at..end);
            return;
        }
        2 => {
            bytes.truncate(at.max(1));
            return;
        }
        3 if at < bytes.len() => {
            bytes[at] = rng.u8(..);
            return;
        }
        4 => SEPARATORS[rng.usize(..SEPARATORS.len())].to_vec(),
        5 => bytes[at..end].to_vec(),
        6 => LINES[rng.usize(..LINES.len())].into(),
        7 => vec![b"9fA"[rng.usize(..3)]; rng.usize(20..2000)],
        _ => vec![rng.u8(..)],
    };
    bytes.splice(at..at, new);
}

fn echo(req: Request, res: Response) {
    req.read(|body| {
        if let Ok(body) = body {
            res.send(body);
        }
    });
}

fn builder() -> Builder {
    Server::builder()
        .workers(2)
        .timeouts(Timeouts {
            head: Duration::from_secs(2),
            body_idle: Duration::from_secs(2),
            ..Timeouts::default()
        })
        .get("/hello", |_: Request, res: Response| res.send("hello"))
        .at("/echo", echo)
        .at("/late", |_: Request, res: Response| {
            task::spawn(async move { res.send("late") });
        })
        .at("/relay", |mut req: Request, res: Response| {
            let mut writer = res.stream();
            let body = req.take_body();
            task::spawn(async move {
                if body.copy_to(&mut writer).await.is_ok() {
                    writer.finish();
                }
            });
        })
        .at("/upgrade", |_: Request, res: Response| {
            let mut connection = res.upgrade("x");
            task::spawn(async move { connection.read_to_end(&mut Vec::new()).await });
        })
        .at("/dropped", |_: Request, res: Response| drop(res))
}

/// Sends one message on a connection of its own, and ends it in one of three ways.
fn send(address: SocketAddr, message: &[u8], answers: &AtomicUsize) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    // The server may refuse before it has read everything.
    let _cut = stream.write_all(message);
    let way = message.len() % 3;
    if way == 1 {
        let _gone = stream.shutdown(Shutdown::Write);
    }
    if way > 0 {
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
        let mut start = [0; 4096];
        if let Ok(n) = stream.read(&mut start)
            && n > 0
        {
            // Some begin as HTTP/2 does, and are answered with its settings.
            assert!(
                start[..n].starts_with(b"HTTP/1.1 ") || start[3] == 4,
                "answered {:?}",
                start[..n].escape_ascii().to_string()
            );
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
    if way == 2 {
        let _option = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

#[test]
fn twenty_thousand_damaged_requests_do_the_server_no_harm() {
    let server = start(builder());
    let address = server.address();
    let answers = Arc::new(AtomicUsize::new(0));
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let answers = answers.clone();
            Helper::run(move || {
                let mut rng = Rng::with_seed(1 + lane as u64);
                for _ in 0..MESSAGES / LANES {
                    send(address, &message(&mut rng), &answers);
                }
            })
        })
        .collect();
    // Good requests are answered all the while.
    let mut client = server.connect();
    for lane in lanes {
        assert_eq!(client.ask(get("/hello")).text(), "hello");
        lane.join();
    }
    assert!(answers.load(Ordering::Relaxed) > MESSAGES / 10, "{answers:?} answers");
    assert_eq!(server.ask(get("/hello")).text(), "hello");
    drop(client);
    eventually("no connection is left", || server.stats().open == 0);
    assert_eq!(server.stats().task_panics, 0);
}
