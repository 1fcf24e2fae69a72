//! What a proxy does about upstreams that take too long, and about clients that do: nobody waits for ever, and whoever is
//! not to blame is told.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use eproxy_core::{Proxy, Server, Timeouts, UpstreamOptions};

use crate::support::{Connection, Helper, PATIENCE, Running, eventually, get, pause, post, start};
use crate::upstream::{Upstream, echo, echoing, gate, serve, upstream};

const SHORT: Duration = Duration::from_millis(250);

/// So many milliseconds are well below [`SHORT`].
const MOMENT: u64 = 40;

fn with(upstream: &Upstream, change: impl FnOnce(&mut UpstreamOptions)) -> Running {
    let mut options = UpstreamOptions::default();
    change(&mut options);
    serve(Proxy::to(upstream.url()).upstream_options(options))
}

#[cfg(target_os = "linux")]
#[test]
fn an_upstream_that_does_not_take_the_connection_costs_504() {
    use socket2::{Domain, Socket, Type};
    // A listener that nobody accepts from, and whose queue is full.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let full: Vec<_> = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _begun = socket.connect(&address.into());
            socket
        })
        .collect();
    let options = UpstreamOptions { connect: SHORT, ..UpstreamOptions::default() };
    let server = serve(Proxy::to(format!("http://{address}")).upstream_options(options));
    let mut client = server.connect();
    for request in [get("/"), post("/", "body")] {
        let reply = client.ask(request);
        assert_eq!((reply.status, reply.text(), reply.says_close()), (504, "504 Gateway Timeout\n", false));
        assert_eq!(reply.header("proxy-status"), Some("eproxy; error=connection_timeout"));
    }
    assert_eq!(server.failures("connect_timeout"), 2);
    drop(full);
}

#[test]
fn an_upstream_that_does_not_answer_costs_504() {
    let upstream = upstream(|peer| {
        while let Some(seen) = peer.next() {
            match seen.target.as_str() {
                "/silent" => return drop(peer.rest()),
                "/half" => {
                    peer.say("HTTP/1.1 200 OK\r\nContent-Le");
                    return drop(peer.rest());
                }
                _ => peer.say(echo(&seen)),
            }
        }
    });
    // The whole head has its time, however much of it has come.
    let server = with(&upstream, |options| options.head = 2 * SHORT);
    let mut clients = [(); 4].map(|()| server.connect());
    let requests = [get("/silent"), post("/silent", "body"), get("/half"), post("/half", "body")];
    clients.iter_mut().zip(requests).for_each(|(client, request)| client.send(request));
    for client in &mut clients {
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (504, false));
        assert_eq!(reply.header("proxy-status"), Some("eproxy; error=http_response_timeout"));
    }
    assert_eq!(server.failures("upstream_head_timeout"), 4);
    // The same over a connection that was used before.
    let [client, ..] = &mut clients;
    assert_eq!(client.ask(get("/first")).text(), "/first");
    assert_eq!(client.ask(get("/silent")).status, 504);
    assert_eq!(client.ask(get("/next")).text(), "/next");
    assert_eq!((server.failures("upstream_head_timeout"), server.stats().retries), (5, 0));
}

