//! Requests over HTTP/2, and the answers of handlers.

use std::sync::mpsc::channel;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Builder, Headers, Limits, Request, Response, Route, Server};
use h2::Reason;
use h2::client::Builder as Codec;

use crate::echoing::{echo, pattern, relay};
use crate::support::http2::{Http2, fields, wait};
use crate::support::{PATIENCE, Running, eventually, get, pause, start};

const MIB: usize = 1 << 20;

fn builder() -> Builder {
    Server::builder()
        .workers(1)
        .get("/", |_: Request, res: Response| res.send("hello"))
        .route(Route::new("/echo").any(echo).body_limit(u64::MAX))
        .route(Route::new("/relay").any(relay).body_limit(u64::MAX))
        .at("/limited", echo)
        .get("/much", |_: Request, res: Response| res.send(pattern(3 * MIB)))
}

fn server() -> Running {
    start(builder())
}

fn connect(server: &Running) -> Http2 {
    Http2::to(server.address())
}

#[test]
fn a_request_is_told_as_any_other() {
    let server = start(Server::builder().workers(1).at("/:a/*rest", |req: Request, res: Response| {
        let told = [
            format!("{:?} {} {}", req.version(), req.method(), req.target()),
            format!("{:?} {:?} {:?}", req.path(), req.query(), req.host()),
            format!("{:?} {:?}", req.param("a"), req.scheme()),
            format!("{:?}", req.headers().get("x-a").map(<[u8]>::escape_ascii).map(|a| a.to_string())),
            format!("{}", req.peer_addr().is_some()),
        ];
        res.header("X-B", "c").send(told.join("\n"));
    }));
    let client = connect(&server);
    let mut request = client.request("PATCH", "/b/c%2fd?e=f&g");
    request.headers_mut().insert("x-a", http::HeaderValue::from_static("one"));
    let answer = client.begin_request(request, true).whole();
    let expected = "Http2_0 PATCH /b/c%2fd?e=f&g\n\"/b/c%2fd\" Some(\"e=f&g\") Some(\"test\")\nSome(\"b\") \"http\"\n\
                    Some(\"one\")\ntrue";
    assert_eq!((answer.status, answer.text()), (200, expected));
    assert_eq!(
        (answer.field("x-b"), answer.field("content-length")),
        (Some("c"), Some(&*expected.len().to_string()))
    );
    assert!(answer.field("date").is_some());
    // RFC 9113 §8.2.2: nothing of a connection of HTTP/1.
    for name in ["connection", "transfer-encoding", "keep-alive"] {
        assert!(answer.field(name).is_none(), "{name}");
    }
}

#[test]
fn methods_are_answered_as_they_want_it() {
    let server = server();
    let client = connect(&server);
    assert_eq!(client.get("/").text(), "hello");
    let mut head = client.ask("HEAD", "/");
    let told = head.head();
    assert_eq!((told.status, told.field("content-length"), head.is_over()), (200, Some("5"), true));
    assert_eq!(client.post("/echo", "body").text(), "body");
    assert_eq!(client.ask("POST", "/").whole().status, 405);
    assert_eq!(client.get("/nowhere").status, 404);
    assert_eq!(client.ask("OPTIONS", "/").whole().status, 204);
    assert_eq!(server.stats().accepted, 1);
    assert_eq!((server.stats().http2_connections, server.stats().http2_streams), (1, 6));
    assert_eq!(server.stats().requests, 6);
}

#[test]
fn bodies_come_back_whatever_the_windows_are() {
    let server = server();
    for window in [65_535, 1, 100, 16_384, 1 << 20] {
        let mut codec = Codec::new();
        codec.initial_window_size(window);
        let client = Http2::with(server.address(), &codec);
        let sizes: &[usize] = if window == 1 { &[1, 5, 300] } else { &[1, 8191, 65_535, 65_536, 200_000] };
        for size in sizes {
            let body = pattern(*size);
            for target in ["/echo", "/relay"] {
                let answer = client.post(target, body.clone());
                assert!(answer.body == body, "{size} bytes to {target}, through a window of {window}");
            }
        }
    }
}

#[test]
fn much_goes_both_ways_at_once() {
    let server = server();
    let client = connect(&server);
    let body = pattern(4 * MIB);
    let mut exchange = client.open("POST", "/relay");
    let (mut back, mut sent) = (Vec::new(), 0);
    for piece in body.chunks(100_000) {
        exchange.send(piece);
        if sent == 0 {
            assert_eq!(exchange.head().status, 200);
        }
        sent += piece.len();
        // A little behind, so that both sides have something to send.
        back.extend(exchange.at_least(sent.saturating_sub(back.len() + 150_000)));
    }
    exchange.send_end("");
    back.extend(exchange.rest().0);
    assert!(back == body);
    assert!(client.get("/much").body == pattern(3 * MIB));
}

