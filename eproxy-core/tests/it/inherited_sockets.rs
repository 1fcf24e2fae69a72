//! Listening sockets that a server was given, and those that it hands on.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use async_std::task::block_on;
use eproxy_core::{Builder, Inherited, ListeningSocket, Request, Response, Server, Shutdown};
use socket2::{Domain, Socket, Type};

use crate::support::{Connection, Helper, PATIENCE, Running, eventually, folder::Folder, get};

fn builder(name: &'static str) -> Builder {
    Server::builder().workers(1).get("/", move |_: Request, res: Response| res.send(name))
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the socket has an address");
    (listener, address)
}

/// So many sockets that share a port.
fn sharing(number: usize) -> (Vec<Socket>, SocketAddr) {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut sockets = Vec::new();
    for _ in 0..number {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
        socket.set_reuse_port(true).expect("the system has that option");
        socket.bind(&address.into()).expect("a port is free");
        socket.listen(128).expect("it is bound");
        address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it has one");
        sockets.push(socket);
    }
    (sockets, address)
}

fn inherit(sockets: impl IntoIterator<Item = impl Into<OwnedFd>>, name: &str) -> Inherited {
    let all = sockets.into_iter();
    all.fold(Inherited::default(), |inherited, socket| inherited.and(name, socket).expect("it listens"))
}

fn again(sockets: Vec<ListeningSocket>) -> Inherited {
    let all = sockets.into_iter();
    all.fold(Inherited::default(), |inherited, given| {
        inherited.and(&given.name, given.socket).expect("it listens")
    })
}

fn over_unix(path: &Path) -> Connection<UnixStream> {
    let stream = UnixStream::connect(path).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    Connection::over(stream)
}

fn shut_down(server: &Running) {
    assert_eq!(block_on(server.handle().shutdown(PATIENCE)), Shutdown::Clean);
}

#[test]
fn a_listener_takes_the_sockets_of_its_address() {
    let (socket, address) = listening();
    let mut early = Connection::to(address);
    early.send(get("/"));
    let builder = builder("inherited").inherit(inherit([socket], "web"));
    let server = Running::new(builder.bind("127.0.0.1:0").bind(address.to_string()));
    assert_eq!(server.handle().addresses()[1], address);
    assert_eq!(early.reply().text(), "inherited");
    let other = server.handle().addresses()[0];
    assert_ne!(other, address, "whose it is, is not for any port");
    assert_eq!(Connection::to(other).ask(get("/")).text(), "inherited");
}

