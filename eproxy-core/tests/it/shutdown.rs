//! How servers begin and end.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use async_std::task;
use eproxy_core::{Limits, Request, Response, Server, Shutdown, Timeouts};

use crate::support::{Connection, Helper, PATIENCE, Running, eventually, get, start};

/// Servers that do not wait for what may still come on idle connections.
fn hello(name: &'static str) -> Running {
    let timeouts = Timeouts { drain_idle: Duration::ZERO, ..Timeouts::default() };
    start(
        Server::builder()
            .timeouts(timeouts)
            .workers(2)
            .get("/", move |_: Request, res: Response| res.send(name)),
    )
}

fn refuses_connections(address: std::net::SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&address, PATIENCE).is_err()
}

#[test]
fn what_runs_is_finished_with_connection_close_and_what_rests_is_closed() {
    let (give, take) = channel();
    let server = start(
        Server::builder()
            .get("/wait", move |_: Request, res: Response| give.send(res).unwrap())
            .get("/", |_: Request, res: Response| res.send("now")),
    );
    let address = server.address();
    let mut idle = server.connect();
    assert_eq!(idle.ask(get("/")).text(), "now");
    let mut fresh = server.connect();
    let mut busy = server.connect();
    busy.send([get("/wait"), get("/")].concat());
    let res = take.recv().unwrap();
    eventually("all are accepted", || server.stats().open == 3);

    let ending = Helper::run(move || {
        let end = task::block_on(server.handle().shutdown(PATIENCE));
        (server, end)
    });
    eventually("the port is closed", || refuses_connections(address));
    // They have their time, and then they are closed.
    idle.is_closed();
    fresh.is_closed();
    res.send("finished");
    let reply = busy.reply();
    assert_eq!((reply.text(), reply.says_close()), ("finished", true));
    busy.is_closed();
    let (server, end) = ending.join();
    assert_eq!((end, server.stats().open), (Shutdown::Clean, 0));
}

#[test]
fn a_request_that_comes_when_the_server_ends_is_answered_with_connection_close() {
    let timeouts = Timeouts { drain_idle: PATIENCE, ..Timeouts::default() };
    let hello = |_: Request, res: Response| res.send("hello");
    let server = start(Server::builder().timeouts(timeouts).workers(2).get("/", hello));
    let address = server.address();
    let mut used = server.connect();
    assert_eq!(used.ask(get("/")).text(), "hello");
    let fresh = server.connect();
    let mut half = server.connect();
    half.send("GET / HT");
    eventually("all are accepted", || server.stats().open == 3);
    let ending = Helper::run(move || task::block_on(server.handle().shutdown(PATIENCE)));
    eventually("the port is closed", || refuses_connections(address));
    half.send("TP/1.1\r\nHost: test\r\n\r\n");
    assert!(half.reply().says_close());
    half.is_closed();
    for mut client in [fresh, used] {
        let reply = client.ask(get("/"));
        assert_eq!((reply.text(), reply.says_close()), ("hello", true));
        client.is_closed();
    }
    assert_eq!(ending.join(), Shutdown::Clean);
}

#[test]
fn whoever_waits_to_be_accepted_is_served() {
    // All places are taken, so that the next ones have to wait.
    let limits = Limits { connections: 1, ..Limits::default() };
    let (give, take) = channel();
    let server = start(
        Server::builder()
            .limits(limits)
            .workers(1)
            .get("/wait", move |_: Request, res: Response| give.send(res).unwrap())
            .get("/", |_: Request, res: Response| res.send("hello")),
    );
    let mut busy = server.connect();
    busy.send(get("/wait"));
    let res = take.recv().unwrap();
    let mut waiting: Vec<_> = (0..20).map(|_| server.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(get("/")));
    let ending = Helper::run(move || task::block_on(server.handle().shutdown(PATIENCE)));
    for client in &mut waiting {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.says_close()), ("hello", true));
        client.is_closed();
    }
    res.send("finished");
    assert_eq!(busy.reply().text(), "finished");
    assert_eq!(ending.join(), Shutdown::Clean);
}

/// Asks again and again, over connections that are kept and new ones, until nobody listens; says how many were answered.
fn ask_without_end(address: std::net::SocketAddr) -> usize {
    let mut answered = 0;
    loop {
        let Ok(stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return answered };
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut client = Connection::over(stream);
        // Few on each: connecting is a part of the load.
        for _ in 0..5 {
            let reply = client.ask(get("/"));
            assert_eq!(reply.text(), "loaded");
            answered += 1;
            if reply.says_close() {
                break;
            }
        }
    }
}

