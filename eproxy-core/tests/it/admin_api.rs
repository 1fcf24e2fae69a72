//! What an admin listener tells, and what can be done through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_std::task;
use eproxy_core::{Admin, Endpoint, Group, Proxy, Request, Response, Server};
use serde_json::{Value, json};

use crate::support::server::nobody;
use crate::support::wire::Reply;
use crate::support::{Helper, Running, crlf, eventually, get, start};

fn hello() -> Running {
    start(Server::builder().workers(1).get("/", |_: Request, res: Response| res.send("hello")))
}

/// An admin listener for a server.
fn admin(admin: Admin, server: &Running) -> Running {
    Running::of(admin.bind("127.0.0.1:0").start(server.handle()).expect("it starts"))
}

fn read(admin: &Running, path: &str) -> Reply {
    admin.ask(crlf(&format!("GET {path} HTTP/1.1\nHost: localhost\n\n")))
}

fn tell(admin: &Running, method: &str, path: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let head = format!(
        "{method} {path} HTTP/1.1\nHost: localhost\nX-Eproxy-Admin: 1\nContent-Length: {}\n\n",
        body.len()
    );
    admin.ask([crlf(&head), body.into_bytes()].concat())
}

fn value(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
    serde_json::from_slice(&reply.body).expect("it is JSON")
}

#[test]
fn a_server_is_ready_until_it_drains() {
    let server = Server::builder().workers(1).get("/slow", |_: Request, res: Response| {
        task::spawn(async move {
            task::sleep(Duration::from_secs(2)).await;
            res.send("at last");
        });
    });
    let server = start(server);
    let admin = admin(Admin::new(), &server);
    let ready = read(&admin, "/readyz");
    assert_eq!((ready.status, value(&ready)), (200, json!({"ready": true, "reasons": []})));
    assert!(!server.handle().is_draining());

    let mut connection = server.connect();
    connection.send(get("/slow"));
    eventually("the request has come", || server.stats().requests == 1);
    let handle = server.handle().clone();
    let shutdown = Helper::run(move || task::block_on(handle.shutdown(Duration::from_secs(10))));
    eventually("it drains", || server.handle().is_draining());
    let draining = read(&admin, "/readyz");
    assert_eq!(draining.status, 503);
    assert_eq!(value(&draining)["reasons"][0], "the server is draining: it takes no new connections");
    assert_eq!(value(&read(&admin, "/healthz")), json!({"alive": true}));
    assert_eq!(value(&read(&admin, "/api/state"))["server"]["phase"], "draining");
    shutdown.join();
    // It ends with the server.
    task::block_on(async_std::future::timeout(Duration::from_secs(10), admin.handle().wait()))
        .expect("it ends");
}

