//! What hooks see of answers and can do with them.

use eproxy_core::{
    Answer, Endpoint, Group, Headers, IntoFlow, Proxy, ProxyRequest, ProxyResponse, Result, UpstreamRequest,
};

use crate::support::notes::Notes;
use crate::support::server::nobody;
use crate::support::wire::Reply;
use crate::support::{Running, get};
use crate::upstream::{Upstream, echo, echoing, serve, upstream};

/// An upstream that says this to every request.
fn saying(answer: impl Into<String>) -> Upstream {
    let answer = answer.into();
    upstream(move |peer| {
        while peer.next().is_some_and(|seen| seen.is_whole) {
            peer.say(&answer);
        }
    })
}

/// A server with such an upstream, and a hook.
fn shown<R: IntoFlow>(
    answer: &str,
    hook: impl Fn(&mut ProxyResponse) -> R + Send + Sync + 'static,
) -> (Running, Upstream) {
    let upstream = saying(answer);
    (serve(Proxy::to(upstream.url()).on_response(hook)), upstream)
}

/// The fields of an answer but for the date, in one line.
fn fields(reply: &Reply) -> String {
    let fields = reply.headers.iter().filter(|(name, _)| name != "Date");
    fields.map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect::<Vec<_>>().join("|")
}

#[test]
fn fields_are_set_added_and_removed_and_the_others_stay_as_they_came() {
    let answer = "HTTP/1.1 200 Fine\r\nserver: origin\r\nX-A:  caf\u{e9}\r\nX-Set: 1\r\nX-Add: 1\r\nx-set: 2\r\n\
                  Content-Length: 2\r\n\r\nok";
    let (server, _upstream) = shown(answer, |res: &mut ProxyResponse| {
        assert_eq!((res.status(), res.request().path()), (200, "/a"));
        let headers = res.headers_mut();
        headers.remove("Server");
        headers.insert("X-SET", "ours")?;
        headers.append("X-Add", b"\xE9")
    });
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(get("/a"));
        assert_eq!((reply.status, reply.reason.as_str(), reply.text()), (200, "Fine", "ok"));
        assert_eq!(fields(&reply), r"X-A: caf\xc3\xa9|X-Add: 1|X-SET: ours|X-Add: \xe9|Content-Length: 2");
    }
}

#[test]
fn a_hook_is_shown_nothing_that_concerns_the_connection_only() {
    let notes = Notes::default();
    let seen = notes.clone();
    let answer = "HTTP/1.1 200 OK\r\nConnection: X-Named, keep-alive\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: close\r\nUpgrade: foo\r\nX-Kept: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
                  2\r\nok\r\n0\r\n\r\n";
    let (server, _upstream) = shown(answer, move |res: &mut ProxyResponse| {
        seen.add(res.headers().iter().map(|(name, _)| name).collect::<Vec<_>>().join(" "));
    });
    let reply = server.ask(get("/"));
    assert_eq!(reply.text(), "ok");
    assert_eq!(fields(&reply), "X-Kept: 1|Transfer-Encoding: chunked");
    assert_eq!(notes.take(), ["X-Kept"]);
}

#[test]
fn what_a_hook_adds_can_not_be_taken_out_by_either_side() {
    let upstream = saying("HTTP/1.1 200 OK\r\nConnection: X-Hook\r\nX-Hook: 0\r\nContent-Length: 0\r\n\r\n");
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req: &mut ProxyRequest| req.headers_mut().append("X-Hook", "1"))
            .on_upstream_request(|req: &mut UpstreamRequest| req.headers_mut().append("X-Last", "1"))
            .on_response(|res: &mut ProxyResponse| res.headers_mut().append("X-Hook", "1")),
    );
    let mut client = server.connect();
    for _ in 0..2 {
        let reply =
            client.ask("GET / HTTP/1.1\r\nHost: test\r\nConnection: X-Hook, X-Last\r\nX-Hook: 0\r\n\r\n");
        assert_eq!(fields(&reply), "X-Hook: 1|Content-Length: 0");
        assert_eq!(upstream.last().text(), "GET / [Host: test|X-Hook: 1|X-Last: 1] ");
    }
}

