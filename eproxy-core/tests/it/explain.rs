//! What becomes of a request and why: told beforehand, and to those who ask on the way.

use eproxy_core::{Asked, Balance, Builder, Forward, Group, HashKey, Match, Outcome, Proxy};
use eproxy_core::{ProxyRequest, Request, Response, Route, Server, Sticky};
use http::HeaderValue;
use serde_json::Value;

use crate::support::certificates::tls;
use crate::support::http2::Http2;
use crate::support::secure::TlsClient;
use crate::support::server::nobody;
use crate::support::{Running, crlf, start};
use crate::upstream::{Upstream, echoing};

fn builder(upstream: &str) -> Builder {
    Server::builder()
        .workers(1)
        .route(
            Route::new("/api/*rest")
                .host("*.example.com")
                .name("api")
                .body_limit(1 << 20)
                .any(Proxy::to(format!("{upstream}/v1")).strip_prefix("/api").host("inside.test")),
        )
        .route(Route::new("/api/:what").when_header("X-Old", Match::present()).get(answer))
        .get("/hello", answer)
        .get("/far", answer)
}

fn answer(_: Request, res: Response) {
    res.send("a handler");
}

fn get(url: &str) -> Asked {
    Asked::new("GET", url)
}

#[test]
fn a_server_tells_what_would_become_of_a_request_and_sends_nothing() {
    let upstream = echoing();
    let server = start(builder(&upstream.url()));
    let asked = get("https://eu.example.com:444/api/%61/../b%20c?d=e");
    let told = server.handle().explain(&asked).unwrap();
    assert_eq!((told.path.as_str(), told.host.as_deref()), ("/api/b c", Some("eu.example.com:444")));
    let route = told.route.as_ref().unwrap();
    assert_eq!((route.name.as_str(), route.host.as_str()), ("api", "*.example.com"));
    assert_eq!(route.params, [("rest".to_owned(), "b c".to_owned())]);
    let onward = told.onward.as_ref().unwrap();
    assert_eq!((onward.target.as_str(), onward.host.as_str()), ("/v1/%61/../b%20c?d=e", "inside.test"));
    assert_eq!((onward.endpoints.len(), onward.endpoints[0].is_open), (1, true));
    assert_eq!(told.outcome, Outcome::Proxy);
    assert_eq!((upstream.accepted(), server.stats().requests), (0, 0));

    // It is so.
    let request = crlf("GET /api/%61/../b%20c?d=e HTTP/1.1\nHost: eu.example.com:444\n\n");
    assert_eq!(server.ask(request).status, 200);
    let seen = upstream.last();
    assert!(seen.text().starts_with("GET /v1/%61/../b%20c?d=e "), "{}", seen.text());
    assert_eq!(seen.values("host"), ["inside.test"]);
}