#[test]
fn the_state_tells_what_was_counted_and_what_has_failed() {
    let group = Group::from(nobody());
    let server = start(
        Server::builder()
            .workers(2)
            .get("/", |_: Request, res: Response| res.send("hello"))
            .at("/gone/*path", Proxy::to(group.clone())),
    );
    let admin = admin(Admin::new().groups([("gone", group)]), &server);
    assert_eq!(server.ask(get("/")).status, 200);
    assert_eq!(server.ask(get("/gone/x")).status, 502);
    assert_eq!(server.ask("GET / HTTP/1.1\r\nbad field: x\r\n\r\n").status, 400);

    let state = value(&read(&admin, "/api/state"));
    assert_eq!(state["server"]["name"], "eproxy");
    assert_eq!(state["server"]["workers"], 2);
    assert_eq!(state["server"]["phase"], "running");
    assert_eq!(state["server"]["listeners"][0], server.address().to_string());
    assert_eq!(state["process"]["pid"], std::process::id());
    assert_eq!(state["totals"]["requests"], 2);
    assert_eq!(state["totals"]["failures"], json!({"connect": 1, "bad_header_name": 1}));
    assert_eq!(state["groups"][0]["name"], "gone");
    assert!(state["groups"][0]["endpoints"][0]["unreached"].as_u64() >= Some(1), "{state}");
    assert!(state["groups"][0]["endpoints"][0]["p50_ms"].is_null(), "it has answered nothing: {state}");

    let failures = state["failures"].as_array().expect("a list");
    let names: Vec<_> = failures.iter().map(|failure| failure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bad_header_name", "connect"]);
    let connect = &failures[1];
    assert_eq!((&connect["side"], &connect["status"]), (&json!("upstream"), &json!(502)));
    assert_eq!((&connect["route"], &connect["peer"]), (&json!("/gone/*path"), &json!("127.0.0.1")));
    assert!(connect["upstream"].as_str().is_some_and(|name| name.starts_with("127.0.0.1:")), "{connect}");
    let recent = server.handle().recent_failures();
    assert_eq!((recent.len(), recent[1].name), (2, "connect"));
}

#[test]
fn routes_are_told_with_their_answers_and_times() {
    let server = start(
        Server::builder()
            .workers(2)
            .get("/", |_: Request, res: Response| res.send("hello"))
            .get("/quiet", |_: Request, res: Response| res.send(""))
            .get("/sad", |_: Request, res: Response| res.status(503).send("")),
    );
    let admin = admin(Admin::new(), &server);
    for _ in 0..5 {
        assert_eq!(server.ask(get("/")).text(), "hello");
    }
    assert_eq!(server.ask(get("/sad")).status, 503);
    let routes = || value(&read(&admin, "/api/state"))["routes"].clone();
    let all = |routes: &Value| {
        routes.as_array().unwrap().iter().map(|route| route["requests"].as_u64().unwrap()).sum::<u64>()
    };
    // An exchange is counted when it is over, a moment after its answer has come.
    eventually("all are counted", || all(&routes()) == 6);
    let routes = routes();
    let names: Vec<_> =
        routes.as_array().unwrap().iter().map(|route| route["route"].as_str().unwrap()).collect();
    assert_eq!(names, ["/", "/quiet", "/sad"]);
    assert_eq!((&routes[0]["2xx"], &routes[0]["5xx"]), (&json!(5), &json!(0)));
    assert_eq!((&routes[0]["bytes_out"], &routes[2]["5xx"]), (&json!(25), &json!(1)));
    assert!(routes[0]["p99_ms"].as_f64() > Some(0.0) && routes[1]["p99_ms"].is_null(), "{routes}");
    // The history follows within a second or two.
    let rows =
        || value(&read(&admin, "/api/state"))["history"]["rows"].as_array().cloned().unwrap_or_default();
    eventually("a row tells of them", || {
        rows().iter().any(|row| row[3].as_f64() > Some(0.0) && row[9].is_number())
    });
}

#[test]
fn metrics_come_as_they_are_asked_for() {
    let server = hello();
    let admin = admin(Admin::new(), &server);
    let ask = |accept: &str| {
        admin.ask(crlf(&format!("GET /metrics HTTP/1.1\nHost: localhost\nAccept: {accept}\n\n")))
    };
    let open = ask("application/openmetrics-text; version=1.0.0, text/plain; q=0.5");
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().contains("# TYPE eproxy_requests counter") && open.text().ends_with("# EOF\n"));
    let plain = ask("*/*");
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(plain.text().contains("eproxy_"));
}

