//! The faults of async-h1 2.3.4's decoders and server loop, and of the packages around it: none of them is ours. Each
//! test says what is right; the names ending in `_client` and `_server` tell where.

use std::sync::mpsc::channel;
use std::time::Duration;

use async_std::task;
use eproxy_core::http_types::{self, Method, Url};
use eproxy_core::{Answer, Client, Request, Response, Server};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::raw::{self, Running, crlf, get, start};
use crate::support::{answering, ok, pattern, post, send, text, upstream, wait_for};

fn request(method: Method, url: &str) -> http_types::Request {
    http_types::Request::new(method, Url::parse(url).expect("a URL"))
}

/// The name of the error with which an answer is refused.
fn refused(answer: impl Into<Vec<u8>>) -> &'static str {
    let upstream = answering(answer);
    let error = text(&Client::new(), upstream.url("/")).expect_err("the answer is refused");
    assert_eq!(error.status(), 502, "{error}");
    error.name()
}

fn hello() -> Running {
    start(Server::builder().get("/", |_: Request, res: Response| res.send("hello")).post(
        "/echo",
        |req: Request, res: Response| {
            req.read(|body| match body {
                Ok(body) => res.send(body),
                Err(error) => res.status(error.status()).send(error.name()),
            });
        },
    ))
}

/// A server whose `/` relays the answer of an upstream.
fn relaying(url: String) -> Running {
    let client = Client::new();
    start(Server::builder().get("/", move |_: Request, res: Response| {
        client.fetch(&*url, move |answer| match answer {
            Ok(answer) => res.forward(answer),
            Err(error) => res.status(error.status()).send(error.name()),
        });
    }))
}

fn names(answer: &Answer) -> Vec<String> {
    answer.headers().iter().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_body_that_ends_with_the_connection_comes_back_whole_client() {
    let body = String::from_utf8(pattern(300_000)).unwrap();
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"] {
        let upstream = answering(format!("{head}{body}"));
        assert!(text(&Client::new(), upstream.url("/")).unwrap() == body, "{head:?}");
    }
    let upstream = answering("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    assert_eq!(text(&Client::new(), upstream.url("/")).unwrap(), "");
}

#[test]
fn a_body_that_ends_with_the_connection_goes_through_whole_server() {
    let body = String::from_utf8(pattern(300_000)).unwrap();
    let upstream = answering(format!("HTTP/1.1 200 OK\r\n\r\n{body}"));
    let server = relaying(upstream.url("/"));
    assert!(server.ask(get("/")).text() == body);
}

#[test]
fn a_missing_date_adds_nothing_client() {
    let upstream = answering("HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 0\r\nX-Two: 2\r\n\r\n");
    let answer = send(&Client::new(), upstream.url("/")).unwrap();
    assert_eq!(names(&answer), ["X-One", "Content-Length", "X-Two"]);

    let upstream = answering("HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 0\r\n\r\n");
    let response = wait_for(Client::new().get(upstream.url("/")).send()).unwrap();
    assert!(response.header("date").is_none());
}

#[test]
fn a_missing_date_breaks_no_header_server() {
    let upstream = answering("HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 2\r\nX-Two: 2\r\n\r\nok");
    let reply = relaying(upstream.url("/")).ask(get("/"));
    assert_eq!((reply.header("x-one"), reply.header("x-two"), reply.text()), (Some("1"), Some("2"), "ok"));
    for (name, value) in &reply.headers {
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n')), "{name}");
    }
    let date = hello().ask(get("/"));
    let date = date.header("date").expect("an origin's answer has a date");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date:?}");
}

#[test]
fn an_interim_answer_is_not_the_final_one_client() {
    let upstream = upstream(1, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        raw::pause(20);
        peer.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early");
        raw::pause(20);
        peer.say(" Hints\r\nContent-Length: 7\r\n\r\n");
        peer.say(ok("final"));
    });
    let answer = send(&Client::new(), upstream.url("/")).unwrap();
    assert_eq!((answer.status(), names(&answer)), (200, vec!["Content-Length".into()]));
    assert_eq!(wait_for(answer.bytes(99)).unwrap(), b"final");
}

#[test]
fn an_interim_answer_is_not_the_final_one_server() {
    let upstream = answering(format!("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n{}", ok("final")));
    let reply = relaying(upstream.url("/")).ask(get("/"));
    assert_eq!((reply.status, reply.text(), reply.header("link")), (200, "final", None));
}

#[test]
fn no_body_is_awaited_after_head_204_and_304_client() {
    let client = Client::new();
    for (method, answer, status) in [
        (Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 200),
        (Method::Head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        (Method::Get, "HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n", 204),
        (Method::Get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", 304),
    ] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say(answer);
            // It stays open, and the connection is good for another exchange.
            peer.request();
            peer.say(ok("next"));
        });
        let got = send(&client, request(method, &upstream.url("/"))).unwrap();
        assert_eq!(got.status(), status);
        assert_eq!(wait_for(got.bytes(9999)).unwrap(), b"", "{answer:?}");
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "next", "{answer:?}");
    }
}

