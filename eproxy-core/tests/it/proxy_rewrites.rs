//! What a proxy can be told to change of requests and answers, and to whom it sends them.

use eproxy_core::{Balance, Group, Proxy, Server};

use crate::seen::Seen;
use crate::support::{Helper, PATIENCE, Running, get, post, start};
use crate::upstream::{Upstream, echo, echoing, serve, upstream};

/// The request line that the upstream sees of a GET, without method and version.
fn target(server: &Running, upstream: &Upstream, asked: &str) -> String {
    assert_eq!(server.ask(get(asked)).status, 200, "{asked}");
    upstream.last().target
}

/// The fields that the upstream sees of a request with these, without those that say where it comes from.
fn fields(server: &Running, upstream: &Upstream, fields: &str) -> String {
    assert_eq!(server.ask(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")).status, 200);
    upstream.last().text().trim_start_matches("GET / ").trim_end().to_owned()
}

/// A server with an upstream that answers with these fields.
fn answering(
    change: impl FnOnce(Proxy) -> Proxy,
    fields: impl Fn(&Upstream) -> String,
) -> (Running, Upstream) {
    let head = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let said = head.clone();
    let upstream = upstream(move |peer| {
        while peer.next().is_some() {
            peer.say(format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
                said.get().expect("it was set")
            ));
        }
    });
    head.set(fields(&upstream)).expect("it is set once");
    (serve(change(Proxy::to(upstream.url()))), upstream)
}

#[test]
fn the_host_is_the_clients_the_upstreams_or_another() {
    type Change = fn(Proxy) -> Proxy;
    let hosts: [(Change, Option<&str>); 4] = [
        (|proxy| proxy, Some("test")),
        (Proxy::upstream_host, None),
        (|proxy| proxy.host("app.internal:81"), Some("app.internal:81")),
        (|proxy| proxy.upstream_host().host("last.wins"), Some("last.wins")),
    ];
    for (change, expected) in hosts {
        let upstream = echoing();
        let server = serve(change(Proxy::to(upstream.url())));
        let authority = upstream.address().to_string();
        for request in [get("/"), b"GET http://other.example/ HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()] {
            assert_eq!(server.ask(&request).status, 200);
            let seen = upstream.last();
            let asked = if request.starts_with(b"GET http") { "other.example" } else { "test" };
            let expected =
                expected.map_or(authority.as_str(), |host| if host == "test" { asked } else { host });
            assert_eq!(seen.values("host"), [expected]);
            // Whatever it is called there, it was asked for by this name.
            assert_eq!(seen.values("x-forwarded-host"), [asked]);
        }
    }
}

#[test]
fn prefixes_are_taken_off_and_put_in_front() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).strip_prefix("/api/"));
    for (asked, expected) in [
        ("/api/users?q=%2F", "/users?q=%2F"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?q", "/?q"),
        ("/apis/users", "/apis/users"),
        ("/other", "/other"),
        ("/api/caf%c3%a9/%2e", "/caf%c3%a9/%2e"),
        // Another spelling of the same path fares no better.
        ("/%61pi/users", "/users"),
        ("/x/../api/users", "/users"),
        ("//api//users", "/users"),
    ] {
        assert_eq!(target(&server, &upstream, asked), expected, "{asked}");
    }
    let server = serve(Proxy::to(format!("{}/base/", upstream.url())).strip_prefix("/api").add_prefix("v2"));
    assert_eq!(target(&server, &upstream, "/api/users?q"), "/base/v2/users?q");
    assert_eq!(target(&server, &upstream, "/other//x"), "/base/v2/other//x");
    let asterisk = "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n";
    assert_eq!(server.ask(asterisk).status, 200);
    assert_eq!(upstream.last().target, "*");
}

#[test]
fn a_function_can_rewrite_the_path_and_what_it_gives_is_one() {
    let upstream = echoing();
    let proxy = Proxy::to(upstream.url()).strip_prefix("/api").add_prefix("/in");
    let server = serve(proxy.rewrite_path(|path| path.replace("/v1/", "/new #?%/")));
    assert_eq!(target(&server, &upstream, "/api/v1/a%20b?v1=/v1/"), "/in/new%20%23%3F%25/a%20b?v1=/v1/");
    let server = serve(Proxy::to(upstream.url()).rewrite_path(|_| "no slash".into()));
    assert_eq!(target(&server, &upstream, "/x?y"), "/?y");
    // Nothing that it gives can become another line.
    let server =
        serve(Proxy::to(upstream.url()).rewrite_path(|path| format!("{path}\r\nX-Evil: 1 HTTP/1.1")));
    assert_eq!(target(&server, &upstream, "/x"), "/x%0D%0AX-Evil:%201%20HTTP/1.1");
}

