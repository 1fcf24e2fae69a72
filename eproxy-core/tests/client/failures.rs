//! What fails on the way to an answer, and how the failure is told.

use std::net::SocketAddr;
use std::time::Duration;

use eproxy_core::http_types::{Method, Request, Url};
use eproxy_core::{Client, Side};
use futures_lite::AsyncReadExt as _;
use socket2::{Domain, Socket, Type};

use crate::raw::pause;
use crate::support::{answering, client, ok, send, text, upstream, wait_for};

/// The URL of a place where nobody listens, nor will as long as the tests run: the port is taken.
fn dead() -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port is free");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    std::mem::forget(socket);
    format!("http://{}/", address.expect("the socket has an address"))
}

#[test]
fn a_connection_that_is_refused_is_502_and_may_be_tried_again() {
    let url = dead();
    let error = send(&Client::new(), &*url).expect_err("nobody listens");
    assert_eq!((error.name(), error.status(), error.side()), ("connect", 502, Side::Upstream));
    assert!(error.is_retryable() && !error.is_timeout());
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    assert!(error.to_string().contains(address), "{error}");
    assert!(std::error::Error::source(&error).is_some());

    let error = wait_for(Client::new().get(url).send()).expect_err("nobody listens");
    assert_eq!(u16::from(error.status()), 502);
}

/// Other systems answer a full backlog otherwise.
#[test]
#[cfg(target_os = "linux")]
fn a_connection_that_is_not_accepted_in_time_is_504_and_may_be_tried_again() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Connections that wait to be accepted, until no more fit: from then on the system is silent.
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the backlog has no end");
    }
    let client = client(|options| options.connect = Duration::from_millis(200));
    let error = send(&client, format!("http://{address}/")).expect_err("nobody accepts");
    assert_eq!((error.name(), error.status()), ("connect_timeout", 504), "{error}");
    assert!(error.is_timeout() && error.is_retryable());
}

#[test]
fn a_head_that_does_not_come_in_time_is_504() {
    for beginning in ["", "HTTP/1.1 200 OK\r\nX-Slow: "] {
        let upstream = upstream(1, move |_, peer| {
            peer.request();
            peer.say(beginning);
            peer.stay();
        });
        let client = client(|options| options.head = Duration::from_millis(200));
        let error = send(&client, upstream.url("/")).expect_err("no head comes");
        assert_eq!((error.name(), error.status()), ("upstream_head_timeout", 504), "{beginning:?}");
        assert!(error.is_timeout() && !error.is_retryable());
    }
}

#[test]
fn interim_answers_do_not_put_the_final_one_off_for_ever() {
    let upstream = upstream(1, |_, peer| {
        peer.request();
        while peer.try_say("HTTP/1.1 103 Early Hints\r\n\r\n") {
            pause(20);
        }
    });
    let client = client(|options| options.head = Duration::from_millis(200));
    assert_eq!(
        send(&client, upstream.url("/")).err().map(|error| error.name()),
        Some("upstream_head_timeout")
    );
}

#[test]
fn a_body_that_stalls_is_given_up_and_one_that_moves_is_not() {
    let upstream = upstream(1, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        // Longer than the limit altogether, never longer without a byte.
        for _ in 0..8 {
            pause(100);
            peer.say("x");
        }
        peer.stay();
    });
    let client = client(|options| options.body_idle = Duration::from_millis(400));
    let mut body = send(&client, upstream.url("/")).unwrap().into_body();
    let mut got = Vec::new();
    let error = wait_for(body.read_to_end(&mut got)).expect_err("it stalls");
    assert_eq!((got.len(), error.kind()), (8, std::io::ErrorKind::TimedOut));
    let error = error.downcast::<eproxy_core::Error>().expect("the error is inside");
    assert_eq!((error.name(), error.status()), ("upstream_body_timeout", 504));
}

#[test]
fn a_reader_that_takes_its_time_is_not_the_upstreams_fault() {
    let upstream = upstream(1, |_, peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        pause(900);
        peer.say("cd");
        peer.stay();
    });
    let client = client(|options| options.body_idle = Duration::from_millis(400));
    let mut body = send(&client, upstream.url("/")).unwrap().into_body();
    let mut got = vec![0; 2];
    wait_for(body.read_exact(&mut got)).unwrap();
    // Longer than the limit, which holds while it is read.
    pause(700);
    wait_for(body.read_to_end(&mut got)).expect("the upstream has kept its time");
    assert_eq!(got, b"abcd");
}