#[test]
fn an_interim_answer_begins_the_time_anew() {
    let upstream = upstream(|peer| {
        while peer.next().is_some() {
            for _ in 0..8 {
                pause(MOMENT);
                peer.say("HTTP/1.1 102 Processing\r\n\r\n");
            }
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    // All in all it takes longer than that.
    let server = with(&upstream, |options| options.head = SHORT);
    let reply = server.ask(get("/"));
    assert_eq!((reply.text(), reply.interim.len()), ("ok", 8));
}

#[test]
fn the_upstreams_time_does_not_run_while_it_is_the_client_that_is_waited_for() {
    let upstream = echoing();
    let server = with(&upstream, |options| options.head = SHORT);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\n");
    for _ in 0..8 {
        pause(MOMENT);
        client.send("x");
    }
    assert_eq!(client.reply().text(), "xxxxxxxx");
}

#[test]
fn an_upstream_that_pauses_inside_its_answer_is_given_up_and_the_client_can_tell() {
    let upstream = upstream(|peer| {
        let seen = peer.request();
        match seen.target.as_str() {
            "/length" => peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
            "/chunked" => peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            _ => peer.say("HTTP/1.1 200 OK\r\n\r\nhello"),
        }
        peer.rest();
    });
    let server = with(&upstream, |options| options.body_idle = SHORT);
    for (number, target) in ["/length", "/chunked", "/end"].into_iter().enumerate() {
        let mut client = server.connect();
        client.send(get(target));
        let reply = client.next(false).unwrap();
        assert_eq!((reply.status, reply.text(), reply.is_whole), (200, "hello", false), "{target}");
        assert_eq!(server.failures("upstream_body_timeout"), number as u64 + 1);
    }
    eventually("no connection to the upstream is left", || upstream.open() == 0);
}

#[test]
fn an_answer_that_comes_little_by_little_is_in_time() {
    let upstream = upstream(|peer| {
        while peer.next().is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
            for _ in 0..8 {
                pause(MOMENT);
                peer.say("x");
            }
        }
    });
    let server = serve(Proxy::to(upstream.url()).timeout(SHORT));
    assert_eq!(server.ask(get("/")).text(), "xxxxxxxx");
}

#[test]
fn one_option_limits_both_the_head_and_the_body() {
    let upstream = upstream(|peer| {
        let seen = peer.request();
        if seen.target == "/body" {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        }
        peer.rest();
    });
    let server = serve(Proxy::to(upstream.url()).timeout(SHORT));
    assert_eq!(server.ask(get("/head")).status, 504);
    let mut client = server.connect();
    client.send(get("/body"));
    assert!(!client.next(false).unwrap().is_whole);
    assert_eq!((server.failures("upstream_head_timeout"), server.failures("upstream_body_timeout")), (1, 1));
}

#[test]
fn an_upstream_that_stops_taking_the_request_costs_504() {
    let (open, gate) = gate();
    let upstream = upstream(move |peer| {
        peer.head();
        gate.wait();
    });
    let server = with(&upstream, |options| options.write_idle = SHORT);
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut client = Connection::over(stream.try_clone().unwrap());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n");
    // More than all the buffers on the way hold.
    let sender = Helper::run(move || {
        let mut stream = stream;
        while stream.write_all(&[b'x'; 64 * 1024]).is_ok() {}
    });
    let reply = client.reply();
    assert_eq!((reply.status, reply.says_close()), (504, true));
    assert_eq!(reply.header("proxy-status"), Some("eproxy; error=connection_write_timeout"));
    assert_eq!(server.failures("upstream_write_timeout"), 1);
    open.send(()).unwrap();
    sender.join();
}

fn patient_with_clients(upstream: &Upstream, timeouts: Timeouts) -> Running {
    start(Server::builder().workers(1).timeouts(timeouts).at("/*path", Proxy::to(upstream.url())))
}

#[test]
fn a_client_that_stops_sending_is_given_up_and_the_upstream_never_sees_the_whole() {
    let upstream = echoing();
    let server = patient_with_clients(&upstream, Timeouts { body_idle: SHORT, ..Timeouts::default() });
    let starts = [
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ];
    for (number, start) in starts.into_iter().enumerate() {
        let mut client = server.connect();
        client.send(start);
        let reply = client.reply();
        assert_eq!((reply.status, reply.says_close()), (408, true));
        client.is_closed();
        assert_eq!(server.failures("body_timeout"), number as u64 + 1);
        eventually("the upstream is told", || upstream.open() == 0);
    }
    assert!(upstream.seen().iter().all(|seen| !seen.is_whole && seen.body == b"hello"));
}

#[test]
fn a_client_that_stops_taking_the_answer_is_given_up_and_the_upstream_is_told() {
    let upstream = upstream(|peer| {
        peer.request();
        peer.say("HTTP/1.1 200 OK\r\n\r\n");
        while peer.try_say([b'x'; 64 * 1024]) {}
    });
    let server = patient_with_clients(&upstream, Timeouts { write_idle: SHORT, ..Timeouts::default() });
    let mut client = server.connect();
    client.send(get("/"));
    eventually("the upstream is told", || upstream.accepted() == 1 && upstream.open() == 0);
    assert_eq!(server.failures("downstream_gone"), 1);
    drop(client);
}

#[test]
fn a_tunnel_that_carries_nothing_is_closed_and_one_that_does_is_not() {
    let upstream = upstream(|peer| {
        peer.request();
        peer.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
        for _ in 0..8 {
            pause(MOMENT);
            peer.say("x");
        }
        assert_eq!(peer.rest(), b"");
    });
    // The other limits are not those of a tunnel.
    let timeouts = Timeouts {
        head: SHORT / 2,
        keep_alive: SHORT / 2,
        body_idle: SHORT / 2,
        tunnel_idle: SHORT,
        ..Timeouts::default()
    };
    let server = patient_with_clients(&upstream, timeouts);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n");
    assert_eq!(client.reply().status, 101);
    assert_eq!(client.rest(), b"xxxxxxxx");
    eventually("the upstream is told", || upstream.open() == 0);
}