#[test]
fn a_listener_takes_what_has_the_name_that_it_asks_for() {
    let folder = Folder::new();
    let path = folder.path("named.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let ((first, at), (second, then)) = (listening(), listening());
    let inherited = inherit([OwnedFd::from(first), second.into(), unix.into()], "web");
    for prefix in ["systemd", "fd"] {
        let missing =
            builder("").inherit(inherit([listening().0], "web")).bind(format!("{prefix}:api")).start();
        let error = missing.unwrap_err();
        assert!(error.name() == "listen" && error.to_string().contains("web"), "{error}");
    }
    let server = Running::new(builder("named").inherit(inherited).bind("systemd:web"));
    assert_eq!(*server.handle().addresses(), [at, then]);
    for address in [at, then] {
        assert_eq!(Connection::to(address).ask(get("/")).text(), "named");
    }
    assert_eq!(over_unix(&path).ask(get("/")).text(), "named");
    let names: Vec<_> =
        server.handle().listening_sockets().unwrap().into_iter().map(|given| given.name).collect();
    assert_eq!(names, ["web"; 3]);
    shut_down(&server);
    assert!(path.exists(), "it is somebody else's");
}

#[test]
fn all_sockets_are_served_however_many_workers_there_are() {
    for (sockets, workers) in [(5, 2), (2, 2), (1, 3), (3, 1)] {
        for name in ["eproxy-own", "web"] {
            let (sockets, address) = sharing(sockets);
            // The system spreads them over all sockets.
            let mut early: Vec<_> = (0..40).map(|_| Connection::to(address)).collect();
            early.iter_mut().for_each(|client| client.send(get("/")));
            let builder = builder("all").workers(workers).inherit(inherit(sockets, name));
            let _server = Running::new(builder.bind(address.to_string()));
            let mut late: Vec<_> = (0..40).map(|_| Connection::to(address)).collect();
            late.iter_mut().for_each(|client| client.send(get("/")));
            for client in early.iter_mut().chain(&mut late) {
                assert_eq!(client.reply().text(), "all");
            }
        }
    }
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let error = Inherited::default().and("web", socket).unwrap_err();
    assert!(error.name() == "listen" && error.to_string().contains("web"), "{error}");
    let (one, _other) = UnixStream::pair().unwrap();
    assert_eq!(Inherited::default().and("web", one).unwrap_err().name(), "listen");
}

#[test]
fn sockets_that_nobody_wants_are_closed() {
    let (socket, address) = listening();
    let _server = Running::new(builder("other").inherit(inherit([socket], "web")).bind("127.0.0.1:0"));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn without_a_variable_nothing_is_inherited() {
    assert!(Inherited::from_env().unwrap().is_empty());
}

/// Asks over one connection after the other until it is told to stop; says how many answers of each of two servers came.
fn ask_until(address: SocketAddr, is_over: &std::sync::atomic::AtomicBool) -> [usize; 2] {
    let mut answers = [0; 2];
    while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
        let mut client = Connection::to(address);
        for _ in 0..10 {
            let reply = client.ask(get("/"));
            let who = ["old", "new"].iter().position(|name| *name == reply.text());
            answers[who.expect("one of the two")] += 1;
            if reply.says_close() {
                break;
            }
        }
    }
    answers
}

#[test]
fn a_server_that_hands_its_sockets_over_under_load_loses_no_request() {
    for (old_workers, new_workers) in [(2, 2), (3, 1), (1, 2), (2, 3)] {
        let old = Running::new(builder("old").workers(old_workers).bind("127.0.0.1:0"));
        let address = old.address();
        let is_over = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let is_over = is_over.clone();
                Helper::run(move || ask_until(address, &is_over))
            })
            .collect();
        eventually("they are at work", || old.stats().accepted > 50);
        let sockets = old.handle().listening_sockets().unwrap();
        assert!(sockets.iter().all(|given| given.address == address.to_string()));
        // The port that the old one's system chose is the new one's, too.
        let new = builder("new").workers(new_workers).inherit(again(sockets)).bind("127.0.0.1:0");
        let new = Running::new(new);
        assert_eq!(new.address(), address);
        assert_eq!(block_on(old.handle().hand_over(PATIENCE)), Shutdown::Clean);
        assert!(old.handle().listening_sockets().unwrap().is_empty());
        drop(old);
        let so_far = new.stats().accepted;
        eventually("the new one is at work", || new.stats().accepted > so_far + 50);
        is_over.store(true, std::sync::atomic::Ordering::SeqCst);
        for client in clients {
            let answers = client.join();
            assert!(answers.iter().all(|number| *number > 0), "{answers:?}");
        }
        shut_down(&new);
    }
}

#[test]
fn the_file_of_a_socket_belongs_to_the_last_who_listens_on_it() {
    let folder = Folder::new();
    let path = folder.path("own.sock");
    let address = format!("unix:{}", path.display());
    let old = Running::new(builder("old").workers(2).bind(&address));
    let sockets = old.handle().listening_sockets().unwrap();
    assert_eq!(sockets.len(), 1, "all workers share it");
    // One that can't start leaves it alone.
    let taken = listening();
    let failed = builder("failed").inherit(again(old.handle().listening_sockets().unwrap())).bind(&address);
    failed.bind(taken.1.to_string()).start().unwrap_err();
    assert!(path.exists());
    assert_eq!(over_unix(&path).ask(get("/")).text(), "old");

    let new = Running::new(builder("new").workers(3).inherit(again(sockets)).bind(&address));
    assert_eq!(block_on(old.handle().hand_over(PATIENCE)), Shutdown::Clean);
    drop(old);
    for _ in 0..5 {
        assert_eq!(over_unix(&path).ask(get("/")).text(), "new");
    }
    shut_down(&new);
    assert!(!path.exists());
}

#[test]
fn the_file_of_another_server_in_the_same_place_is_left_alone() {
    let folder = Folder::new();
    let path = folder.path("own.sock");
    let address = format!("unix:{}", path.display());
    let old = Running::new(builder("old").bind(&address));
    std::fs::remove_file(&path).unwrap();
    let new = Running::new(builder("new").bind(&address));
    shut_down(&old);
    drop(old);
    assert_eq!(over_unix(&path).ask(get("/")).text(), "new");
    shut_down(&new);
}
