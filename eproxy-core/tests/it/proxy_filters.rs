//! Bodies that hooks look at or change on their way, in both directions: what the other side gets, byte for byte.

use std::io;

use eproxy_core::{BodyFilter, Done, Proxy, ProxyRequest, ProxyResponse};

use crate::support::notes::Notes;
use crate::support::{Running, get, post, post_chunked};
use crate::upstream::{Upstream, echo, echoing, serve, upstream};

/// Writes capitals, one for each letter.
struct Capitals;

impl BodyFilter for Capitals {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend(bytes.iter().map(u8::to_ascii_uppercase));
        Ok(())
    }
}

/// Puts the body between brackets.
#[derive(Default)]
struct Brackets(bool);

impl BodyFilter for Brackets {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if !std::mem::replace(&mut self.0, true) {
            out.push(b'[');
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(if self.0 { b"]" } else { b"[]" });
        Ok(())
    }
}

/// Keeps everything up to the end, and writes its length.
#[derive(Default)]
struct Count(usize);

impl BodyFilter for Count {
    fn filter(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        self.0 += bytes.len();
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(self.0.to_string().as_bytes());
        Ok(())
    }
}

/// A server with an echoing upstream, and a hook for requests.
fn up(hook: fn(&mut ProxyRequest)) -> (Running, Upstream) {
    let upstream = echoing();
    (serve(Proxy::to(upstream.url()).on_request(hook)), upstream)
}

/// A server whose upstream says this, and a hook for answers.
fn down(answer: impl Into<String>, hook: fn(&mut ProxyResponse)) -> (Running, Upstream) {
    let answer = answer.into();
    let upstream = upstream(move |peer| {
        while peer.next().is_some() {
            peer.say(&answer);
            if !answer.contains("Content-Length") && !answer.contains("chunked") && !answer.contains(" 304 ")
            {
                return;
            }
        }
    });
    (serve(Proxy::to(upstream.url()).on_response(hook)), upstream)
}

/// The same body in each framing that a request may have; the second is not there when the head is.
fn framings(target: &str, body: &str) -> [(Vec<u8>, Vec<u8>); 3] {
    let chunked: String = body
        .as_bytes()
        .chunks(3)
        .map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).expect("ASCII")))
        .collect();
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    [
        (post(target, body), Vec::new()),
        (head.into_bytes(), body.into()),
        (post_chunked(target, &chunked), b"0\r\n\r\n".to_vec()),
    ]
}

#[test]
fn a_body_is_seen_as_it_passes_and_stays_what_it_is() {
    let (upstream, notes) = (echoing(), Notes::default());
    let noted = notes.clone();
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req: &mut ProxyRequest| {
                let seen = std::rc::Rc::<std::cell::RefCell<Vec<u8>>>::default();
                *req.state::<std::rc::Rc<std::cell::RefCell<Vec<u8>>>>() = seen.clone();
                req.observe_body(move |bytes| {
                    assert!(!bytes.is_empty());
                    seen.borrow_mut().extend_from_slice(bytes);
                });
            })
            .on_response(|res: &mut ProxyResponse| {
                let seen = res.state::<std::rc::Rc<std::cell::RefCell<Vec<u8>>>>().clone();
                seen.borrow_mut().push(b'/');
                res.observe_body(move |bytes| seen.borrow_mut().extend_from_slice(bytes));
            })
            .on_done(move |done: &mut Done| {
                let seen = done.state::<std::rc::Rc<std::cell::RefCell<Vec<u8>>>>().take();
                noted.add(String::from_utf8(seen).unwrap());
            }),
    );
    let mut client = server.connect();
    for (request, rest) in framings("/a", "hello world") {
        client.send(request);
        client.send(rest);
        assert_eq!(client.reply().text(), "hello world");
        assert_eq!(notes.wait(1), ["hello world/hello world"]);
    }
    assert_eq!(client.ask(get("/b")).text(), "/b");
    assert_eq!(notes.wait(1), ["//b"]);
    assert_eq!(
        upstream.texts(),
        [
            "POST /a [Host: test|Content-Length: 11] hello world",
            "POST /a [Host: test|Content-Length: 11] hello world",
            "POST /a [Host: test|Transfer-Encoding: chunked] hello world",
            "GET /b [Host: test] ",
        ]
    );
}