/// Sets what belongs to the wire, and what no message can carry.
fn meddle(headers: &mut Headers) -> Result<()> {
    for (name, value) in [
        ("Content-Length", "99"),
        ("content-length", "1"),
        ("Transfer-Encoding", "gzip, chunked"),
        ("Connection", "close, X-Set"),
        ("Keep-Alive", "timeout=1"),
        ("Proxy-Connection", "close"),
        ("Upgrade", "foo"),
        ("X-Set", "1"),
    ] {
        headers.append(name, value)?;
    }
    assert!(headers.insert("X-Set", "1\r\nX-Evil: 1").is_err());
    assert!(headers.append("X-Evil: 1\r\nX", "1").is_err());
    Ok(())
}

#[test]
fn nothing_that_a_hook_sets_makes_another_message_of_the_answer() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n";
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "X-Set: 1|Content-Length: 2"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", "X-Set: 1|Content-Length: 0"),
        (chunked, "GET", "X-Set: 1|Transfer-Encoding: chunked"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "GET", "X-Set: 1"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "GET", "X-Set: 1|Content-Length: 7"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "GET", "X-Set: 1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD", "X-Set: 1|Content-Length: 7"),
        ("HTTP/1.1 200 OK\r\n\r\n", "HEAD", "X-Set: 1"),
    ];
    for (answer, method, expected) in cases {
        let (server, _upstream) = shown(answer, |res: &mut ProxyResponse| meddle(res.headers_mut()));
        let mut client = server.connect();
        for _ in 0..2 {
            client.send(format!("{method} / HTTP/1.1\r\nHost: test\r\n\r\n"));
            let reply = client.next(method == "HEAD").unwrap();
            assert!(reply.is_whole);
            assert_eq!(fields(&reply), expected, "{answer:?}");
        }
    }
}

#[test]
fn the_status_becomes_another_but_a_body_neither_comes_nor_goes_with_it() {
    let cases: [(u16, u16, u16, &str); 11] = [
        (200, 201, 201, "Created"),
        (200, 503, 503, "Service Unavailable"),
        (200, 799, 799, ""),
        (404, 200, 200, "OK"),
        // With its own phrase where it stays what it was.
        (200, 200, 200, "Fine"),
        (200, 204, 200, "Fine"),
        (200, 304, 200, "Fine"),
        (200, 101, 200, "Fine"),
        (200, 1000, 200, "Fine"),
        (204, 200, 204, "Fine"),
        (304, 200, 304, "Fine"),
    ];
    for (status, set, expected, reason) in cases {
        let has_body = !matches!(status, 204 | 304);
        let rest = if has_body { "Content-Length: 2\r\n\r\nok" } else { "\r\n" };
        let (server, _upstream) =
            shown(&format!("HTTP/1.1 {status} Fine\r\n{rest}"), move |res: &mut ProxyResponse| {
                res.set_status(set)
            });
        let mut client = server.connect();
        for _ in 0..2 {
            let reply = client.ask(get("/"));
            assert_eq!((reply.status, reply.reason.as_str()), (expected, reason), "{status} to {set}");
            assert_eq!(reply.text(), if has_body { "ok" } else { "" });
        }
    }
}

#[test]
fn an_answer_to_head_may_be_given_another_status() {
    let (server, _upstream) =
        shown("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", |res: &mut ProxyResponse| res.set_status(410));
    let mut client = server.connect();
    for _ in 0..2 {
        client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
        let reply = client.reply_to_head();
        assert_eq!(
            (reply.status, reply.reason.as_str(), reply.header("content-length")),
            (410, "Gone", Some("9"))
        );
    }
}

