//! What a line of the access log says, and what it does not.

use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{AccessLog, Forward, Group, Limits, Proxy, Request, RequestIds, Response, Server, Traces};
use serde_json::{Value, json};

use crate::support::http2::Http2;
use crate::support::lab::seconds;
use crate::support::logged::Logged;
use crate::support::{certificates, get, post, secure, start};
use crate::upstream::{echoing, upstream};

/// Has the lines of a lab leave its core.
fn passes(lab: &Lab) {
    lab.advance(Duration::from_millis(300));
}

#[test]
fn a_line_says_what_happened() {
    let (lab, logged) = (Lab::new(), Logged::new());
    let app = lab
        .upstream("http://app.test", Script::new().latency(Duration::from_millis(250)).answer(201, "hello"));
    let log = logged.log().header("X-Tenant").header("x-none");
    lab.serve(
        Server::builder()
            .access_log(log)
            .request_ids(RequestIds::new())
            .at("/*path", Proxy::to(Group::from("http://app.test").name("api"))),
    );
    lab.advance(Duration::from_millis(1500));
    let request = "POST /a/b?x=1 HTTP/1.1\r\nHost: example.org:80\r\nUser-Agent: \"test\"/1\r\nReferer: \
                   http://r.test/?token=secret\r\nX-Tenant: blue\r\nContent-Length: 3\r\n\r\nabc";
    let reply = lab.ask(request);
    let id = reply.header("x-request-id").expect("the client is told").to_owned();
    assert_eq!(app.last_request().header("x-request-id"), Some(id.as_str()));
    passes(&lab);
    let mut line = logged.line();
    let took = line["duration_ms"].as_f64().unwrap();
    assert!((250.0..270.0).contains(&took) && line["upstream_ms"] == line["duration_ms"], "{line}");
    let object = line.as_object_mut().unwrap();
    object.remove("duration_ms");
    object.remove("upstream_ms");
    assert_eq!(
        line,
        json!({
            "time": "2000-01-01T00:00:01.500Z",
            "peer": "192.0.2.1:10000",
            "method": "POST",
            "host": "example.org:80",
            "target": "/a/b?x=1",
            "version": "1.1",
            "status": 201,
            "bytes_in": 3,
            "bytes_out": 5,
            "route": "/*path",
            "group": "api",
            "endpoint": "app.test:80",
            "attempts": 1,
            "request_id": id,
            "referer": "http://r.test/?token=***",
            "user_agent": "\"test\"/1",
            "headers": {"x-tenant": "blue"},
        })
    );
}

#[test]
fn every_kind_of_end_has_its_line() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.upstream("http://dead.test", Script::new()).refuse();
    lab.upstream("http://slow.test", Script::new().stall());
    lab.serve(
        Server::builder()
            .access_log(logged.log())
            .limits(Limits { body: 10, ..Limits::default() })
            .at("/dead", Proxy::to("http://dead.test"))
            .at("/slow", Proxy::to("http://slow.test"))
            .post("/body", |_: Request, res: Response| res.send(()))
            .get("/later", |_: Request, res: Response| {
                std::thread::spawn(move || res.send("later"));
            })
            .get("/gone", |_: Request, res: Response| drop(res))
            .get("/bad", |_: Request, _: Response| panic!("a handler that panics"))
            .forward(Forward::new()),
    );
    let mut expected = Vec::new();
    let mut ask = |request: String, status: u16, route: Value, failure: Value| {
        assert_eq!(lab.ask(request).status(), status);
        expected.push((status, route, failure));
    };
    let get = |target: &str| String::from_utf8(get(target)).unwrap();
    ask(get("/dead"), 502, json!("/dead"), json!("connect"));
    ask(get("/missing"), 404, Value::Null, Value::Null);
    ask(get("/later"), 200, json!("/later"), Value::Null);
    ask(get("/gone"), 500, json!("/gone"), json!("response_dropped"));
    ask(get("/bad"), 500, json!("/bad"), json!("handler_panicked"));
    ask("PUT /later HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405, Value::Null, Value::Null);
    ask("nonsense\r\n\r\n".into(), 400, Value::Null, json!("bad_request_line"));
    ask("GET / HTTP/1.1\r\n\r\n".into(), 400, Value::Null, json!("bad_host"));
    ask(
        String::from_utf8(post("/body", "12345678901")).unwrap(),
        413,
        json!("/body"),
        json!("body_too_large"),
    );
    ask(
        "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        403,
        json!("forward"),
        json!("port_denied"),
    );
    let client = lab.connect();
    client.send(get("/slow"));
    lab.advance(seconds(1));
    client.reset();
    expected.push((0, json!("/slow"), json!("downstream_gone")));
    lab.advance(seconds(3));
    let lines = logged.lines(expected.len());
    let said: Vec<_> = lines
        .iter()
        .map(|line| (line["status"].as_u64().unwrap() as u16, line["route"].clone(), line["failure"].clone()))
        .collect();
    assert_eq!(said, expected, "{lines:#?}");
    assert_eq!((&lines[6]["method"], &lines[6]["target"]), (&Value::Null, &Value::Null));
}

