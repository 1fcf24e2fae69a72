//! What hooks see of requests and can do with them: answer early, change fields and target, and nothing that would make
//! another message of it.

use eproxy_core::{Answer, Endpoint, Flow, Group, Headers, Proxy, ProxyRequest, Result, UpstreamRequest};

use crate::support::notes::Notes;
use crate::support::server::nobody;
use crate::support::{Running, get, post, post_chunked};
use crate::upstream::{Upstream, echo, echoing, serve, upstream};

/// The names of header fields, in their order.
fn names(headers: &Headers) -> String {
    headers.iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// A proxy whose hook answers whatever asks for something below `/no`.
fn guarded(upstream: &Upstream) -> Running {
    serve(Proxy::to(upstream.url()).on_request(|req: &mut ProxyRequest| {
        req.path().starts_with("/no").then(|| Answer::new(403).with_body("no\n"))
    }))
}

#[test]
fn what_a_hook_answers_the_upstream_never_hears_of_and_the_connection_goes_on() {
    let upstream = echoing();
    let server = guarded(&upstream);
    let mut client = server.connect();
    for request in [get("/no"), post("/no", "body"), post_chunked("/no", "2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n")] {
        let reply = client.ask(request);
        assert_eq!((reply.status, reply.text(), reply.says_close()), (403, "no\n", false));
    }
    // The same where another request follows at once, and where the body has to be waited for.
    client.send([post("/no", "GET /no/body"), get("/a"), get("/no")].concat());
    assert_eq!([client.reply().status, client.reply().status, client.reply().status], [403, 200, 403]);
    client.send("POST /no HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\n");
    assert_eq!(client.reply().status, 403);
    client.send("GET /no/body");
    assert_eq!(client.ask(get("/b")).text(), "/b");
    assert_eq!(upstream.texts(), ["GET /a [Host: test] ", "GET /b [Host: test] "]);
}

#[test]
fn a_head_is_answered_by_a_hook_without_a_body() {
    let upstream = echoing();
    let server = guarded(&upstream);
    let mut client = server.connect();
    client.send("HEAD /no HTTP/1.1\r\nHost: test\r\n\r\n");
    let reply = client.reply_to_head();
    assert_eq!((reply.status, reply.header("content-length")), (403, Some("3")));
    assert_eq!(client.ask(get("/a")).text(), "/a");
}

#[test]
fn a_body_that_waits_for_a_word_is_not_asked_for_by_a_hook_that_answers() {
    let upstream = echoing();
    let server = guarded(&upstream);
    let mut client = server.connect();
    let reply =
        client.ask("POST /no HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    // It may come or not: where the next request begins can't be known.
    assert_eq!((reply.status, reply.interim, upstream.count()), (403, vec![], 0));
    client.is_closed();
}

#[test]
fn a_hook_may_say_it_in_several_ways() {
    fn said(hook: impl Fn() -> Result<Flow> + Send + Sync + 'static) -> (u16, u64) {
        let upstream = echoing();
        let server = serve(Proxy::to(upstream.url()).on_request(move |_: &mut ProxyRequest| hook()));
        let mut client = server.connect();
        let status = client.ask(get("/a")).status;
        // Whatever it was, the connection is as good as before.
        assert_eq!(client.ask(get("/b")).status, status);
        assert_eq!(upstream.count(), if status == 200 { 2 } else { 0 });
        (status, server.failures("hook_failed"))
    }
    use eproxy_core::IntoFlow as _;
    assert_eq!(said(|| ().into_flow()), (200, 0));
    assert_eq!(said(|| Ok(Flow::Continue)), (200, 0));
    assert_eq!(said(|| None.into_flow()), (200, 0));
    assert_eq!(said(|| Some(Answer::new(401)).into_flow()), (401, 0));
    assert_eq!(said(|| Answer::new(402).into_flow()), (402, 0));
    assert_eq!(said(|| Ok(Flow::Answer(Box::new(Answer::new(404))))), (404, 0));
    assert_eq!(said(|| Ok(Some(Answer::new(410))).into_flow()), (410, 0));
    assert_eq!(said(|| Headers::new().insert("a b", "c").into_flow()), (500, 2));
}

#[test]
fn fields_are_set_added_and_removed_and_the_others_stay_as_they_came() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).on_request(|req: &mut ProxyRequest| {
        let headers = req.headers_mut();
        headers.remove("x-gone");
        headers.insert("x-SET", "ours")?;
        headers.append("X-Add", [b'2', 0xE9])
    }));
    let fields =
        "X-Gone: 1\r\nx-a:  caf\u{e9}\r\nX-Set: theirs\r\nX-Add: 1\r\nX-gone: 2\r\nX-SET: theirs\r\n";
    assert_eq!(server.ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")).status, 200);
    assert_eq!(
        upstream.last().text(),
        "GET / [Host: test|x-a: caf\u{c3}\u{a9}|X-Add: 1|x-SET: ours|X-Add: 2\u{e9}] "
    );
}