#[test]
fn no_request_is_lost_when_a_server_ends_under_load() {
    for round in 0..5 {
        let server =
            start(Server::builder().workers(2).get("/", move |_: Request, res: Response| res.send("loaded")));
        let address = server.address();
        let clients: Vec<_> = (0..8).map(|_| Helper::run(move || ask_without_end(address))).collect();
        eventually("they are at work", || server.stats().accepted > 100);
        assert_eq!(task::block_on(server.handle().shutdown(PATIENCE)), Shutdown::Clean, "round {round}");
        let answered: usize = clients.into_iter().map(Helper::join).sum();
        assert!(answered > 100, "{answered}");
    }
}

#[test]
fn a_streamed_answer_is_finished_too() {
    let (give, take) = channel();
    let server =
        start(Server::builder().get("/", move |_: Request, res: Response| give.send(res.stream()).unwrap()));
    let mut client = server.connect();
    client.send(get("/"));
    let mut writer = take.recv().unwrap();
    task::block_on(writer.send("before ")).unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    let ending = Helper::run(move || task::block_on(server.handle().shutdown(PATIENCE)));
    assert_eq!(client.raw(12), b"7\r\nbefore \r\n");
    task::block_on(writer.send("after")).unwrap();
    writer.finish();
    assert_eq!(client.rest(), b"5\r\nafter\r\n0\r\n\r\n");
    assert_eq!(ending.join(), Shutdown::Clean);
}

#[test]
fn a_deadline_breaks_off_what_does_not_end() {
    let (give, take) = channel();
    let server = start(Server::builder().get("/", move |_: Request, res: Response| give.send(res).unwrap()));
    let mut client = server.connect();
    client.send(get("/"));
    let res = take.recv().unwrap();
    assert_eq!(task::block_on(server.handle().shutdown(Duration::from_millis(50))), Shutdown::Forced);
    client.is_closed();
    res.send("to nobody");
}

#[test]
fn ending_twice_and_waiting_for_the_end_are_allowed() {
    let server = hello("one");
    assert_eq!(task::block_on(server.handle().shutdown(PATIENCE)), Shutdown::Clean);
    assert_eq!(task::block_on(server.handle().shutdown(PATIENCE)), Shutdown::Clean);
    task::block_on(server.handle().wait());
}

#[test]
fn several_servers_live_in_one_program_and_end_one_by_one() {
    let servers: Vec<_> = ["one", "two", "three"].map(|name| (name, hello(name))).into();
    for (name, server) in &servers {
        assert_eq!(server.ask(get("/")).text(), *name);
    }
    for (_, ended) in servers.iter().take(2) {
        task::block_on(ended.handle().shutdown(PATIENCE));
        assert!(refuses_connections(ended.address()));
        assert_eq!(servers[2].1.ask(get("/")).text(), "three");
    }
}

#[test]
fn a_server_may_take_the_port_of_one_that_ended() {
    let first = hello("first");
    let address = first.address();
    let mut client = first.connect();
    assert_eq!(client.ask(get("/")).text(), "first");
    drop(first);
    let second = Server::builder().get("/", |_: Request, res: Response| res.send("second"));
    let _second = Running::new(second.bind(address.to_string()));
    assert_eq!(Connection::to(address).ask(get("/")).text(), "second");
}

#[test]
fn a_port_in_use_is_an_error_and_leaves_nothing_running() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for workers in [1, 2] {
        let error =
            Server::builder().workers(workers).bind("127.0.0.1:0").bind(&address).start().unwrap_err();
        assert!(error.name() == "listen" && error.to_string().contains(&address), "{error}");
    }
    let running = hello("first");
    let again = Server::builder().workers(2).bind(running.address().to_string()).start();
    assert_eq!(again.unwrap_err().name(), "listen");
    assert_eq!(running.ask(get("/")).text(), "first");
}

#[test]
fn addresses_that_are_none_are_refused() {
    for address in ["", "localhost", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", ":::"] {
        let error = Server::builder().bind(address).start().unwrap_err();
        assert_eq!(error.name(), "bad_address", "{address:?}");
    }
    assert_eq!(Server::builder().start().unwrap_err().name(), "bad_address");
}

#[test]
fn dropping_the_future_of_run_stops_the_server() {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = probe.local_addr().unwrap();
    drop(probe);
    let server =
        Server::builder().get("/", |_: Request, res: Response| res.send("ran")).bind(address.to_string());
    let running = task::spawn(server.run());
    eventually("it listens", || !refuses_connections(address));
    assert_eq!(Connection::to(address).ask(get("/")).text(), "ran");
    task::block_on(running.cancel());
    eventually("it has ended", || refuses_connections(address));
}

#[test]
fn a_server_that_is_told_to_end_while_it_falls_asleep_ends() {
    for round in 0..300 {
        let server = hello("hello");
        let mut client = server.connect();
        assert_eq!(client.ask(get("/")).text(), "hello");
        // The answer is out before the worker's turn is over: the word reaches it at some point on its way to sleep.
        for _ in 0..round * 10 {
            std::hint::spin_loop();
        }
        assert_eq!(task::block_on(server.handle().shutdown(PATIENCE)), Shutdown::Clean, "round {round}");
    }
}