#[test]
fn the_rules_of_the_proxy_come_after_its_hooks() {
    let upstream =
        saying("HTTP/1.1 200 OK\r\nX-Rule: theirs\r\nLocation: /in/x\r\nContent-Length: 0\r\n\r\n");
    let notes = Notes::default();
    let seen = notes.clone();
    let proxy =
        Proxy::to(upstream.url()).response_header("X-Rule", "rule").add_prefix("/in").rewrite_locations();
    let server = serve(proxy.on_response(move |res: &mut ProxyResponse| {
        seen.add(res.headers().get_str("x-rule").unwrap_or_default());
        res.headers_mut().insert("X-Rule", "hook")?;
        res.headers_mut().insert("Location", "/in/y")
    }));
    let reply = server.ask(get("/"));
    assert_eq!((reply.header("x-rule"), reply.header("location")), (Some("rule"), Some("/y")));
    assert_eq!(notes.take(), ["theirs"]);
}

#[test]
fn another_answer_is_given_in_place_of_the_upstreams() {
    let much = "x".repeat(100_000);
    let short = "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nstack".to_owned();
    let long = format!("HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n{much}", much.len());
    let chunked = "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstack\r\n0\r\n\r\n".to_owned();
    for (name, answer) in [("short", short), ("long", long), ("chunked", chunked)] {
        let upstream = upstream(move |peer| {
            while peer.next().is_some() {
                if !peer.try_say(&answer) {
                    return;
                }
            }
        });
        let server = serve(Proxy::to(upstream.url()).on_response(|res: &mut ProxyResponse| {
            (res.status() == 500).then(|| Answer::new(200).with_body("all is well"))
        }));
        let mut client = server.connect();
        for request in [get("/a"), get("/b"), crate::support::post("/c", "body"), get("/d")] {
            let reply = client.ask(request);
            let got = (reply.status, reply.text(), reply.says_close());
            assert_eq!(got, (200, "all is well", false), "{name}");
        }
        // One that was whole leaves its connection fit for the next; no other is waited for.
        assert_eq!(upstream.accepted() == 1, name == "short", "{name}: {}", upstream.accepted());
    }
}

#[test]
fn an_answer_in_place_of_another_comes_while_the_request_is_still_being_sent() {
    let upstream = upstream(|peer| {
        peer.head();
        peer.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        peer.rest();
    });
    let server = serve(
        Proxy::to(upstream.url())
            .on_response(|res: &mut ProxyResponse| Answer::new(403).with_body(res.status().to_string())),
    );
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nbeginning");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text(), reply.says_close()), (403, "401", true));
    client.is_closed();
}

#[test]
fn only_final_answers_of_upstreams_are_shown() {
    let notes = Notes::default();
    let hooked = |proxy: Proxy| {
        let notes = notes.clone();
        serve(proxy.on_response(move |res: &mut ProxyResponse| notes.add(res.status().to_string())))
    };
    // Interim answers go by.
    let interim =
        saying("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let reply = hooked(Proxy::to(interim.url())).ask(get("/"));
    assert_eq!((reply.status, reply.interim), (200, vec![103]));
    assert_eq!(notes.take(), ["200"]);
    // What is answered here was never an upstream's.
    assert_eq!(hooked(Proxy::to(nobody())).ask(get("/")).status, 502);
    assert_eq!(notes.take(), [""; 0]);
    // An answer that is as good as none is not the last one.
    let (bad, good) = (saying("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"), echoing());
    let group = Group::from(bad.url()).with(Endpoint::new(good.url()).priority(1));
    let server = hooked(Proxy::to(group).retry_statuses([503]));
    let mut client = server.connect();
    for target in ["/a", "/b"] {
        assert_eq!(client.ask(get(target)).text(), target);
        assert_eq!(notes.take(), ["200"], "{target}");
    }
}

#[test]
fn an_upgrade_goes_through_hooks_on_its_way_up_and_past_them_on_its_way_back() {
    let notes = Notes::default();
    let upstream = upstream(|peer| {
        let seen = peer.request();
        assert_eq!(
            seen.text(),
            "GET /new [Host: test|X-Hook: 1|X-Last: 1|Connection: upgrade|Upgrade: foo] "
        );
        peer.say(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\nX-A: 1\r\n\r\nhello",
        );
        peer.rest();
    });
    let seen = notes.clone();
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req: &mut ProxyRequest| {
                req.set_target("/new")?;
                req.headers_mut().remove("Upgrade");
                req.headers_mut().insert("X-Hook", "1")
            })
            .on_upstream_request(|req: &mut UpstreamRequest| {
                req.headers_mut().insert("Upgrade", "bar")?;
                req.headers_mut().insert("X-Last", "1")
            })
            .on_response(move |res: &mut ProxyResponse| seen.add(res.status().to_string())),
    );
    let mut client = server.connect();
    client.send("GET /a HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, fields(&reply).as_str()), (101, "X-A: 1|Connection: upgrade|Upgrade: foo"));
    assert_eq!(client.raw(5), b"hello");
    assert_eq!(notes.take(), [""; 0]);
}

