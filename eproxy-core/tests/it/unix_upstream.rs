//! Upstreams that are reached by a unix-domain socket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use eproxy_core::{Balance, Group, Proxy, Server};

use crate::seen::{End, Seen};
use crate::support::folder::Folder;
use crate::support::{Helper, PATIENCE, Running, get, post, post_chunked, start};
use crate::upstream::{echo, echoing, serve};

/// An upstream that answers so many connections, each until it ends: with the target of a request, or its body.
struct Upstream {
    seen: Arc<Mutex<Vec<Seen>>>,
    path: PathBuf,
    connections: usize,
    helper: Option<Helper>,
}

fn listen(path: &Path, connections: usize) -> Upstream {
    let listener = UnixListener::bind(path).expect("the path is free");
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let log = seen.clone();
    let helper = Helper::run(move || {
        for number in 0..connections {
            let (mut stream, _) = listener.accept().expect("connections can be taken");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
            while let Some(seen) = next(&mut stream, number) {
                let answer = echo(&seen);
                log.lock().expect("nobody panics while holding this").push(seen);
                stream.write_all(&answer).expect("the proxy listens");
            }
        }
    });
    Upstream { seen, path: path.into(), connections, helper: Some(helper) }
}

/// Reads the next request, if there is one before the connection ends.
fn next(stream: &mut UnixStream, number: usize) -> Option<Seen> {
    let head = until(stream, b"\r\n\r\n")?;
    let mut seen = Seen::of_head(number, head);
    match seen.end() {
        End::After(length) => {
            seen.body = vec![0; length];
            stream.read_exact(&mut seen.body).expect("the body comes");
        }
        End::LastChunk => loop {
            let line = until(stream, b"\r\n").expect("a chunk comes");
            let size = std::str::from_utf8(&line[..line.len() - 2]).expect("a size");
            let mut chunk = vec![0; usize::from_str_radix(size, 16).expect("a size") + 2];
            stream.read_exact(&mut chunk).expect("the chunk comes");
            assert_eq!(chunk.split_off(chunk.len() - 2), b"\r\n");
            if chunk.is_empty() {
                break;
            }
            seen.body.append(&mut chunk);
        },
    }
    Some(seen)
}

fn until(stream: &mut UnixStream, mark: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(mark) {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            Ok(_) => return None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("{error}, after {:?}", bytes.escape_ascii().to_string()),
        }
    }
    Some(bytes)
}