#[test]
fn an_upload_that_keeps_its_length_keeps_its_framing() {
    let (server, upstream) = up(|req| req.transform_body_in_place(Capitals));
    let mut client = server.connect();
    for (request, rest) in framings("/a", "hello world") {
        client.send(request);
        client.send(rest);
        assert_eq!(client.reply().text(), "HELLO WORLD");
    }
    assert_eq!(client.ask(get("/b")).text(), "/b");
    assert_eq!(
        upstream.texts(),
        [
            "POST /a [Host: test|Content-Length: 11] HELLO WORLD",
            "POST /a [Host: test|Content-Length: 11] HELLO WORLD",
            "POST /a [Host: test|Transfer-Encoding: chunked] HELLO WORLD",
            "GET /b [Host: test] ",
        ]
    );
}

#[test]
fn an_upload_whose_length_changes_goes_in_chunks() {
    let (server, upstream) = up(|req| req.transform_body(Brackets::default()));
    let mut client = server.connect();
    for (request, rest) in framings("/a", "hello world") {
        client.send(request);
        client.send(rest);
        assert_eq!(client.reply().text(), "[hello world]");
    }
    assert_eq!(client.ask(get("/b")).text(), "/b");
    let expected = "POST /a [Host: test|Transfer-Encoding: chunked] [hello world]";
    assert_eq!(upstream.texts(), [expected, expected, expected, "GET /b [Host: test] "]);
}

#[test]
fn filters_of_several_hooks_follow_each_other() {
    let upstream = echoing();
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req: &mut ProxyRequest| req.transform_body(Brackets::default()))
            .on_request(|req: &mut ProxyRequest| req.transform_body_in_place(Capitals))
            .on_request(|req: &mut ProxyRequest| req.transform_body(Brackets::default()))
            .on_response(|res: &mut ProxyResponse| res.transform_body(Count::default()))
            .on_response(|res: &mut ProxyResponse| res.transform_body(Brackets::default())),
    );
    let mut client = server.connect();
    for (request, rest) in framings("/a", "hello") {
        client.send(request);
        client.send(rest);
        assert_eq!(client.reply().text(), "[9]");
        assert_eq!(upstream.last().body, b"[[HELLO]]");
    }
}

#[test]
fn a_body_without_a_byte_is_ended_like_any_other_and_where_there_is_none_none_is_made() {
    let (server, upstream) = up(|req| req.transform_body(Brackets::default()));
    let mut client = server.connect();
    assert_eq!(client.ask(post("/a", "")).text(), "[]");
    assert_eq!(client.ask(post_chunked("/b", "0\r\n\r\n")).text(), "[]");
    assert_eq!(client.ask(get("/c")).text(), "/c");
    assert_eq!(client.ask("POST /d HTTP/1.1\r\nHost: test\r\n\r\n").text(), "/d");
    assert_eq!(
        upstream.texts(),
        [
            "POST /a [Host: test|Transfer-Encoding: chunked] []",
            "POST /b [Host: test|Transfer-Encoding: chunked] []",
            "GET /c [Host: test] ",
            "POST /d [Host: test] ",
        ]
    );
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let (server, _upstream) = down(answer, |res| res.transform_body(Brackets::default()));
        assert_eq!(server.ask(get("/")).text(), "[]", "{answer:?}");
    }
    for status in ["204 No Content", "304 Not Modified\r\nContent-Length: 2"] {
        let (server, _upstream) =
            down(format!("HTTP/1.1 {status}\r\n\r\n"), |res| res.transform_body(Brackets::default()));
        let mut client = server.connect();
        client.send([get("/"), get("/")].concat());
        assert_eq!([client.reply().text(), client.reply().text()], ["", ""], "{status}");
    }
}

#[test]
fn an_answer_to_head_says_no_length_that_nobody_knows() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    type Hook = fn(&mut ProxyResponse);
    let hooks: [(Hook, Option<&str>); 3] = [
        (|res| res.observe_body(|_| panic!("there is nothing to be seen")), Some("9")),
        (|res| res.transform_body_in_place(Capitals), Some("9")),
        // RFC 9110 §8.6: a length that the answer to a GET would not have is worse than none.
        (|res| res.transform_body(Brackets::default()), None),
    ];
    for (number, (hook, length)) in hooks.into_iter().enumerate() {
        let (server, _upstream) = down(head, hook);
        let mut client = server.connect();
        for _ in 0..2 {
            client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
            let reply = client.reply_to_head();
            assert_eq!((reply.status, reply.header("content-length")), (200, length), "hook {number}");
            assert_eq!((reply.header("transfer-encoding"), reply.says_close()), (None, false));
        }
    }
}