#[test]
fn fields_of_requests_are_set_added_and_removed() {
    let upstream = echoing();
    let proxy = Proxy::to(upstream.url())
        .request_header("X-Set", "ours")
        .add_request_header("X-Add", "2")
        .remove_request_header("x-gone");
    let server = serve(proxy);
    let sent = "X-A: 1\r\nx-set: theirs\r\nX-Gone: 1\r\nX-Add: 1\r\nX-SET: theirs\r\nX-gone: 2\r\nX-B: 2\r\n";
    assert_eq!(fields(&server, &upstream, sent), "[Host: test|X-A: 1|X-Add: 1|X-B: 2|X-Set: ours|X-Add: 2]");
    assert_eq!(fields(&server, &upstream, ""), "[Host: test|X-Set: ours|X-Add: 2]");
    // §7 of the design: a client can't have what was added taken out again.
    let sent = "Connection: X-Set, X-Add\r\nX-Add: 1\r\n";
    assert_eq!(fields(&server, &upstream, sent), "[Host: test|X-Set: ours|X-Add: 2]");
}

#[test]
fn fields_of_answers_are_set_added_and_removed() {
    let change = |proxy: Proxy| {
        proxy
            .response_header("X-Set", "ours")
            .add_response_header("X-Add", "2")
            .remove_response_header("Server")
            .response_header("Cache-Control", "no-store")
    };
    let said = "Server: origin/1\r\nX-Set: theirs\r\nX-Add: 1\r\nx-set: theirs\r\nX-A: b\r\n";
    let (server, _upstream) = answering(change, |_| said.into());
    let reply = server.ask(get("/"));
    let fields: Vec<_> =
        reply.headers.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "Date").collect();
    assert_eq!(fields, ["X-Add", "X-A", "Content-Length", "X-Set", "X-Add", "Cache-Control"]);
    assert_eq!((reply.header("x-set"), reply.header("server")), (Some("ours"), None));
}

#[test]
fn places_that_are_the_upstreams_become_the_clients() {
    let places = |upstream: &Upstream| {
        let url = upstream.url();
        format!("Location: {url}/base/v2/login?a=b#c\r\nContent-Location: /base/v2/x\r\n")
    };
    let base = |upstream: &Upstream| {
        let proxy = Proxy::to(format!("{}/base", upstream.url())).strip_prefix("/api").add_prefix("/v2");
        serve(proxy.rewrite_locations())
    };
    let (_, upstream) = answering(|proxy| proxy, places);
    let server = base(&upstream);
    let reply = server.ask("GET /api/ HTTP/1.1\r\nHost: example.com:8080\r\n\r\n");
    assert_eq!(reply.header("location"), Some("http://example.com:8080/api/login?a=b#c"));
    assert_eq!(reply.header("content-location"), Some("/api/x"));
    // Others are none of our business.
    for place in ["https://other.example/base/v2/x", "//other.example/x", "relative", "/elsewhere"] {
        let (_, upstream) = answering(|proxy| proxy, |_| format!("Location: {place}\r\n"));
        let server = base(&upstream);
        assert_eq!(server.ask(get("/api/")).header("location"), Some(place));
    }
    // Nor are they unless it is asked for.
    let (server, upstream) = answering(|proxy| proxy, places);
    let expected = format!("{}/base/v2/login?a=b#c", upstream.url());
    assert_eq!(server.ask(get("/")).header("location"), Some(expected.as_str()));
}

#[test]
fn cookies_are_given_the_clients_domains_and_paths() {
    let cookies = "Set-Cookie: a=1; Domain=app.internal; Path=/v2; Secure\r\nX-Between: 1\r\n\
                   Set-Cookie: b=\"Path=/v2\"; path=/other; HttpOnly\r\n";
    let change = |proxy: Proxy| proxy.cookie_domain("app.internal", "example.com").cookie_path("/v2", "/api");
    let (server, _upstream) = answering(change, |_| cookies.into());
    let values = |server: &Running| {
        let reply = server.ask(get("/"));
        let cookies = reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        cookies.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        values(&server),
        ["a=1; Domain=example.com; Path=/api; Secure", "b=\"Path=/v2\"; path=/other; HttpOnly"]
    );
    let change = |proxy: Proxy| proxy.cookie_domain("*", "").cookie_path("*", "/");
    let (server, _upstream) = answering(change, |_| cookies.into());
    assert_eq!(values(&server), ["a=1; Path=/; Secure", "b=\"Path=/v2\"; Path=/; HttpOnly"]);
}

