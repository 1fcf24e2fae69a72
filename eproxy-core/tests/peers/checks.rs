//! What is asked of every HTTP server through a proxy. They all serve the same:
//!
//! | target | answer |
//! |---|---|
//! | `/hello` | `hello` |
//! | `/echo` | to a POST: its body |
//! | `/none` | 204 |
//! | `/file` | [`file`], with an entity tag, and 304 to who has it already |
//! | `/chunked` | the same in chunks |
//! | `/port` | the port at the proxy's end of the connection |
//! | `/last` | `last`; then the server closes the connection, without having said so |

use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

use eproxy_core::{Group, Proxy, Server};

use crate::library::Library;
use crate::program::Program;
use crate::secure::trusting;
use crate::support::wire::Reply;
use crate::support::{Connection, Helper, Running, crlf, eventually, get, post, post_chunked, start};

/// Makes a test of each of these checks, with a server of its own; none where the server is not installed.
macro_rules! checks {
    ($start:path: $($check:ident),+ $(,)?) => {
        $(
            #[test]
            fn $check() {
                if let Some(peer) = $start() {
                    $crate::checks::$check(peer);
                }
            }
        )+
    };
}
pub(crate) use checks;

/// The same checks of a peer that is spoken to in several ways, each in a module of its own.
macro_rules! checks_each {
    ([$($way:ident: $start:ident),+ $(,)?] $checks:tt) => {
        $(
            mod $way {
                use super::$start;
                $crate::checks::checks_each!(@ $start $checks);
            }
        )+
    };
    (@ $start:ident [$($check:ident),+ $(,)?]) => { $crate::checks::checks!($start: $($check),+); };
}
pub(crate) use checks_each;

/// A server that somebody else has written.
pub(crate) enum Peer {
    Program(Program),
    /// A program that speaks TLS, and inside HTTP/2.
    Secure(Program),
    /// A program that speaks HTTP/2 without TLS.
    H2c(Program),
    Library(Library),
}

impl Peer {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Program(program) | Self::Secure(program) | Self::H2c(program) => program.address(),
            Self::Library(library) => library.address(),
        }
    }

    /// Closes every connection that it has, whatever it takes.
    fn close_connections(&mut self) {
        match self {
            Self::Program(program) | Self::Secure(program) | Self::H2c(program) => program.restart(),
            Self::Library(library) => library.close_connections(),
        }
    }

    /// A proxy in front of it.
    pub(crate) fn proxied(&self) -> Running {
        start(Server::builder().workers(1).at("/*path", Proxy::to(self.group())))
    }

    /// It as an upstream.
    pub(crate) fn group(&self) -> Group {
        let address = self.address();
        match self {
            Self::Program(_) | Self::Library(_) => Group::from(format!("http://{address}")),
            Self::Secure(_) => Group::from(format!("https://{address}")).tls(trusting()),
            Self::H2c(_) => Group::from(format!("h2c://{address}")),
        }
    }
}

/// What is served as a file: 1 MiB in which every piece is another.
pub(crate) fn file() -> &'static [u8] {
    static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..MEBIBYTE / 8).flat_map(|number| format!("{number:07}\n").into_bytes()).collect()
    });
    &FILE
}

pub(crate) const MEBIBYTE: usize = 1024 * 1024;

/// As many requests as take a while, but not long.
const MANY: usize = 50;

fn is_hello(reply: &Reply) {
    assert_eq!((reply.status, reply.text()), (200, "hello"), "{reply:?}");
}

pub(crate) fn a_head_is_told_what_a_get_would_be(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    is_hello(&client.ask(get("/hello")));
    client.send("HEAD /hello HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.reply_to_head();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("5"));
    is_hello(&client.ask(get("/hello")));
}

pub(crate) fn a_body_arrives_with_a_length_as_well_as_in_chunks(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(post("/echo", "some text"));
        assert_eq!((reply.status, reply.text()), (200, "some text"));
        let reply = client.ask(post_chunked("/echo", "4\r\nsome\r\n1\r\n \r\n4\r\ntext\r\n0\r\n\r\n"));
        assert_eq!((reply.status, reply.text()), (200, "some text"));
        let reply = client.ask(post("/echo", ""));
        assert_eq!((reply.status, reply.text()), (200, ""));
    }
}