#[test]
fn trailers_come_and_go() {
    let server = server();
    let client = connect(&server);
    let mut exchange = client.open("POST", "/relay");
    exchange.send("hello");
    exchange.send_trailers(&[("x-sum", "1"), ("x-more", "a, b")]);
    let answer = exchange.whole();
    assert_eq!((answer.text(), &answer.trailers), ("hello", &fields(&[("x-sum", "1"), ("x-more", "a, b")])));
    // Behind no body at all.
    let mut exchange = client.open("POST", "/relay");
    exchange.send_trailers(&[("x-sum", "1")]);
    let answer = exchange.whole();
    assert_eq!((answer.text(), &answer.trailers), ("", &fields(&[("x-sum", "1")])));
}

#[test]
fn a_handler_that_sends_trailers_of_its_own_is_heard() {
    let server = start(Server::builder().workers(1).get("/", |_: Request, res: Response| {
        let mut writer = res.stream();
        task::spawn(async move {
            writer.send("body").await.expect("the client reads");
            let mut trailers = Headers::new();
            trailers.insert("X-Sum", "7").expect("a trailer");
            writer.finish_with_trailers(trailers);
        });
    }));
    let answer = connect(&server).get("/");
    assert_eq!((answer.text(), &answer.trailers), ("body", &fields(&[("x-sum", "7")])));
}

#[test]
fn a_hundred_requests_go_on_at_once() {
    let (give, take) = channel();
    let server =
        start(builder().get("/wait/:n", move |req: Request, res: Response| {
            give.send((req, res)).expect("the test waits")
        }));
    let client = connect(&server);
    let exchanges: Vec<_> = (0..100).map(|number| client.ask("GET", &format!("/wait/{number}"))).collect();
    let mut waiting: Vec<_> = (0..100).map(|_| take.recv_timeout(PATIENCE).expect("all are asked")).collect();
    // In any order.
    fastrand::shuffle(&mut waiting);
    for (req, res) in waiting {
        res.send(req.param("n").expect("a number").to_owned());
    }
    for (number, exchange) in exchanges.into_iter().enumerate() {
        assert_eq!(exchange.whole().text(), number.to_string());
    }
    assert_eq!(server.stats().accepted, 1);
    assert_eq!(client.streams(), 100);
}

#[test]
fn requests_do_not_wait_for_each_other() {
    let (give, take) = channel();
    let server = start(
        builder().get("/wait", move |_: Request, res: Response| give.send(res).expect("the test waits")),
    );
    // What is not taken of one answer must not be in the way of others: that is up to the client.
    let client = Http2::with(server.address(), Codec::new().initial_connection_window_size(1 << 24));
    let mut slow = client.ask("GET", "/wait");
    let res = take.recv_timeout(PATIENCE).expect("it is asked");
    // One whose answer is not taken, and one whose body does not come, hold nobody up either.
    let mut untaken = client.ask("GET", "/much");
    let mut unsent = client.open("POST", "/echo");
    unsent.send("beginning");
    for _ in 0..10 {
        assert_eq!(client.get("/").text(), "hello");
        assert_eq!(client.post("/echo", "hello").text(), "hello");
    }
    assert!(slow.waits());
    res.send("at last");
    assert_eq!(slow.whole().text(), "at last");
    unsent.send_end(", and end");
    assert_eq!(unsent.whole().text(), "beginning, and end");
    assert!(untaken.try_whole().is_ok_and(|answer| answer.body == pattern(3 * MIB)));
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let server = server();
    let client = connect(&server);
    let mut request = client.request("POST", "/echo");
    request.headers_mut().insert("expect", http::HeaderValue::from_static("100-continue"));
    let mut exchange = client.begin_request(request, false);
    assert_eq!(exchange.interim(), 100);
    exchange.send_end("told");
    assert_eq!(exchange.whole().text(), "told");
    // Or told something else.
    let mut request = client.request("POST", "/");
    request.headers_mut().insert("expect", http::HeaderValue::from_static("100-continue"));
    let mut exchange = client.begin_request(request, false);
    assert_eq!(exchange.head().status, 405);
}

