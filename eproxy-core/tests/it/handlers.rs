//! The seam to handlers: answers now, later and never; values that HTTP cannot carry; what a request tells.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Answer, Body, Headers, Request, Response, Server, async_handler};

use crate::support::{Helper, crlf, eventually, get, post, start};

#[test]
fn an_answer_may_come_later_from_any_thread() {
    let server = start(
        Server::builder()
            .get("/thread", |req: Request, res: Response| {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(20));
                    res.status(202).header("X-From", "a thread").send(req.target().to_owned());
                });
            })
            .get("/task", |_: Request, res: Response| {
                task::spawn(async move {
                    task::sleep(Duration::from_millis(20)).await;
                    res.send("a task");
                });
            }),
    );
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(get("/thread"));
        assert_eq!((reply.status, reply.header("x-from"), reply.text()), (202, Some("a thread"), "/thread"));
        assert_eq!(client.ask(get("/task")).text(), "a task");
    }
}

#[test]
fn many_answers_from_many_threads_reach_their_own_clients() {
    let waiting = Arc::new(Mutex::new(Vec::<(String, Response)>::new()));
    let keep = waiting.clone();
    let server = start(Server::builder().workers(2).get("/*rest", move |req: Request, res: Response| {
        keep.lock().unwrap().push((req.target().to_owned(), res));
    }));
    let mut clients: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for round in 0..5 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(get(&format!("/{round}/{number}")));
        }
        eventually("all have asked", || waiting.lock().unwrap().len() == 64);
        let mut asked = std::mem::take(&mut *waiting.lock().unwrap());
        fastrand::Rng::with_seed(round).shuffle(&mut asked);
        let rest = asked.split_off(32);
        let helpers = [asked, rest]
            .map(|half| Helper::run(move || half.into_iter().for_each(|(target, res)| res.send(target))));
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.reply().text(), format!("/{round}/{number}"));
        }
        helpers.into_iter().for_each(Helper::join);
    }
}

#[test]
fn a_response_that_is_dropped_is_answered_with_500_and_counted() {
    let server = start(Server::builder().get("/now", |_: Request, res: Response| drop(res)).get(
        "/later",
        |_: Request, res: Response| {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                drop(res);
            });
        },
    ));
    let mut client = server.connect();
    for (count, target) in [(1, "/now"), (2, "/later"), (3, "/now")] {
        let reply = client.ask(get(target));
        assert_eq!(
            (reply.status, reply.text(), reply.says_close()),
            (500, "500 Internal Server Error\n", false)
        );
        assert_eq!(server.failures("response_dropped"), count);
    }
}

#[test]
fn a_panic_costs_its_own_request_and_nothing_else() {
    let server = start(
        Server::builder()
            .workers(1)
            .at("/panic", |_: Request, _: Response| panic!("on purpose"))
            .get("/after", |_: Request, res: Response| {
                res.send("answered");
                panic!("on purpose, too late to be seen");
            })
            .get("/", |_: Request, res: Response| res.send("fine")),
    );
    let mut client = server.connect();
    let mut other = server.connect();
    assert_eq!(other.ask(get("/")).text(), "fine");
    assert_eq!(client.ask(get("/panic")).status, 500);
    assert_eq!(client.ask(post("/panic", "a body")).status, 500);
    assert_eq!(client.ask(get("/")).text(), "fine");
    assert_eq!(other.ask(get("/")).text(), "fine");
    assert_eq!(other.ask(get("/after")).status, 500);
    assert_eq!(other.ask(get("/")).text(), "fine");
    assert_eq!((server.failures("handler_panicked"), server.failures("response_dropped")), (3, 0));
}

#[test]
fn values_that_would_split_an_answer_are_refused() {
    type Spoil = fn(Response) -> Response;
    let answers: [(&str, Spoil); 10] = [
        ("/cr", |res| res.header("X-A", "a\rb")),
        ("/lf", |res| res.header("X-A", "a\nX-Admin: 1")),
        ("/nul", |res| res.append_header("X-A", "a\0b")),
        ("/del", |res| res.append_header("X-A", "a\u{7f}b")),
        ("/name", |res| res.header("X A", "a")),
        ("/empty", |res| res.header("", "a")),
        ("/colon", |res| res.header("X-A: b\r\nX-B", "a")),
        ("/99", |res| res.status(99)),
        ("/101", |res| res.status(101)),
        ("/1000", |res| res.status(1000)),
    ];
    let server = start(answers.iter().fold(Server::builder(), |builder, (path, answer)| {
        let answer = *answer;
        builder.get(*path, move |_: Request, res: Response| answer(res).send("not to be seen"))
    }));
    let mut client = server.connect();
    for (path, _) in answers {
        let reply = client.ask(get(path));
        assert_eq!((reply.status, reply.text()), (500, "500 Internal Server Error\n"), "{path}");
        assert!(reply.headers.iter().all(|(name, _)| !name.starts_with('X')), "{reply:?}");
    }
    assert_eq!(server.failures("bad_response"), answers.len() as u64);
}