#[test]
fn a_hook_is_shown_nothing_that_concerns_the_connection_only() {
    let notes = Notes::default();
    let (upstream, seen) = (echoing(), notes.clone());
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(move |req: &mut ProxyRequest| seen.add(names(req.headers())))
            .without_forwarding_headers(),
    );
    let fields = "X-Kept: 1\r\nConnection: X-Named, TE, keep-alive, upgrade\r\nX-Named: 1\r\nTE: trailers\r\n\
                  Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic YTpi\r\n\
                  Upgrade: foo\r\nHTTP2-Settings: AAA\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\
                  X-Real-IP: 1.2.3.4\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(server.ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")).status, 200);
    assert_eq!(notes.take(), ["Host X-Kept"]);
    // Nor of how the body is framed on it, or waited for.
    let mut client = server.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nX-Kept: 1\r\n\r\n",
    );
    assert_eq!(notes.wait(1), ["Host X-Kept"]);
    client.send("2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "hi");
}

/// What belongs to the wire, and is nobody's to set.
const WIRE: [(&str, &str); 10] = [
    ("Content-Length", "99"),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Connection", "close, X-Set"),
    ("Keep-Alive", "timeout=1"),
    ("Proxy-Connection", "close"),
    ("TE", "gzip"),
    ("Upgrade", "foo"),
    ("HTTP2-Settings", "AAA"),
    ("Expect", "100-continue"),
    ("X-Set", "1"),
];

/// Sets all of it, and what no message can carry.
fn meddle(headers: &mut Headers) -> Result<()> {
    for (name, value) in WIRE {
        headers.append(name, value)?;
    }
    let before = format!("{headers:?}");
    for value in ["1\r\nX-Evil: 1", "1\nX-Evil: 1", "1\r", "a\0b", "\u{7f}"] {
        assert!(headers.insert("X-Set", value).is_err() && headers.append("X-Evil", value).is_err());
    }
    for name in ["", "X Evil", "X-Evil:", "X-Evil\r\n", "GET / HTTP/1.1\r\nX", "\u{e9}"] {
        assert!(headers.insert(name, "1").is_err() && headers.append(name, "1").is_err());
    }
    assert_eq!(format!("{headers:?}"), before);
    Ok(())
}

#[test]
fn nothing_that_a_hook_sets_makes_another_message_of_the_request() {
    type Change = fn(Proxy) -> Proxy;
    let changes: [Change; 2] = [
        |proxy| proxy.on_request(|req: &mut ProxyRequest| meddle(req.headers_mut())),
        |proxy| proxy.on_upstream_request(|req: &mut UpstreamRequest| meddle(req.headers_mut())),
    ];
    for change in changes {
        let upstream = echoing();
        let server = serve(change(Proxy::to(upstream.url())));
        let mut client = server.connect();
        assert_eq!(client.ask(get("/a")).text(), "/a");
        assert_eq!(client.ask(post("/b", "body")).text(), "body");
        assert_eq!(client.ask(post_chunked("/c", "2\r\nhi\r\n0\r\n\r\n")).text(), "hi");
        assert_eq!(
            upstream.texts(),
            [
                "GET /a [Host: test|X-Set: 1] ",
                "POST /b [Host: test|X-Set: 1|Content-Length: 4] body",
                "POST /c [Host: test|X-Set: 1|Transfer-Encoding: chunked] hi",
            ]
        );
    }
}

fn without_host(headers: &mut Headers) -> Result<()> {
    assert!(headers.remove("Host"));
    Ok(())
}