#[test]
fn an_early_answer_to_a_long_upload_arrives_and_the_rest_is_not_wanted() {
    let server = start(builder().post("/no", |_: Request, res: Response| res.status(403).send("no")));
    let client = connect(&server);
    for target in ["/no", "/nowhere", "/"] {
        let mut exchange = client.open("POST", target);
        let _refused = exchange.try_send(vec![b'x'; 100_000], false);
        let head = exchange.head();
        assert!([403, 404, 405].contains(&head.status), "{target}");
        let (body, end) = exchange.rest();
        assert!(end.is_ok(), "{target}: {body:?} {end:?}");
        // RFC 9113 §8.1.
        assert_eq!(exchange.was_reset(), Some(Reason::NO_ERROR), "{target}");
    }
    assert_eq!(client.get("/").text(), "hello");
    // What was sent of the bodies has not used up the window of the connection.
    assert!(client.post("/echo", pattern(2 * MIB)).body == pattern(2 * MIB));
    assert_eq!(server.failures("downstream_gone"), 0);
}

#[test]
fn a_body_that_nobody_reads_does_not_hold_up_others() {
    let server = start(builder().post("/ignore", |req: Request, res: Response| {
        // It is kept until the answer has left.
        task::spawn(async move {
            task::sleep(Duration::from_millis(50)).await;
            res.send("ignored");
            drop(req);
        });
    }));
    let client = connect(&server);
    for _ in 0..5 {
        let mut exchange = client.open("POST", "/ignore");
        let mut sent = 0;
        while sent < 2 * MIB && exchange.try_send(vec![b'x'; 10_000], false).is_ok() {
            sent += 10_000;
        }
        assert!(sent < 2 * MIB, "{sent}");
        assert_eq!(exchange.head().status, 200);
        drop(exchange);
        assert!(client.post("/echo", pattern(MIB)).body == pattern(MIB));
    }
}

#[test]
fn a_body_over_its_limit_is_refused() {
    let server = start(builder().limits(Limits { body: 1000, ..Limits::default() }));
    let client = connect(&server);
    let mut request = client.request("POST", "/limited");
    request.headers_mut().insert("content-length", 1001.into());
    let mut exchange = client.begin_request(request, false);
    assert_eq!(exchange.head().status, 413);
    drop(exchange);
    let mut exchange = client.open("POST", "/limited");
    let _refused = exchange.try_send(vec![b'x'; 1001], true);
    assert_eq!(exchange.head().status, 413);
    assert_eq!(client.post("/limited", vec![b'x'; 1000]).body.len(), 1000);
    // The handler was told of the second, and has answered that by itself.
    assert_eq!(server.failures("body_too_large"), 1);
}

