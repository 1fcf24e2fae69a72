//! Bodies in both directions: framing, trailers, streaming, back-pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use async_std::task;
use eproxy_core::{Answer, Body, Headers, Request, Response, Route, Server, async_handler};
use futures_lite::AsyncReadExt;
use futures_lite::io::Cursor;

use crate::echoing::{echo, pattern, relay};
use crate::support::{Helper, Running, crlf, eventually, get, pause, post, post_chunked, start};

const MIB: usize = 1 << 20;

fn echoing() -> Running {
    let routes = [Route::new("/echo").any(echo), Route::new("/relay").any(relay).body_limit(u64::MAX)];
    start(routes.into_iter().fold(Server::builder(), |builder, route| builder.route(route)))
}

#[test]
fn a_body_with_a_length_is_echoed_whole_or_in_pieces() {
    let server = echoing();
    let mut client = server.connect();
    for size in [0, 1, 5, 8191, 8192, 8193, 65_536, 65_537, 3 * MIB] {
        for target in ["/echo", "/relay"] {
            let body = pattern(size);
            client.send(post(target, &body));
            let reply = client.reply();
            assert!(reply.body == body, "{size} bytes to {target} came back as {}", reply.body.len());
        }
    }
}

#[test]
fn a_chunked_body_comes_back_whatever_its_chunks_are() {
    let server = echoing();
    let mut client = server.connect();
    for (coded, expected) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("0005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("5;a=b;c\r\nhello\r\n0;d=\"e\\\"\"\r\n\r\n", "hello"),
    ] {
        for target in ["/echo", "/relay"] {
            assert_eq!(client.ask(post_chunked(target, coded)).text(), expected, "{coded:?}");
        }
    }
    let many = "1\r\nx\r\n".repeat(5000) + "0\r\n\r\n";
    assert_eq!(client.ask(post_chunked("/relay", &many)).body, b"x".repeat(5000));
}

#[test]
fn trailers_go_through_in_both_directions() {
    let server = echoing();
    let mut client = server.connect();
    let reply = client.ask(post_chunked("/relay", "2\r\nhi\r\n0\r\nX-Sum: 7\r\nx-two: a b\r\n\r\n"));
    assert_eq!(reply.trailers, [("X-Sum".into(), b"7".to_vec()), ("x-two".into(), b"a b".to_vec())]);
    assert_eq!(client.ask(get("/relay")).text(), "");
}

#[test]
fn trailers_never_become_headers_and_never_frame_or_route() {
    let server = start(Server::builder().post(
        "/",
        async_handler(|mut req: Request| async move {
            let mut body = req.take_body();
            let mut text = String::new();
            body.read_to_string(&mut text).await?;
            let trailers = body.trailers().unwrap_or_default();
            let names: Vec<_> = trailers.iter().map(|(name, _)| name.to_owned()).collect();
            let seen = req.headers().get("x-sum").is_some() || req.headers().get("authorization").is_some();
            Ok::<_, http_types::Error>(format!("{text} {names:?} {seen}"))
        }),
    ));
    let coded = "2\r\nhi\r\n0\r\nX-Sum: 7\r\nHost: evil\r\nContent-Length: 9\r\nAuthorization: x\r\n\r\n";
    assert_eq!(server.ask(post_chunked("/", coded)).text(), "hi [\"X-Sum\"] false");
}

#[test]
fn a_streamed_answer_is_chunked_with_trailers_and_closed_with_http_1_0() {
    let stream = |_: Request, res: Response| {
        let mut writer = res.header("Content-Type", "text/x").stream();
        task::spawn(async move {
            for part in ["one ", "two ", "three"] {
                writer.send(part).await?;
            }
            let mut trailers = Headers::new();
            trailers.append("X-Count", "3")?;
            writer.finish_with_trailers(trailers);
            Ok::<_, eproxy_core::Error>(())
        });
    };
    let server = start(Server::builder().get("/", stream));
    let mut client = server.connect();
    let reply = client.ask(get("/"));
    assert_eq!((reply.text(), reply.header("content-type")), ("one two three", Some("text/x")));
    assert_eq!(reply.trailers, [("X-Count".into(), b"3".to_vec())]);
    assert_eq!(client.ask(get("/")).text(), "one two three");

    for connection in ["", "Connection: keep-alive\n"] {
        let mut client = server.connect();
        let reply = client.ask(crlf(&format!("GET / HTTP/1.0\n{connection}\n")));
        assert_eq!((reply.text(), reply.header("transfer-encoding")), ("one two three", None));
        assert!(reply.says_close());
    }
}

#[test]
fn an_event_arrives_before_the_answer_is_complete() {
    let (go, gone) = channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let server = start(Server::builder().get("/", move |_: Request, res: Response| {
        let mut writer = res.stream();
        let _sent = task::block_on(writer.send("first"));
        let gate = std::mem::replace(&mut *gone.lock().unwrap(), channel().1);
        std::thread::spawn(move || {
            let _said = gate.recv();
            let _sent = task::block_on(writer.send("second"));
            writer.finish();
        });
    }));
    let mut client = server.connect();
    client.send(get("/"));
    let head = client.head().unwrap();
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.raw(10), b"5\r\nfirst\r\n");
    go.send(()).unwrap();
    assert_eq!(client.raw(16), b"6\r\nsecond\r\n0\r\n\r\n");
}