#[test]
fn requests_of_one_connection_have_a_line_each_in_their_order() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.upstream("http://app.test", Script::new().answer(200, "x"));
    lab.serve(
        Server::builder()
            .access_log(logged.log())
            .at("/app/*path", Proxy::to("http://app.test"))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    let client = lab.connect();
    client.send([get("/hello"), get("/app/1"), get("/hello"), get("/app/2")].concat());
    passes(&lab);
    passes(&lab);
    let targets: Vec<_> = logged.lines(4).iter().map(|line| line["target"].clone()).collect();
    assert_eq!(targets, ["/hello", "/app/1", "/hello", "/app/2"]);
}

#[test]
fn secrets_are_not_told() {
    let (lab, logged) = (Lab::new(), Logged::new());
    let log = ["authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"]
        .into_iter()
        .fold(logged.log(), AccessLog::header)
        .header_in_clear("X-Shown")
        .redact_query(["session", "Key"]);
    lab.serve(Server::builder().access_log(log).get("/", |_: Request, res: Response| res.send("")));
    lab.ask(
        "GET /?a=1&SESSION=s3cret&key=s3cret&%6bey=s3cret&token=seen HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \
         s3cret\r\nCookie: a=s3cret\r\nX-Api-Key: s3cret\r\nProxy-Authorization: s3cret\r\nX-Shown: \
         seen\r\nReferer: http://ada:s3cret@r.test/?session=s3cret\r\n\r\n",
    );
    passes(&lab);
    let line = logged.line();
    assert!(!line.to_string().contains("s3cret"), "{line}");
    assert_eq!(line["target"], "/?a=1&SESSION=***&key=***&%6bey=***&token=seen");
    assert_eq!(line["referer"], "http://***@r.test/?session=***");
    assert_eq!((&line["headers"]["cookie"], &line["headers"]["x-shown"]), (&json!("***"), &json!("seen")));
}

#[test]
fn a_referer_among_the_fields_hides_its_secrets_unless_it_is_asked_for_in_clear() {
    let log = |shape: fn(AccessLog) -> AccessLog| {
        let (lab, logged) = (Lab::new(), Logged::new());
        let log = shape(logged.log());
        lab.serve(Server::builder().access_log(log).get("/", |_: Request, res: Response| res.send("")));
        lab.ask("GET / HTTP/1.1\r\nHost: x\r\nReferer: http://ada:s3cret@r.test/?token=s3cret\r\n\r\n");
        passes(&lab);
        crate::support::eventually("the line is there", || {
            std::fs::read(logged.path()).is_ok_and(|text| text.ends_with(b"\n"))
        });
        std::fs::read_to_string(logged.path()).unwrap()
    };
    let hidden = "http://***@r.test/?token=***";
    let json = log(|log| log.header("Referer"));
    assert!(json.contains(&format!("\"headers\":{{\"referer\":\"{hidden}\"}}")), "{json}");
    let pretty = log(|log| log.pretty().header("Referer"));
    assert!(pretty.contains(&format!("referer: {hidden}")), "{pretty}");
    assert!(log(|log| log.header_in_clear("Referer")).contains("s3cret"));
}