#[test]
fn a_name_without_an_address_is_502_and_may_be_tried_again() {
    // A label that is too long for DNS: no server is asked.
    let url = format!("http://{}.invalid/", "a".repeat(64));
    let error = send(&Client::new(), url).expect_err("there is no such name");
    assert_eq!((error.name(), error.status(), error.is_retryable()), ("resolve", 502, true), "{error}");
}

#[test]
fn other_schemes_are_refused_in_plain_words() {
    let error = send(&Client::new(), "ftp://127.0.0.1:1/").expect_err("nobody speaks that here");
    assert_eq!((error.name(), error.status()), ("scheme", 502));
    assert!(error.to_string().contains("ftp://, expected http:// or https://"), "{error}");
    let error =
        wait_for(Client::new().get("ftp://127.0.0.1:1/").send()).expect_err("nobody speaks that here");
    assert!(error.to_string().contains("ftp://"), "{error}");
}

#[test]
fn a_url_that_is_none_is_an_error_and_not_a_panic() {
    for url in
        ["", "/relative", "nonsense", "http://", "http://[::1", "http://a b/", "http://a:99999/", "a:b"]
    {
        let error = send(&Client::new(), url).expect_err("the URL is refused");
        assert_eq!((error.status(), error.side()), (500, Side::Local), "{url:?}: {error}");
    }
    for url in ["ftp://127.0.0.1/", "ws://127.0.0.1/", "unix://x/"] {
        let error = send(&Client::new(), url).expect_err("the scheme is refused");
        assert_eq!((error.name(), error.status()), ("scheme", 502), "{url:?}");
    }
    for url in ["mailto:a@b", "data:text/plain,x"] {
        assert!(send(&Client::new(), url).is_err(), "{url:?}");
        let (give, take) = std::sync::mpsc::channel();
        Client::new().fetch(url, move |answer| give.send(answer.is_err()).expect("the test is there"));
        assert_eq!(take.recv_timeout(Duration::from_secs(5)), Ok(true), "{url:?}");
    }
}

#[test]
fn what_follows_the_path_and_what_precedes_the_host_does_not_reach_the_request_line() {
    let upstream = answering(ok(""));
    let url = format!("http://user:secret@{}/a b?c=%20&d=é#fragment", upstream.address());
    text(&Client::new(), url).unwrap();
    let seen = upstream.seen();
    assert_eq!(seen[0].line(), "GET /a%20b?c=%20&d=%C3%A9 HTTP/1.1");
    assert_eq!(seen[0].header("host"), Some(upstream.address().to_string().as_str()));
    assert!(!seen[0].head.contains("secret"));
}

#[test]
fn the_framing_of_a_request_is_the_clients_business() {
    let upstream = answering(ok(""));
    let mut request = Request::new(Method::Post, Url::parse(&upstream.url("/")).unwrap());
    request.set_body("hello");
    request.insert_header("content-length", "3");
    request.insert_header("transfer-encoding", "gzip, chunked");
    text(&Client::new(), request).unwrap();
    let seen = upstream.seen();
    assert_eq!((seen[0].header("content-length"), seen[0].header("transfer-encoding")), (Some("5"), None));
    assert_eq!(seen[0].body, b"hello");
}

#[test]
fn a_callback_that_panics_costs_its_own_request() {
    let upstream = upstream(1, |_, peer| {
        while peer.next().is_some() {
            peer.say(ok("fine"));
        }
    });
    let client = Client::new();
    let (give, take) = std::sync::mpsc::channel();
    for number in 0..4 {
        let give = give.clone();
        client.fetch(upstream.url("/"), move |answer| {
            give.send(answer.is_ok()).expect("the test is there");
            assert!(number > 1, "this panic belongs to the test");
        });
        assert_eq!(take.recv_timeout(Duration::from_secs(5)), Ok(true), "request {number}");
    }
    assert_eq!(text(&client, upstream.url("/")).unwrap(), "fine");
}
