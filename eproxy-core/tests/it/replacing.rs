//! Another description takes the place of a running server's, and nothing is lost by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use async_std::task::block_on;
use eproxy_core::{Balance, Builder, Forward, Group, Limits, Proxy, Request, Response, Result, Server};

use crate::support::{Connection, Running, crlf, eventually, get, start};
use crate::upstream::{Upstream, gate, upstream};

/// An upstream that answers every request with its name, over connections that stay.
fn named(name: &'static str) -> Upstream {
    upstream(move |peer| {
        while peer.next().is_some() {
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()));
        }
    })
}

fn saying(text: &'static str) -> Builder {
    Server::builder().get("/", move |_: Request, res: Response| res.send(text))
}

/// Puts another description in the place of a server's, at the same addresses.
fn replace(server: &Running, builder: Builder) -> Result<()> {
    let listeners: Vec<_> = server.handle().listeners().collect();
    let builder = listeners.into_iter().fold(builder, Builder::bind);
    block_on(server.handle().replace(builder))
}

#[test]
fn a_connection_that_stays_is_routed_anew() {
    let server = start(saying("old"));
    let mut client = server.connect();
    assert_eq!(client.ask(get("/")).text(), "old");
    replace(&server, saying("new")).unwrap();
    assert_eq!(client.ask(get("/")).text(), "new");
    assert_eq!(server.ask(get("/")).text(), "new");
    assert_eq!(server.stats().accepted, 2);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let server = start(saying("old"));
    let bad = [
        saying("new").get("no slash", |_: Request, res: Response| res.send("")),
        saying("new").at("/x", Proxy::to("ftp://a")),
        saying("new").limits(Limits { head: 1, ..Limits::default() }),
        saying("new").trusted_proxies(["nobody"]),
        saying("new").bind("not an address"),
        // Somebody else listens there.
        saying("new").bind(start(saying("other")).address().to_string()).bind("127.0.0.1:99999"),
    ];
    for builder in bad {
        replace(&server, builder).unwrap_err();
        assert_eq!(server.ask(get("/")).text(), "old");
        assert_eq!(server.handle().addresses().len(), 1);
    }
    let nowhere = block_on(server.handle().replace(saying("new"))).unwrap_err();
    assert_eq!(nowhere.name(), "bad_address");
}

#[test]
fn a_request_that_is_under_way_goes_on_as_it_began() {
    let (go_on, waits) = gate();
    let upstream = upstream(move |peer| {
        peer.head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        waits.wait();
        peer.say(" done");
    });
    let server = start(Server::builder().at("/*path", Proxy::to(upstream.url())));
    let mut client = server.connect();
    client.send(get("/"));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.raw(4), b"half");
    replace(&server, saying("new")).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(client.raw(5), b" done");
    assert_eq!(client.ask(get("/")).text(), "new");
}

#[test]
fn a_group_that_stays_keeps_its_connections_and_what_is_known_of_it() {
    let upstream = named("a");
    let group = Group::from(upstream.url()).balance(Balance::RoundRobin);
    let serving = || Server::builder().workers(1).at("/*path", Proxy::to(group.clone()));
    let server = start(serving());
    for round in 1..=20 {
        assert_eq!(server.ask(get("/")).text(), "a");
        replace(&server, serving()).unwrap();
        assert_eq!(group.snapshot().endpoints[0].answers, round);
    }
    assert_eq!(upstream.accepted(), 1, "one connection for all of them");
    // One that has gone gives its connections back.
    replace(&server, saying("none")).unwrap();
    eventually("the connection is closed", || upstream.open() == 0);
}

#[test]
fn tunnels_outlive_what_they_came_through() {
    let parrot = upstream(|peer| {
        while let Some(bytes) = peer.some() {
            peer.say(bytes);
        }
    });
    let forward = Forward::new().allow("127.0.0.0/8").connect_ports([parrot.address().port()]);
    let server = start(Server::builder().forward(forward));
    let mut client = server.connect();
    client.send(crlf(&format!("CONNECT {0} HTTP/1.1\nHost: {0}\n\n", parrot.address())));
    assert_eq!(client.head().unwrap().status, 200);
    for round in 0..10 {
        replace(&server, saying("new")).unwrap();
        let message = format!("round {round}");
        client.send(&message);
        assert_eq!(client.raw(message.len()), message.as_bytes());
    }
    assert_eq!(server.ask(get("/")).text(), "new");
}

#[test]
fn listeners_come_and_go_and_those_that_stay_keep_their_socket() {
    let server = start(saying("old"));
    let first = server.address();
    let mut client = server.connect();
    assert_eq!(client.ask(get("/")).text(), "old");
    replace(&server, saying("new").bind("127.0.0.1:0")).unwrap();
    let [second, stays] = *server.handle().addresses() else { panic!("two listeners") };
    assert_eq!(stays, first);
    assert_eq!(Connection::to(second).ask(get("/")).text(), "new");
    assert_eq!(Connection::to(first).ask(get("/")).text(), "new");
    block_on(server.handle().replace(saying("last").bind(second.to_string()))).unwrap();
    assert_eq!(*server.handle().addresses(), [second]);
    assert_eq!(Connection::to(second).ask(get("/")).text(), "last");
    eventually("nobody listens there", || std::net::TcpStream::connect(first).is_err());
    // A connection that came through it is served all the same.
    assert_eq!(client.ask(get("/")).text(), "last");
}

#[test]
fn nothing_fails_while_it_is_replaced_again_and_again() {
    let (one, other) = (named("one"), named("two"));
    let kept = Group::from(one.url());
    let serving = |round: usize| {
        let mut builder = Server::builder().at("/kept/*path", Proxy::to(kept.clone()));
        builder = builder.at("/other/*path", Proxy::to(other.url()));
        builder.at(format!("/round{round}"), |_: Request, res: Response| res.send("round"))
    };
    let server = start(serving(0));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (stop, address) = (stop.clone(), server.address());
            thread::spawn(move || {
                let (path, want) = [("/kept/x", "one"), ("/other/x", "two")][number % 2];
                let mut client = Connection::to(address);
                let mut asked = 0;
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.ask(get(path)).text(), want);
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for round in 1..=200 {
        replace(&server, serving(round)).unwrap();
    }
    assert_eq!(server.ask(get("/round200")).text(), "round");
    assert_eq!(server.ask(get("/round199")).status, 404);
    stop.store(true, Ordering::Relaxed);
    assert!(clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>() > 0);
}

#[test]
fn a_server_that_has_ended_opens_nothing_any_more() {
    let server = start(saying("old"));
    block_on(server.handle().shutdown(std::time::Duration::from_secs(10)));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = replace(&server, saying("new").bind(free.to_string())).unwrap_err();
    assert!(error.to_string().contains("draining"), "{error}");
    // Nobody would ever answer there.
    assert!(std::net::TcpStream::connect(free).is_err());
}
