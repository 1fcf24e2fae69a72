//! The PROXY protocol of a proxy in front of this one, which says whose a connection is. Headers are put together byte by
//! byte here.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use eproxy_core::{Builder, Request, Response, Server, Timeouts};

use crate::support::{Connection, Running, eventually, get, pause};

pub(crate) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2: command, family, and what follows the length.
pub(crate) fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a short header").to_be_bytes();
    [SIGNATURE, &[0x20 | command, family], &length, rest].concat()
}

/// The addresses of a header of version 2.
pub(crate) fn ends(source: &str, destination: &str) -> Vec<u8> {
    let [source, destination] =
        [source, destination].map(|text| text.parse::<SocketAddr>().expect("an address"));
    let ip = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    [ip(source), ip(destination), ports].concat()
}

/// A server that tells its clients who they are.
fn builder() -> Builder {
    Server::builder().workers(1).trusted_proxies(["127.0.0.1"]).get("/", |req: Request, res: Response| {
        res.send(req.peer_addr().expect("a client over TCP").to_string())
    })
}

fn introduced() -> Running {
    Running::new(builder().bind_proxy_protocol("127.0.0.1:0"))
}

/// Asserts that a connection which begins like this is closed without a word.
fn is_turned_away(server: &Running, first: &[u8]) {
    let before = server.failures("bad_proxy_protocol");
    let mut client = server.connect();
    // It may be closed before all of this has been read.
    let _gone = client.try_send(first);
    client.is_closed();
    eventually("it is counted", || server.failures("bad_proxy_protocol") == before + 1);
}

#[test]
fn a_client_is_who_the_header_says() {
    let server = introduced();
    let (four, six) =
        (ends("192.0.2.7:1234", "198.51.100.1:80"), ends("[2001:db8::7]:1234", "[2001:db8::1]:80"));
    let headers: [(&[u8], &str); 8] = [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n", "192.0.2.7:1234"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 80\r\n", "[2001:db8::7]:1234"),
        (
            b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ),
        (&binary(1, 0x11, &four), "192.0.2.7:1234"),
        (&binary(1, 0x21, &six), "[2001:db8::7]:1234"),
        // Extensions say what nobody here wants to know.
        (&binary(1, 0x11, &[&four[..], b"\x01\x00\x02h2", &[0x04, 0x01, 0x00], &[0; 256]].concat()), "192.0.2.7:1234"),
        (&binary(1, 0x21, &[&six[..], b"\x02\x00\x04test\x03\x00\x04\x12\x34\x56\x78"].concat()), "[2001:db8::7]:1234"),
        (&binary(1, 0x11, &[&four[..], &[0xEE, 0x0F, 0x00], &[b'x'; 0xF00]].concat()), "192.0.2.7:1234"),
    ];
    for (header, expected) in headers {
        let mut client = server.connect();
        client.send(header);
        // It holds for all that comes on the connection.
        for _ in 0..2 {
            assert_eq!(client.ask(get("/")).text(), expected, "{}", header.escape_ascii());
        }
    }
}

#[test]
fn a_connection_that_is_nobody_elses_is_that_of_the_proxy() {
    let server = introduced();
    let four = ends("192.0.2.7:1234", "198.51.100.1:80");
    let headers: [&[u8]; 8] = [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN 192.0.2.7 198.51.100.1 1234 80\r\n",
        // LOCAL, as health checks are, whatever else is said.
        &binary(0, 0x00, b""),
        &binary(0, 0x11, &four),
        &binary(0, 0x00, b"\x04\x00\x03abc"),
        // A family without addresses, and that of unix-domain sockets.
        &binary(1, 0x00, b""),
        &binary(1, 0x00, b"\x04\x00\x03abc"),
        &binary(1, 0x31, &[0; 216]),
    ];
    for header in headers {
        let mut client = server.connect();
        client.send(header);
        assert_eq!(client.ask(get("/")).text(), client.local().to_string(), "{}", header.escape_ascii());
    }
}

#[test]
fn what_comes_behind_the_header_in_the_same_moment_is_not_lost() {
    let server = introduced();
    let four = ends("192.0.2.7:1234", "198.51.100.1:80");
    for header in [b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n".to_vec(), binary(1, 0x11, &four)] {
        let mut client = server.connect();
        client.send([header, get("/"), get("/")].concat());
        assert_eq!(client.reply().text(), "192.0.2.7:1234");
        assert_eq!(client.reply().text(), "192.0.2.7:1234");
    }
}

#[test]
fn a_header_may_come_in_single_bytes() {
    let server = introduced();
    let four = ends("192.0.2.7:1234", "198.51.100.1:80");
    for header in [b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n".to_vec(), binary(1, 0x11, &four)] {
        let mut client = server.connect();
        for byte in [header, get("/")].concat() {
            client.send([byte]);
            pause(1);
        }
        assert_eq!(client.reply().text(), "192.0.2.7:1234");
    }
}

