//! Hooks that wait for something: whoever does not ask for it does not wait with them.

use std::time::Duration;

use async_std::channel::{Receiver, Sender, bounded};
use async_std::task;
use eproxy_core::{Answer, Done, Proxy, ProxyRequest, ProxyResponse, UpstreamRequest};

use crate::support::notes::Notes;
use crate::support::server::nobody;
use crate::support::{Running, eventually, get, post};
use crate::upstream::{Upstream, echoing, serve};

/// Where a hook waits for the test, if it is asked for something below `/wait`.
#[derive(Clone)]
struct Door(Receiver<()>, Notes);

fn door() -> (Sender<()>, Door, Notes) {
    let (open, opened) = bounded(10);
    let notes = Notes::default();
    (open, Door(opened, notes.clone()), notes)
}

impl Door {
    async fn pass(&self, target: &str) {
        if target.starts_with("/wait") {
            self.1.add(target);
            self.0.recv().await.expect("the test opens it");
        }
    }
}

/// What makes a proxy wait at a door at one moment of an exchange.
type Hook = fn(Proxy, Door) -> Proxy;

/// One for each of the four moments.
const HOOKS: [(&str, Hook); 4] = [
    ("on_request", |proxy, door| {
        proxy.on_request_async(async move |req: &mut ProxyRequest| {
            door.pass(req.target()).await;
            req.headers_mut().insert("X-Waited", "1")
        })
    }),
    ("on_upstream_request", |proxy, door| {
        proxy.on_upstream_request_async(async move |req: &mut UpstreamRequest| {
            door.pass(req.request().target()).await;
            req.headers_mut().insert("X-Waited", "1")
        })
    }),
    ("on_response", |proxy, door| {
        proxy.on_response_async(async move |res: &mut ProxyResponse| {
            door.pass(res.request().target()).await;
            res.headers_mut().insert("X-Waited", "1")
        })
    }),
    ("on_done", |proxy, door| {
        proxy.on_done_async(async move |done: &mut Done| door.pass(done.request().target()).await)
    }),
];

/// A server of one worker whose hooks wait at that moment.
fn waiting(hook: Hook) -> (Running, Upstream, Sender<()>, Notes) {
    let (open, door, notes) = door();
    let upstream = echoing();
    (serve(hook(Proxy::to(upstream.url()), door)), upstream, open, notes)
}

#[test]
fn a_hook_that_waits_holds_up_its_own_exchange_only() {
    for (name, hook) in HOOKS {
        let (server, upstream, open, notes) = waiting(hook);
        let (mut first, mut second) = (server.connect(), server.connect());
        first.send(post("/wait", "body"));
        assert_eq!(notes.wait(1), ["/wait"], "{name}");
        assert_eq!(upstream.count(), usize::from(matches!(name, "on_response" | "on_done")), "{name}");
        for target in ["/a", "/b"] {
            assert_eq!(second.ask(get(target)).text(), target, "{name}");
        }
        if name == "on_done" {
            // The answer need not wait for what happens behind it; the next request has to.
            assert_eq!(first.reply().text(), "body");
            first.send(get("/c"));
        }
        first.hears_nothing_for(20);
        open.try_send(()).unwrap();
        let reply = first.reply();
        match name {
            "on_done" => assert_eq!(reply.text(), "/c"),
            "on_response" => assert_eq!((reply.text(), reply.header("x-waited")), ("body", Some("1"))),
            _ => {
                let waited = upstream.last().values("x-waited");
                assert_eq!((reply.text(), waited), ("body", vec!["1".to_owned()]), "{name}");
            }
        }
        // And everything is as before.
        assert_eq!(first.ask(get("/d")).text(), "/d", "{name}");
    }
}

#[test]
fn answers_to_earlier_requests_do_not_wait_for_a_hook() {
    for (name, hook) in HOOKS {
        let (server, _upstream, open, notes) = waiting(hook);
        let mut client = server.connect();
        client.send([get("/a"), get("/wait"), get("/b")].concat());
        assert_eq!(client.reply().text(), "/a", "{name}");
        assert_eq!(notes.wait(1), ["/wait"], "{name}");
        open.try_send(()).unwrap();
        assert_eq!([client.reply().text(), client.reply().text()], ["/wait", "/b"], "{name}");
    }
}

#[test]
fn a_client_has_its_answer_before_what_follows_it_whoever_made_it() {
    let (open, door, notes) = door();
    let proxy = Proxy::to(nobody())
        .on_request(|req: &mut ProxyRequest| (req.path() == "/wait/no").then(|| Answer::new(403)))
        .on_done_async(async move |done: &mut Done| {
            door.pass(done.request().target()).await;
            door.1.add(format!("{} was {:?}", done.request().target(), done.status()));
        });
    let server = serve(proxy);
    let mut client = server.connect();
    for (target, status) in [("/wait/no", 403), ("/wait/gone", 502)] {
        assert_eq!(client.ask(get(target)).status, status);
        assert_eq!(notes.wait(1), [target]);
        client.send(get(target));
        client.hears_nothing_for(20);
        open.try_send(()).unwrap();
        assert_eq!(client.reply().status, status);
        open.try_send(()).unwrap();
        let end = format!("{target} was Some({status})");
        assert_eq!(notes.wait(3), [end.clone(), target.to_owned(), end]);
    }
}