pub(crate) fn answers_without_a_body_leave_the_connection_usable(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    let tag = client.ask(get("/file")).header("etag").expect("an entity tag").to_owned();
    for _ in 0..3 {
        let reply = client.ask(get("/none"));
        assert_eq!((reply.status, reply.header("transfer-encoding")), (204, None));
        is_hello(&client.ask(get("/hello")));
        let known = format!("GET /file HTTP/1.1\nHost: test\nIf-None-Match: {tag}\n\n");
        let reply = client.ask(crlf(&known));
        assert_eq!((reply.status, reply.header("etag")), (304, Some(&*tag)));
        is_hello(&client.ask(get("/hello")));
    }
    assert_eq!(server.stats().upstream_connects, 1);
}

pub(crate) fn an_answer_in_chunks_comes_whole(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(get("/chunked"));
        assert_eq!((reply.status, reply.header("transfer-encoding")), (200, Some("chunked")));
        assert!(reply.body == file(), "{} bytes", reply.body.len());
        is_hello(&client.ask(get("/hello")));
    }
    // A client of HTTP/1.0 has them without the chunks.
    let mut old = server.connect();
    let reply = old.ask("GET /chunked HTTP/1.0\r\nHost: test\r\n\r\n");
    assert_eq!((reply.status, reply.header("transfer-encoding"), reply.says_close()), (200, None, true));
    assert!(reply.body == file(), "{} bytes", reply.body.len());
}

pub(crate) fn a_megabyte_comes_down(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    for _ in 0..3 {
        let reply = client.ask(get("/file"));
        assert_eq!(reply.status, 200);
        assert!(reply.body == file(), "{} bytes", reply.body.len());
    }
}

/// Sends a request while its answer is read.
fn ask_with_a_large_body(server: &Running, head: &str, body: Vec<u8>) -> Reply {
    let stream = TcpStream::connect(server.address()).expect("the server takes connections");
    let reader = stream.try_clone().expect("a descriptor is free");
    let head = crlf(head);
    let sending = Helper::run(move || {
        let mut client = Connection::over(stream);
        client.send(head);
        client.send(body);
    });
    let reply = Connection::over(reader).reply();
    sending.join();
    reply
}

