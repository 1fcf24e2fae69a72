//! Messages as http-types has them, and what it has no word for.

use std::sync::mpsc::channel;

use async_std::task::block_on;
use eproxy_core::{Answer, Request, Response, Server};

use crate::support::{crlf, start};

/// What a request becomes.
fn converted(requests: &[Vec<u8>]) -> Vec<Result<http_types::Request, String>> {
    let (give, take) = channel();
    let server = start(Server::builder().at("/*rest", move |req: Request, res: Response| {
        give.send(http_types::Request::try_from(req).map_err(|error| format!("{} {error}", error.name())))
            .expect("the test listens");
        res.send("");
    }));
    let ask = |request| {
        assert_eq!(server.ask(request).status, 200);
        take.recv().expect("the handler was asked")
    };
    requests.iter().map(ask).collect()
}

#[test]
fn a_request_becomes_one_of_http_types() {
    let request = crlf(
        "POST /a/b?c=d HTTP/1.1\nHost: example.com:81\nX-Two: 1\nX-Two: 2\nContent-Type: a/b\nContent-Length: 4\n\nbody",
    );
    let mut converted = converted(&[request]).remove(0).unwrap();
    assert_eq!(converted.method(), http_types::Method::Post);
    assert_eq!(converted.url().as_str(), "http://example.com:81/a/b?c=d");
    assert_eq!(converted.version(), Some(http_types::Version::Http1_1));
    assert!(converted.peer_addr().is_some_and(|peer| peer.starts_with("127.0.0.1:")));
    let values: Vec<_> = converted.header("x-two").unwrap().iter().map(|value| value.as_str()).collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(converted.content_type().map(|mime| mime.essence().to_owned()), Some("a/b".into()));
    assert_eq!(block_on(converted.body_string()).unwrap(), "body");
}

#[test]
fn a_request_that_it_has_no_word_for_is_an_error_and_never_a_panic() {
    let obs_text = [crlf("GET / HTTP/1.1\nHost: test\nX-Name: caf"), b"\xE9\r\n\r\n".to_vec()].concat();
    let requests = [
        obs_text,
        crlf("FROBNICATE / HTTP/1.1\nHost: test\n\n"),
        crlf("GET / HTTP/1.1\nHost: [::1]:80\n\n"),
        crlf("GET / HTTP/1.0\n\n"),
        crlf("GET / HTTP/1.1\nHost:\n\n"),
    ];
    let results = converted(&requests);
    assert!(results[0].as_ref().is_err_and(|error| error.contains("X-Name")), "{results:?}");
    assert!(results[1].as_ref().is_err_and(|error| error.contains("FROBNICATE")), "{results:?}");
    let url = |at: usize| results[at].as_ref().unwrap().url().to_string();
    assert_eq!([url(2), url(3), url(4)], ["http://[::1]/", "http://localhost/", "http://localhost/"]);
}

#[test]
fn every_valid_host_and_target_converts_or_fails_in_words() {
    let hosts = [
        "a",
        "a:",
        "a:0",
        "a:65535",
        "%41b",
        "a_b",
        "-",
        "~",
        "1.2.3.4",
        "[::1]",
        "[v1.x]",
        "a'b",
        "256.256.256.256",
        "xn--a",
    ];
    let targets = [
        "/",
        "//",
        "//x",
        "/%00",
        "/%zz",
        "/\\..\\x",
        "/..",
        "/a?b?c",
        "/a[]|^`{}\"<>",
        "http://[::1]:1/x",
        "http://x",
        "https://x?y",
    ];
    let requests: Vec<_> = hosts
        .iter()
        .flat_map(|host| {
            targets.iter().map(move |target| crlf(&format!("GET {target} HTTP/1.1\nHost: {host}\n\n")))
        })
        .collect();
    for result in converted(&requests) {
        if let Err(error) = result {
            assert!(error.starts_with("convert "), "{error}");
        }
    }
}

#[test]
fn answers_go_both_ways() {
    let mut response = http_types::Response::new(404);
    response.insert_header("X-A", "1");
    response.set_body("none");
    let answer = Answer::try_from(response).unwrap();
    assert_eq!((answer.status(), answer.headers().get_str("x-a")), (404, Some("1")));
    let mut response = http_types::Response::try_from(answer).unwrap();
    assert_eq!(response.status(), http_types::StatusCode::NotFound);
    assert_eq!(block_on(response.body_string()).unwrap(), "none");
}

#[test]
fn an_answer_of_http_types_that_would_split_the_message_is_a_500() {
    let server = start(Server::builder().get(
        "/",
        eproxy_core::async_handler(|_: Request| async {
            let mut response = http_types::Response::new(200);
            response.insert_header("X-A", "b\r\nX-Admin: 1");
            response
        }),
    ));
    let reply = server.ask(crate::support::get("/"));
    assert_eq!((reply.status, reply.header("x-admin")), (500, None));
}
