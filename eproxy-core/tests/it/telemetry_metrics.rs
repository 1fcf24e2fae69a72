//! What is counted, and how it is told to those who collect it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Forward, Group, Proxy, Request, Response, Server};

use crate::support::exposition::Exposition;
use crate::support::http2::Http2;
use crate::support::lab::{lettered, seconds};
use crate::support::{eventually, get, post, start};
use crate::upstream::{Upstream, echoing, upstream};

fn read(lab: &Lab) -> Exposition {
    Exposition::read(&lab.metrics().openmetrics())
}

fn requests(lab: &Lab, route: &str, class: &str) -> f64 {
    read(lab).get("eproxy_requests_total", [("route", route), ("class", class)])
}

/// A lab in which a bit of everything has happened.
fn busy() -> Lab {
    let (lab, [a, b]) = lettered(['a', 'b']);
    a.set(Script::new().latency(Duration::from_millis(30)).answer(200, "hello"));
    b.refuse();
    let group =
        Group::new().endpoint("http://a.test", 1).endpoint("http://b.test", 1).name("a \"group\"\n\\");
    lab.serve(
        Server::builder()
            .at("/api/*rest", Proxy::to(group))
            .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
            .post("/echo", |mut req: Request, res: Response| res.send(req.take_body())),
    );
    for _ in 0..4 {
        assert_eq!(lab.get("/api/x").status(), 200);
    }
    lab.get("/hello");
    lab.get("/missing");
    lab.ask(post("/echo", "12345"));
    lab.ask("nonsense\r\n\r\n");
    lab
}

#[test]
fn what_is_exposed_is_openmetrics_and_every_exchange_is_in_it_once() {
    let lab = busy();
    let now = read(&lab);
    let by_class = |route, class| now.get("eproxy_requests_total", [("route", route), ("class", class)]);
    assert_eq!(
        (by_class("/api/*rest", "2xx"), by_class("/hello", "2xx"), by_class("/echo", "2xx")),
        (4.0, 1.0, 1.0)
    );
    assert_eq!(
        (by_class("none", "4xx"), by_class("none", "5xx"), by_class("/hello", "none")),
        (2.0, 0.0, 0.0)
    );
    assert_eq!(now.get("eproxy_answer_body_bytes_total", [("route", "/api/*rest")]), 20.0);
    assert_eq!(now.get("eproxy_request_body_bytes_total", [("route", "/echo")]), 5.0);
    assert_eq!(now.get("eproxy_answer_body_bytes_total", [("route", "/echo")]), 5.0);
    let took = |suffix: &str| {
        now.get(&format!("eproxy_request_duration_seconds_{suffix}"), [("route", "/api/*rest")])
    };
    assert_eq!(took("count"), 4.0);
    assert!((0.12..0.2).contains(&took("sum")), "{}", took("sum"));
    assert_eq!(
        now.get("eproxy_request_duration_seconds_bucket", [("route", "/api/*rest"), ("le", "0.025")]),
        0.0
    );
    assert_eq!(now.get("eproxy_failures_total", [("kind", "bad_request_line")]), 1.0);
    assert_eq!(now.get("eproxy_connections_total", []), 8.0);
}

#[test]
fn endpoints_are_told_by_group_and_name() {
    let lab = busy();
    let now = read(&lab);
    let of = |name: &str, endpoint: &str| {
        now.get(&format!("eproxy_endpoint_{name}"), [("group", "a \"group\"\n\\"), ("endpoint", endpoint)])
    };
    assert_eq!((of("up", "a.test:80"), of("up", "b.test:80")), (1.0, 0.0));
    assert_eq!((of("attempts_total", "a.test:80"), of("unreached_total", "b.test:80")), (4.0, 1.0));
    assert_eq!((of("latency_seconds_count", "a.test:80"), of("ejections_total", "b.test:80")), (4.0, 1.0));
    assert!(of("connects_total", "a.test:80") >= 1.0);
    let labels = [("group", "a \"group\"\n\\"), ("endpoint", "a.test:80")];
    let [one, two] = labels;
    assert_eq!(now.get("eproxy_endpoint_answers_total", [one, two, ("class", "2xx")]), 4.0);
    assert_eq!(now.get("eproxy_endpoint_mode", [one, two, ("mode", "active")]), 1.0);
    assert_eq!(now.get("eproxy_retries_total", []), now.get("eproxy_endpoint_retries_total", labels));
}

