//! surf's request builder and middleware over the client's transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eproxy_core::Client;
use eproxy_core::http_types::{StatusCode, convert::json};
use eproxy_core::surf::middleware::{Middleware, Next, Redirect};

use crate::support::{answering, ok, text, upstream, wait_for};

#[test]
fn redirects_are_followed_by_the_middleware_and_by_nothing_else() {
    let upstream = upstream(4, |_, peer| {
        while let Some(sent) = peer.next() {
            match sent.line().split(' ').nth(1) {
                Some("/start") => {
                    peer.say("HTTP/1.1 302 Found\r\nLocation: /middle\r\nContent-Length: 5\r\n\r\nmoved");
                }
                Some("/middle") => {
                    let host = sent.header("host").unwrap();
                    peer.say(format!(
                        "HTTP/1.1 307 Moved\r\nLocation: http://{host}/end\r\nContent-Length: 0\r\n\r\n"
                    ));
                }
                _ => peer.say(ok("the end")),
            }
        }
    });
    let plain = Client::new();
    let client = plain.clone().with(Redirect::default());
    assert_eq!(wait_for(client.get(upstream.url("/start")).recv_string()).unwrap(), "the end");
    let mut response = wait_for(plain.get(upstream.url("/start")).send()).unwrap();
    assert_eq!(response.status(), StatusCode::Found);
    assert_eq!(wait_for(response.body_string()).unwrap(), "moved");
    // fetch and send ask no middleware.
    assert_eq!(text(&client, upstream.url("/start")).unwrap(), "moved");
}

#[test]
fn redirects_in_a_circle_come_to_an_end() {
    let upstream = upstream(9, |_, peer| {
        while peer.next().is_some() {
            peer.say("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let client = Client::new().with(Redirect::new(3));
    let response = wait_for(client.get(upstream.url("/")).send()).unwrap();
    assert_eq!(response.status(), StatusCode::Found);
    assert!(upstream.seen().len() <= 5, "{} requests", upstream.seen().len());
}

#[test]
fn json_goes_up_and_comes_down() {
    let upstream = answering(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"answer\": 42}",
    );
    let asked = Client::new().post(upstream.url("/")).body(json!({ "question": "?" }));
    let answer: std::collections::BTreeMap<String, u32> = wait_for(asked.recv_json()).unwrap();
    assert_eq!(answer["answer"], 42);
    let seen = upstream.seen();
    assert_eq!(seen[0].body, br#"{"question":"?"}"#);
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
}

#[test]
fn json_that_is_none_is_an_error() {
    let upstream = answering(ok("not json"));
    assert!(wait_for(Client::new().get(upstream.url("/")).recv_json::<Vec<u32>>()).is_err());
}

#[test]
fn headers_and_cookies_of_an_answer_are_all_there() {
    let upstream = answering(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-Other: x\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    );
    let response = wait_for(Client::new().get(upstream.url("/")).header("X-Asked", "yes").send()).unwrap();
    let cookies: Vec<_> = response.header("set-cookie").unwrap().iter().map(|value| value.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(response.header("content-type").is_none(), "the answer has none");
    assert_eq!(upstream.seen()[0].header("x-asked"), Some("yes"));
}

struct Counting(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Middleware for Counting {
    async fn handle(
        &self,
        request: eproxy_core::surf::Request,
        client: eproxy_core::surf::Client,
        next: Next<'_>,
    ) -> eproxy_core::surf::Result<eproxy_core::surf::Response> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(request, client).await
    }
}

#[test]
fn a_middleware_sees_the_requests_of_its_own_client() {
    let upstream = upstream(1, |_, peer| {
        while peer.next().is_some() {
            peer.say(ok("ok"));
        }
    });
    let plain = Client::new();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = plain.clone().with(Counting(count.clone()));
    for client in [&plain, &counted, &counted] {
        assert_eq!(wait_for(client.get(upstream.url("/")).recv_string()).unwrap(), "ok");
    }
    assert_eq!((count.load(Ordering::Relaxed), upstream.accepted()), (2, 1));
}