#[test]
fn a_field_that_comes_several_times_is_told_whole() {
    let (lab, logged) = (Lab::new(), Logged::new());
    let log = logged.log().header("X-Forwarded-For").header("Cookie");
    lab.serve(Server::builder().access_log(log).get("/", |_: Request, res: Response| res.send("")));
    lab.ask(
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\nCookie: a=1\r\nx-forwarded-for: \
         \"b\"\r\nCookie: b=2\r\n\r\n",
    );
    passes(&lab);
    let line = logged.line();
    assert_eq!(line["headers"], json!({"x-forwarded-for": "192.0.2.7, \"b\"", "cookie": "***"}));
}

#[test]
fn who_somebody_says_to_be_in_front_of_a_host_is_not_told_of_a_tunnel() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.serve(Server::builder().access_log(logged.log()).forward(Forward::new()));
    let reply = lab.ask("CONNECT ada:s3cret@b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n");
    assert_eq!(reply.status(), 400);
    passes(&lab);
    assert_eq!(logged.line()["target"], "***@b.test:443");
}

#[test]
fn whatever_clients_send_is_one_line_of_json() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.serve(
        Server::builder()
            .access_log(logged.log().header("x-any"))
            .get("/", |_: Request, res: Response| res.send("")),
    );
    let mut request =
        b"GET /?\"\\ HTTP/1.1\r\nHost: x\r\nUser-Agent: \"}\\ \xff\xc3\xa9\t\x80\r\nX-Any: ".to_vec();
    request.extend((0x20..=0xff_u8).filter(|byte| *byte != 0x7f));
    request.extend(b"\r\n\r\n");
    lab.ask(request);
    passes(&lab);
    let line = logged.line();
    assert_eq!(line["user_agent"], "\"}\\ \u{fffd}\u{e9}\t\u{fffd}");
    assert!(line["headers"]["x-any"].as_str().unwrap().starts_with("!\"#$"), "{line}");
}

#[test]
fn a_sample_has_its_part_of_the_lines_and_all_that_failed() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.serve(
        Server::builder()
            .access_log(logged.log().sample(0.2))
            .get("/", |_: Request, res: Response| res.send(""))
            .get("/bad", |_: Request, res: Response| res.status(503).send("")),
    );
    let client = lab.connect();
    for _ in 0..1000 {
        client.ask(get("/"));
    }
    for _ in 0..30 {
        client.ask(get("/bad"));
    }
    lab.advance(seconds(1));
    drop(lab);
    let read = || std::fs::read_to_string(logged.path()).unwrap();
    // Those were the last; lines are written by a thread of their own.
    crate::support::eventually("all that failed is told", || {
        read().matches("\"status\":503").count() == 30 && read().ends_with('\n')
    });
    let text = read();
    let of = |status: &str| text.matches(status).count();
    assert!((100..300).contains(&of("\"status\":200")), "{}", of("\"status\":200"));
}

#[test]
fn attempts_are_told_and_who_has_answered() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.upstream("http://a.test", Script::new()).refuse();
    lab.upstream("http://b.test", Script::new().latency(Duration::from_millis(40)).answer(200, "b"));
    let group = Group::new()
        .with(eproxy_core::Endpoint::new("http://a.test"))
        .with(eproxy_core::Endpoint::new("http://b.test").priority(1));
    lab.serve(Server::builder().access_log(logged.log()).at("/*path", Proxy::to(group)));
    assert_eq!(lab.get("/").text(), "b");
    passes(&lab);
    let line = logged.line();
    assert_eq!((&line["attempts"], &line["endpoint"]), (&json!(2), &json!("b.test:80")), "{line}");
    assert_eq!(line["group"], "a.test:80");
    assert!(line["upstream_ms"].as_f64() >= Some(40.0), "{line}");
}