#[test]
fn no_body_is_sent_after_head_204_and_304_server() {
    for (status, length) in [(204, None), (304, Some("500"))] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say(format!("HTTP/1.1 {status} X\r\nContent-Length: 500\r\n\r\n"));
            peer.stay();
        });
        let server = relaying(upstream.url("/"));
        let reply = server.ask(get("/"));
        assert_eq!((reply.status, reply.header("content-length"), reply.body.len()), (status, length, 0));
    }
    let server = hello();
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply_to_head().header("content-length"), Some("5"));
    assert_eq!(client.ask(get("/")).text(), "hello");
}

#[test]
fn http_1_0_is_understood_client() {
    let upstream = upstream(2, |_, peer| {
        peer.request();
        peer.say("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold");
        peer.stay();
    });
    let client = Client::new();
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "old");
    // It did not offer to keep the connection.
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "old");
    assert_eq!(upstream.accepted(), 2);
}

#[test]
fn http_1_0_is_served_server() {
    let server = hello();
    let mut client = server.connect();
    let reply = client.ask(crlf("GET / HTTP/1.0\n\n"));
    assert_eq!((reply.status, reply.text()), (200, "hello"));
    client.is_closed();
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(crlf("GET / HTTP/1.0\nConnection: keep-alive\n\n"));
        assert_eq!((reply.status, reply.text()), (200, "hello"));
    }
}

#[test]
fn pipelined_bytes_are_not_lost_server() {
    let server = hello();
    let mut client = server.connect();
    let echo = "POST /echo HTTP/1.1\nHost: test\nContent-Length: 3\n\nabcPOST /echo HTTP/1.1\nHost: test\n\
                Transfer-Encoding: chunked\n\n3\ndef\n0\n\n";
    let all = [get("/"), crlf(echo), get("/")].concat();
    // In one piece, and cut where it hurts.
    for size in [all.len(), 37, 1] {
        for piece in all.chunks(size) {
            client.send(piece);
        }
        let texts: Vec<String> = (0..4).map(|_| client.reply().text().to_owned()).collect();
        assert_eq!(texts, ["hello", "abc", "def", "hello"], "pieces of {size}");
    }
}

#[test]
fn the_first_bytes_after_an_upgrade_are_not_lost_server() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| {
        let mut upgraded = res.upgrade("echo");
        task::spawn(async move {
            let mut first = [0; 5];
            upgraded.read_exact(&mut first).await?;
            upgraded.write_all(&first).await?;
            upgraded.close().await
        });
    }));
    let mut client = server.connect();
    client.send(crlf("GET / HTTP/1.1\nHost: test\nConnection: Upgrade\nUpgrade: echo\n\nfirst"));
    assert_eq!(client.head().unwrap().status, 101);
    assert_eq!(client.raw(5), b"first");
}

#[test]
fn a_coding_below_chunked_is_refused_client() {
    for coding in ["gzip, chunked", "gzip", "chunked, gzip", "chunked, chunked", "xchunked", ""] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        assert_eq!(refused(answer), "bad_answer", "{coding:?}");
    }
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(refused(both), "bad_answer");
}

#[test]
fn a_coding_below_chunked_is_refused_server() {
    let server = hello();
    for (coding, status) in [
        ("gzip, chunked", 501),
        ("gzip\nTransfer-Encoding: chunked", 501),
        ("gzip", 400),
        ("chunked, gzip", 400),
    ] {
        let mut client = server.connect();
        let head = format!("POST /echo HTTP/1.1\nHost: test\nTransfer-Encoding: {coding}\n\n");
        // What follows would be a request of its own if the body were taken for none.
        let reply = client.ask([crlf(&head), get("/")].concat());
        assert_eq!((reply.status, reply.says_close()), (status, true), "{coding:?}");
        client.is_closed();
    }
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn a_line_without_an_end_is_bounded_client() {
    for beginning in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 200 OK\r\nX"] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say(beginning);
            let chunk = [b'a'; 16 * 1024];
            // Until the client has had enough.
            let said = (0..4096).take_while(|_| peer.try_say(chunk)).count();
            assert!(said < 4096, "the client took {said} times 16 KiB of one line");
        });
        let error = send(&Client::new(), upstream.url("/")).expect_err("the head is refused");
        assert_eq!((error.name(), error.status()), ("upstream_head_too_large", 502), "{beginning:?}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(10_000));
    assert_eq!(refused(many), "upstream_head_too_large");
}

