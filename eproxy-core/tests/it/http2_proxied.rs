//! What a proxy can be told to do, for clients that speak HTTP/2.

use std::time::Duration;

use eproxy_core::{
    Answer, BodyFilter, Done, Group, Proxy, ProxyRequest, ProxyResponse, RetryBudget, Server, Sticky,
    UpstreamRequest,
};
use h2::Reason;

use crate::support::http2::Http2;
use crate::support::http2_upstream::{Settings, echoing2, http2_upstream};
use crate::support::notes::Notes;
use crate::support::server::nobody;
use crate::support::{Running, eventually, pause, start};
use crate::upstream::{echo, echoing, upstream};

fn serve(proxy: Proxy) -> Running {
    start(Server::builder().workers(1).at("/*path", proxy))
}

fn connect(server: &Running) -> Http2 {
    Http2::to(server.address())
}

#[test]
fn an_upstream_of_http1_gets_a_request_of_http1() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()));
    let client = connect(&server).of_host("shop.test:8080");
    let mut request = client.request("PUT", "/a/../b?c");
    for (name, value) in [("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")] {
        request.headers_mut().append(name, value.parse().expect("a value"));
    }
    let mut exchange = client.begin_request(request, false);
    exchange.send_end("body");
    let answer = exchange.whole();
    assert_eq!((answer.status, answer.text()), (200, "body"));
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/a/../b?c"));
    assert_eq!(seen.values("host"), ["shop.test:8080"]);
    assert_eq!((seen.values("x-a"), seen.values("cookie")), (vec!["1".into()], vec!["a=1; b=2".to_owned()]));
    assert_eq!(
        (seen.values("via"), seen.values("transfer-encoding")),
        (vec!["2.0 eproxy".into()], vec!["chunked".to_owned()])
    );
    assert_eq!(seen.values("te"), ["trailers"]);
    assert_eq!(seen.values("x-forwarded-host"), ["shop.test:8080"]);
    assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn connections_to_an_upstream_of_http1_are_shared_and_used_again() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()));
    let client = connect(&server);
    for number in 0..20 {
        assert_eq!(client.get(&format!("/{number}")).text(), format!("/{number}"));
    }
    assert_eq!(upstream.accepted(), 1);
    let exchanges: Vec<_> = (0..50).map(|number| client.ask("GET", &format!("/{number}"))).collect();
    for (number, exchange) in exchanges.into_iter().enumerate() {
        assert_eq!(exchange.whole().text(), format!("/{number}"));
    }
    assert!(upstream.accepted() <= 50);
    assert_eq!(server.stats().accepted, 1);
}

/// Turns a body into upper case, with a mark at its end.
struct Loud;

impl BodyFilter for Loud {
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        out.extend(bytes.iter().map(u8::to_ascii_uppercase));
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> std::io::Result<()> {
        out.extend(b"!");
        Ok(())
    }
}

#[test]
fn hooks_and_filters_see_what_passes() {
    let notes = Notes::default();
    for is_http2 in [false, true] {
        let (one, two) = (echoing(), echoing2(Settings::plain()));
        let noted = notes.clone();
        let proxy = Proxy::to(if is_http2 { two.url() } else { one.url() })
            .on_request(|req: &mut ProxyRequest| {
                if req.target() == "/no" {
                    return Some(Answer::new(403).with_body("no"));
                }
                assert_eq!(format!("{:?}", req.version()), "Http2_0");
                req.headers_mut().insert("X-Hook", "1").expect("a value");
                if req.method() == "POST" {
                    req.transform_body(Loud);
                }
                None
            })
            .on_upstream_request(|req: &mut UpstreamRequest| {
                assert_eq!(req.headers().get("x-hook"), Some(&b"1"[..]));
                let attempt = req.attempt().to_string();
                req.headers_mut().insert("X-Try", attempt)
            })
            .on_response(|res: &mut ProxyResponse| {
                res.headers_mut().insert("X-Seen", "yes").expect("a value");
                res.transform_body(Loud);
            })
            .on_done(move |done: &mut Done| {
                let failure = done.failure().unwrap_or("-");
                noted.add(format!("{:?} {failure} {} {}", done.status(), done.bytes_up(), done.bytes_down()));
            });
        let server = serve(proxy);
        let client = connect(&server);
        let answer = client.post("/x", "hello");
        assert_eq!((answer.text(), answer.field("x-seen")), ("HELLO!!", Some("yes")));
        assert_eq!(client.get("/get").text(), "/GET!");
        let answer = client.get("/no");
        assert_eq!((answer.status, answer.text()), (403, "no"));
        assert_eq!(
            notes.wait(3),
            ["Some(200) - 5 6 ", "Some(200) - 0 4 ", "Some(403) - 0 0 "].map(str::trim_end)
        );
        let tries = if is_http2 {
            two.last().field("x-try").map(str::to_owned)
        } else {
            one.last().values("x-try").pop()
        };
        assert_eq!(tries.as_deref(), Some("1"));
    }
}

#[test]
fn a_copy_of_a_request_goes_elsewhere() {
    for is_http2 in [false, true] {
        let upstream = echoing();
        let (one, two) = (echoing(), echoing2(Settings::plain()));
        let server = serve(Proxy::to(upstream.url()).mirror(if is_http2 { two.url() } else { one.url() }));
        let client = connect(&server);
        assert_eq!(client.get("/a").text(), "/a");
        assert_eq!(client.post("/b", "body").text(), "body");
        eventually("the copies are answered", || server.stats().mirrored == 2);
        let bodies: Vec<_> = match is_http2 {
            true => two.seen().into_iter().map(|seen| seen.body).collect(),
            false => one.seen().into_iter().map(|seen| seen.body).collect(),
        };
        assert!(bodies.contains(&b"body".to_vec()) && bodies.contains(&Vec::new()), "{bodies:?}");
    }
}