#[test]
fn long_bodies_and_those_in_chunks_are_counted_in_bytes_of_content() {
    let logged = Logged::new();
    let app = upstream(|peer| {
        while peer.next().is_some() {
            peer.say(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n",
            );
        }
    });
    let server = start(
        Server::builder()
            .workers(1) // Of several, the one that is asked last may write first.
            .access_log(logged.log())
            .at("/app/*path", Proxy::to(app.url()))
            .post("/echo", |mut req: Request, res: Response| res.send(req.take_body())),
    );
    let long = "x".repeat(300_000);
    server.ask(post("/app/x", &long));
    assert_eq!(server.ask(post("/echo", &long)).body.len(), long.len());
    let lines = logged.lines(2);
    let of = |line: &Value| (line["bytes_in"].as_u64().unwrap(), line["bytes_out"].as_u64().unwrap());
    assert_eq!((of(&lines[0]), of(&lines[1])), ((300_000, 10), (300_000, 300_000)));
}

#[test]
fn the_versions_of_http_and_tls_are_told_and_every_stream_has_a_line() {
    let (logged, app) = (Logged::new(), echoing());
    let server = start(
        Server::builder()
            .workers(1)
            .access_log(logged.log())
            .bind_tls("127.0.0.1:0", certificates::tls())
            .at("/app/*path", Proxy::to(app.url()))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    let address = server.handle().addresses()[0];
    let client = Http2::secure(address);
    assert_eq!(client.get("/hello").status, 200);
    assert_eq!(client.get("/app/1").status, 200);
    assert_eq!(client.get("/missing").status, 404);
    let mut old = secure::TlsClient::new().connect(address);
    assert_eq!(old.ask("GET /hello HTTP/1.0\r\nHost: test\r\n\r\n").status, 200);
    let lines = logged.lines(4);
    let said: Vec<_> = lines.iter().map(|line| (line["version"].clone(), line["tls"].clone())).collect();
    let two = (json!("2"), json!("1.3"));
    assert_eq!(said, [two.clone(), two.clone(), two, (json!("1.0"), json!("1.3"))]);
    let targets: Vec<_> = lines.iter().map(|line| line["target"].clone()).collect();
    assert_eq!(targets, ["/hello", "/app/1", "/missing", "/hello"]);
}

#[test]
fn options_that_make_no_sense_are_told_when_the_server_starts() {
    let wrong = [
        Server::builder().access_log(AccessLog::to_file("/nowhere/at/all/access.log")),
        Server::builder().access_log(AccessLog::to_log().sample(2.0)),
        Server::builder().access_log(AccessLog::to_log().header("a b")),
        Server::builder().request_ids(RequestIds::new().header("Host")),
        Server::builder().traces(Traces::to("nowhere")),
        Server::builder().traces(Traces::to("http://c.test").header("a b", "c")),
    ];
    for builder in wrong {
        let error = builder.bind("127.0.0.1:0").start().expect_err("it is wrong");
        assert_eq!(error.name(), "bad_option", "{error}");
    }
}

#[test]
fn nothing_of_a_lab_waits_for_a_log_without_lines() {
    let (lab, logged) = (Lab::new(), Logged::new());
    lab.upstream("http://app.test", Script::new().answer(200, "x"));
    let log = logged.log().pretty();
    lab.serve(Server::builder().access_log(log).at("/*path", Proxy::to("http://app.test")));
    lab.advance(seconds(60));
    lab.get("/a%20b?x");
    passes(&lab);
    crate::support::eventually("the line is there", || {
        std::fs::read(logged.path()).is_ok_and(|text| !text.is_empty())
    });
    let text = std::fs::read_to_string(logged.path()).unwrap();
    assert!(text.starts_with("2000-01-01T00:01:00.000Z 200 GET lab.test/a%20b?x "), "{text}");
    assert!(text.contains(" ms, 1 bytes, on /*path to app.test:80, from 192.0.2.1:10000"), "{text}");
}
