//! Handlers in a lab, and what answers from outside of it.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use eproxy_core::testing::{Lab, Script};
use eproxy_core::{Proxy, ProxyRequest, Request, Response, Server, async_handler};

use crate::support::lab::seconds;
use crate::support::{get, post};

#[test]
fn a_handler_may_answer_from_another_thread_while_the_clock_stands_still() {
    let (give, take) = channel::<Response>();
    let answers = thread::spawn(move || {
        for (number, res) in take.into_iter().enumerate() {
            res.send(format!("answer {number}"));
        }
    });
    let lab = Lab::new();
    let give = Mutex::new(give);
    lab.serve(Server::builder().get("/", move |_: Request, res: Response| {
        give.lock().unwrap().send(res).unwrap();
    }));
    for number in 0..50 {
        assert_eq!(lab.get("/").text(), format!("answer {number}"));
    }
    assert_eq!(lab.now(), Duration::ZERO);
    drop(lab);
    answers.join().unwrap();
}

#[test]
fn a_handler_may_answer_from_an_async_task() {
    let lab = Lab::new();
    let handler = async_handler(|mut req: Request| async move {
        async_std::task::sleep(Duration::from_millis(5)).await;
        req.take_body().bytes(100).await.unwrap_or_default()
    });
    lab.serve(Server::builder().post("/", handler));
    assert_eq!(lab.ask(post("/", "hello")).text(), "hello");
    assert_eq!(lab.now(), Duration::ZERO);
}

#[test]
fn a_test_may_answer_itself() {
    let held = Arc::new(Mutex::new(None));
    let lab = Lab::new();
    let holds = held.clone();
    lab.serve(Server::builder().get("/", move |_: Request, res: Response| {
        *holds.lock().unwrap() = Some(res);
    }));
    let pending = lab.send(get("/"));
    lab.advance(seconds(3000));
    let res = held.lock().unwrap().take().expect("the handler was asked");
    res.status(201).send("at last");
    let reply = lab.wait(pending);
    assert_eq!((reply.status(), reply.text()), (201, "at last"));
}

#[test]
fn a_body_may_be_written_by_another_thread() {
    const PIECES: usize = 200;
    let lab = Lab::new();
    lab.serve(Server::builder().get("/", |_: Request, res: Response| {
        let mut writer = res.stream();
        thread::spawn(move || {
            async_std::task::block_on(async {
                for _ in 0..PIECES {
                    writer.send("x".repeat(1000)).await.expect("the client is there");
                }
                writer.finish();
            });
        });
    }));
    let reply = lab.get("/");
    assert_eq!((reply.body().len(), reply.is_whole()), (PIECES * 1000, true));
}

#[test]
fn a_client_that_left_while_its_handler_holds_the_response_holds_nobody_up() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let lab = Lab::new();
    let holds = held.clone();
    let hold = move |req: Request, res: Response| holds.lock().unwrap().push((req, res));
    let app = lab.upstream("http://app.test", Script::new().latency(seconds(1)).answer(200, "app"));
    let server = Server::builder().post("/hold", hold).at("/*path", Proxy::to("http://app.test"));
    lab.serve(server);
    let client = lab.connect();
    client.send(post("/hold", "abc"));
    client.close();
    lab.advance(seconds(3));
    assert_eq!(lab.stats().open, 0);
    // Nothing is to come from the handler: the clock moves by itself again.
    assert_eq!((lab.get("/").text(), app.requests()), ("app", 1));
    held.lock().unwrap().clear();
    assert_eq!(lab.get("/").text(), "app");
}

#[test]
fn a_hook_may_wait_for_something_outside() {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", Script::new().answer(200, "app"));
    let proxy = Proxy::to("http://app.test").on_request_async(async |request: &mut ProxyRequest| {
        async_std::task::sleep(Duration::from_millis(5)).await;
        request.headers_mut().insert("X-Hooked", "yes")
    });
    lab.serve(Server::builder().at("/*path", proxy));
    assert_eq!(lab.get("/").text(), "app");
    assert_eq!(app.last_request().header("X-Hooked"), Some("yes"));
}

#[test]
fn a_handler_that_panics_costs_its_request_and_not_the_test() {
    let lab = Lab::new();
    lab.serve(Server::builder().get("/", |_: Request, _: Response| panic!("as it is meant to")));
    assert_eq!((lab.get("/").status(), lab.get("/").status()), (500, 500));
}

#[test]
fn what_a_handler_keeps_of_an_exchange_that_is_over_holds_nobody_up() {
    let (requests, writers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let lab = Lab::new();
    lab.upstream("http://app.test", Script::new().latency(seconds(1)).answer(200, "app"));
    let (keeps, writes) = (requests.clone(), writers.clone());
    let server = Server::builder()
        .post("/keep", move |req: Request, res: Response| {
            keeps.lock().unwrap().push(req);
            res.send("kept");
        })
        .get("/write", move |_: Request, res: Response| writes.lock().unwrap().push(res.stream()))
        .at("/*path", Proxy::to("http://app.test"));
    lab.serve(server);
    let uploads = lab.connect();
    uploads.send("POST /keep HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nbegun");
    let listens = lab.connect();
    listens.send(get("/write"));
    lab.advance(seconds(1));
    drop((uploads, listens));
    lab.advance(seconds(10));
    assert_eq!(lab.stats().open, 0);
    assert_eq!(lab.get("/").text(), "app");
    assert_eq!((requests.lock().unwrap().len(), writers.lock().unwrap().len()), (1, 1));
}