#[test]
fn a_line_without_an_end_is_bounded_server() {
    let server = hello();
    for (beginning, status) in [
        ("GET /", 414),
        ("GET / HTTP/1.1\r\nHost: test\r\nX-Long: ", 431),
        ("GET / HTTP/1.1\r\nHost: test\r\nX", 431),
    ] {
        let mut client = server.connect();
        client.send(beginning);
        let chunk = [b'a'; 4096];
        let sent = (0..4096).take_while(|_| client.try_send(chunk).is_ok()).count();
        assert!(sent < 4096, "the server took {sent} times 4 KiB of one line");
        // The bytes behind the refusal may have reset the connection before its answer was read.
        if let Some(reply) = client.next(false) {
            assert_eq!(reply.status, status, "{beginning:?}");
        }
        let mut client = server.connect();
        client.send(beginning);
        client.send([b'a'; 33 * 1024]);
        assert_eq!(client.reply().status, status, "{beginning:?}");
    }
}

#[test]
fn what_cannot_be_parsed_is_answered_with_4xx_server() {
    let server = hello();
    for (bytes, status) in [
        ("\0\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: test\n\n", 400),
        ("GET / HTTP/1.1\r\nHost : test\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: test\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: test\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: test\r\n\r\n", 505),
        ("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ] {
        let mut client = server.connect();
        let reply = client.ask(bytes);
        assert_eq!((reply.status, reply.says_close()), (status, true), "{bytes:?}");
        client.is_closed();
    }
}

#[test]
fn what_cannot_be_parsed_is_an_error_client() {
    for bytes in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    ] {
        assert_eq!(refused(bytes), "bad_answer", "{bytes:?}");
    }
}

#[test]
fn split_trailers_do_not_hang_client() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                  5\r\nhello\r\n0\r\nX-Sum: 7\r\nX-Two: 2\r\n\r\n";
    for size in [1, 7, 50] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say_in_pieces(answer, size);
            peer.request();
            peer.say(ok("next"));
        });
        let client = Client::new();
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "hello", "pieces of {size}");
        assert_eq!(text(&client, upstream.url("/")).unwrap(), "next", "pieces of {size}");
    }
}

#[test]
fn split_trailers_do_not_hang_server() {
    let server = hello();
    let request = crlf(
        "POST /echo HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n5\nhello\n0\nX-Sum: 7\nX-Two: 2\n\n",
    );
    for size in [1, 7, 50] {
        let mut client = server.connect();
        for piece in request.chunks(size) {
            client.send(piece);
            raw::pause(1);
        }
        assert_eq!(client.reply().text(), "hello", "pieces of {size}");
        assert_eq!(client.ask(get("/")).text(), "hello", "pieces of {size}");
    }
}

#[test]
fn a_100_continue_is_never_interleaved_with_the_answer_server() {
    let server = start(
        Server::builder()
            .post("/late", move |mut req: Request, res: Response| {
                // The answer begins, and only then is the body wanted.
                let mut writer = res.stream();
                let mut body = req.take_body();
                task::spawn(async move {
                    writer.send("the ").await?;
                    let mut byte = [0];
                    let read = async_std::future::timeout(Duration::from_millis(100), body.read(&mut byte));
                    let _nothing_comes = read.await;
                    writer.send("answer").await?;
                    writer.finish();
                    Ok::<_, eproxy_core::Error>(())
                });
            })
            .post("/echo", |req: Request, res: Response| {
                req.read(|body| res.send(body.expect("a body")));
            })
            .post("/no", |_: Request, res: Response| res.status(403).send("no")),
    );
    let head = |target: &str| {
        crlf(&format!("POST {target} HTTP/1.1\nHost: test\nContent-Length: 4\nExpect: 100-continue\n\n"))
    };
    let mut client = server.connect();
    client.send(head("/echo"));
    assert_eq!(client.head().unwrap().status, 100);
    let reply = client.ask("body");
    assert_eq!((reply.text(), reply.interim.len()), ("body", 0));

    // Whoever answers before reading still holds the body: the word comes in front of the answer, not into it.
    let mut client = server.connect();
    client.send(head("/late"));
    let reply = client.reply();
    assert_eq!((reply.text(), reply.interim.len()), ("the answer", 1));
    client.send("body");
    assert_eq!(client.ask(get("/none")).status, 404);

    // Whoever answers without the body lets the client keep it.
    let mut client = server.connect();
    client.send(head("/no"));
    let reply = client.reply();
    assert_eq!((reply.text(), reply.interim.len()), ("no", 0));
    client.is_closed();
}