#[test]
fn headers_are_sent_in_their_order_and_case_and_may_hold_any_byte_but_controls() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| {
        res.header("x-LOWER", "1")
            .append_header("Set-Cookie", "a=1")
            .append_header("Set-Cookie", "b=2")
            .header("X-Raw", b"caf\xE9\t!")
            .header("Date", "today")
            .send("");
    }));
    let mut client = server.connect();
    let reply = client.ask(get("/"));
    let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["x-LOWER", "Set-Cookie", "Set-Cookie", "X-Raw", "Date", "Content-Type", "Content-Length"]
    );
    assert_eq!(reply.headers[3].1, b"caf\xE9\t!");
    assert_eq!(reply.header("date"), Some("today"));
}

#[test]
fn every_answer_has_a_date() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| res.send("")));
    for request in [get("/"), get("/none"), crlf("BAD\n\n")] {
        let reply = server.ask(&request);
        let date = reply.header("date").unwrap();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    }
}

#[test]
fn async_handlers_answer_with_what_they_return() {
    let server = start(
        Server::builder()
            .post(
                "/length",
                async_handler(|mut req: Request| async move {
                    let body = req.take_body().bytes(10).await?;
                    Ok::<_, eproxy_core::Error>((201, format!("{} bytes", body.len())))
                }),
            )
            .get(
                "/answer",
                async_handler(|_: Request| async { Answer::new(418).with_body("short and stout") }),
            )
            .get(
                "/types",
                async_handler(|_: Request| async {
                    let mut response = http_types::Response::new(203);
                    response.insert_header("X-From", "http-types");
                    response.set_body("text");
                    response
                }),
            )
            .get(
                "/fails",
                async_handler(|_: Request| async {
                    Err::<(), _>(http_types::Error::from_str(403, "a secret of the handler"))
                }),
            )
            .get(
                "/panics",
                async_handler(|req: Request| async move { assert_eq!(req.target(), "", "on purpose") }),
            ),
    );
    let mut client = server.connect();
    let reply = client.ask(post("/length", "12345"));
    assert_eq!((reply.status, reply.text()), (201, "5 bytes"));
    assert_eq!(client.ask(post("/length", "12345678901")).status, 413);
    assert_eq!(client.ask(get("/answer")).status, 418);
    let reply = client.ask(get("/types"));
    assert_eq!((reply.status, reply.text(), reply.header("x-from")), (203, "text", Some("http-types")));
    let reply = client.ask(get("/fails"));
    assert_eq!((reply.status, reply.text()), (403, "403 Forbidden\n"));
    assert_eq!(client.ask(get("/panics")).status, 500);
    assert_eq!(server.failures("response_dropped"), 1);
}

#[test]
fn json_is_sent_with_its_media_type_and_what_is_no_json_is_a_500() {
    let server =
        start(Server::builder().get("/good", |_: Request, res: Response| res.json(&vec![1, 2, 3])).get(
            "/bad",
            |_: Request, res: Response| {
                // JSON has no maps with such keys.
                res.json(&std::collections::HashMap::from([(vec![1], 2)]));
            },
        ));
    let reply = server.ask(get("/good"));
    assert_eq!((reply.text(), reply.header("content-type")), ("[1,2,3]", Some("application/json")));
    assert_eq!(server.ask(get("/bad")).status, 500);
    assert_eq!(server.failures("bad_response"), 1);
}

#[test]
fn bodies_bring_their_media_type_unless_one_was_set() {
    let server = start(
        Server::builder()
            .get("/text", |_: Request, res: Response| res.send("text"))
            .get("/bytes", |_: Request, res: Response| res.send(vec![1, 2]))
            .get("/mime", |_: Request, res: Response| res.send(Body::from("a{}").with_mime("text/css")))
            .get("/set", |_: Request, res: Response| res.header("content-type", "a/b").send("x"))
            .get("/none", |_: Request, res: Response| res.send(())),
    );
    for (path, mime) in [
        ("/text", Some("text/plain; charset=utf-8")),
        ("/bytes", Some("application/octet-stream")),
        ("/mime", Some("text/css")),
        ("/set", Some("a/b")),
        ("/none", None),
    ] {
        assert_eq!(server.ask(get(path)).header("content-type"), mime, "{path}");
    }
}