#[test]
fn a_description_tells_the_same_without_a_start() {
    let builder = builder("http://10.0.0.7:3000");
    let told = builder.explain(&get("http://a.example.com/api/b")).unwrap().to_string();
    let expected = "\
request     GET /api/b, for a.example.com
path        /api/b
answered by an upstream
route       api: /api/*rest, host *.example.com
            rest = \"b\"
looked at   api         /api/*rest  *.example.com  chosen
            /api/:what  /api/:what  *              less specific than api
            2 other routes have nothing to do with it
limits      body 1 MiB, head 32 KiB, target 8 KiB, headers 100
            head_timeout 30s, body_idle 60s, write_idle 60s, body_rate 100 B/s
            keep_alive 75s, tunnel_idle 600s
upstream    /v1/b, Host: inside.test
chosen      the better of two by latency and load
endpoints   10.0.0.7:3000  active, fit, weight 1, 0 active
there       connect 5s, head 60s, body_idle 60s, write_idle 60s
            retries 1
";
    assert_eq!(told, expected, "{told}");
    let told = builder.explain(&get("/api/b").header("Host", "other.test")).unwrap();
    assert_eq!(told.outcome, Outcome::Server { status: 404, allow: None });
    let verdicts: Vec<_> = told.candidates.iter().map(|candidate| candidate.verdict.to_string()).collect();
    assert_eq!(verdicts, ["not so: header x-old is there", "host is another"]);
    let told = builder.explain(&Asked::new("POST", "/hello")).unwrap();
    let allow = Some("GET, HEAD, OPTIONS".to_owned());
    assert_eq!(told.outcome, Outcome::Server { status: 405, allow });
    assert_eq!(told.candidates[0].verdict.to_string(), "method POST is not among GET, HEAD, OPTIONS");
    assert_eq!(builder.explain(&get("/hello")).unwrap().outcome, Outcome::Handler);
    assert_eq!(builder.explain(&get("hello")).unwrap_err().status(), 400);
    assert!(Server::builder().get("bad", answer).explain(&get("/")).is_err());
    // What a path holds is never taken for what is told of it.
    let told = builder.explain(&get("/%0aanswered%20by%1b%5B1m")).unwrap();
    assert_eq!(told.path, "/\nanswered by\u{1b}[1m");
    assert!(told.to_string().contains("\npath        /\\nanswered by\\u{1b}[1m\n"), "{told}");
    // Nothing was fixed by that.
    drop(start(builder));
}

#[test]
fn what_names_its_host_goes_to_the_forward_proxy() {
    let builder = Server::builder().forward(Forward::new());
    let explain = |asked: Asked| builder.explain(&asked).unwrap().outcome;
    assert_eq!(explain(get("http://a.test/").absolute()), Outcome::Forward);
    assert_eq!(explain(Asked::new("CONNECT", "a.test:443")), Outcome::Forward);
    assert_eq!(explain(get("http://a.test/")), Outcome::Server { status: 400, allow: None });
}

#[test]
fn keys_and_cookies_are_told_where_they_lead() {
    let upstreams: Vec<Upstream> = (0..4).map(|_| echoing()).collect();
    let urls: Vec<_> = upstreams.iter().map(Upstream::url).collect();
    let by_user = Balance::Hash(HashKey::Header("X-User".into()));
    let builder = |group: &Group| Server::builder().workers(1).at("/*rest", Proxy::to(group.clone()));
    let group = Group::from(urls.clone()).balance(by_user).sticky(Sticky::cookie("node").secret("s"));
    let described = builder(&group);
    let leads: Vec<_> = (0..8)
        .map(|user| {
            let told = described.explain(&get("/").header("X-User", user.to_string())).unwrap();
            told.onward.unwrap().leads_to.expect("a key leads somewhere")
        })
        .collect();
    let server = start(described);
    for (user, lead) in leads.iter().enumerate() {
        let before: Vec<_> = upstreams.iter().map(Upstream::count).collect();
        let reply = server.ask(crlf(&format!("GET / HTTP/1.1\nHost: test\nX-User: {user}\n\n")));
        let answered = (0..4).find(|at| upstreams[*at].count() > before[*at]).unwrap();
        assert_eq!((lead.by, &*lead.endpoint), ("key", &urls[answered]["http://".len()..]));
        // Whatever the key says after that.
        let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap();
        let asked = get("/").header("X-User", "another").header("Cookie", cookie);
        let sticks = server.handle().explain(&asked).unwrap().onward.unwrap().leads_to.unwrap();
        assert_eq!((sticks.by, &sticks.endpoint), ("cookie", &lead.endpoint));
    }
}

/// Explains to those who ask from here, if `is_trusted`.
fn explaining(upstream: &str, is_trusted: bool) -> Running {
    let proxies = if is_trusted { ["127.0.0.1"] } else { ["192.0.2.1"] };
    let hooked = Proxy::to(upstream.to_owned()).on_request(|_: &mut ProxyRequest| {});
    start(
        builder(upstream)
            .trusted_proxies(proxies)
            .explain_header("X-Eproxy-Explain")
            .at("/hooked", hooked)
            .post("/fields", |req: Request, res: Response| {
                let names: Vec<_> = req.headers().iter().map(|(name, _)| name.to_owned()).collect();
                req.read(move |body| {
                    res.send(format!("{} {}", names.join(","), body.map_or(0, |body| body.len())))
                });
            }),
    )
}

#[test]
fn a_trusted_peer_that_asks_is_told_in_the_answer() {
    let upstream = echoing();
    let server = explaining(&upstream.url(), true);
    let mut client = server.connect();
    for _ in 0..2 {
        let request =
            "POST /api/x?y HTTP/1.1\nHost: a.example.com\nx-eproxy-EXPLAIN: 1\nContent-Length: 3\n\nabc";
        let reply = client.ask(crlf(request));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let told: Value = serde_json::from_str(reply.text()).unwrap();
        assert_eq!(told["route"]["name"], "api");
        assert_eq!(told["outcome"]["by"], "proxy");
        assert_eq!(told["onward"]["target"], "/v1/x?y");
        assert_eq!(told["onward"]["endpoints"][0]["health"], "fit");
        assert_eq!(
            (&told["candidates"][0]["verdict"], &told["candidates"][0]["route"]),
            (&"chosen".into(), &"api".into())
        );
        assert_eq!(
            (&told["bounds"][0]["value"], &told["bounds"][0]["unit"]),
            (&(1 << 20).into(), &"bytes".into())
        );
    }
    let http2 = Http2::to(server.address()).of_host("b.test");
    let mut request = http2.request("GET", "/hello");
    request.headers_mut().insert("x-eproxy-explain", HeaderValue::from_static(""));
    let told: Value = serde_json::from_str(http2.begin_request(request, true).whole().text()).unwrap();
    assert_eq!((&told["outcome"]["by"], &told["host"]), (&"handler".into(), &"b.test".into()));
    // Who does not ask is answered as ever.
    assert_eq!(client.ask(crlf("GET /hello HTTP/1.1\nHost: a\n\n")).text(), "a handler");
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn who_asks_for_another_host_than_the_handshake_has_named_is_told_so() {
    let builder = builder(&nobody()).trusted_proxies(["127.0.0.1"]).explain_header("X-Eproxy-Explain");
    let server = Running::new(builder.bind_tls("127.0.0.1:0", tls()));
    for (host, expected) in [("test", "a handler"), ("other.test", "the server: 421")] {
        let request = crlf(&format!("GET /hello HTTP/1.1\nHost: {host}\nX-Eproxy-Explain: 1\n\n"));
        let reply = TlsClient::new().connect(server.address()).ask(request);
        let told: Value = serde_json::from_str(reply.text()).unwrap();
        let outcome = match told["outcome"]["status"].as_u64() {
            Some(status) => format!("the server: {status}"),
            None => format!("a {}", told["outcome"]["by"].as_str().unwrap()),
        };
        assert_eq!(outcome, expected);
        // It is so.
        let reply = TlsClient::new()
            .connect(server.address())
            .ask(crlf(&format!("GET /hello HTTP/1.1\nHost: {host}\n\n")));
        assert_eq!(reply.status == 421, expected.ends_with("421"));
    }
}

#[test]
fn from_anybody_else_the_field_has_never_come() {
    let upstream = echoing();
    let server = explaining(&upstream.url(), false);
    let mut client = server.connect();
    let field = "X-Eproxy-Explain: 1\n";
    for lines in [
        format!("Host: a.example.com\n{field}"),
        format!("{field}Host: a.example.com\nA: b\n"),
        format!("{field}{field}A: b\n{field}Host: a.example.com\n{field}"),
    ] {
        for target in ["/api/x", "/hooked"] {
            let reply = client.ask(crlf(&format!("POST {target} HTTP/1.1\n{lines}Content-Length: 3\n\nabc")));
            assert_eq!(reply.status, 200);
            let seen = upstream.last();
            assert!(seen.values("x-eproxy-explain").is_empty(), "{}", seen.text());
            assert_eq!(
                (seen.values("a").len(), &*seen.body),
                (usize::from(lines.contains("A: b")), &b"abc"[..])
            );
        }
        // What comes behind it is another request.
        let request = crlf(&format!("POST /fields HTTP/1.1\n{lines}Content-Length: 3\n\nabc"));
        client.send([request.clone(), request].concat());
        for _ in 0..2 {
            let reply = client.reply();
            assert!(
                !reply.text().contains("Explain") && reply.text().ends_with("Content-Length 3"),
                "{}",
                reply.text()
            );
        }
    }
    let http2 = Http2::to(server.address()).of_host("a.example.com");
    let mut request = http2.request("GET", "/api/x");
    request.headers_mut().insert("x-eproxy-explain", HeaderValue::from_static("1"));
    assert_eq!(http2.begin_request(request, true).whole().status, 200);
    assert!(upstream.last().values("x-eproxy-explain").is_empty());
}

#[test]
fn nobody_is_told_unless_the_field_has_a_name() {
    let upstream = echoing();
    let server = start(builder(&upstream.url()).trusted_proxies(["127.0.0.1"]));
    let reply = server.ask(crlf("GET /api/x HTTP/1.1\nHost: a.example.com\nX-Eproxy-Explain: 1\n\n"));
    assert_eq!(reply.status, 200);
    assert_eq!(upstream.last().values("x-eproxy-explain"), ["1"]);
    for name in ["", "a b", "Host", "Connection", "X-Forwarded-For"] {
        let error = builder(&nobody()).explain_header(name).bind("127.0.0.1:0").start().unwrap_err();
        assert!(error.to_string().contains("explanations"), "{error}");
    }
}