#[test]
fn a_request_is_explained() {
    let group = Group::from("http://10.0.0.7:3000");
    let proxy = Proxy::to(group).strip_prefix("/shop");
    let server = start(Server::builder().workers(1).at("/shop/*path", proxy));
    let admin = admin(Admin::new(), &server);
    let told =
        value(&read(&admin, "/api/explain?method=POST&url=http%3A%2F%2Fexample.com%2Fshop%2Fcart%3Fa%3Db"));
    assert_eq!(told["explanation"]["method"], "POST");
    assert_eq!(told["explanation"]["host"], "example.com");
    assert_eq!(told["explanation"]["onward"]["target"], "/cart?a=b", "{told}");
    assert!(told["text"].as_str().is_some_and(|text| text.contains("/shop/*path")), "{told}");
    for (query, status) in
        [("", 400), ("?method=GET", 400), ("?url=/a&header=wrong", 400), ("?method=G%20T&url=/a", 422)]
    {
        assert_eq!(read(&admin, &format!("/api/explain{query}")).status, status, "{query}");
    }
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn endpoints_are_drained_resumed_and_weighed() {
    let group =
        Group::new().with(Endpoint::new("http://127.0.0.1:1")).with(Endpoint::new("http://127.0.0.1:2"));
    let server = hello();
    let admin = admin(Admin::new().groups([("a b", group.clone())]), &server);
    let change = |action: &str, body: Value| {
        tell(&admin, "POST", &format!("/api/groups/a%20b/endpoints/{action}"), &body)
    };
    for (action, mode) in [("drain", "draining"), ("maintain", "maintenance"), ("resume", "active")] {
        // By its name and by its URL.
        for endpoint in ["127.0.0.1:2", "http://127.0.0.1:2"] {
            let reply = change(action, json!({ "endpoint": endpoint }));
            assert_eq!(reply.status, 200, "{reply:?}");
            let group = value(&reply);
            assert_eq!(group["endpoints"][0]["mode"], "active");
            assert_eq!(group["endpoints"][1]["mode"], mode);
        }
    }
    let reply = change("weight", json!({"endpoint": "127.0.0.1:1", "weight": 7}));
    assert_eq!((reply.status, &value(&reply)["endpoints"][0]["weight"]), (200, &json!(7)));
    assert_eq!(group.snapshot().endpoints[0].weight, 7);
    assert_eq!(value(&read(&admin, "/api/groups"))[0]["endpoints"][0]["weight"], 7);

    for (action, body, status, words) in [
        ("drain", json!({"endpoint": "127.0.0.1:3"}), 404, "has no endpoint \"127.0.0.1:3\""),
        ("weight", json!({"endpoint": "127.0.0.1:1"}), 422, "a weight is needed"),
        ("weight", json!({"endpoint": "127.0.0.1:1", "weight": 0}), 422, "expected 1 to 1000"),
        (
            "weight",
            json!({"endpoint": "127.0.0.1:1", "weight": -1}),
            400,
            "the body is not what it has to be",
        ),
        ("drain", json!({"end": 1}), 400, "the body is not what it has to be"),
        ("burn", json!({"endpoint": "127.0.0.1:1"}), 404, "there is no such thing here"),
    ] {
        let reply = change(action, body);
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(value(&reply)["error"].as_str().is_some_and(|said| said.contains(words)), "{reply:?}");
    }
    assert_eq!(change("drain", json!("x".repeat(70_000))).status, 413);
    let reply = tell(&admin, "POST", "/api/groups/other/endpoints/drain", &json!({"endpoint": "x"}));
    assert_eq!(value(&reply)["error"], "there is no group \"other\"; there are: a b");
}

#[test]
fn a_reload_tells_what_came_of_it_and_one_goes_on_at_a_time() {
    let (server, is_right) = (hello(), Arc::new(AtomicBool::new(true)));
    let (begun, go_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let callback = {
        let (is_right, begun, go_on) = (is_right.clone(), begun.clone(), go_on.clone());
        move || {
            let (is_right, begun, go_on) = (is_right.clone(), begun.clone(), go_on.clone());
            async move {
                begun.store(true, Ordering::SeqCst);
                while !go_on.load(Ordering::SeqCst) {
                    task::sleep(Duration::from_millis(5)).await;
                }
                match is_right.load(Ordering::SeqCst) {
                    true => Ok("two routes changed".to_owned()),
                    false => Err("line 3: no such group\n\nline 9: no such file\n".to_owned()),
                }
            }
        }
    };
    let admin = Arc::new(admin(Admin::new().on_reload(callback), &server));
    let reload = |admin: &Running| tell(admin, "POST", "/api/reload", &Value::Null);
    let reply = reload(&admin);
    assert_eq!((reply.status, value(&reply)), (200, json!({"outcome": "two routes changed"})));

    is_right.store(false, Ordering::SeqCst);
    let reply = reload(&admin);
    assert_eq!(reply.status, 422);
    assert_eq!(value(&reply)["problems"], json!(["line 3: no such group", "line 9: no such file"]));

    go_on.store(false, Ordering::SeqCst);
    begun.store(false, Ordering::SeqCst);
    let slow = admin.clone();
    let slow = Helper::run(move || reload(&slow).status);
    eventually("it has begun", || begun.load(Ordering::SeqCst));
    assert_eq!(reload(&admin).status, 409);
    go_on.store(true, Ordering::SeqCst);
    assert_eq!(slow.join(), 422);
}

#[test]
fn what_a_program_does_not_offer_is_said_to_be_missing() {
    let server = hello();
    let admin = admin(Admin::new(), &server);
    let abilities = &value(&read(&admin, "/api/state"))["abilities"];
    assert_eq!((&abilities["reload"], &abilities["log_level"]), (&json!(false), &json!(false)));
    assert_eq!(read(&admin, "/api/config").status, 404);
    assert_eq!(tell(&admin, "POST", "/api/reload", &Value::Null).status, 404);
    let reply = tell(&admin, "PUT", "/api/log-level", &json!({"level": "info"}));
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(read(&admin, "/api/log-level").status, 200);
    assert_eq!(read(&admin, "/api/reload").header("allow"), Some("POST"));
    assert_eq!(read(&admin, "/else/where").status, 404);
}

#[test]
fn the_log_level_and_the_configuration_are_the_programs() {
    let server = hello();
    let levels = Arc::new(Mutex::new(Vec::new()));
    let set = levels.clone();
    let described = Admin::new().config(|| "listen = \"…\"\n".into()).on_log_level(move |level| {
        set.lock().unwrap().push(level.to_owned());
        if level == "trace" { Err("that is too much".into()) } else { Ok(()) }
    });
    let admin = admin(described, &server);
    let put = |level: &str| tell(&admin, "PUT", "/api/log-level", &json!({ "level": level }));
    assert_eq!(value(&put("DEBUG")), json!({"level": "debug"}));
    let (loud, much) = (put("loud"), put("trace"));
    assert_eq!((loud.status, much.status), (422, 422));
    assert_eq!(value(&much)["error"], "that is too much");
    assert_eq!(*levels.lock().unwrap(), ["debug", "trace"]);
    let config = read(&admin, "/api/config");
    assert_eq!((config.status, config.text()), (200, "listen = \"…\"\n"));
}
