//! Routes that look at the host, at header fields and at the query.

use eproxy_core::{Builder, Finding, Match, Proxy, Request, Response, Route, Server};
use http::HeaderValue;

use crate::support::http2::Http2;
use crate::support::{Running, crlf, start};
use crate::upstream::echoing;

/// Answers with its name.
fn named(name: &'static str) -> impl Fn(Request, Response) + Send + Sync + 'static {
    move |_: Request, res: Response| res.send(name)
}

fn builder() -> Builder {
    let of = |host: &str, pattern: &str| Route::new(pattern).host(host);
    Server::builder()
        .workers(1)
        .route(of("example.com", "/*rest").get(named("exact")))
        .route(of("*.example.com", "/*rest").get(named("wild")))
        .route(of("*.eu.example.com", "/only").get(named("longer")))
        .route(of("[::1]", "/").host("10.0.0.1").get(named("address")))
        .get("/", named("any"))
        .get("/only", named("any only"))
}

/// Asks for a path of a host over HTTP/1.1.
fn ask(server: &Running, host: &str, target: &str) -> (u16, String) {
    let reply = server.ask(crlf(&format!("GET {target} HTTP/1.1\nHost: {host}\nConnection: close\n\n")));
    (reply.status, reply.text().to_owned())
}

const HOSTS: [(&str, &str, &str); 12] = [
    ("example.com", "/only", "exact"),
    ("EXAMPLE.COM", "/only", "exact"),
    ("example.com:8080", "/", "exact"),
    ("example.com.", "/", "exact"),
    ("a.example.com", "/only", "wild"),
    ("b.a.example.com:1", "/x/y", "wild"),
    ("a.eu.example.com", "/only", "longer"),
    ("a.eu.example.com", "/other", "wild"),
    ("eu.example.com", "/only", "wild"),
    ("10.0.0.1:80", "/", "address"),
    ("[0:0:0:0:0:0:0:1]:80", "/", "address"),
    ("notexample.com", "/only", "any only"),
];

#[test]
fn a_host_leads_to_its_routes() {
    let server = start(builder());
    for (host, target, expected) in HOSTS {
        assert_eq!(ask(&server, host, target), (200, expected.into()), "{host} {target}");
    }
    assert_eq!(ask(&server, "notexample.com", "/other").0, 404);
    assert_eq!(ask(&server, "", "/"), (200, "any".into()));
    // A path that the host's routes have not is looked for among those of any host.
    assert_eq!(ask(&server, "10.0.0.1", "/only"), (200, "any only".into()));
    assert_eq!(server.ask(crlf("GET / HTTP/1.0\n\n")).text(), "any");
}

#[test]
fn the_authority_of_http2_is_the_host() {
    let server = start(builder());
    for (host, target, expected) in HOSTS {
        let client = Http2::to(server.address()).of_host(host);
        assert_eq!(client.get(target).text(), expected, "{host} {target}");
    }
}

#[test]
fn an_absolute_target_overrides_the_host_field() {
    let server = start(builder());
    for (target, host, expected) in [
        ("http://example.com/only", "other.test", "exact"),
        ("http://other.test/only", "example.com", "any only"),
        ("http://a.eu.example.com:81/only", "example.com", "longer"),
        ("HTTP://EXAMPLE.com", "example.org", "exact"),
    ] {
        assert_eq!(ask(&server, host, target), (200, expected.into()), "{target}");
    }
}

#[test]
fn requests_are_told_apart_by_header_fields_and_query() {
    let route = || Route::new("/*rest");
    let server = start(
        Server::builder()
            .workers(1)
            .route(route().get(named("plain")))
            .route(route().when_header("X-Version", Match::exact("2")).get(named("version 2")))
            .route(route().when_header("x-version", Match::prefix("2.")).get(named("version 2.x")))
            .route(route().when_query("a b", Match::exact("+ü")).get(named("query")))
            .route(route().when_query("preview", Match::present()).priority(1).get(named("preview")))
            .route(Route::new("/a/b").when_header("X-User", Match::absent()).get(named("stranger"))),
    );
    let client = Http2::to(server.address());
    for (target, fields, expected) in [
        ("/", &[][..], "plain"),
        ("/", &["2"], "version 2"),
        ("/", &["1", "2"], "version 2"),
        ("/", &["1, 2"], "plain"),
        ("/", &["2.7"], "version 2.x"),
        ("/?a%20b=%2B%C3%BC", &[], "query"),
        ("/?x&a%20b=+%c3%bc", &[], "query"),
        ("/?a+b=+%c3%bc", &[], "plain"),
        ("/?a%20b=%2B%C3%BC", &["2"], "version 2"),
        ("/?preview", &["2"], "preview"),
        ("/?previews=1", &[], "plain"),
        ("/a/b", &[], "stranger"),
        ("/a/b?preview", &["2"], "stranger"),
    ] {
        let lines: String = fields.iter().map(|value| format!("X-Version: {value}\n")).collect();
        let reply = server.ask(crlf(&format!("GET {target} HTTP/1.1\nHost: test\n{lines}\n")));
        assert_eq!(reply.text(), expected, "{target} {fields:?}");
        let mut request = client.request("GET", target);
        for value in fields {
            request.headers_mut().append("x-version", HeaderValue::from_static(value));
        }
        assert_eq!(client.begin_request(request, true).whole().text(), expected, "{target} {fields:?}");
    }
    // What is asked for is not so: the next less specific pattern has its turn.
    let known = crlf("GET /a/b HTTP/1.1\nHost: test\nX-User: ada\nX-Version: 2\n\n");
    assert_eq!(server.ask(known).text(), "version 2");
}

#[test]
fn methods_are_those_of_the_routes_that_a_request_fits() {
    let is_new = || Match::exact("new");
    let server = start(
        Server::builder()
            .workers(1)
            .route(Route::new("/a").host("h").when_header("x", is_new()).post(named("post")))
            .route(Route::new("/a").host("h").when_header("x", Match::present()).put(named("put")))
            .route(Route::new("/a").host("h").delete(named("delete")))
            .get("/a", named("any host")),
    );
    let mut client = server.connect();
    let mut ask = |method: &str, x: &str| {
        let reply = client.ask(crlf(&format!("{method} /a HTTP/1.1\nHost: h\nX: {x}\n\n")));
        (reply.status, reply.header("allow").unwrap_or_default().to_owned(), reply.text().to_owned())
    };
    assert_eq!(ask("PUT", "new").2, "put");
    assert_eq!(ask("DELETE", "new").2, "delete");
    // The host has the path: those of any host are not asked.
    let (status, allow, _) = ask("GET", "new");
    assert_eq!((status, &*allow), (405, "DELETE, OPTIONS, POST, PUT"));
    assert_eq!(ask("POST", "old").1, "DELETE, OPTIONS, PUT");
    let (status, allow, _) = ask("OPTIONS", "old");
    assert_eq!((status, &*allow), (204, "DELETE, OPTIONS, PUT"));
}

#[test]
fn a_question_about_the_server_goes_to_the_proxy_that_takes_all_of_its_host() {
    let upstream = echoing();
    let server = start(
        Server::builder()
            .workers(1)
            .route(Route::new("/*rest").host("*.example.com").any(Proxy::to(upstream.url())))
            .get("/*rest", named("any")),
    );
    let options = |host: &str| server.ask(crlf(&format!("OPTIONS * HTTP/1.1\nHost: {host}\n\n"))).status;
    assert_eq!((options("other.test"), upstream.count()), (204, 0));
    assert_eq!((options("a.example.com"), upstream.count()), (200, 1));
    assert!(upstream.last().text().starts_with("OPTIONS * "), "{}", upstream.last().text());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_a_start_tells_the_first() {
    let builder = Server::builder()
        .bind("127.0.0.1:0")
        .route(Route::new("/a").host("a b").get(named("")))
        .get("b", named(""))
        .get("/c/:d", named(""))
        .get("/c/:e", named(""))
        .at("/d", Proxy::to("ftp://a.test"))
        .at("/e", Proxy::to("http://a.test").request_header("Host", "b"))
        .route(Route::new("/f").name("first").any(named("")))
        .route(Route::new("/f").name("second").get(named("")));
    let findings = builder.check();
    let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 6, "{told:#?}");
    for (told, what) in told.iter().zip([
        "\"a b\"",
        "\"b\"",
        "\"/c/:e\"",
        "GET of route second (/f)",
        "\"ftp://a.test\"",
        "Proxy::host, on route /e",
    ]) {
        assert!(told.contains(what), "{told}");
    }
    let is_fatal: Vec<_> = findings.iter().map(Finding::is_fatal).collect();
    assert_eq!(is_fatal, [true, true, true, false, true, true]);
    assert_eq!(builder.start().unwrap_err().to_string(), told[0]);
}