/// The heads with which [`file`] is sent, and the coded body of each.
fn large_bodies(method: &str, target: &str) -> [(String, Vec<u8>); 2] {
    let line = format!("{method} {target} HTTP/1.1\nHost: test\n");
    let mut chunks: Vec<u8> = Vec::new();
    for (number, piece) in file().chunks(10_007).enumerate() {
        let extension = if number.is_multiple_of(7) { ";number=7" } else { "" };
        chunks.extend_from_slice(format!("{:x}{extension}\r\n", piece.len()).as_bytes());
        chunks.extend_from_slice(piece);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    [
        (format!("{line}Content-Length: {MEBIBYTE}\n\n"), file().to_vec()),
        (format!("{line}Transfer-Encoding: chunked\n\n"), chunks),
    ]
}

pub(crate) fn a_megabyte_goes_up_and_comes_down_again(peer: Peer) {
    let server = peer.proxied();
    for (head, body) in large_bodies("POST", "/echo") {
        let reply = ask_with_a_large_body(&server, &head, body);
        assert_eq!(reply.status, 200, "{head}");
        assert!(reply.body == file(), "{head}: {} bytes", reply.body.len());
    }
}

pub(crate) fn a_megabyte_that_was_put_there_is_there(peer: Peer) {
    let server = peer.proxied();
    for (number, (head, body)) in large_bodies("PUT", "/files/0").into_iter().enumerate() {
        let target = format!("/files/{number}");
        let reply = ask_with_a_large_body(&server, &head.replace("/files/0", &target), body);
        assert_eq!(reply.status, 201, "{head}");
        let reply = server.ask(get(&target));
        assert!(reply.status == 200 && reply.body == file(), "{head}: {} bytes", reply.body.len());
    }
}

pub(crate) fn one_connection_serves_many_requests(peer: Peer) {
    let server = peer.proxied();
    let port = server.ask(get("/port")).text().to_owned();
    assert!(port.parse().is_ok_and(|port: u16| port > 0), "{port:?}");
    let mut client = server.connect();
    for _ in 0..MANY {
        assert_eq!(client.ask(get("/port")).text(), port);
        // Each from another client.
        assert_eq!(server.ask(get("/port")).text(), port);
    }
    assert_eq!(server.stats().upstream_connects, 1);
}

pub(crate) fn requests_in_a_row_are_answered_in_their_order(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    let asked: Vec<u8> = (0..MANY).flat_map(|number| post("/echo", number.to_string())).collect();
    client.send(asked);
    for number in 0..MANY {
        assert_eq!(client.reply().text(), number.to_string());
    }
}

pub(crate) fn a_connection_that_the_server_has_closed_costs_no_request(mut peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    for _ in 0..3 {
        is_hello(&client.ask(get("/hello")));
        peer.close_connections();
        is_hello(&client.ask(get("/hello")));
        peer.close_connections();
        let reply = client.ask(post("/echo", "once"));
        assert_eq!((reply.status, reply.text()), (200, "once"));
    }
}

pub(crate) fn a_connection_that_the_server_closes_behind_an_answer_costs_no_request(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    for _ in 0..MANY {
        let reply = client.ask(get("/last"));
        assert_eq!((reply.status, reply.text(), reply.says_close()), (200, "last", false));
        // The close may come before this, with it or behind it.
        is_hello(&client.ask(get("/hello")));
    }
}

pub(crate) fn a_client_that_waits_for_leave_gets_it(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    for framing in ["Content-Length: 9", "Transfer-Encoding: chunked"] {
        client.send(crlf(&format!("POST /echo HTTP/1.1\nHost: test\nExpect: 100-continue\n{framing}\n\n")));
        assert_eq!(client.head().expect("leave is given").status, 100, "{framing}");
        let is_chunked = framing.ends_with("chunked");
        client.send(if is_chunked { "9\r\nsome text\r\n0\r\n\r\n" } else { "some text" });
        let reply = client.reply();
        assert_eq!((reply.status, reply.text()), (200, "some text"), "{framing}");
    }
    is_hello(&client.ask(get("/hello")));
}

pub(crate) fn a_part_of_a_file_is_that_part(peer: Peer) {
    let server = peer.proxied();
    let mut client = server.connect();
    let file = file();
    let mut ask =
        |range: &str| client.ask(crlf(&format!("GET /file HTTP/1.1\nHost: test\nRange: bytes={range}\n\n")));
    let last = MEBIBYTE - 1;
    for (range, part) in [
        ("100-199".to_owned(), 100..=199),
        ("0-0".to_owned(), 0..=0),
        ("-500".to_owned(), MEBIBYTE - 500..=last),
        (format!("{}-", MEBIBYTE - 7), MEBIBYTE - 7..=last),
        ("5-700000".to_owned(), 5..=700_000),
    ] {
        let reply = ask(&range);
        let place = format!("bytes {}-{}/{MEBIBYTE}", part.start(), part.end());
        assert_eq!((reply.status, reply.header("content-range")), (206, Some(&*place)), "{range}");
        assert!(reply.body == file[part], "{range}: {} bytes", reply.body.len());
    }
    let reply = ask(&format!("{MEBIBYTE}-"));
    assert_eq!(
        (reply.status, reply.header("content-range")),
        (416, Some(&*format!("bytes */{MEBIBYTE}"))),
        "behind the end"
    );
    let reply = ask("0-9,20-29");
    assert_eq!(reply.status, 206);
    let kind = reply.header("content-type").expect("a type");
    let mark = kind.strip_prefix("multipart/byteranges; boundary=").expect("parts").trim_matches('"');
    let parts = reply.text().matches(&format!("--{mark}")).count();
    assert_eq!(parts, 3, "two parts and the end of them");
}

pub(crate) fn a_client_that_goes_away_leaves_nothing_behind(peer: Peer) {
    let server = peer.proxied();
    for _ in 0..5 {
        let mut client = server.connect();
        client.send(get("/file"));
        assert_eq!(client.head().expect("an answer comes").status, 200);
        client.reset_on_drop();
    }
    eventually("no connection is left", || server.stats().open == 0);
    is_hello(&server.ask(get("/hello")));
}
