//! Redirects: where they lead, with which status, and where they never lead.

use eproxy_core::{Redirect, Server};

use crate::support::certificates::tls;
use crate::support::secure::TlsClient;
use crate::support::{Running, crlf, get, start};

/// Where a request is sent to.
fn location(server: &Running, request: impl AsRef<[u8]>) -> (u16, String) {
    let reply = server.ask(request);
    (reply.status, reply.header("location").unwrap_or("nowhere").to_owned())
}

#[test]
fn a_client_is_sent_to_what_the_template_says() {
    let server = start(
        Server::builder()
            .at("/blog/*rest", Redirect::to("https://blog.example/{rest}?{query}"))
            .at("/users/:id", Redirect::to("/accounts/{id}").permanent())
            .at("/by-host", Redirect::to("https://{host}:8443{path}").status(301))
            .at("/old/*path", Redirect::to("/new/{path}").status(302).header("Cache-Control", "no-store"))
            .get(
                "/login",
                Redirect::to("https://login.example/?next={scheme}://{host}:{port}{uri}").status(303),
            )
            .at("/*all", Redirect::to("https://{host}{uri}")),
    );
    for (target, expected) in [
        ("/blog/a/b%20c?x=1", (307, "https://blog.example/a/b%20c?x=1")),
        ("/blog", (307, "https://blog.example/")),
        ("/users/caf%c3%a9", (308, "/accounts/caf%C3%A9")),
        ("/by-host?x", (301, "https://test:8443/by-host")),
        ("/old/a//b/../c", (302, "/new/a/c")),
        ("/login?a=b", (303, "https://login.example/?next=http://test:80/login%3Fa%3Db")),
        ("/x%2Fy?z", (307, "https://test/x%2Fy?z")),
    ] {
        let (status, to) = location(&server, get(target));
        assert_eq!((status, to.as_str()), expected, "{target}");
    }
    let reply = server.ask(get("/old/a"));
    assert_eq!((reply.text(), reply.header("cache-control")), ("302 Found\n", Some("no-store")));
    assert_eq!(
        location(&server, crlf("POST /x HTTP/1.1\nHost: a.example:81\nContent-Length: 0\n\n")).1,
        "https://a.example/x"
    );
    assert_eq!(
        location(&server, crlf("GET http://b.example:81?q HTTP/1.1\nHost: a\n\n")).1,
        "https://b.example/?q"
    );
    assert_eq!(location(&server, crlf("GET / HTTP/1.1\nHost: [::1]:81\n\n")).1, "https://[::1]/");
    assert_eq!(location(&server, crlf("GET / HTTP/1.0\n\n")), (400, "nowhere".into()));
    assert_eq!(location(&server, crlf("GET /blog/a HTTP/1.0\n\n")).1, "https://blog.example/a");
}

#[test]
fn plain_clients_are_sent_to_https() {
    for (redirect, expected) in [
        (Redirect::https(), "https://a.example/x?y"),
        (Redirect::https_port(8443), "https://a.example:8443/x?y"),
    ] {
        let builder = Server::builder().at("/*path", redirect);
        let server = Running::new(builder.bind("127.0.0.1:0").bind_tls("127.0.0.1:0", tls()));
        let asked = crlf("POST /x?y HTTP/1.1\nHost: a.example:8080\nContent-Length: 2\n\nhi");
        assert_eq!(location(&server, asked), (308, expected.to_owned()));
        // Who is there already is not sent round in circles.
        let mut client = TlsClient::new().connect(server.handle().addresses()[1]);
        assert_eq!(client.ask(get("/x")).status, 404);
    }
}

#[test]
fn nothing_in_a_request_leads_elsewhere_or_splits_the_answer() {
    let server = start(
        Server::builder()
            .at("/p/*rest", Redirect::to("/{rest}"))
            .at("/t/:tenant", Redirect::to("https://{tenant}.b.example/"))
            .at("/q/*rest", Redirect::to("https://b.example/?to={rest}"))
            .at("/*all", Redirect::to("{uri}")),
    );
    for (target, expected) in [
        ("//evil.example/x", "/evil.example/x"),
        ("///evil.example", "/evil.example"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("/%2f%2fevil.example", "/%2f%2fevil.example"),
        ("/%5cevil.example", "/%5cevil.example"),
        ("/%0d%0aSet-Cookie:a=b", "/%0d%0aSet-Cookie:a=b"),
        ("/x?%0d%0aSet-Cookie:a=b", "/x?%0d%0aSet-Cookie:a=b"),
        ("/p//evil.example", "/evil.example"),
        ("/p/%2fevil.example", "/evil.example"),
        ("/p/%5c%5cevil.example", "/evil.example"),
        ("/p/%0d%0aSet-Cookie:a=b", "/%0D%0ASet-Cookie:a=b"),
        ("/p/javascript:alert(1)", "/javascript:alert(1)"),
        ("/t/evil.example%3a80", "https://evil.example%3A80.b.example/"),
        ("/t/a@evil.example", "https://a%40evil.example.b.example/"),
        ("/q/a&b=c%23", "https://b.example/?to=a%26b%3Dc%23"),
    ] {
        let reply = server.ask(get(target));
        assert_eq!(reply.header("location"), Some(expected), "{target}");
        assert_eq!(reply.header("set-cookie"), None);
    }
}

#[test]
fn what_leads_nowhere_is_told_when_the_server_starts() {
    for (redirect, what) in [
        (Redirect::to("new"), "begins with"),
        (Redirect::to("/{other}"), "{other}"),
        (Redirect::to("https://{id}/"), "{id}"),
        (Redirect::to("/a\r\nX-A: 1"), "stands in no URL"),
        (Redirect::to("/a").status(304), "status 304"),
        (Redirect::to("/a").header("location", "/b"), "Location"),
        (Redirect::to("/a").header("Content-Length", "1"), "Content-Length"),
        (Redirect::https_port(0), "port 0"),
    ] {
        let error = Server::builder().at("/a/:id", redirect).bind("127.0.0.1:0").start().unwrap_err();
        assert_eq!(error.name(), "bad_option");
        assert!(
            error.to_string().contains(what) && error.to_string().ends_with("on route /a/:id"),
            "{error}"
        );
    }
}