#[test]
fn an_upgrade_that_is_refused_still_says_what_would_do() {
    let answer =
        "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: foo/3\r\nContent-Length: 0\r\n\r\n";
    let upstream = saying(answer);
    let hooks: [fn(Proxy) -> Proxy; 2] =
        [|proxy| proxy, |proxy| proxy.on_response(|_: &mut ProxyResponse| {})];
    for (number, hook) in hooks.into_iter().enumerate() {
        let reply = serve(hook(Proxy::to(upstream.url()))).ask(get("/"));
        let told = (reply.status, reply.header("upgrade"), reply.header("connection"));
        assert_eq!(told, (426, Some("foo/3"), Some("upgrade")), "{number} hooks");
    }
    // And what is made one by a hook does not speak of an upgrade that nobody names.
    let (server, _upstream) =
        shown("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", |res: &mut ProxyResponse| res.set_status(426));
    let reply = server.ask(get("/"));
    assert_eq!((reply.status, reply.header("connection")), (426, None));
}

#[test]
fn a_hook_that_fails_costs_its_answer_and_not_the_connection() {
    let (server, upstream) =
        shown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", |res: &mut ProxyResponse| {
            let value = if res.request().path() == "/bad" { "\n" } else { "1" };
            res.headers_mut().insert("X", value)
        });
    let mut client = server.connect();
    for (target, status) in [("/a", 200), ("/bad", 500), ("/bad", 500), ("/b", 200)] {
        let reply = client.ask(get(target));
        assert_eq!((reply.status, reply.says_close()), (status, false), "{target}");
        let told = (status == 500).then_some("eproxy; error=proxy_internal_error");
        assert_eq!(reply.header("proxy-status"), told);
    }
    assert_eq!((server.failures("hook_failed"), upstream.count()), (2, 4));
}

#[test]
fn state_goes_with_an_exchange_from_hook_to_hook_and_no_further() {
    let (upstream, notes) = (
        upstream(|peer| {
            while let Some(seen) = peer.next() {
                peer.say(echo(&seen));
            }
        }),
        Notes::default(),
    );
    let done = notes.clone();
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(|req| {
                *req.state::<u32>() += 1;
                let path = req.path().to_owned();
                req.state::<Vec<String>>().push(path);
            })
            .on_upstream_request(|req| *req.state::<u32>() += 10)
            .on_response(|res| {
                *res.state::<u32>() += 100;
                res.state::<Vec<String>>().push("answer".into());
            })
            .on_done(move |done_with| {
                let number = *done_with.state::<u32>();
                done.add(format!("{number} {:?}", done_with.state::<Vec<String>>()));
            }),
    );
    let mut client = server.connect();
    for target in ["/a", "/b", "/c"] {
        assert_eq!(client.ask(get(target)).text(), target);
        assert_eq!(notes.take(), [format!("111 {:?}", [target, "answer"])]);
    }
}