#[test]
fn a_forwarded_answer_keeps_what_it_says_and_loses_what_is_of_its_connection() {
    let server = start(Server::builder().get("/", |_: Request, res: Response| {
        let mut answer = Answer::new(299).with_body("relayed");
        for (name, value) in [
            ("X-Second", "2"),
            ("x-First", "1"),
            ("Connection", "close, X-Hop"),
            ("X-Hop", "secret"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authenticate", "Basic"),
            ("Server", "theirs"),
            ("X-Raw", "\u{e9}"),
        ] {
            answer.headers_mut().append(name, value).unwrap();
        }
        res.status(500).header("Server", "ours").forward(answer);
    }));
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(get("/"));
        assert_eq!((reply.status, reply.reason.as_str(), reply.text()), (299, "", "relayed"));
        let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.starts_with(&["X-Second", "x-First"]), "{names:?}");
        assert_eq!(reply.header("server"), Some("ours"));
        assert_eq!(
            (reply.header("connection"), reply.header("x-hop"), reply.header("keep-alive")),
            (None, None, None)
        );
    }
}

#[test]
fn a_handler_can_tell_that_its_client_is_gone() {
    let (give, take) = channel();
    let server = start(Server::builder().get("/*rest", move |req: Request, res: Response| {
        give.send((req.target().to_owned(), res)).unwrap();
    }));
    let mut client = server.connect();
    client.send(get("/wait"));
    let (_, res) = take.recv().unwrap();
    assert!(!res.is_closed());
    reset(client);
    eventually("the response is closed", || res.is_closed());
    res.send("to nobody");

    let mut client = server.connect();
    client.send(get("/stream"));
    let (_, res) = take.recv().unwrap();
    let mut writer = res.stream();
    task::block_on(writer.send("some")).unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    reset(client);
    task::block_on(async_std::future::timeout(Duration::from_secs(15), writer.closed())).unwrap();
    assert!(writer.is_closed());
    assert!(task::block_on(writer.send("more")).is_err());
    eventually("both are counted", || server.failures("downstream_gone") == 2);
}

/// Ends a connection with a reset: what was sent to it is lost.
fn reset(client: crate::support::Connection) {
    client.reset_on_drop();
    drop(client);
}

#[test]
fn a_request_tells_what_came() {
    let (give, take) = channel();
    let server = start(Server::builder().at("/*rest", move |req: Request, res: Response| {
        let headers: Vec<_> =
            req.headers().iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        give.send((
            [req.method(), req.target(), req.path(), req.query().unwrap_or("-"), req.host().unwrap_or("-")]
                .map(str::to_owned),
            req.version(),
            req.peer_addr(),
            headers,
        ))
        .unwrap();
        res.send("");
    }));
    let mut client = server.connect();
    let mut request = crlf(
        "PROPFIND /a%2Fb;x?q=1&q=%20?# HTTP/1.1\nhost: Test.Example:80\nX-CaMeL:  a \t\nx-empty:\nX-Raw: ",
    );
    request.retain(|byte| *byte != b'#');
    request.extend_from_slice(b"caf\xE9\xFF\r\nX-CaMeL: again\r\n\r\n");
    assert_eq!(client.ask(request).status, 200);
    let (line, version, peer, headers) = take.recv().unwrap();
    assert_eq!(line, ["PROPFIND", "/a%2Fb;x?q=1&q=%20?", "/a%2Fb;x", "q=1&q=%20?", "Test.Example:80"]);
    assert_eq!((version, peer), (http_types::Version::Http1_1, Some(client.local())));
    let expected: [(&str, &[u8]); 5] = [
        ("host", b"Test.Example:80"),
        ("X-CaMeL", b"a"),
        ("x-empty", b""),
        ("X-Raw", b"caf\xE9\xFF"),
        ("X-CaMeL", b"again"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));

    assert_eq!(client.ask(crlf("GET http://other:81?q HTTP/1.1\nHost: test\n\n")).status, 200);
    let (line, ..) = take.recv().unwrap();
    assert_eq!(line, ["GET", "http://other:81?q", "/", "q", "other:81"]);

    assert_eq!(client.ask(crlf("GET / HTTP/1.0\n\n")).status, 200);
    let (line, version, ..) = take.recv().unwrap();
    assert_eq!((line[4].as_str(), version), ("-", http_types::Version::Http1_0));
}

#[test]
fn headers_can_be_built_looked_up_and_removed() {
    let mut headers = Headers::new();
    headers.append("A", "1").unwrap();
    headers.append("a", "2").unwrap();
    headers.append("B", b"\xFF").unwrap();
    assert_eq!((headers.len(), headers.get_all("A").count(), headers.get_str("b")), (3, 2, None));
    headers.insert("A", "3").unwrap();
    assert_eq!(headers.get("a"), Some(&b"3"[..]));
    assert!(headers.remove("A") && !headers.remove("A") && headers.len() == 1);
}