#[test]
fn there_is_one_host_whatever_a_hook_does_to_it() {
    fn host(change: fn(&mut Headers) -> Result<()>) -> (u16, Vec<String>) {
        let upstream = echoing();
        let hook = move |req: &mut ProxyRequest| change(req.headers_mut());
        let server = serve(Proxy::to(upstream.url()).on_request(hook));
        let status = server.ask(get("/")).status;
        let own = upstream.address().to_string();
        let hosts = upstream.seen().iter().flat_map(|seen| seen.values("host")).collect::<Vec<_>>();
        (status, hosts.into_iter().map(|host| if host == own { "its own".into() } else { host }).collect())
    }
    assert_eq!(host(|_| Ok(())), (200, vec!["test".into()]));
    assert_eq!(host(|headers| headers.insert("host", "a.example:81")), (200, vec!["a.example:81".into()]));
    assert_eq!(host(without_host), (200, vec!["its own".into()]));
    for wrong in ["a b", "a/b", "user@a", "a,b", "a:b"] {
        let upstream = echoing();
        let server = serve(
            Proxy::to(upstream.url())
                .on_request(move |req: &mut ProxyRequest| req.headers_mut().insert("Host", wrong)),
        );
        assert_eq!((server.ask(get("/")).status, upstream.count()), (500, 0), "{wrong}");
        assert_eq!(server.failures("hook_failed"), 1);
    }
    assert_eq!(host(|headers| headers.append("Host", "second")), (500, vec![]));
}

#[test]
fn the_last_hook_before_an_upstream_leaves_one_host_too() {
    type Change = fn(&mut Headers) -> Result<()>;
    let changes: [(Change, u16); 4] = [
        (|headers| headers.insert("Host", "a.example"), 200),
        (|headers| headers.insert("Host", "a b"), 500),
        (|headers| headers.append("Host", "second"), 500),
        (without_host, 500),
    ];
    for (number, (change, status)) in changes.into_iter().enumerate() {
        let upstream = echoing();
        let server = serve(
            Proxy::to(upstream.url())
                .on_upstream_request(move |req: &mut UpstreamRequest| change(req.headers_mut())),
        );
        let mut client = server.connect();
        let reply = client.ask(get("/"));
        assert_eq!((reply.status, reply.says_close()), (status, false), "change {number}");
        let hosts: Vec<_> = upstream.seen().iter().flat_map(|seen| seen.values("host")).collect();
        assert_eq!(hosts, if status == 200 { vec!["a.example"] } else { vec![] }, "change {number}");
    }
}

#[test]
fn an_absolute_target_is_the_host_that_hooks_see() {
    let notes = Notes::default();
    let (upstream, seen) = (echoing(), notes.clone());
    let server = serve(Proxy::to(upstream.url()).on_request(move |req: &mut ProxyRequest| {
        let hosts: Vec<_> =
            req.headers().get_all("host").map(|host| host.escape_ascii().to_string()).collect();
        seen.add(format!("{} {} {hosts:?}", req.path(), req.query().unwrap_or("-")));
    }));
    assert_eq!(server.ask("GET http://a.example:81/x?y HTTP/1.1\r\nHost: test\r\n\r\n").status, 200);
    assert_eq!(notes.take(), [r#"/x y ["a.example:81"]"#]);
    assert_eq!(upstream.last().text(), "GET /x?y [Host: a.example:81] ");
}

#[test]
fn a_target_is_put_in_place_of_the_one_that_came() {
    let upstream = echoing();
    let server = serve(Proxy::to(format!("{}/base", upstream.url())).strip_prefix("/api").on_request(
        |req: &mut ProxyRequest| match req.headers().get_str("X-To").map(str::to_owned) {
            Some(target) => {
                let set = req.set_target(&target);
                req.headers_mut().insert("X-To", if set.is_ok() { "set" } else { "refused" })
            }
            None => Ok(()),
        },
    ));
    let ask = |to: &str| {
        assert_eq!(server.ask(format!("GET /api/x?y HTTP/1.1\r\nHost: test\r\n{to}\r\n")).status, 200);
        let seen = upstream.last();
        format!("{} {}", seen.target, seen.values("x-to").concat())
    };
    assert_eq!(ask(""), "/base/x?y ");
    for target in ["/", "/api/new?a=%20b", "//x/../y", "/?", "/a|b\\^[]\"<>`{}"] {
        assert_eq!(ask(&format!("X-To: {target}\r\n")), format!("{target} set"));
    }
    for target in ["", "new", "*", "http://a.example/", "/a b", "/a\tb", "/a#b", "/\u{e9}"] {
        assert_eq!(ask(&format!("X-To: {target}\r\n")), "/base/x?y refused", "{target:?}");
    }
    let server = serve(Proxy::to(upstream.url()).on_request(|req: &mut ProxyRequest| {
        assert!(req.set_target("/a HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /b").is_err());
    }));
    assert_eq!(server.ask(get("/c")).text(), "/c");
}

#[test]
fn what_a_hook_says_of_where_a_request_comes_from_is_believed() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).on_request(|req: &mut ProxyRequest| {
        assert!(req.peer_addr().is_some_and(|peer| peer.ip().is_loopback()));
        req.headers_mut().insert("X-Forwarded-For", "203.0.113.9")
    }));
    let forged = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    assert_eq!(server.ask(forged).status, 200);
    assert_eq!(upstream.last().values("x-forwarded-for"), ["203.0.113.9, 127.0.0.1"]);
}

