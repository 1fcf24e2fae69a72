//! What requests are known by: upstreams, clients, handlers and hooks are told the same.

use eproxy_core::testing::{Lab, Reply, Script, Upstream};
use eproxy_core::{Builder, Proxy, ProxyRequest, Request, RequestIds, Response, Result, Server, Traces};

use crate::support::http2::Http2;
use crate::support::{get, start};
use crate::upstream::{echoing, upstream};

fn lab(builder: Builder, proxy: Proxy) -> (Lab, Upstream) {
    let lab = Lab::new();
    let app = lab.upstream("http://app.test", Script::new().answer(200, "hello"));
    lab.serve(
        builder
            .at("/app/*path", proxy)
            .get("/id", |req: Request, res: Response| {
                res.send(req.headers().get_str("x-request-id").unwrap_or("").to_owned())
            })
            .get("/own", |_: Request, res: Response| res.header("X-Request-Id", "the handler's").send("")),
    );
    (lab, app)
}

fn app() -> Proxy {
    Proxy::to("http://app.test")
}

fn with_id(target: &str, id: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\nX-Request-Id: {id}\r\n\r\n")
}

fn id(reply: &Reply) -> String {
    reply.header("x-request-id").expect("the client is told").to_owned()
}

fn is_made_here(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn upstreams_and_clients_are_told_the_same_once() {
    let (lab, upstream) = lab(Server::builder().request_ids(RequestIds::new()), app());
    let (first, second) = (lab.get("/app/1"), lab.get("/app/2"));
    assert!(is_made_here(&id(&first)) && id(&first) != id(&second));
    for (seen, reply) in upstream.seen().iter().zip([&first, &second]) {
        assert_eq!(seen.headers().get_all("x-request-id").count(), 1);
        assert_eq!(seen.header("x-request-id"), Some(id(reply).as_str()));
    }
}

#[test]
fn handlers_see_it_and_their_own_stays() {
    let (lab, _upstream) = lab(Server::builder().request_ids(RequestIds::new()), app());
    let reply = lab.get("/id");
    assert!(is_made_here(reply.text()) && id(&reply) == reply.text());
    assert_eq!(id(&lab.get("/own")), "the handler's");
    for (target, status) in [("/missing", 404), ("/id", 405)] {
        let reply = lab.ask(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(reply.status(), status);
        assert!(is_made_here(&id(&reply)));
    }
}

#[test]
fn only_trusted_clients_give_their_own() {
    for (builder, is_kept) in [
        (Server::builder().request_ids(RequestIds::new()), false),
        (Server::builder().request_ids(RequestIds::new()).trusted_proxies(["192.0.2.0/24"]), true),
        (Server::builder().request_ids(RequestIds::new().keep_from_anybody()), true),
    ] {
        let (lab, upstream) = lab(builder, app());
        let reply = lab.ask(with_id("/app/x", "given-1"));
        assert_eq!(id(&reply) == "given-1", is_kept);
        assert_eq!(upstream.last_request().header("x-request-id"), Some(id(&reply).as_str()));
        assert_eq!(lab.ask(with_id("/id", "given-2")).text() == "given-2", is_kept);
    }
}

#[test]
fn what_is_no_identifier_is_replaced_whoever_says_it() {
    let (lab, upstream) = lab(Server::builder().request_ids(RequestIds::new().keep_from_anybody()), app());
    let long = "x".repeat(129);
    for given in ["", "a b", "caf\u{e9}", &long, "a\r\nX-Request-Id: b"] {
        let reply = lab.ask(with_id("/app/x", given));
        assert!(is_made_here(&id(&reply)), "{given:?}: {}", id(&reply));
        assert_eq!(upstream.last_request().headers().get_all("x-request-id").count(), 1);
    }
}

#[test]
fn the_field_can_have_another_name_and_then_this_one_means_nothing() {
    let ids = RequestIds::new().header("X-Correlation-Id").keep_from_anybody();
    let (lab, upstream) = lab(Server::builder().request_ids(ids), app());
    let reply =
        lab.ask("GET /app/x HTTP/1.1\r\nHost: x\r\nx-correlation-id: mine\r\nX-Request-Id: other\r\n\r\n");
    assert_eq!(reply.header("X-Correlation-Id"), Some("mine"));
    let seen = upstream.last_request();
    assert_eq!((seen.header("x-correlation-id"), seen.header("x-request-id")), (Some("mine"), Some("other")));
}

#[test]
fn without_them_the_field_passes_as_it_came() {
    let (lab, upstream) = lab(Server::builder(), app());
    let reply = lab.ask(with_id("/app/x", "given"));
    assert_eq!(upstream.last_request().header("x-request-id"), Some("given"));
    assert_eq!(reply.header("x-request-id"), None);
}

#[test]
fn what_an_upstream_says_of_it_is_replaced() {
    let (lab, upstream) = lab(Server::builder().request_ids(RequestIds::new()), app());
    upstream.set(Script::new().send("HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 0\r\n\r\n"));
    let reply = lab.get("/app/x");
    assert_eq!(reply.headers().get_all("x-request-id").count(), 1);
    assert!(is_made_here(&id(&reply)));
}

#[test]
fn hooks_see_it() {
    let hooked = app().on_request(|req: &mut ProxyRequest| -> Result<()> {
        let id = req.headers().get_str("x-request-id").unwrap_or("none").to_owned();
        req.headers_mut().insert("X-Seen", id)?;
        Ok(())
    });
    let (lab, upstream) = lab(Server::builder().request_ids(RequestIds::new()), hooked);
    let reply = lab.get("/app/x");
    let seen = upstream.last_request();
    assert_eq!(seen.header("x-seen"), Some(id(&reply).as_str()));
    assert_eq!(seen.headers().get_all("x-request-id").count(), 1);
}

#[test]
fn a_rule_for_the_field_has_the_last_word() {
    let rules = || {
        app()
            .request_header("X-Request-Id", "the rule's")
            .remove_response_header("x-request-id")
            .remove_request_header("traceparent")
    };
    let builder =
        || Server::builder().request_ids(RequestIds::new()).traces(Traces::to("http://127.0.0.1:9"));
    let hook = |req: &mut ProxyRequest| -> Result<()> { req.headers_mut().insert("X-Hooked", "1") };
    for proxy in [rules(), rules().on_request(hook)] {
        let (lab, upstream) = lab(builder(), proxy);
        let reply = lab.get("/app/x");
        let seen = upstream.last_request();
        assert_eq!(seen.headers().get_all("x-request-id").collect::<Vec<_>>(), [b"the rule's"]);
        assert_eq!((seen.header("traceparent"), reply.header("x-request-id")), (None, None));
    }
}

#[test]
fn every_attempt_has_the_same_and_so_has_an_answer_that_is_made_here() {
    let (lab, upstream) = lab(Server::builder().request_ids(RequestIds::new()), app());
    upstream.set(Script::new().answer(200, ""));
    lab.get("/app/x");
    upstream.set(Script::new().close());
    let reply = lab.get("/app/x");
    assert_eq!(reply.status(), 502);
    let seen: Vec<_> =
        upstream.seen().iter().skip(1).map(|seen| seen.header("x-request-id").map(str::to_owned)).collect();
    assert!(seen.len() > 1 && seen.iter().all(|seen| *seen == Some(id(&reply))), "{seen:?}");
}

#[test]
fn streams_of_http2_have_one_each() {
    let app = echoing();
    let server = start(
        Server::builder()
            .request_ids(RequestIds::new().keep_from_anybody())
            .at("/app/*path", Proxy::to(app.url()))
            .get("/hello", |_: Request, res: Response| res.send("x")),
    );
    let client = Http2::to(server.address());
    let (one, other) = (client.get("/app/1"), client.get("/hello"));
    let ids = [one.field("x-request-id"), other.field("x-request-id")];
    assert!(ids.iter().all(|id| is_made_here(id.expect("it is told"))) && ids[0] != ids[1]);
    assert_eq!(app.last().values("x-request-id"), [ids[0].unwrap()]);
    let mut request = client.request("GET", "/app/2");
    request.headers_mut().insert("x-request-id", "mine".parse().unwrap());
    let answer = client.begin_request(request, true).whole();
    assert_eq!(answer.field("x-request-id"), Some("mine"));
}

#[test]
fn bodies_that_come_later_change_nothing_of_it() {
    let app = upstream(|peer| {
        while let Some(seen) = peer.next() {
            let id = seen.values("x-request-id").remove(0);
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.say(format!("{:x}\r\n{id}\r\n0\r\n\r\n", id.len()));
        }
    });
    let server = start(Server::builder().request_ids(RequestIds::new()).at("/*path", Proxy::to(app.url())));
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        crate::support::pause(20);
        client.send("0\r\n\r\n");
        let reply = client.reply();
        assert_eq!(reply.header("x-request-id"), Some(reply.text()));
        let reply = client.ask(get("/"));
        assert_eq!(reply.header("x-request-id"), Some(reply.text()));
    }
}

#[test]
fn what_can_not_be_understood_is_known_by_a_new_one() {
    let logged = crate::support::logged::Logged::new();
    let server = start(Server::builder().request_ids(RequestIds::new()).access_log(logged.log()));
    let reply = server.ask("nonsense\r\nX-Request-Id: mine\r\n\r\n");
    let line = logged.line();
    let id = line["request_id"].as_str().unwrap();
    assert_eq!((reply.status, id.len()), (400, 32), "{line}");
    assert_eq!(reply.header("x-request-id"), Some(id));
}
