//! Who may ask an admin listener for what: hosts, the token, pages of others.

use eproxy_core::{Admin, Group, Server};

use crate::support::wire::Reply;
use crate::support::{Running, crlf, start};

/// An admin listener with a group of one endpoint, and the server that it shows.
fn admin(admin: Admin) -> (Running, Running) {
    let server = start(
        Server::builder()
            .workers(1)
            .get("/", |_: eproxy_core::Request, res: eproxy_core::Response| res.send("")),
    );
    let group = Group::from("http://127.0.0.1:1");
    let admin = admin.bind("127.0.0.1:0").groups([("web", group)]).start(server.handle());
    (Running::of(admin.expect("it starts")), server)
}

fn ask(admin: &Running, line: &str, fields: &str) -> Reply {
    let (head, body) = match line.split_once(' ') {
        Some(("GET", _)) => (String::new(), ""),
        _ => {
            let body = r#"{"endpoint":"127.0.0.1:1"}"#;
            (format!("Content-Length: {}\n", body.len()), body)
        }
    };
    let separator = if fields.is_empty() { "" } else { "\n" };
    admin.ask([crlf(&format!("{line} HTTP/1.1\n{fields}{separator}{head}\n")), body.into()].concat())
}

const DRAIN: &str = "POST /api/groups/web/endpoints/drain";