#[test]
fn an_upload_that_nobody_reads_is_not_read_from_the_client_either() {
    let (give, take) = channel();
    let server = start(
        Server::builder().route(
            Route::new("/")
                .post(move |mut req: Request, res: Response| {
                    give.send((req.take_body(), res)).unwrap();
                })
                .body_limit(u64::MAX),
        ),
    );
    let mut client = server.connect();
    let total = 64 * MIB;
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {total}\r\n\r\n"));
    let chunk = vec![b'x'; 65_536];
    let sent = client.send_until_stuck(&chunk, total);
    assert!(sent < 32 * MIB, "the server took {sent} bytes that nobody reads");

    let (mut body, res) = take.recv().unwrap();
    let reading = Helper::run(move || {
        let mut buffer = vec![0; 65_536];
        let mut read = 0;
        loop {
            match task::block_on(body.read(&mut buffer)).unwrap() {
                0 => break,
                n => read += n,
            }
        }
        res.send(read.to_string());
    });
    let mut left = total - sent;
    while left > 0 {
        let n = left.min(chunk.len());
        client.send(&chunk[..n]);
        left -= n;
    }
    assert_eq!(client.reply().text(), total.to_string());
    reading.join();
}

#[test]
fn a_download_waits_for_its_reader() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let server = start(Server::builder().get("/", move |_: Request, res: Response| {
        let mut writer = res.stream();
        let count = count.clone();
        task::spawn(async move {
            let chunk = vec![b'x'; 65_536];
            for _ in 0..1024 {
                writer.send(&chunk).await?;
                count.fetch_add(chunk.len(), Ordering::Relaxed);
            }
            writer.finish();
            Ok::<_, eproxy_core::Error>(())
        });
    }));
    let mut client = server.connect();
    client.send(get("/"));
    let mut before = usize::MAX;
    eventually("the writer stands still", || {
        pause(50);
        let now = written.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    let stuck = written.load(Ordering::Relaxed);
    assert!(stuck < 32 * MIB, "{stuck} bytes were written that nobody reads");
    assert_eq!(client.reply().body.len(), 64 * MIB);
}

#[test]
fn an_answer_to_head_has_the_length_of_the_body_and_not_the_body() {
    let server = start(
        Server::builder()
            .get("/text", |_: Request, res: Response| res.send("hello"))
            .get("/stream", |_: Request, res: Response| {
                let mut writer = res.stream();
                task::spawn(async move {
                    let _gone = writer.send("hello").await;
                    writer.finish();
                });
            })
            .get("/announced", |_: Request, res: Response| res.header("Content-Length", "77").send(())),
    );
    let mut client = server.connect();
    for (target, length) in
        [("/text", Some("5")), ("/stream", None), ("/announced", Some("77")), ("/none", Some("14"))]
    {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(client.reply_to_head().header("content-length"), length, "{target}");
        assert_eq!(client.ask(get("/text")).text(), "hello", "after {target}");
    }
}

#[test]
fn answers_without_a_body_have_none_whatever_the_handler_says() {
    let answer = |status: u16| move |_: Request, res: Response| res.status(status).send("not to be seen");
    let server = start(
        Server::builder()
            .get("/204", answer(204))
            .get("/304", answer(304))
            .get("/304/length", |_: Request, res: Response| {
                res.status(304).header("Content-Length", "1234").header("ETag", "\"x\"").send(());
            })
            .get("/", |_: Request, res: Response| res.send("next")),
    );
    let mut client = server.connect();
    for (target, length) in [("/204", None), ("/304", None), ("/304/length", Some("1234"))] {
        let reply = client.ask(get(target));
        assert_eq!(
            (reply.header("content-length"), reply.header("transfer-encoding")),
            (length, None),
            "{target}"
        );
        assert_eq!(client.ask(get("/")).text(), "next", "after {target}");
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_a_message_that_is_visibly_broken() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| {
        let mut writer = res.stream();
        let _sent = task::block_on(writer.send("half of it"));
    }));
    let mut client = server.connect();
    client.send(get("/"));
    let reply = client.next(false).unwrap();
    assert_eq!((reply.text(), reply.is_whole), ("half of it", false));
    client.is_closed();
    assert_eq!(server.failures("body_failed"), 1);
}