impl Upstream {
    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics while holding this").clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // It may still wait for connections of a test that has failed.
        (0..self.connections).for_each(|_| drop(UnixStream::connect(&self.path)));
        drop(self.helper.take());
    }
}

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn requests_are_passed_on_as_they_are_anywhere_else() {
    let folder = Folder::new();
    let path = folder.path("upstream.sock");
    let upstream = listen(&path, 1);
    let server = serve(Proxy::to(url(&path)));
    let mut client = server.connect();
    for (request, answer) in [
        (get("/a?b=%2F"), "/a?b=%2F"),
        (get("//x/../y"), "//x/../y"),
        (post("/up", "hello"), "hello"),
        (post_chunked("/up", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde"),
    ] {
        assert_eq!(client.ask(request).text(), answer);
    }
    client.send("HEAD /head HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply_to_head().status, 200);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 5);
    for seen in seen {
        assert_eq!(seen.values("host"), ["test"]);
        assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
    }
}

#[test]
fn a_connection_is_used_again_by_whichever_client_comes_next() {
    let folder = Folder::new();
    let path = folder.path("upstream.sock");
    // A second connection would not be answered.
    let upstream = listen(&path, 1);
    let server = start(
        Server::builder().workers(1).at("/a/*path", Proxy::to(url(&path))).at("/b", Proxy::to(url(&path))),
    );
    for number in 0..10 {
        let target = format!("/a/{number}");
        assert_eq!(server.ask(get(&target)).text(), target);
    }
    assert_eq!(server.ask(get("/b")).text(), "/b");
    assert_eq!((upstream.seen().len(), server.stats().upstream_reused), (11, 10));
}

#[test]
fn large_bodies_go_through_in_both_directions() {
    let folder = Folder::new();
    let path = folder.path("upstream.sock");
    let _upstream = listen(&path, 1);
    let server = serve(Proxy::to(url(&path)));
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(post("/up", &body));
        assert!(reply.status == 200 && reply.body == body);
    }
    assert_eq!(server.stats().upstream_connects, 1);
}

#[test]
fn the_name_that_is_asked_for_is_the_clients_or_what_is_set() {
    let folder = Folder::new();
    let path = folder.path("upstream.sock");
    let upstream = listen(&path, 4);
    for (proxy, expected) in [
        (Proxy::to(url(&path)), "test"),
        (Proxy::to(url(&path)).upstream_host(), "localhost"),
        (Proxy::to(url(&path)).host("app.internal"), "app.internal"),
    ] {
        assert_eq!(serve(proxy).ask(get("/")).status, 200);
        assert_eq!(upstream.seen().pop().unwrap().values("host"), [expected]);
    }
    // Where neither says, as in HTTP/1.0.
    assert_eq!(serve(Proxy::to(url(&path))).ask("GET / HTTP/1.0\r\n\r\n").status, 200);
    assert_eq!(upstream.seen().pop().unwrap().values("host"), ["localhost"]);
}

#[test]
fn a_socket_that_is_not_there_is_502_until_it_is() {
    let folder = Folder::new();
    let path = folder.path("upstream.sock");
    let server = serve(Proxy::to(url(&path)));
    let refused = |server: &Running| {
        let reply = server.ask(get("/"));
        let told = (reply.status, reply.header("proxy-status").map(str::to_owned));
        assert_eq!(told, (502, Some("eproxy; error=connection_refused".into())));
        assert!(!reply.text().contains("sock"), "its place is nobody's business");
    };
    refused(&server);
    // A file that somebody has left behind, and one that is no socket.
    drop(UnixListener::bind(&path).unwrap());
    refused(&server);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "no socket").unwrap();
    refused(&server);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.failures("connect"), 3);
    let upstream = listen(&path, 1);
    assert_eq!(server.ask(get("/there")).text(), "/there");
    // Whose connection ends with the server.
    drop((server, upstream));
}

#[test]
fn a_path_is_taken_as_it_is_written() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("a folder")).unwrap();
    for name in ["a folder/up stream.sock", "100%25.sock", "?query#fragment", "ümlaut.sock", "http:"] {
        let path = folder.path(name);
        let _upstream = listen(&path, 1);
        let server = serve(Proxy::to(url(&path)));
        assert_eq!(server.ask(get("/x")).text(), "/x", "{name}");
    }
    // Longer than the system takes.
    let server = serve(Proxy::to(url(&folder.path("x".repeat(200)))));
    assert_eq!((server.ask(get("/")).status, server.failures("connect")), (502, 1));
    for wrong in ["unix:", "unix:upstream.sock", "unix:./upstream.sock", "UNIX:/upstream.sock"] {
        let server = Server::builder().at("/*path", Proxy::to(wrong)).bind("127.0.0.1:0");
        let error = server.start().unwrap_err();
        assert!(error.name() == "bad_option" && error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn one_may_share_requests_with_upstreams_elsewhere() {
    let folder = Folder::new();
    let path = folder.path("upstream.sock");
    let (here, there) = (listen(&path, 1), echoing());
    let group = Group::from([url(&path), there.url()]).balance(Balance::RoundRobin);
    let server = serve(Proxy::to(group));
    for _ in 0..6 {
        assert_eq!(server.ask(get("/")).text(), "/");
    }
    assert_eq!((here.seen().len(), there.count()), (3, 3));
}

#[test]
fn an_upstream_that_is_gone_is_not_missed_while_there_is_another() {
    let folder = Folder::new();
    let there = echoing();
    let server = serve(Proxy::to([url(&folder.path("gone.sock")), there.url()]));
    for _ in 0..4 {
        assert_eq!(server.ask(get("/")).text(), "/");
    }
    assert_eq!(there.count(), 4);
    assert!(server.stats().retries >= 1);
}