#[test]
fn the_set_of_metrics_is_that_of_the_document() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability.md");
    let page = std::fs::read_to_string(page).expect("there is a page on it");
    let documented: BTreeSet<(String, String, BTreeSet<String>)> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| `eproxy_")?.split('|').map(str::trim).collect();
            let name = format!("eproxy_{}", cells[0].trim_end_matches('`'));
            let labels = cells[2].split(", ").map(|label| label.trim().trim_matches('`').to_owned());
            Some((name, cells[1].to_owned(), labels.filter(|label| !label.is_empty()).collect()))
        })
        .filter(|(name, ..)| cfg!(target_os = "linux") || !name.starts_with("eproxy_process"))
        .collect();
    let now = read(&busy());
    let exposed = now.families.iter().map(|(name, kind)| {
        let samples = now.samples.iter().filter(|sample| sample.name.starts_with(name.as_str()));
        let of_it = samples.filter(|sample| {
            ["", "_total", "_info", "_bucket"].iter().any(|suffix| sample.name == format!("{name}{suffix}"))
        });
        let labels = of_it.flat_map(|sample| sample.labels.keys().cloned()).filter(|label| label != "le");
        (name.clone(), kind.clone(), labels.collect())
    });
    let exposed: BTreeSet<(String, String, BTreeSet<String>)> = exposed.collect();
    let differ: Vec<_> = documented.symmetric_difference(&exposed).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn no_client_adds_a_series() {
    let lab = busy();
    let before = read(&lab).series();
    for number in 0..40 {
        lab.get(&format!("/{number}/{}", fastrand::u64(..)));
        lab.get(&format!("/api/{number}?x={number}"));
        let host = fastrand::u32(..);
        lab.ask(format!("M{number} /hello HTTP/1.1\r\nHost: h{host}.test\r\nX-Request-Id: {host}\r\n\r\n"));
        lab.ask(format!("GET http://h{host}.test/ HTTP/1.1\r\nHost: h{host}.test\r\n\r\n"));
    }
    assert_eq!(read(&lab).series(), before);
}

#[test]
fn an_exchange_without_an_answer_is_counted_as_such() {
    let lab = Lab::new();
    lab.upstream("http://app.test", Script::new().stall());
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    let client = lab.connect();
    client.send(get("/"));
    lab.advance(seconds(1));
    assert_eq!(requests(&lab, "/*path", "none"), 0.0);
    client.reset();
    lab.advance(seconds(2));
    assert_eq!(requests(&lab, "/*path", "none"), 1.0);
}

#[test]
fn answers_that_are_made_for_an_upstream_are_counted_with_their_route() {
    let lab = Lab::new();
    lab.upstream("http://app.test", Script::new()).refuse();
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")).forward(Forward::new()));
    assert_eq!(lab.get("/").status(), 502);
    assert_eq!(lab.ask("GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n").status(), 403);
    assert_eq!((requests(&lab, "/*path", "5xx"), requests(&lab, "forward", "4xx")), (1.0, 1.0));
    assert_eq!(requests(&lab, "none", "4xx"), 0.0);
}

/// An upstream that switches protocols, says something, and hears until the end.
fn switching() -> Upstream {
    upstream(|peer| {
        peer.head();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello");
        peer.finish();
    })
}

#[test]
fn a_tunnel_is_counted_when_it_ends_with_what_it_has_carried() {
    let app = switching();
    let server = start(Server::builder().at("/*path", Proxy::to(app.url())));
    let metrics = server.handle().metrics();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    assert_eq!(client.head().expect("an answer").status, 101);
    drop(client);
    let of_route = || {
        let snapshot = metrics.snapshot();
        let route = snapshot.routes.into_iter().find(|route| route.name == "/*path").expect("it is there");
        (route.requests.of("1xx"), route.bytes_out)
    };
    eventually("the tunnel is counted", || of_route() == (1, 5));
}