#[test]
fn a_client_that_leaves_meanwhile_leaves_nothing_behind() {
    for (name, hook) in HOOKS {
        let (open, door, notes) = door();
        let (upstream, ended) = (echoing(), Notes::default());
        let end = ended.clone();
        let server = serve(
            hook(Proxy::to(upstream.url()), door)
                .on_done(move |done: &mut Done| end.add(format!("{} over", done.request().target()))),
        );
        let mut client = server.connect();
        client.send(get("/wait"));
        assert_eq!(notes.wait(1), ["/wait"], "{name}");
        client.reset_on_drop();
        drop(client);
        // The hook is left its time: what it has begun is not cut off.
        assert_eq!(server.ask(get("/a")).text(), "/a", "{name}");
        assert_eq!(ended.wait(1), ["/a over"], "{name}");
        open.try_send(()).unwrap();
        assert_eq!(ended.wait(1), ["/wait over"], "{name}");
        eventually("nothing is left", || server.stats().open == 0);
    }
}

#[test]
fn a_timer_is_as_good_as_anything_to_wait_for() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).on_request_async(async |req: &mut ProxyRequest| {
        task::sleep(Duration::from_millis(50)).await;
        (req.path() == "/no").then(|| Answer::new(403))
    }));
    let mut client = server.connect();
    for (target, status) in [("/a", 200), ("/no", 403), ("/b", 200)] {
        assert_eq!(client.ask(get(target)).status, status);
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn hooks_that_wait_and_hooks_that_do_not_keep_their_order() {
    let (upstream, notes) = (echoing(), Notes::default());
    let [first, second, third] = [0; 3].map(|_| notes.clone());
    let server = serve(
        Proxy::to(upstream.url())
            .on_request(move |_: &mut ProxyRequest| first.add("first"))
            .on_request_async(async move |_: &mut ProxyRequest| {
                task::sleep(Duration::from_millis(10)).await;
                second.add("second");
            })
            .on_request(move |_: &mut ProxyRequest| third.add("third")),
    );
    assert_eq!(server.ask(get("/")).status, 200);
    assert_eq!(notes.take(), ["first", "second", "third"]);
}

#[test]
fn a_server_ends_though_a_hook_still_waits() {
    for (name, hook) in HOOKS {
        let (server, _upstream, _open, notes) = waiting(hook);
        let mut client = server.connect();
        client.send(get("/wait"));
        assert_eq!(notes.wait(1), ["/wait"], "{name}");
        // Dropping it asserts that it comes to its end.
        drop(server);
        if name != "on_done" {
            client.is_closed();
        }
    }
}

/// Panics where it is asked to.
fn maybe(target: &str) {
    assert!(!target.starts_with("/bad"), "as it is meant to be");
}

#[test]
fn a_hook_that_panics_costs_its_request_a_500_and_nothing_else() {
    type Hook = fn(Proxy) -> Proxy;
    let hooks: [(&str, Hook); 6] = [
        ("on_request", |proxy| proxy.on_request(|req: &mut ProxyRequest| maybe(req.target()))),
        ("on_request_async", |proxy| {
            proxy.on_request_async(async |req: &mut ProxyRequest| {
                task::yield_now().await;
                maybe(req.target());
            })
        }),
        ("on_upstream_request", |proxy| {
            proxy.on_upstream_request(|req: &mut UpstreamRequest| maybe(req.request().target()))
        }),
        ("on_upstream_request_async", |proxy| {
            proxy.on_upstream_request_async(async |req: &mut UpstreamRequest| {
                task::yield_now().await;
                maybe(req.request().target());
            })
        }),
        ("on_response", |proxy| proxy.on_response(|res: &mut ProxyResponse| maybe(res.request().target()))),
        ("on_response_async", |proxy| {
            proxy.on_response_async(async |res: &mut ProxyResponse| {
                task::yield_now().await;
                maybe(res.request().target());
            })
        }),
    ];
    for (name, hook) in hooks {
        let upstream = echoing();
        let server = serve(hook(Proxy::to(upstream.url())));
        let mut client = server.connect();
        for round in 1..=2 {
            for request in [get("/bad"), post("/bad", "body")] {
                let reply = client.ask(request);
                assert_eq!((reply.status, reply.says_close()), (500, false), "{name}");
            }
            assert_eq!(client.ask(get("/good")).text(), "/good", "{name}");
            assert_eq!(server.failures("hook_failed"), 2 * round, "{name}");
        }
        let failed = if name.starts_with("on_response") { 4 } else { 0 };
        assert_eq!(upstream.count(), 2 + failed, "{name}");
    }
}

#[test]
fn a_panic_behind_the_answer_is_counted_and_the_connection_goes_on() {
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()).on_done_async(async |done: &mut Done| {
        task::yield_now().await;
        maybe(done.request().target());
    }));
    let mut client = server.connect();
    for target in ["/bad", "/good", "/bad"] {
        assert_eq!(client.ask(get(target)).text(), target);
    }
    eventually("both were counted", || server.failures("hook_failed") == 2);
}