#[test]
fn what_is_no_header_is_turned_away_without_a_word() {
    let server = introduced();
    let four = ends("192.0.2.7:1234", "198.51.100.1:80");
    let malformed: [&[u8]; 15] = [
        &get("/"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1234\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 65536\r\n",
        b"PROXY TCP4 192.0.2 198.51.100.1 1234 80\r\n",
        b"PROXY TCP4 192.0.2.7  198.51.100.1 1234 80\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 1234 80\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\nGET / HTTP/1.1\r\n",
        b"proxy TCP4 192.0.2.7 198.51.100.1 1234 80\r\n",
        &[SIGNATURE, b"\x11\x11\x00\x0C", &four].concat(),
        &binary(2, 0x11, &four),
        &binary(1, 0x11, &four[..11]),
        &binary(1, 0x21, &four),
    ];
    for first in malformed {
        is_turned_away(&server, first);
    }
    assert_eq!(server.stats().requests, 0);
}

#[test]
fn a_header_without_an_end_is_not_waited_for() {
    let server = introduced();
    is_turned_away(&server, &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat());
    is_turned_away(&server, &[b"PROXY TCP4 ".as_slice(), &[b'1'; 5000]].concat());
    // What it says of its length is enough.
    is_turned_away(&server, &[SIGNATURE, b"\x21\x11\xFF\xFF"].concat());
    // The longest line that there is.
    let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 91], b"\r\n"].concat();
    assert_eq!(longest.len(), 107);
    let mut client = server.connect();
    client.send(&longest);
    assert_eq!(client.ask(get("/")).status, 200);
}

#[test]
fn a_header_comes_once_and_in_time() {
    let timeouts = Timeouts { head: Duration::from_millis(150), ..Timeouts::default() };
    let server = Running::new(builder().timeouts(timeouts).bind_proxy_protocol("127.0.0.1:0"));
    for first in [&b""[..], b"PROXY TCP4 192.", &SIGNATURE[..7], &binary(1, 0x11, b"")[..15]] {
        let mut client = server.connect();
        client.send(first);
        client.is_closed();
    }
    assert_eq!(server.failures("head_timeout"), 4);
    // One byte after the other is no progress.
    let mut client = server.connect();
    for byte in b"PROXY TCP4 192.0.2.7 198.51.100.1 " {
        if client.try_send([*byte]).is_err() {
            break;
        }
        pause(20);
    }
    client.is_closed();
    assert_eq!(server.failures("head_timeout"), 5);
    let mut client = server.connect();
    client.send(b"PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n");
    assert_eq!(client.reply().status, 400);
    client.is_closed();
    assert_eq!(server.failures("bad_proxy_protocol"), 0);
}

#[test]
fn a_connection_that_ends_within_its_header_is_counted_and_one_that_never_began_is_not() {
    let server = introduced();
    let mut client = server.connect();
    client.send("PROXY TCP4 192.");
    client.finish();
    client.is_closed();
    eventually("it is counted", || server.failures("bad_proxy_protocol") == 1);
    // Somebody looks whether the port is open.
    drop(server.connect());
    eventually("it is gone", || server.stats().accepted == 2 && server.stats().open == 0);
    assert_eq!(server.failures("bad_proxy_protocol"), 1);
}

#[test]
fn nobody_may_say_whose_a_connection_is_but_those_who_are_trusted() {
    let server = Running::new(
        Server::builder()
            .workers(1)
            .trusted_proxies(["10.0.0.0/8", "127.0.0.2"])
            .get("/", |_: Request, res: Response| res.send(""))
            .bind_proxy_protocol("127.0.0.1:0"),
    );
    is_turned_away(&server, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
    is_turned_away(&server, &get("/"));
    assert_eq!(server.stats().requests, 0);
    // Where nobody is, nobody could ever connect.
    let nobody = Server::builder().get("/", |_: Request, res: Response| res.send(""));
    let error = nobody.bind_proxy_protocol("127.0.0.1:0").start().unwrap_err();
    assert!(error.name() == "bad_option" && error.to_string().contains("trusted_proxies"), "{error}");
}

#[test]
fn other_addresses_of_the_same_server_know_nothing_of_it() {
    let server = Running::new(builder().bind("127.0.0.1:0").bind_proxy_protocol("127.0.0.1:0"));
    let [plain, introduced] = server.handle().addresses()[..] else { panic!("two addresses") };
    let mut client = Connection::to(plain);
    assert_eq!(client.ask(get("/")).text(), client.local().to_string());
    let mut client = Connection::to(plain);
    client.send("PROXY UNKNOWN\r\n");
    assert_eq!(client.reply().status, 400);
    let mut client = Connection::to(introduced);
    client.send("PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n");
    assert_eq!(client.ask(get("/")).text(), "192.0.2.7:1234");
}

#[cfg(unix)]
#[test]
fn a_proxy_on_this_machine_may_say_it_through_a_socket_of_the_file_system() {
    use std::os::unix::net::UnixStream;

    let folder = crate::support::folder::Folder::new();
    let path = folder.path("server.sock");
    let server = |trusted: &str| {
        let telling = Server::builder().workers(1).get("/", |req: Request, res: Response| {
            res.send(req.peer_addr().map_or("nobody".to_owned(), |address| address.to_string()))
        });
        Running::new(
            telling.trusted_proxies([trusted]).bind_proxy_protocol(format!("unix:{}", path.display())),
        )
    };
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        Connection::over(stream)
    };
    let trusting = server("unix");
    for (header, expected) in
        [("PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n", "192.0.2.7:1234"), ("PROXY UNKNOWN\r\n", "nobody")]
    {
        let mut client = connect();
        client.send(header);
        assert_eq!(client.ask(get("/")).text(), expected);
    }
    drop(trusting);
    let server = server("127.0.0.1");
    connect().is_closed();
    assert_eq!(server.failures("bad_proxy_protocol"), 1);
}
