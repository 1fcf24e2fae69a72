//! The state as server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Admin, Group, Request, Response, Server};
use serde_json::Value;

use crate::support::{PATIENCE, Running, eventually, get, start};

/// A server, and an admin listener that shows it.
fn pair() -> (Running, Running) {
    let server = start(Server::builder().workers(1).get("/", |_: Request, res: Response| res.send("hello")));
    let admin = Admin::new().bind("127.0.0.1:0").groups([("web", Group::from("http://127.0.0.1:1"))]);
    let admin = Running::of(admin.start(server.handle()).expect("it starts"));
    (admin, server)
}

/// Somebody who listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(admin: &Running) -> Self {
        let mut stream = TcpStream::connect(admin.address()).expect("it takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        Self(BufReader::new(stream))
    }

    /// The next line, without what frames chunks; nothing at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).expect("lines come") {
            0 => None,
            _ => Some(line.trim_end().to_owned()),
        }
    }

    /// The state of the next event; nothing at the end.
    fn event(&mut self) -> Option<Value> {
        loop {
            if let Some(data) = self.line()?.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).expect("it is JSON, in one line"));
            }
        }
    }

    fn status(&mut self) -> u16 {
        self.line().and_then(|line| line.get(9..12)?.parse().ok()).expect("a status line")
    }
}

#[test]
fn events_begin_with_all_of_the_state_and_go_on_with_what_is_new() {
    let (admin, server) = pair();
    let mut listener = Listener::new(&admin);
    assert_eq!(listener.status(), 200);
    let head: Vec<_> = std::iter::from_fn(|| listener.line()).take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|field| field == "Content-Type: text/event-stream; charset=utf-8"), "{head:?}");
    let first = listener.event().expect("it is told");
    assert!(first["failures"].is_array() && first["groups"][0]["endpoints"][0]["trend"].is_array());
    assert_eq!(first["totals"]["requests"], 0);

    server.ask(get("/"));
    assert_eq!(server.ask("GET / HTTP/1.1\r\nbad field: x\r\n\r\n").status, 400);
    let told = (0..10).map(|_| listener.event().expect("it goes on"));
    let told = told.take_while(|event| event["failures"].is_null() || event["totals"]["requests"] == 0);
    let told = told.count();
    assert!(told < 10, "the failure is told");
    let next = listener.event().expect("it goes on");
    assert_eq!(next["totals"]["requests"], 1);
    assert!(next["groups"][0]["endpoints"][0].get("trend").is_none());
    let rows = next["history"]["rows"].as_array().expect("rows");
    let columns = next["history"]["columns"].as_array().expect("columns");
    assert!(!rows.is_empty() && rows.len() <= 3, "{rows:?}");
    assert!(rows.iter().all(|row| row.as_array().is_some_and(|row| row.len() == columns.len())));
}

#[test]
fn so_many_may_listen_and_whoever_goes_makes_room() {
    let (admin, _server) = pair();
    let mut listeners: Vec<_> = (0..16).map(|_| Listener::new(&admin)).collect();
    assert!(listeners.iter_mut().all(|listener| listener.status() == 200));
    let mut refused = Listener::new(&admin);
    assert_eq!(refused.status(), 503);
    let rest: Vec<_> = std::iter::from_fn(|| refused.line()).take_while(|line| !line.is_empty()).collect();
    assert!(rest.iter().any(|field| field == "Retry-After: 5"), "{rest:?}");
    drop((listeners.pop(), refused));
    eventually("there is room again", || Listener::new(&admin).status() == 200);
}

#[test]
fn a_head_has_the_fields_of_the_stream_and_takes_no_place_in_it() {
    let (admin, _server) = pair();
    let mut client = admin.connect();
    for _ in 0..20 {
        client.send("HEAD /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reply = client.reply_to_head();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
        assert_eq!(reply.header("content-length"), None);
    }
    assert_eq!(Listener::new(&admin).status(), 200);
}

#[test]
fn events_end_in_good_order_with_the_listener() {
    let (admin, _server) = pair();
    let mut listener = Listener::new(&admin);
    assert!(listener.event().is_some());
    let end = task::block_on(admin.handle().shutdown(Duration::from_secs(10)));
    assert_eq!(end, eproxy_core::Shutdown::Clean);
    while let Some(event) = listener.event() {
        assert!(event["at"].is_number());
    }
}

#[test]
fn nothing_is_left_of_a_listener_that_has_ended() {
    let server = start(Server::builder().workers(1).get("/", |_: Request, res: Response| res.send("hello")));
    let held = Arc::new(());
    let gone = Arc::downgrade(&held);
    let admin = Admin::new().bind("127.0.0.1:0").config(move || format!("{held:?}"));
    let admin = Running::of(admin.start(server.handle()).expect("it starts"));
    let mut listener = Listener::new(&admin);
    assert!(listener.event().is_some());
    task::block_on(admin.handle().shutdown(Duration::from_secs(10)));
    drop((listener, admin));
    eventually("what it was made from is let go while the server runs", || gone.upgrade().is_none());
    assert_eq!(server.ask(get("/")).text(), "hello");
}