#[test]
fn a_request_is_shown_once_and_its_tries_one_by_one() {
    let (good, notes) = (echoing(), Notes::default());
    // Answers the first request of a connection, and leaves before the second.
    let bad = upstream(|peer| {
        let seen = peer.request();
        peer.say(echo(&seen));
        peer.next();
    });
    let nobody = nobody();
    let group = Group::from(bad.url())
        .with(Endpoint::new(nobody.as_str()).priority(1))
        .with(Endpoint::new(good.url()).priority(2));
    let (once, each) = (notes.clone(), notes.clone());
    let server = serve(
        Proxy::to(group)
            .request_header("X-Rule", "ours")
            .on_request(move |req: &mut ProxyRequest| once.add(format!("request {}", req.path())))
            .on_upstream_request(move |req: &mut UpstreamRequest| {
                each.add(format!("try {} at {} of {}", req.attempt(), req.upstream(), req.request().path()));
                let attempt = req.attempt().to_string();
                req.headers_mut().insert("X-Try", attempt)
            }),
    );
    let mut client = server.connect();
    assert_eq!(client.ask(get("/a")).text(), "/a");
    assert_eq!(client.ask(get("/b")).text(), "/b");
    let (bad_name, good_name) = (bad.address(), good.address());
    let nobody_name = nobody.trim_start_matches("http://");
    let mut noted = notes.take();
    assert_eq!(
        noted[..3],
        ["request /a".to_owned(), format!("try 1 at {bad_name} of /a"), "request /b".into()]
    );
    noted.drain(..3);
    // Whichever of the others came second, the good one came last.
    let mut expected = vec![format!("try 1 at {bad_name} of /b")];
    if noted.len() == 3 {
        expected.push(format!("try 2 at {nobody_name} of /b"));
    }
    expected.push(format!("try {} at {good_name} of /b", noted.len()));
    assert_eq!(noted, expected);
    let attempts = noted.len();
    assert_eq!(good.texts(), [format!("GET /b [Host: test|X-Rule: ours|X-Try: {attempts}] ")]);
    assert_eq!(bad.last().text(), "GET /b [Host: test|X-Rule: ours|X-Try: 1] ");
}

#[test]
fn the_last_hook_sees_what_is_sent_and_can_still_answer() {
    let (upstream, notes) = (echoing(), Notes::default());
    let seen = notes.clone();
    let server = serve(
        Proxy::to(upstream.url())
            .request_header("X-Rule", "1")
            .remove_request_header("X-Gone")
            .on_upstream_request(move |req: &mut UpstreamRequest| {
                seen.add(names(req.headers()));
                req.request().path().starts_with("/no").then(|| Answer::new(429).with_body("later"))
            }),
    );
    let mut client = server.connect();
    let request = |target: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: test\r\nX-Gone: 1\r\nContent-Length: 4\r\n\r\nbody")
    };
    assert_eq!(client.ask(request("/a")).text(), "body");
    for _ in 0..2 {
        let reply = client.ask(request("/no"));
        assert_eq!((reply.status, reply.text(), reply.says_close()), (429, "later", false));
    }
    assert_eq!(client.ask(request("/b")).text(), "body");
    let shown = "Host X-Rule X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host Forwarded Via";
    assert_eq!(notes.take(), [shown; 4]);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn hooks_are_called_in_their_order_up_to_one_that_answers() {
    let (upstream, notes) = (echoing(), Notes::default());
    let hook = |name: &'static str| {
        let notes = notes.clone();
        move |req: &mut ProxyRequest| {
            notes.add(name);
            let path = req.state::<String>();
            path.push_str(name);
            (path == "ab" && req.path() == "/b").then(|| Answer::new(403))
        }
    };
    let later = notes.clone();
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(hook("a"))
            .on_request(hook("b"))
            .on_upstream_request(move |_: &mut UpstreamRequest| later.add("sent"))
            .on_request(hook("c")),
    );
    assert_eq!(server.ask(get("/a")).status, 200);
    assert_eq!(notes.take(), ["a", "b", "c", "sent"]);
    assert_eq!(server.ask(get("/b")).status, 403);
    assert_eq!(notes.take(), ["a", "b"]);
}