#[test]
fn an_answer_without_a_byte_before_the_request_ends_is_framed_as_well() {
    let upstream = upstream(|peer| {
        let mut seen = peer.head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        peer.body(&mut seen);
    });
    let server = serve(
        Proxy::to(upstream.url())
            .on_response(|res: &mut ProxyResponse| res.transform_body(Brackets::default())),
    );
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nfour");
    assert_eq!(client.reply().text(), "[]");
}

#[test]
fn trailers_stay_behind_a_body_that_was_changed() {
    let upstream = upstream(|peer| {
        while let Some(mut seen) = peer.next() {
            assert_eq!(seen.trailers, [("X-Up".to_owned(), b"1".to_vec())]);
            seen.body.extend(b"\r\n0\r\nX-Down: 2\r\n\r\n");
            let head = "HTTP/1.1 200 OK\r\nTrailer: X-Down\r\nTransfer-Encoding: chunked\r\n\r\n";
            peer.say([head.as_bytes(), b"4\r\n", &seen.body].concat());
        }
    });
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req: &mut ProxyRequest| req.transform_body(Brackets::default()))
            .on_response(|res: &mut ProxyResponse| res.transform_body(Brackets::default())),
    );
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(post_chunked("/", "1\r\nh\r\n1\r\ni\r\n0\r\nX-Up: 1\r\n\r\n"));
        assert_eq!(reply.text(), "[[hi]]");
        assert_eq!(reply.trailers, [("X-Down".to_owned(), b"2".to_vec())]);
        assert_eq!(reply.header("trailer"), Some("X-Down"));
    }
}

#[test]
fn what_the_fields_say_of_a_body_is_for_the_hook_to_change() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\nhello";
    let (server, _upstream) = down(answer, |res| {
        res.transform_body(Brackets::default());
        if res.request().path() == "/told" {
            res.headers_mut().remove("Content-Encoding");
            res.headers_mut().insert("ETag", "W/\"1\"").unwrap();
        }
    });
    // Nothing is packed or unpacked behind anybody's back.
    let reply = server.ask(get("/"));
    assert_eq!((reply.text(), reply.header("content-length")), ("[hello]", Some("7")));
    assert_eq!((reply.header("content-encoding"), reply.header("etag")), (Some("gzip"), Some("\"1\"")));
    let reply = server.ask(get("/told"));
    assert_eq!((reply.header("content-encoding"), reply.header("etag")), (None, Some("W/\"1\"")));
}

#[test]
fn a_body_that_waits_for_a_word_is_filtered_when_it_comes() {
    let upstream = upstream(|peer| {
        let mut seen = peer.head();
        assert_eq!(seen.values("expect"), ["100-continue"]);
        peer.say("HTTP/1.1 100 Continue\r\n\r\n");
        peer.body(&mut seen);
        peer.say(echo(&seen));
    });
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req: &mut ProxyRequest| req.transform_body(Brackets::default())),
    );
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.reply().text(), "[hello]");
}

#[test]
fn a_request_that_was_read_before_is_filtered_all_the_same() {
    let notes = Notes::default();
    let upstream = echoing();
    let noted = notes.clone();
    let server = serve(
        Proxy::to(upstream.url())
            .buffer_requests(8)
            .on_request(|req: &mut ProxyRequest| match req.path() {
                "/in-place" => req.transform_body_in_place(Capitals),
                _ => req.transform_body(Brackets::default()),
            })
            .on_done(move |done: &mut Done| noted.add(done.bytes_up().to_string())),
    );
    let mut client = server.connect();
    // Within what is read, and beyond it.
    for body in ["hello", "hello world"] {
        for (request, rest) in framings("/a", body) {
            client.send(request);
            client.send(rest);
            assert_eq!(client.reply().text(), format!("[{body}]"));
            assert_eq!(notes.wait(1), [body.len().to_string()]);
        }
        for (request, rest) in framings("/in-place", body) {
            client.send(request);
            client.send(rest);
            assert_eq!(client.reply().text(), body.to_ascii_uppercase());
            notes.wait(1);
        }
    }
    let seen = upstream.seen();
    // What is known as a whole has a length again.
    for seen in &seen[..3] {
        assert_eq!(seen.text(), "POST /a [Host: test|Content-Length: 7] [hello]");
    }
}