#[test]
fn a_head_over_its_limits_is_refused_and_the_connection_goes_on() {
    let server =
        start(builder().limits(Limits { head: 2048, headers: 20, target: 512, ..Limits::default() }));
    let client = connect(&server);
    let mut large = client.request("GET", "/");
    large.headers_mut().insert("x-large", "x".repeat(3000).parse().expect("a value"));
    let mut many = client.request("GET", "/");
    for _ in 0..30 {
        many.headers_mut().append("x-many", http::HeaderValue::from_static("1"));
    }
    let long = client.request("GET", &format!("/{}", "x".repeat(600)));
    for (request, status, counted) in
        [(large, 431, "head_too_large"), (many, 431, "too_many_headers"), (long, 414, "target_too_long")]
    {
        assert_eq!(client.begin_request(request, true).whole().status, status, "{counted}");
        assert_eq!(server.failures(counted), 1, "{counted}");
    }
    // Beyond what is taken at all.
    let mut huge = client.request("GET", "/");
    huge.headers_mut().insert("x-huge", "x".repeat(40_000).parse().expect("a value"));
    assert_eq!(client.begin_request(huge, true).whole().status, 431);
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn cookies_in_crumbs_are_one() {
    let server = start(Server::builder().workers(1).get("/", |req: Request, res: Response| {
        let cookies: Vec<_> =
            req.headers().iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie")).collect();
        assert_eq!(cookies.len(), 1, "RFC 9113 §8.2.3");
        res.send(cookies[0].1.to_vec());
    }));
    let client = connect(&server);
    let mut request = client.request("GET", "/");
    for crumb in ["a=1", "b=2; c=3", "d=4"] {
        request.headers_mut().append("cookie", crumb.parse().expect("a value"));
    }
    assert_eq!(client.begin_request(request, true).whole().text(), "a=1; b=2; c=3; d=4");
}

#[test]
fn a_handler_that_panics_costs_its_request() {
    let server = start(
        builder()
            .get("/panic", |_: Request, _: Response| panic!("on purpose"))
            .get("/drop", |_: Request, res: Response| drop(res))
            .get("/later", |_: Request, res: Response| {
                task::spawn(async move {
                    task::sleep(Duration::from_millis(1)).await;
                    drop(res);
                });
            })
            .get("/half", |_: Request, res: Response| {
                let mut writer = res.stream();
                task::spawn(async move {
                    writer.send("half").await.expect("the client reads");
                    task::sleep(Duration::from_millis(20)).await;
                    drop(writer);
                });
            }),
    );
    let client = connect(&server);
    for target in ["/panic", "/drop", "/later"] {
        assert_eq!(client.get(target).status, 500, "{target}");
        assert_eq!(client.get("/").text(), "hello", "{target}");
    }
    let mut half = client.ask("GET", "/half");
    assert_eq!(half.head().status, 200);
    let (body, end) = half.rest();
    assert_eq!((&body[..], end.is_err()), (&b"half"[..], true));
    assert_eq!(client.get("/").text(), "hello");
    let count = |name| server.failures(name);
    assert_eq!((count("handler_panicked"), count("response_dropped"), count("body_failed")), (1, 2, 1));
}

#[test]
fn http1_and_http2_are_spoken_at_one_door() {
    let server = server();
    let http2 = connect(&server);
    let mut http1 = server.connect();
    for _ in 0..3 {
        assert_eq!(http1.ask(get("/")).text(), "hello");
        assert_eq!(http2.get("/").text(), "hello");
    }
    assert_eq!((server.stats().accepted, server.stats().http2_connections), (2, 1));
}

#[test]
fn a_client_that_ends_its_connection_is_forgotten() {
    let (give, take) = channel();
    let server = start(
        builder().get("/wait", move |_: Request, res: Response| give.send(res).expect("the test waits")),
    );
    let client = connect(&server);
    assert_eq!(client.get("/").text(), "hello");
    drop(client);
    eventually("it has gone", || server.stats().open == 0);
    // Also in the middle of a request.
    let client = connect(&server);
    let exchange = client.ask("GET", "/wait");
    let res = take.recv_timeout(PATIENCE).expect("it is asked");
    eventually("it is open", || server.stats().http2_open_streams == 1);
    client.cut();
    eventually("the handler can see it", || res.is_closed());
    eventually("it has gone", || server.stats().open == 0);
    res.send("too late");
    drop(exchange);
    eventually("it is counted", || server.failures("downstream_gone") == 1);
}

#[test]
fn a_request_that_is_given_up_is_over_for_its_handler() {
    let (give, take) = channel();
    let (give_end, take_end) = channel::<Option<&str>>();
    let server = start(
        builder()
            .get("/wait", move |_: Request, res: Response| give.send(res).expect("the test waits"))
            .post("/upload", move |req: Request, res: Response| {
                let give_end = give_end.clone();
                req.read(move |body| {
                    give_end.send(body.err().map(|error| error.name())).expect("the test waits");
                    res.send("");
                });
            })
            .get("/endless", |_: Request, res: Response| {
                let mut writer = res.stream();
                task::spawn(async move { while writer.send(vec![b'x'; 10_000]).await.is_ok() {} });
            }),
    );
    let client = connect(&server);
    let exchange = client.ask("GET", "/wait");
    let res = take.recv_timeout(PATIENCE).expect("it is asked");
    exchange.reset(Reason::CANCEL);
    eventually("the handler can see it", || res.is_closed());
    drop(res);
    // In the middle of an answer, with and without room in its window.
    for read in [1, 200_000] {
        let mut exchange = client.ask("GET", "/endless");
        assert_eq!(exchange.head().status, 200);
        exchange.at_least(read);
        exchange.reset(Reason::CANCEL);
    }
    // In the middle of an upload.
    let mut exchange = client.open("POST", "/upload");
    exchange.send("half");
    pause(20);
    exchange.reset(Reason::CANCEL);
    assert_eq!(take_end.recv_timeout(PATIENCE).expect("the handler is told"), Some("downstream_gone"));
    // The handler may have answered the last one before it was known that nobody is there.
    eventually("they are counted", || (3..=4).contains(&server.failures("downstream_gone")));
    assert_eq!(client.get("/").text(), "hello");
    assert_eq!(server.stats().open, 1);
    eventually("none is open", || server.stats().http2_open_streams == 0);
}

#[test]
fn what_waits_for_a_window_has_its_time() {
    let timeouts = eproxy_core::Timeouts { write_idle: Duration::from_millis(100), ..Default::default() };
    let server = start(builder().timeouts(timeouts));
    let mut codec = Codec::new();
    codec.initial_window_size(1000);
    let client = Http2::with(server.address(), &codec);
    let mut exchange = client.ask("GET", "/much");
    assert_eq!(exchange.head().status, 200);
    // The window stays shut.
    assert_eq!(exchange.was_reset(), Some(Reason::CANCEL));
    eventually("it is counted", || server.failures("downstream_gone") == 1);
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn a_body_that_does_not_come_has_its_time() {
    let timeouts = eproxy_core::Timeouts { body_idle: Duration::from_millis(100), ..Default::default() };
    let server = start(builder().timeouts(timeouts));
    let client = connect(&server);
    let mut exchange = client.open("POST", "/echo");
    exchange.send("half");
    assert_eq!(exchange.head().status, 408);
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn a_connection_that_speaks_first_of_all_has_its_time() {
    let timeouts = eproxy_core::Timeouts { head: Duration::from_millis(100), ..Default::default() };
    let server = start(builder().timeouts(timeouts));
    let mut client = server.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n");
    client.rest();
    eventually("it is counted", || server.failures("head_timeout") == 1 && server.stats().open == 0);
}

#[test]
fn a_request_may_take_longer_than_the_time_of_a_head() {
    let timeouts = eproxy_core::Timeouts { head: Duration::from_millis(100), ..Default::default() };
    let server = start(builder().timeouts(timeouts).get("/slow", |_: Request, res: Response| {
        task::spawn(async move {
            task::sleep(Duration::from_millis(300)).await;
            res.send("slow");
        });
    }));
    // One that comes together with the beginning of the connection, and one that does not.
    let headers = b"\x82\x86\x44\x05/slow\x41\x04test";
    let mut beginning = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    beginning.extend([&[0, 0, headers.len() as u8, 1, 5, 0, 0, 0, 1], &headers[..]].concat());
    let mut raw = server.connect();
    raw.send(beginning);
    let heard = raw.until(b"slow").expect("the answer comes before the end");
    // There is no GOAWAY in it: type 7, stream 0.
    assert!(!heard.windows(6).any(|frame| frame == [7, 0, 0, 0, 0, 0]), "{}", heard.escape_ascii());
    let client = connect(&server);
    assert_eq!(client.get("/slow").text(), "slow");
    assert_eq!(client.get("/slow").text(), "slow");
    assert!(!client.is_closed());
}

#[test]
fn an_unused_connection_is_told_to_go_and_closed() {
    let timeouts = eproxy_core::Timeouts { keep_alive: Duration::from_millis(150), ..Default::default() };
    let server = start(builder().timeouts(timeouts));
    let client = connect(&server);
    for _ in 0..4 {
        pause(60);
        assert_eq!(client.get("/").text(), "hello");
    }
    let end = client.ended();
    assert!(end.is_ok(), "{end:?}");
    eventually("it has gone", || server.stats().open == 0);
    assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn a_connection_with_a_request_is_not_unused() {
    let (give, take) = channel();
    let timeouts = eproxy_core::Timeouts { keep_alive: Duration::from_millis(50), ..Default::default() };
    let server = start(
        builder()
            .timeouts(timeouts)
            .get("/wait", move |_: Request, res: Response| give.send(res).expect("the test waits")),
    );
    let client = connect(&server);
    let exchange = client.ask("GET", "/wait");
    let res = take.recv_timeout(PATIENCE).expect("it is asked");
    pause(300);
    assert!(!client.is_closed());
    res.send("still there");
    assert_eq!(exchange.whole().text(), "still there");
}

#[test]
fn an_authority_and_a_host_that_differ_are_refused() {
    let server = server();
    let client = connect(&server);
    let mut request = client.request("GET", "/");
    request.headers_mut().insert("host", http::HeaderValue::from_static("other"));
    assert_eq!(client.begin_request(request, true).whole().status, 400);
    let mut request = client.request("GET", "/");
    request.headers_mut().insert("host", http::HeaderValue::from_static("test"));
    assert_eq!(client.begin_request(request, true).whole().status, 200);
    assert_eq!(server.failures("bad_host"), 1);
}

#[test]
fn a_ping_is_answered() {
    let server = server();
    let client = connect(&server);
    let mut pings = client.pings();
    for _ in 0..3 {
        wait(pings.ping(h2::Ping::opaque())).expect("a pong");
    }
    assert_eq!(client.get("/").text(), "hello");
}
