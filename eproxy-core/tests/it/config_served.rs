//! Configurations that are right: servers do what they say.

use std::path::Path;

use eproxy_core::Config;

use crate::support::certificates::{authority, pair};
use crate::support::folder::Folder;
use crate::support::secure::TlsClient;
use crate::support::server::nobody;
use crate::support::{Connection, Running, crlf, eventually, get, post};
use crate::upstream::{Upstream, echoing, secure_upstream, upstream};

/// A configuration with a listener and what else it says; paths begin at the folder.
fn config_in(folder: &Path, text: &str) -> Config {
    let text = format!("workers = 1\n\n{text}\n[[listener]]\naddress = \"127.0.0.1:0\"\n");
    Config::parse(&text, folder.join("test.toml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn serve(text: &str) -> Running {
    Running::new(config_in(Path::new(""), text).builder())
}

/// A route for everything.
fn to_all(proxy: &str) -> String {
    format!("[[route]]\npath = \"/*path\"\nproxy = {{ {proxy} }}\n")
}

/// An upstream that answers with its name.
fn named(name: &'static str) -> Upstream {
    upstream(move |peer| {
        while peer.next().is_some() {
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
        }
    })
}

#[test]
fn a_proxy_to_an_url_passes_requests_on() {
    let upstream = echoing();
    let server = serve(&to_all(&format!("to = \"{}\"", upstream.url())));
    assert_eq!(server.ask(get("/a?b")).status, 200);
    assert_eq!(upstream.last().target, "/a?b");
}

#[test]
fn paths_and_fields_are_changed_as_a_proxy_says() {
    let upstream = echoing();
    let server = serve(&to_all(&format!(
        r#"to = "{}", strip_prefix = "/api", add_prefix = "/v2", host = "app.test",
           request_headers = {{ set = {{ "X-Set" = "1" }}, add = {{ "X-Add" = ["2", "3"] }}, remove = "Cookie" }},
           response_headers = {{ set = {{ "X-Served-By" = "eproxy" }} }}, forwarding_headers = false"#,
        upstream.url()
    )));
    let reply = server.ask(crlf("GET /api/users HTTP/1.1\nHost: a\nCookie: a=b\nX-Set: 0\n\n"));
    assert_eq!((reply.status, reply.header("x-served-by")), (200, Some("eproxy")));
    let seen = upstream.last();
    assert_eq!(seen.target, "/v2/users");
    assert_eq!(seen.values("host"), ["app.test"]);
    assert_eq!(seen.values("x-set"), ["1"]);
    assert_eq!(seen.values("x-add"), ["2", "3"]);
    assert!(seen.values("cookie").is_empty() && seen.values("x-forwarded-for").is_empty());
}

#[test]
fn a_group_balances_as_it_says() {
    let (one, other) = (named("one"), named("other"));
    let server = serve(&format!(
        "{}\n[group.api]\nendpoints = [\"{}\", {{ url = \"{}\", weight = 3 }}]\nbalance = \"round_robin\"\n",
        to_all("group = \"api\""),
        one.url(),
        other.url()
    ));
    for _ in 0..8 {
        assert_eq!(server.ask(get("/")).status, 200);
    }
    assert_eq!((one.count(), other.count()), (2, 6));
}

#[test]
fn a_group_probes_and_fails_over_as_it_says() {
    let (down, up) = (nobody(), named("up"));
    let config = config_in(
        Path::new(""),
        &format!(
            "{}\n[group.api]\nendpoints = [\"{down}\", {{ url = \"{}\", priority = 1 }}]\n\
             probe = {{ tcp = true, interval = \"20ms\", fall = 1 }}\n",
            to_all("group = \"api\""),
            up.url()
        ),
    );
    let server = Running::new(config.builder());
    let (name, group) = config.groups().next().expect("there is one");
    assert_eq!(name, "api");
    eventually("it is found down", || {
        group.snapshot().endpoint(&down).is_some_and(|endpoint| endpoint.health == eproxy_core::Health::Down)
    });
    assert_eq!(server.ask(get("/")).text(), "up");
}

#[test]
fn clients_stay_as_sticky_says() {
    let upstream = named("one");
    let server = serve(&format!(
        "{}\n[group.api]\nendpoints = [\"{}\"]\nsticky = {{ cookie = \"node\", max_age = \"1h\", secret = \"s\" }}\n",
        to_all("group = \"api\""),
        upstream.url()
    ));
    let reply = server.ask(get("/"));
    let cookie = reply.header("set-cookie").unwrap_or_default();
    assert!(cookie.starts_with("node=") && cookie.ends_with("; Max-Age=3600"), "{cookie}");
}

#[test]
fn requests_are_sent_again_as_a_proxy_says() {
    let failing = upstream(|peer| {
        while peer.next().is_some() {
            peer.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let good = named("good");
    let server = serve(&to_all(&format!(
        r#"to = ["{}", "{}"], retries = 1, retry_statuses = [503]"#,
        failing.url(),
        good.url()
    )));
    for _ in 0..4 {
        assert_eq!(server.ask(get("/")).text(), "good");
    }
}

#[test]
fn methods_bodies_and_heads_have_the_limits_that_are_set() {
    let upstream = echoing();
    let server = serve(&format!(
        "limits = {{ head = \"1KiB\", headers = 5 }}\n\n[[route]]\npath = \"/*path\"\nmethods = [\"GET\", \"POST\"]\n\
         body_limit = 4\nproxy = {{ to = \"{}\" }}\n",
        upstream.url()
    ));
    assert_eq!(server.ask(post("/", "1234")).status, 200);
    assert_eq!(server.ask(post("/", "12345")).status, 413);
    let refused = server.ask(crlf("PUT / HTTP/1.1\nHost: a\nContent-Length: 0\n\n"));
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS, POST")));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "a".repeat(2000));
    assert_eq!(server.ask(long).status, 431);
}

#[test]
fn routes_are_chosen_by_host_header_and_query() {
    let server = serve(
        r#"
        [[route]]
        path = "/*path"
        answer = { body = "any" }

        [[route]]
        host = "*.a.test"
        path = "/*path"
        answer = { body = "host" }

        [[route]]
        path = "/*path"
        header = { "X-Version" = { prefix = "2" } }
        answer = { body = "header" }

        [[route]]
        path = "/*path"
        query = { debug = { present = true } }
        answer = { body = "query" }
        "#,
    );
    for (request, body) in [
        ("GET / HTTP/1.1\nHost: b\n\n", "any"),
        ("GET / HTTP/1.1\nHost: x.a.test\n\n", "host"),
        ("GET / HTTP/1.1\nHost: b\nX-Version: 2.1\n\n", "header"),
        ("GET /?debug HTTP/1.1\nHost: b\n\n", "query"),
    ] {
        assert_eq!(server.ask(crlf(request)).text(), body, "{request}");
    }
}

#[test]
fn answers_redirects_and_files_are_given() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("site")).unwrap();
    std::fs::write(folder.path("site/index.html"), "the page").unwrap();
    let config = config_in(
        &folder.path(""),
        r#"
        [[route]]
        path = "/healthz"
        answer = { body = "ok", headers = { "Cache-Control" = "no-store" } }

        [[route]]
        path = "/gone"
        answer = { status = 410 }

        [[route]]
        path = "/old/*rest"
        redirect = { to = "https://new.test/{rest}", status = 301 }

        [[route]]
        path = "/*path"
        files = { root = "site", cache_control = "no-cache" }
        "#,
    );
    let server = Running::new(config.builder());
    let reply = server.ask(get("/healthz"));
    assert_eq!((reply.status, reply.text(), reply.header("cache-control")), (200, "ok", Some("no-store")));
    assert_eq!(server.ask(get("/gone")).status, 410);
    let reply = server.ask(get("/old/a/b"));
    assert_eq!((reply.status, reply.header("location")), (301, Some("https://new.test/a/b")));
    let reply = server.ask(get("/"));
    assert_eq!((reply.text(), reply.header("cache-control")), ("the page", Some("no-cache")));
}

#[test]
fn a_listener_speaks_tls_with_the_certificate_of_a_file() {
    let folder = Folder::new();
    std::fs::write(folder.path("cert.pem"), &pair().certificate).unwrap();
    std::fs::write(folder.path("key.pem"), &pair().key).unwrap();
    let text = "workers = 1\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls = [{ certificate = \"cert.pem\", key = \"key.pem\" }]\n\
                [[route]]\npath = \"/\"\nanswer = { body = \"hello\" }\n";
    let config =
        Config::parse(text, folder.path("eproxy.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.listeners().collect::<Vec<_>>(), [("127.0.0.1:0", true)]);
    let server = Running::new(config.builder());
    assert_eq!(TlsClient::new().connect(server.address()).ask(get("/")).text(), "hello");
}

#[test]
fn endpoints_over_tls_are_trusted_as_a_group_says() {
    let folder = Folder::new();
    std::fs::write(folder.path("roots.pem"), authority().pem()).unwrap();
    let secure = secure_upstream(pair().server(&["http/1.1"]), |peer| {
        while peer.next().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure");
        }
    });
    let url = format!("https://{}", secure.address());
    let with = |tls: &str| {
        let text = format!("{}\n[group.api]\nendpoints = [\"{url}\"]\n{tls}\n", to_all("group = \"api\""));
        Running::new(config_in(&folder.path(""), &text).builder())
    };
    assert_eq!(with("tls = { roots = \"roots.pem\" }").ask(get("/")).text(), "secure");
    assert_eq!(with("").ask(get("/")).status, 502);
}

#[test]
fn a_forward_proxy_asks_for_credentials_and_reaches_what_it_may() {
    let upstream = echoing();
    let server = serve("[forward]\nusers = { ada = \"secret\" }\nallow = [\"127.0.0.1\"]\n");
    let ask = |field: &str| {
        let url = upstream.url();
        let host = upstream.address();
        server.ask(crlf(&format!("GET {url}/ HTTP/1.1\nHost: {host}\n{field}\n"))).status
    };
    assert_eq!(ask(""), 407);
    assert_eq!(ask("Proxy-Authorization: Basic YWRhOnNlY3JldA==\n"), 200);
}

#[test]
fn trusted_proxies_may_speak_the_proxy_protocol() {
    let text = "workers = 1\ntrusted_proxies = \"127.0.0.1\"\n[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\n\
                [[route]]\npath = \"/\"\nanswer = { body = \"hello\" }\n";
    let config = Config::parse(text, "test.toml").unwrap_or_else(|problems| panic!("{problems}"));
    let server = Running::new(config.builder());
    let mut client = Connection::to(server.address());
    client.send("PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n");
    assert_eq!(client.ask(get("/")).text(), "hello");
}

#[test]
fn variables_of_the_environment_are_put_in() {
    // Cargo sets it for tests.
    let server = serve(
        "[[route]]\npath = \"/\"\nanswer = { body = \"${CARGO_PKG_NAME} $$5 ${EPROXY_NONE:-none}\" }\n",
    );
    assert_eq!(server.ask(get("/")).text(), "eproxy-core $5 none");
}

#[test]
fn what_is_shown_of_a_configuration_has_defaults_and_no_secrets() {
    let config = config_in(
        Path::new(""),
        r#"
        [forward]
        users = { ada = "a secret" }

        [[route]]
        path = "/*path"

        [route.proxy]
        to = "http://${EPROXY_NONE:-10.0.0.7}:3000"
        request_headers = { set = { "Authorization" = "Bearer xyz", "X-Plain" = "shown" } }
        "#,
    );
    let shown = config.describe();
    for part in [r#""ada": "(hidden)""#, r#""Authorization": "(hidden)""#, "\"X-Plain\": \"shown\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // A variable stays a name, and what is not said is what holds.
    for part in ["http://${EPROXY_NONE:-10.0.0.7}:3000", r#""retries": 1"#, r#""keep_alive": "75s""#] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("a secret") && !shown.contains("xyz"), "{shown}");
}

#[test]
fn a_group_that_nobody_uses_is_warned_of() {
    let config = config_in(Path::new(""), "[group.spare]\nendpoints = [\"http://10.0.0.7\"]\n");
    let warnings: Vec<_> = config.warnings().iter().map(|problem| problem.summary()).collect();
    assert_eq!(warnings, ["test.toml:3:8: nothing uses the group `spare`"]);
    assert_eq!(config.summary(), "1 listener, 0 routes, 1 group");
}

#[test]
fn a_certificate_that_has_expired_is_warned_of() {
    let folder = Folder::new();
    let mut params = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap();
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let expired = authority().sign(params);
    std::fs::write(folder.path("cert.pem"), expired.certificate).unwrap();
    std::fs::write(folder.path("key.pem"), expired.key).unwrap();
    let text =
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";
    let config =
        Config::parse(text, folder.path("eproxy.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
    assert!(warning.message().starts_with("the certificate has expired "), "{warning}");
    assert_eq!((warning.line(), warning.column()), (3, 23));
}

#[test]
fn many_routes_are_read_in_one_go() {
    let route = |number| {
        format!(
            "[[route]]\npath = \"/{number}/*path\"\nproxy = {{ to = \"http://10.0.{}.{}:80\" }}\n",
            number / 250,
            number % 250
        )
    };
    let text: String = (0..1000).map(route).collect();
    let config = config_in(Path::new(""), &text);
    assert_eq!(config.summary(), "1 listener, 1000 routes, 0 groups");
    let _server = Running::new(config.builder());
}