#[test]
fn bodies_are_limited_by_the_proxy_unless_the_route_says_otherwise() {
    let upstream = echoing();
    let proxy = || Proxy::to(upstream.url()).body_limit(5);
    let own = eproxy_core::Route::new("/own").any(proxy()).body_limit(10);
    let server = start(Server::builder().workers(1).at("/a", proxy()).route(own));
    let limits = eproxy_core::Limits { body: 1, ..eproxy_core::Limits::default() };
    let free = start(Server::builder().workers(1).limits(limits).at("/a", Proxy::to(upstream.url())));
    assert_eq!(server.ask(post("/a", "hello")).text(), "hello");
    assert_eq!(server.ask(post("/own", "helloworld")).text(), "helloworld");
    // The server's own limit is one for handlers.
    assert_eq!(free.ask(post("/a", "helloworld")).text(), "helloworld");
    let count = upstream.count();
    for (target, body) in [("/a", "hello!"), ("/own", "hello, world")] {
        let reply = server.ask(post(target, body));
        assert_eq!((reply.status, reply.says_close()), (413, true), "{target}");
    }
    assert_eq!((upstream.count(), server.failures("body_too_large")), (count, 2));
}

#[test]
fn several_upstreams_take_turns() {
    let upstreams = [echoing(), echoing(), echoing()];
    let group: Group = upstreams.iter().map(Upstream::url).collect();
    let server = serve(Proxy::to(group.balance(Balance::RoundRobin)));
    for round in 1..=4 {
        (0..3).for_each(|_| assert_eq!(server.ask(get("/")).status, 200));
        assert_eq!(upstreams.each_ref().map(Upstream::count), [round; 3]);
    }
}

#[test]
fn who_has_more_weight_takes_more_and_not_in_a_row() {
    let upstreams = [echoing(), echoing()];
    let group = Group::new().endpoint(upstreams[0].url(), 3).endpoint(upstreams[1].url(), 1);
    let server = serve(Proxy::to(group.balance(Balance::RoundRobin)));
    for round in 1..=5 {
        (0..4).for_each(|_| assert_eq!(server.ask(get("/")).status, 200));
        assert_eq!(upstreams.each_ref().map(Upstream::count), [3 * round, round]);
    }
}

#[cfg(unix)]
#[test]
fn an_upstream_may_be_a_socket_of_the_file_system() {
    use std::io::{Read as _, Write as _};
    let folder = std::env::temp_dir().join(format!("eproxy-{}-{}", std::process::id(), fastrand::u32(..)));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("upstream.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let helper = Helper::run(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heads = Vec::new();
        for _ in 0..2 {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                assert_eq!(stream.read(&mut byte).unwrap(), 1);
                head.push(byte[0]);
            }
            let seen = Seen::of_head(0, head);
            stream.write_all(&echo(&seen)).unwrap();
            heads.push(seen);
        }
        heads
    });
    let server = serve(Proxy::to(format!("unix:{}", path.display())));
    assert_eq!(server.ask(get("/a")).text(), "/a");
    assert_eq!(server.ask("GET /b HTTP/1.0\r\n\r\n").text(), "/b");
    let hosts: Vec<_> = helper.join().iter().map(|seen| seen.values("host").concat()).collect();
    assert_eq!(hosts, ["test", "localhost"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_can_not_be_done_is_said_when_the_server_starts() {
    let proxies: [(&str, Proxy); 9] = [
        ("without an upstream", Proxy::to(Group::new())),
        ("is neither", Proxy::to("ftp://a.example")),
        ("is neither", Proxy::to("a.example:80")),
        ("weight", Proxy::to(Group::new().endpoint("http://a.example", 0))),
        ("host", Proxy::to("http://a.example").host("a b")),
        ("path prefix", Proxy::to("http://a.example").strip_prefix("/a?b")),
        ("wire", Proxy::to("http://a.example").request_header("Transfer-Encoding", "gzip")),
        ("control", Proxy::to("http://a.example").response_header("X-A", "1\r\nX-B: 2")),
        ("cookie", Proxy::to("http://a.example").cookie_path("/", "/; Secure")),
    ];
    for (what, proxy) in proxies {
        let error =
            Server::builder().at("/*path", proxy).bind("127.0.0.1:0").start().unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("/*path"), "{what}: {error}");
    }
}

#[test]
fn a_field_that_a_rule_sets_or_removes_is_not_added_by_anybody_else() {
    let upstream = echoing();
    let proxy = Proxy::to(upstream.url())
        .request_header("X-Forwarded-Proto", "https")
        .request_header("x-forwarded-for", "somebody")
        .remove_request_header("X-Forwarded-Host")
        .remove_request_header("Forwarded")
        .response_header("Date", "today");
    let server = serve(proxy);
    let reply =
        server.ask("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: gopher\r\nForwarded: for=me\r\n\r\n");
    assert_eq!(reply.header("date"), Some("today"));
    let seen = upstream.last();
    assert_eq!(seen.values("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.values("x-forwarded-for"), ["somebody"]);
    assert!(seen.values("x-forwarded-host").is_empty() && seen.values("forwarded").is_empty(), "{seen:?}");
    // That it came by here is always said (RFC 9110 §7.6.3).
    assert_eq!(seen.values("via"), ["1.1 eproxy"]);
}