#[test]
fn a_reader_that_does_not_keep_its_length_leaves_a_broken_message() {
    let body =
        |length| move |_: Request, res: Response| res.send(Body::from_reader(Cursor::new("12345"), length));
    let server = start(
        Server::builder()
            .get("/exact", body(Some(5)))
            .get("/short", body(Some(6)))
            .get("/long", body(Some(4)))
            .get("/any", body(None)),
    );
    assert_eq!(server.ask(get("/exact")).header("content-length"), Some("5"));
    assert_eq!(server.ask(get("/any")).text(), "12345");
    for target in ["/short", "/long"] {
        let mut client = server.connect();
        client.send(get(target));
        let reply = client.next(false).unwrap();
        assert!(!reply.is_whole, "{target}: {reply:?}");
        client.is_closed();
    }
    assert_eq!(server.failures("body_failed"), 2);
}

#[test]
fn a_handler_is_told_of_a_body_that_broke_off_or_is_malformed() {
    let (give, take) = channel();
    let server = start(Server::builder().post("/", move |req: Request, res: Response| {
        let give = give.clone();
        req.read(move |body| {
            give.send(body.map_err(|error| error.name())).unwrap();
            drop(res);
        });
    }));
    for (request, name, status) in [
        (crlf("POST / HTTP/1.1\nHost: test\nContent-Length: 10\n\nhello"), "truncated", 400),
        (post_chunked("/", "5\r\nhello"), "truncated", 400),
        (post_chunked("/", "5\r\nhello\r\n0\r\n"), "truncated", 400),
        (post_chunked("/", "5\r\nhelloX"), "bad_chunk", 400),
        (post_chunked("/", "5\r\nhello\r\n0\r\nA : b\r\n\r\n"), "bad_trailer", 400),
    ] {
        let mut client = server.connect();
        client.send(&request);
        client.finish();
        assert_eq!(take.recv().unwrap(), Err(name), "{:?}", request.escape_ascii().to_string());
        let reply = client.reply();
        assert!(reply.status == status && reply.says_close(), "{reply:?}");
        client.is_closed();
    }
    assert_eq!((server.failures("truncated"), server.failures("response_dropped")), (3, 0));
}

#[test]
fn an_answer_may_be_long() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| res.send(pattern(8 * MIB))));
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(get("/"));
        assert!(reply.body == pattern(8 * MIB), "{} bytes", reply.body.len());
    }
}

#[test]
fn what_a_handler_says_about_framing_is_the_servers_business() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| {
        let mut answer = Answer::new(200).with_body("hello");
        for (name, value) in
            [("Content-Length", "3"), ("Transfer-Encoding", "gzip"), ("Connection", "x-y"), ("X-Y", "1")]
        {
            answer.headers_mut().append(name, value).unwrap();
        }
        res.forward(answer);
    }));
    let mut client = server.connect();
    let reply = client.ask(get("/"));
    assert_eq!(
        (reply.text(), reply.header("content-length"), reply.header("x-y")),
        ("hello", Some("5"), None)
    );
    assert_eq!(client.ask(get("/")).text(), "hello");
}

#[test]
fn a_body_that_is_dropped_half_read_does_not_disturb_the_next_request() {
    let server = start(Server::builder().at(
        "/*rest",
        async_handler(|mut req: Request| async move {
            let mut body = req.take_body();
            let mut some = [0; 10];
            let n = body.read(&mut some).await.unwrap_or(0);
            drop(body);
            format!("{} {n}", req.target())
        }),
    ));
    let mut client = server.connect();
    for round in 0..20 {
        let body = vec![b'x'; 100_000 + round];
        client.send([post("/a", &body), get("/b")].concat());
        assert_eq!((client.reply().text(), client.reply().text()), ("/a 10", "/b 0"), "round {round}");
    }
}

#[test]
fn a_request_that_is_kept_is_not_mixed_up_with_later_ones() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = kept.clone();
    let server = start(Server::builder().at("/*rest", move |req: Request, res: Response| {
        let target = req.target().to_owned();
        keep.lock().unwrap().push(req);
        res.send(target);
    }));
    let mut client = server.connect();
    for number in 0..100 {
        assert_eq!(
            client.ask(post(&format!("/{number}"), format!("body {number}"))).text(),
            format!("/{number}")
        );
    }
    for (number, mut req) in std::mem::take(&mut *kept.lock().unwrap()).into_iter().enumerate() {
        assert_eq!(req.target(), format!("/{number}"));
        assert_eq!(task::block_on(req.take_body().bytes(100)).unwrap(), format!("body {number}").as_bytes());
    }
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_its_answer_frees_everything() {
    let server = start(
        Server::builder().get("/much", |_: Request, res: Response| res.send(vec![b'x'; 64 * MIB])).get(
            "/endless",
            |_: Request, res: Response| {
                let mut writer = res.stream();
                task::spawn(async move { while writer.send([b'x'; 1000]).await.is_ok() {} });
            },
        ),
    );
    for target in ["/much", "/endless"] {
        for _ in 0..10 {
            let mut client = server.connect();
            client.send(get(target));
            assert_eq!(client.head().unwrap().status, 200);
        }
    }
    eventually("all connections are gone", || server.stats().open == 0);
    assert_eq!(server.failures("downstream_gone"), 20);
}