#[test]
fn requests_of_http2_are_counted_once_each() {
    let app = upstream(|peer| {
        while peer.next().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    let server = start(
        Server::builder()
            .at("/app/*path", Proxy::to(app.url()))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    let client = Http2::to(server.address());
    for _ in 0..3 {
        assert_eq!(client.get("/app/x").status, 200);
        assert_eq!(client.get("/hello").status, 200);
    }
    assert_eq!(client.get("/nothing").status, 404);
    let counted = |name: &str| {
        let snapshot = server.handle().metrics().snapshot();
        snapshot.routes.iter().find(|route| route.name == name).map_or(0, |route| route.requests.total())
    };
    eventually("all of them are counted", || {
        (counted("/app/*path"), counted("/hello"), counted("none")) == (3, 3, 1)
    });
}

#[test]
fn a_route_that_stays_goes_on_counting_when_others_take_the_place_of_its_neighbours() {
    let hello = || Server::builder().get("/hello", |_: Request, res: Response| res.send("x"));
    let server = start(hello().get("/old", |_: Request, res: Response| res.send("x")));
    server.ask(get("/hello"));
    server.ask(get("/old"));
    let listener = server.handle().listeners().next().expect("it listens");
    let next = Server::builder().get("/first", |_: Request, res: Response| res.send("x"));
    let next = next.get("/hello", |_: Request, res: Response| res.send("y")).bind(listener);
    block_on(server.handle().replace(next)).unwrap();
    server.ask(get("/hello"));
    server.ask(get("/first"));
    let counted = |name: &str| {
        let snapshot = server.handle().metrics().snapshot();
        snapshot.routes.iter().find(|route| route.name == name).map_or(0, |route| route.requests.of("2xx"))
    };
    // One that is no more is forgotten.
    assert_eq!((counted("/hello"), counted("/old"), counted("/first")), (2, 0, 1));
}

#[test]
fn counting_by_route_can_be_switched_off() {
    let lab = Lab::new();
    lab.serve(Server::builder().metrics(false).get("/", |_: Request, res: Response| res.send("x")));
    lab.get("/");
    assert!(lab.metrics().snapshot().routes.is_empty());
    assert_eq!(read(&lab).get("eproxy_connections_total", []), 1.0);
}

#[test]
fn the_older_format_is_given_to_those_who_do_not_ask_for_the_newer() {
    let lab = busy();
    let metrics = lab.metrics();
    let (mime, text) = metrics.negotiate(Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
    assert!(mime.starts_with("application/openmetrics-text") && text.ends_with("# EOF\n"));
    let refused = Some("application/openmetrics-text;q=0, text/plain");
    for accept in [None, Some("*/*"), Some("text/plain;version=0.0.4"), refused] {
        let (mime, text) = metrics.negotiate(accept);
        assert!(mime.starts_with("text/plain; version=0.0.4"), "{mime}");
        assert!(text.contains("# TYPE eproxy_requests_total counter\neproxy_requests_total{"), "{text}");
        assert!(text.contains("# TYPE eproxy_build_info gauge\n") && !text.contains("# EOF"), "{text}");
        assert!(!text.contains("# UNIT"), "{text}");
    }
}

#[test]
fn the_parser_of_prometheus_reads_it() {
    const SCRIPT: &str = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families \
                          as parse\nprint(len(list(parse(sys.stdin.read()))))";
    let python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else { return eprintln!("skipped: there is no python3") };
    let text = busy().metrics().openmetrics();
    // A script that has failed to import reads nothing.
    let _read = python.stdin.take().expect("it has an input").write_all(text.as_bytes());
    let output = python.wait_with_output().expect("it comes to its end");
    let trouble = String::from_utf8_lossy(&output.stderr);
    if trouble.contains("ModuleNotFoundError") {
        return eprintln!("skipped: prometheus_client is not installed for python3");
    }
    assert!(output.status.success(), "{trouble}\n{text}");
    let families: usize = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    assert_eq!(families, Exposition::read(&text).families.len());
}

#[test]
fn quantiles_follow_what_requests_took() {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", Script::new());
    lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
    for number in 1..=100 {
        app.set(Script::new().latency(Duration::from_millis(number * 10)).answer(200, ""));
        lab.get("/");
    }
    let snapshot = lab.metrics().snapshot();
    let route = snapshot.routes.iter().find(|route| route.name == "/*path").expect("it is there");
    for (part, milliseconds) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
        let found = route.duration.quantile(part).expect("there were some").as_secs_f64() * 1000.0;
        // Deadlines come up to 8 ms late in a lab.
        assert!((found / milliseconds - 1.0).abs() < 0.06, "{part}: {found}");
    }
    let endpoint = &snapshot.groups[0].endpoints[0];
    assert_eq!((snapshot.groups[0].name.as_str(), endpoint.latency.count()), ("app.test:80", 100));
}

#[test]
fn a_server_that_is_gone_can_still_be_read() {
    let server = start(Server::builder().at("/*path", Proxy::to(echoing().url())));
    let metrics = server.handle().metrics();
    assert_eq!(metrics.snapshot().groups.len(), 1);
    drop(server);
    assert!(metrics.snapshot().groups.is_empty());
    Exposition::read(&metrics.openmetrics());
}