#[test]
fn header_values_outside_ascii_do_not_panic_client() {
    let answer = b"HTTP/1.1 200 OK\r\nX-Latin: caf\xE9\r\nX-Utf8: caf\xC3\xA9\r\nX-All: \x80\xFF\r\n\
                   Content-Length: 2\r\n\r\nok";
    let upstream = answering(answer.as_slice());
    let got = send(&Client::new(), upstream.url("/")).unwrap();
    assert_eq!(got.headers().get("x-latin"), Some(&b"caf\xE9"[..]));
    assert_eq!(got.headers().get_str("x-utf8"), Some("café"));
    assert_eq!(got.headers().get("x-all"), Some(&b"\x80\xFF"[..]));

    let upstream = answering(answer.as_slice());
    let mut response = wait_for(Client::new().get(upstream.url("/")).send()).unwrap();
    assert_eq!(response.header("x-utf8").map(|values| values.as_str()), Some("caf%C3%A9"));
    assert_eq!(wait_for(response.body_string()).unwrap(), "ok");
}

#[test]
fn header_values_outside_ascii_do_not_panic_server() {
    let server = start(Server::builder().get("/", |req: Request, res: Response| {
        let value = req.headers().get("x-name").unwrap_or_default().to_vec();
        let converted = http_types::Request::try_from(req).is_ok();
        res.header("X-Name", value).send(converted.to_string());
    }));
    let reply = server.ask(b"GET / HTTP/1.1\r\nHost: test\r\nX-Name: caf\xE9\r\n\r\n");
    let (_, value) = reply.headers.iter().find(|(name, _)| name == "X-Name").expect("the header comes back");
    assert_eq!((value.as_slice(), reply.text()), (&b"caf\xE9"[..], "false"));
}

#[test]
fn a_status_that_nobody_registered_passes_client() {
    for status in [299, 420, 599, 799] {
        let upstream = answering(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(send(&Client::new(), upstream.url("/")).unwrap().status(), status);
    }
    // http-types has no word for it: the first of its class.
    let upstream = answering("HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok");
    let response = wait_for(Client::new().get(upstream.url("/")).send()).unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn a_status_that_nobody_registered_passes_server() {
    let upstream = answering("HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok");
    let reply = relaying(upstream.url("/")).ask(get("/"));
    assert_eq!((reply.status, reply.text()), (299, "ok"));
}

#[test]
fn a_body_that_breaks_off_is_an_error_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n",
    ] {
        assert_eq!(refused(answer), "upstream_truncated", "{answer:?}");
        let upstream = answering(answer);
        let read = wait_for(Client::new().get(upstream.url("/")).recv_bytes());
        assert!(read.is_err(), "{answer:?}");
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_server() {
    let (give, take) = channel();
    let server = start(Server::builder().post("/", move |req: Request, res: Response| {
        let give = give.clone();
        req.read(move |body| {
            give.send(body.map_err(|error| error.name())).expect("the test is there");
            res.send("never seen");
        });
    }));
    for request in [
        "POST / HTTP/1.1\nHost: test\nContent-Length: 10\n\nhello",
        "POST / HTTP/1.1\nHost: test\nTransfer-Encoding: chunked\n\n5\nhello\n",
    ] {
        let mut client = server.connect();
        client.send(crlf(request));
        client.finish();
        assert_eq!(take.recv().unwrap(), Err("truncated"), "{request:?}");
    }
}

#[test]
fn two_lengths_that_differ_are_refused_client() {
    let answer = |second: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{second}\r\n\r\nok!");
    assert_eq!(refused(answer("Content-Length: 3")), "bad_answer");
    assert_eq!(refused(answer("content-length: 2, 3")), "bad_answer");
}

#[test]
fn two_lengths_that_differ_are_refused_server() {
    let server = hello();
    for second in ["Content-Length: 4", "content-length: 3, 4"] {
        let request = format!("POST /echo HTTP/1.1\nHost: test\nContent-Length: 3\n{second}\n\nabc");
        assert_eq!(server.ask(crlf(&request)).status, 400, "{second}");
    }
}

#[test]
fn header_values_that_would_split_the_message_are_refused_before_anything_is_sent_client() {
    let upstream = upstream(1, |_, peer| panic!("the client connected and sent {:?}", peer.head()));
    let client = Client::new();
    for value in ["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\0b"] {
        for name in ["x-user", "host", "cookie"] {
            let mut request = post(&upstream.url("/"), "body");
            request.insert_header(name, value);
            let error = send(&client, request).expect_err("the request is refused");
            assert_eq!((error.name(), error.is_retryable()), ("bad_outgoing_request", false), "{value:?}");
            assert!(wait_for(client.get(upstream.url("/")).header(name, value).send()).is_err());
        }
    }
    let mut request = request(Method::Get, &upstream.url("/"));
    request.insert_header("x y", "a");
    assert!(send(&client, request).is_err());
    assert_eq!(upstream.accepted(), 0);
}