#[test]
fn a_listener_that_others_reach_has_a_token() {
    let server = start(
        Server::builder()
            .workers(1)
            .get("/", |_: eproxy_core::Request, res: eproxy_core::Response| res.send("")),
    );
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = Admin::new().bind(address).start(server.handle()).expect_err("it has none");
        assert_eq!(error.name(), "bad_option", "{error}");
        assert!(error.to_string().contains("without a token"), "{error}");
    }
    assert_eq!(Admin::new().bind("nonsense").start(server.handle()).expect_err("none").name(), "bad_address");
    let public = Admin::new().bind("0.0.0.0:0").token("secret").start(server.handle()).expect("it has one");
    let public = Running::of(public);
    let port = public.address().port();
    let reply = crate::support::Connection::to(([127, 0, 0, 1], port).into())
        .ask(crlf(&format!("GET /healthz HTTP/1.1\nHost: 127.0.0.1:{port}\n\n")));
    assert_eq!((reply.status, reply.text()), (200, r#"{"alive":true}"#));
}

#[test]
fn a_name_that_is_pointed_here_is_not_answered_to() {
    let (admin, _server) = admin(Admin::new().host("admin.example"));
    for host in ["localhost", "127.0.0.1:9901", "[::1]", "admin.example:80", "ADMIN.EXAMPLE"] {
        assert_eq!(ask(&admin, "GET /api/groups", &format!("Host: {host}")).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "admin.example.evil.example:9901"] {
        for line in ["GET /", "GET /healthz", "GET /api/state", "GET /nothing", DRAIN] {
            let reply = ask(&admin, line, &format!("Host: {host}\nX-Eproxy-Admin: 1"));
            assert_eq!(reply.status, 421, "{host} {line}: {reply:?}");
            assert!(reply.text().starts_with(r#"{"error":"#));
        }
    }
    // The target's own host counts (RFC 9112 §3.2.2).
    assert_ne!(ask(&admin, "GET http://evil.example/api/state", "Host: localhost").status, 200);
}

#[test]
fn the_token_opens_everything_but_the_page_and_the_questions_for_health() {
    let (admin, _server) = admin(Admin::new().token("a-secret"));
    for line in ["GET /", "GET /healthz", "GET /readyz"] {
        assert_eq!(ask(&admin, line, "Host: localhost").status, 200, "{line}");
    }
    for line in
        ["GET /api/state", "GET /api/groups", "GET /api/events", "GET /api/log-level", "GET /nothing", DRAIN]
    {
        let missing = (r#"Bearer realm="eproxy""#, "the token is missing");
        let wrong = (r#"Bearer realm="eproxy", error="invalid_token""#, "the token is wrong");
        for (fields, (challenge, words)) in [
            ("", missing),
            ("\nAuthorization: Basic a-secret", missing),
            ("\nX-Eproxy-Admin: 1", missing),
            ("\nAuthorization: Bearer wrong", wrong),
        ] {
            let reply = ask(&admin, line, &format!("Host: localhost{fields}"));
            assert_eq!(reply.status, 401, "{line} {fields}");
            assert_eq!(reply.header("www-authenticate"), Some(challenge));
            assert!(reply.text().contains(words));
        }
    }
    let fields = "Host: localhost\nAuthorization: Bearer a-secret";
    assert_eq!(ask(&admin, "GET /api/state", fields).status, 200);
    assert_eq!(ask(&admin, "GET /nothing", fields).status, 404);
    assert_eq!(ask(&admin, DRAIN, fields).status, 200);
    // Whoever has it and is no page of this origin is still not served by a browser.
    let foreign = format!("{fields}\nOrigin: http://evil.example");
    assert_eq!(ask(&admin, DRAIN, &foreign).status, 403);
}

#[test]
fn pages_of_others_change_nothing() {
    let (admin, _server) = admin(Admin::new());
    for fields in [
        "",
        "\nSec-Fetch-Site: cross-site",
        "\nSec-Fetch-Site: same-site\nX-Eproxy-Admin: 1",
        "\nOrigin: http://evil.example\nX-Eproxy-Admin: 1",
        "\nOrigin: null",
        "\nOrigin: http://localhost",
    ] {
        for line in [DRAIN, "POST /api/reload", "PUT /api/log-level"] {
            let reply = ask(&admin, line, &format!("Host: localhost:9901{fields}"));
            assert_eq!(reply.status, 403, "{line} {fields}: {reply:?}");
        }
    }
    assert!(ask(&admin, "GET /api/groups", "Host: localhost").text().contains(r#""mode":"active""#));
    for fields in ["X-Eproxy-Admin: 1", "Sec-Fetch-Site: same-origin", "Origin: http://localhost:9901"] {
        assert_eq!(ask(&admin, DRAIN, &format!("Host: localhost:9901\n{fields}")).status, 200, "{fields}");
    }
    assert!(ask(&admin, "GET /api/groups", "Host: localhost").text().contains(r#""mode":"draining""#));
    // No answer to a question whether another origin may ask: a browser takes that for a no.
    let preflight = "Host: localhost:9901\nOrigin: http://evil.example\nAccess-Control-Request-Method: POST";
    let reply = ask(&admin, "OPTIONS /api/reload", preflight);
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None));
}

#[test]
fn pages_of_others_take_no_place_among_those_who_listen() {
    let (admin, _server) = admin(Admin::new());
    for line in ["GET /api/events", "GET /api/state"] {
        for site in ["cross-site", "same-site"] {
            let fields = format!("Host: localhost\nSec-Fetch-Site: {site}\nSec-Fetch-Dest: iframe");
            assert_eq!(ask(&admin, line, &fields).status, 403, "{line} {site}");
        }
    }
    // By a link, by its own page, and by an address that somebody has typed.
    for fields in [
        "Sec-Fetch-Site: cross-site\nSec-Fetch-Dest: document",
        "Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: empty",
        "Sec-Fetch-Site: none\nSec-Fetch-Dest: document",
    ] {
        assert_eq!(
            ask(&admin, "GET /api/state", &format!("Host: localhost\n{fields}")).status,
            200,
            "{fields}"
        );
    }
}

#[test]
fn answers_say_what_browsers_may_do_with_them() {
    let (admin, _server) = admin(Admin::new());
    for line in ["GET /", "GET /healthz", "GET /api/state", "GET /nothing", "POST /api/state"] {
        let reply = ask(&admin, line, "Host: localhost");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{line}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{line}");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{line}");
        let policy = reply.header("content-security-policy").expect("there is one");
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    }
}