#[test]
fn requests_are_tried_with_another_endpoint() {
    let failing = http2_upstream(Settings::plain(), |asked| asked.answer(503, &[], "busy"));
    let broken = http2_upstream(Settings::plain(), |asked| asked.connection_is_cut());
    let well = echoing2(Settings::plain());
    let group = Group::from([failing.url(), broken.url(), nobody(), well.url()]);
    let group = group.retry_budget(RetryBudget { share: 10.0, least_per_second: 1000 });
    let server = serve(Proxy::to(group).retries(3).retry_statuses([503]));
    let client = connect(&server);
    for _ in 0..20 {
        assert_eq!(client.get("/x").text(), "/x");
    }
    assert_eq!(well.count(), 20);
    assert!(server.stats().retries > 0);
}

#[test]
fn a_slow_endpoint_is_overtaken_by_another() {
    let slow = http2_upstream(Settings::plain(), |asked| {
        let reset = asked.was_reset();
        assert_eq!(reset, Some(Reason::CANCEL));
    });
    let fast = echoing2(Settings::plain());
    let group = Group::from([slow.url(), fast.url()]);
    let server = serve(Proxy::to(group).hedge_after(Duration::from_millis(20)));
    let client = connect(&server);
    for _ in 0..10 {
        assert_eq!(client.get("/x").text(), "/x");
    }
    assert!(slow.count() > 0);
    eventually("it is counted", || server.stats().hedges_won == slow.count() as u64);
}

#[test]
fn a_client_sticks_to_its_endpoint() {
    let endpoints = ["one", "two", "three"]
        .map(|name| http2_upstream(Settings::plain(), move |asked| asked.answer(200, &[], name)));
    let group: Group = endpoints.iter().map(|endpoint| endpoint.url()).collect();
    let server = serve(Proxy::to(group.sticky(Sticky::cookie("who"))));
    let client = connect(&server);
    let first = client.get("/");
    let cookie =
        first.field("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned();
    for _ in 0..10 {
        let mut request = client.request("GET", "/");
        request.headers_mut().insert("cookie", cookie.parse().expect("a value"));
        assert_eq!(client.begin_request(request, true).whole().text(), first.text());
    }
}

#[test]
fn an_upstream_that_takes_too_long_is_a_timeout() {
    for is_http2 in [false, true] {
        let one = upstream(|peer| drop(peer.rest()));
        let two = http2_upstream(Settings::plain(), |asked| {
            let _reset = asked.was_reset();
        });
        let url = if is_http2 { two.url() } else { one.url() };
        let options = eproxy_core::UpstreamOptions { head: Duration::from_millis(100), ..Default::default() };
        let server = serve(Proxy::to(url).upstream_options(options));
        let client = connect(&server);
        assert_eq!(client.get("/").status, 504);
        assert_eq!(client.post("/", "body").status, 504);
        assert_eq!(server.failures("upstream_head_timeout"), 2);
        eventually("nobody is left waiting", || one.open() == 0);
    }
}

#[test]
fn an_answer_that_stalls_is_broken_off() {
    for is_http2 in [false, true] {
        let one = upstream(|peer| {
            let seen = peer.request();
            peer.say(echo(&seen).split_last().expect("a body").1);
            peer.rest();
        });
        let two = http2_upstream(Settings::plain(), |asked| {
            asked.head(200, &[], false);
            asked.send("half");
            assert_eq!(asked.was_reset(), Some(Reason::CANCEL));
        });
        let url = if is_http2 { two.url() } else { one.url() };
        let options =
            eproxy_core::UpstreamOptions { body_idle: Duration::from_millis(100), ..Default::default() };
        let server = serve(Proxy::to(url).upstream_options(options));
        let client = connect(&server);
        let mut exchange = client.ask("GET", "/long");
        assert_eq!(exchange.head().status, 200);
        let (body, end) = exchange.rest();
        assert!(!body.is_empty() && end.is_err(), "{body:?}");
        assert_eq!(server.failures("upstream_body_timeout"), 1);
        assert_eq!(server.stats().open, 1);
    }
}

#[test]
fn what_is_buffered_is_collected_first_and_can_be_sent_again() {
    let failing = http2_upstream(Settings::plain(), |asked| asked.reset(Reason::REFUSED_STREAM));
    let well = echoing2(Settings::plain());
    let group = Group::from([failing.url(), well.url()]);
    let server = serve(Proxy::to(group).buffer_requests(100_000));
    let client = connect(&server);
    for _ in 0..20 {
        let mut exchange = client.open("POST", "/");
        exchange.send("one, ");
        pause(2);
        exchange.send_end("two");
        assert_eq!(exchange.whole().text(), "one, two");
    }
    assert!(failing.count() > 0);
    assert!(well.seen().iter().all(|seen| seen.field("content-length") == Some("8")));
}

#[test]
fn a_body_over_its_limit_ends_both_sides() {
    for is_http2 in [false, true] {
        let one = upstream(|peer| drop(peer.rest()));
        let two = http2_upstream(Settings::plain(), |asked| {
            let _broken = asked.try_read().expect_err("it breaks off");
        });
        let url = if is_http2 { two.url() } else { one.url() };
        let server = serve(Proxy::to(url).body_limit(100_000));
        let client = connect(&server);
        let mut exchange = client.open("POST", "/");
        let _cut = exchange.try_send(vec![b'x'; 200_000], true);
        assert_eq!(exchange.head().status, 413);
        assert_eq!(server.failures("body_too_large"), 1);
        eventually("nothing is left", || one.open() == 0);
    }
}
