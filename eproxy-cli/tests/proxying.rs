//! The program as a proxy, from outside: `--to`, `--forward`, and the flags that tune them.
#![cfg(unix)]

#[expect(dead_code, reason = "shared with the other tests of the program, which use more of it")]
mod support;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use support::{PATIENCE, Program, Reply, ask, dead, eproxy, listen, read_reply, run, send, start};

/// An upstream that answers every request with its name and the head that it was sent; one a connection. It ends with the
/// process of the tests.
fn naming(name: &'static str) -> SocketAddr {
    let (listener, address) = listen();
    thread::spawn(move || listener.incoming().flatten().for_each(|mut stream| answer(&mut stream, name)));
    address
}

fn answer(stream: &mut (impl Read + Write), name: &str) {
    let head = head(stream);
    let body = format!("{name}\n{head}");
    let answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // Whoever looks whether somebody listens has sent nothing.
    if !head.is_empty() {
        stream.write_all(answer.as_bytes()).expect("the program listens");
    }
}

/// Reads a head, or nothing where the connection ends instead.
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8(head).expect("an ASCII head")
}

fn connect(program: &Program) -> TcpStream {
    let stream = TcpStream::connect_timeout(&program.address, PATIENCE).expect("the program listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// Sends a request with these fields, and reads the answer.
fn ask_with(program: &Program, line: &str, fields: &str) -> Reply {
    let mut stream = connect(program);
    let request = format!("{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).expect("the program reads");
    read_reply(stream)
}

/// Has the program make a tunnel; gives the status that it answers, and the connection.
fn tunnel(program: &Program, to: SocketAddr) -> (u16, TcpStream) {
    let mut stream = connect(program);
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the program reads");
    let head = head(&mut stream);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head:?}")), stream)
}

/// The text of the next line of the log.
fn logged(program: &Program) -> String {
    let line = program.stdout.next().expect("another line of the log comes");
    let line: Value = serde_json::from_str(&line).expect("a line of JSON");
    line["msg"].as_str().expect("a text").to_owned()
}

/// Asserts that the program does not begin, says in one line why, and that it is the flags.
fn is_refused(flags: &[&str], part: &str) {
    let (code, out, err) = run(&mut eproxy(&[&["--port", "0"], flags].concat()));
    assert_eq!((code, out.len(), err.len()), (Some(2), 0, 1), "{flags:?}: {out:?} {err:?}");
    assert!(err[0].starts_with("eproxy: ") && err[0].contains(part), "{flags:?}: {err:?}");
}

#[test]
fn to_passes_every_request_on() {
    let upstream = naming("one");
    let url = format!("http://{upstream}");
    let program = start(&["--to", &url]);
    assert!(program.announcement.contains(&format!("everything goes to {url}")), "{}", program.announcement);
    for (line, sent) in [
        ("GET /", "GET / HTTP/1.1"),
        ("GET /hello?q=%2F", "GET /hello?q=%2F HTTP/1.1"),
        ("DELETE //a/../b", "DELETE //a/../b HTTP/1.1"),
        ("OPTIONS *", "OPTIONS * HTTP/1.1"),
    ] {
        let reply = ask(program.address, line);
        assert_eq!((reply.status, reply.body.lines().nth(1)), (200, Some(sent)), "{reply:?}");
        assert!(reply.body.contains("\nHost: test\r\n"), "{reply:?}");
    }
}

#[test]
fn several_upstreams_share_the_requests() {
    let upstreams =
        [naming("one"), naming("two"), naming("three")].map(|upstream| format!("http://{upstream}"));
    let program = start(&["--to", &upstreams[0], "--to", &upstreams[1], "--to", &upstreams[2]]);
    assert!(program.announcement.contains(&upstreams.join(", ")), "{}", program.announcement);
    // Who is next is a matter of chance: that one of them is not asked in so many has a likelihood of less than 10^-17.
    let names: BTreeSet<_> =
        (0..100).map(|_| program.get("/").body.lines().next().expect("a name").to_owned()).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["one", "three", "two"]);
}

#[test]
fn an_upstream_may_be_a_socket_of_the_file_system() {
    let folder = std::env::temp_dir().join(format!("eproxy-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("upstream.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(|mut stream| answer(&mut stream, "here")));
    let program = start(&["--to", &format!("unix:{}", path.display())]);
    let reply = program.get("/path");
    assert_eq!(reply.status, 200);
    assert!(reply.body.starts_with("here\nGET /path HTTP/1.1\r\n"), "{reply:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_upstream_that_cannot_be_one_is_one_line_and_exit_code_2() {
    for (url, part) in [
        ("nonsense", "http://HOST:PORT"),
        ("127.0.0.1:80", "http://HOST:PORT"),
        ("", "http://HOST:PORT"),
        ("ftp://127.0.0.1", "unix:/PATH"),
        ("http://", "http://HOST:PORT"),
        ("http://a:99999", "http://HOST:PORT"),
        ("http://a/?query", "more than a host"),
        ("http://ada:secret@a/", "more than a host"),
        ("unix:relative.sock", "absolute path"),
    ] {
        is_refused(&["--to", url], part);
        is_refused(&["--to", "http://127.0.0.1:9", "--to", url], part);
    }
    is_refused(&["--to"], "--to");
}

#[test]
fn a_dead_upstream_is_502_and_a_line_that_tells_of_both_ends() {
    let upstream = dead();
    let program = start(&["--to", &format!("http://{upstream}")]);
    assert_eq!(program.get("/").status, 502);
    let line = logged(&program);
    assert!(line.starts_with("connect: ") && line.contains(&upstream.to_string()), "{line}");
    assert!(line.contains(", on route /*path") && line.contains(", from 127.0.0.1:"), "{line}");
}

#[test]
fn what_the_forward_proxy_refuses_is_logged_with_its_client_and_without_a_route() {
    let program = start(&["--forward"]);
    assert!(program.announcement.contains(", a forward proxy"), "{}", program.announcement);
    let mut stream = connect(&program);
    let from = stream.local_addr().unwrap();
    stream.write_all(b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_reply(stream).status, 403);
    let expected = format!("destination_denied: destination address not allowed: 127.0.0.1:1, from {from}");
    assert_eq!(logged(&program), expected);
    let (status, stream) = tunnel(&program, "127.0.0.1:22".parse().unwrap());
    assert_eq!(status, 403);
    let expected = format!("port_denied: port not allowed: 22, from {}", stream.local_addr().unwrap());
    assert_eq!(logged(&program), expected);
}

#[test]
fn forward_goes_where_it_is_told_as_far_as_that_is_allowed() {
    let (upstream, other) = (naming("allowed"), naming("other"));
    let port = upstream.port().to_string();
    let program = start(&["--forward", "--forward-allow", "127.0.0.1", "--forward-port", &port]);
    let reply = ask(program.address, &format!("GET http://{upstream}/a?b"));
    assert_eq!(reply.status, 200);
    assert!(
        reply.body.starts_with(&format!("allowed\nGET /a?b HTTP/1.1\r\nHost: {upstream}\r\n")),
        "{reply:?}"
    );
    let (status, mut stream) = tunnel(&program, upstream);
    assert_eq!(status, 200);
    stream.write_all(b"GET /in HTTP/1.1\r\nHost: me\r\n\r\n").unwrap();
    assert!(read_reply(stream).body.starts_with("allowed\nGET /in HTTP/1.1\r\nHost: me\r\n\r\n"));
    // That port and no other; that address and no other; and nothing that is not a request for a proxy.
    assert_eq!(tunnel(&program, other).0, 403);
    for line in ["GET http://127.0.0.2/", "GET http://10.0.0.1/", "GET http://[::1]/"] {
        assert_eq!(ask(program.address, line).status, 403, "{line}");
    }
    assert_eq!(program.get("/").status, 400);
    // Several of both.
    let ports = ["--forward-port", &port, "--forward-port", &other.port().to_string()].map(str::to_owned);
    let allowed = ["--forward", "--forward-allow", "10.0.0.0/8", "--forward-allow", "localhost"];
    let flags: Vec<&str> = allowed.into_iter().chain(ports.iter().map(String::as_str)).collect();
    let program = start(&flags);
    assert_eq!(ask(program.address, &format!("GET http://localhost:{port}/")).status, 200);
    assert_eq!([upstream, other].map(|place| tunnel(&program, place).0), [403; 2], "not by its address");
}

#[test]
fn forward_and_to_go_together() {
    let (behind, elsewhere) = (naming("behind"), naming("elsewhere"));
    let program = start(&["--to", &format!("http://{behind}"), "--forward", "--forward-allow", "127.0.0.1"]);
    assert!(program.get("/").body.starts_with("behind\n"));
    let reply = ask(program.address, &format!("GET http://{elsewhere}/"));
    assert!(reply.body.starts_with("elsewhere\n"), "{reply:?}");
}

#[test]
fn forward_users_are_asked_who_they_are() {
    let upstream = naming("one");
    let program = start(&[
        "--forward",
        "--forward-allow",
        "127.0.0.1",
        "--forward-user",
        "ada:open:sesame",
        "--forward-user",
        "grace:",
    ]);
    let line = format!("GET http://{upstream}/");
    let reply = ask(program.address, &line);
    assert_eq!(reply.status, 407);
    assert!(reply.header("proxy-authenticate").is_some_and(|value| value.starts_with("Basic ")), "{reply:?}");
    // `ada:open:sesame`, `grace:`, `ada:open`
    for (credentials, status) in [("YWRhOm9wZW46c2VzYW1l", 200), ("Z3JhY2U6", 200), ("YWRhOm9wZW4=", 407)] {
        let fields = format!("Proxy-Authorization: Basic {credentials}\r\n");
        let reply = ask_with(&program, &line, &fields);
        assert_eq!(reply.status, status, "{credentials}");
        assert!(!reply.body.contains("Proxy-Authorization"), "{reply:?}");
    }
}

#[test]
fn forward_parent_is_who_everything_goes_to() {
    let upstream = naming("one");
    let port = upstream.port().to_string();
    let parent = start(&[
        "--forward",
        "--forward-allow",
        "127.0.0.1",
        "--forward-port",
        &port,
        "--forward-user",
        "child:p@ss word",
    ]);
    let allowed = ["--forward", "--forward-allow", "127.0.0.1", "--forward-port", &port];
    let url = format!("http://child:p%40ss%20word@{}", parent.address);
    let program = start(&[&allowed[..], &["--forward-parent", &url]].concat());
    let announced = format!("a forward proxy to http://{}", parent.address);
    assert!(program.announcement.contains(&announced), "{}", program.announcement);
    assert!(!program.announcement.contains("p@ss") && !program.announcement.contains("p%40ss"));
    let reply = ask(program.address, &format!("GET http://{upstream}/"));
    assert!(
        reply.status == 200 && reply.body.contains("Via: 1.1 eproxy\r\nVia: 1.1 eproxy\r\n"),
        "{reply:?}"
    );
    let (status, mut stream) = tunnel(&program, upstream);
    assert_eq!(status, 200);
    stream.write_all(b"GET /in HTTP/1.1\r\nHost: me\r\n\r\n").unwrap();
    assert!(read_reply(stream).body.starts_with("one\nGET /in"));
    // One that is not known there.
    let url = format!("http://{}", parent.address);
    let stranger = start(&[&allowed[..], &["--forward-parent", &url]].concat());
    assert_eq!(ask(stranger.address, &format!("GET http://{upstream}/")).status, 502);
    assert_eq!(tunnel(&stranger, upstream).0, 502);
}

#[test]
fn curl_finds_its_way_through_the_forward_proxy() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    let upstream = naming("found");
    let flags = ["--forward", "--forward-allow", "127.0.0.1", "--forward-user", "ada:secret"];
    let program = start(&[&flags[..], &["--forward-port", &upstream.port().to_string()]].concat());
    let curl = |user: &str, more: &[&str], url: &str| {
        let proxy = format!("http://{user}{}", program.address);
        let common = ["-q", "-sS", "--max-time", "15", "--noproxy", "", "-x", &proxy];
        let output = Command::new("curl").args(common).args(more).arg(url).output().expect("curl runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let url = format!("http://{upstream}/page");
    let (went_well, body) = curl("ada:secret@", &[], &url);
    assert!(went_well && body.starts_with("found\nGET /page HTTP/1.1\r\n"), "{body}");
    assert!(!body.contains("Proxy-"), "{body}");
    // Through a tunnel, as it would for https.
    let (went_well, body) = curl("ada:secret@", &["-p"], &url);
    assert!(went_well && body.starts_with("found\nGET /page HTTP/1.1\r\n"), "{body}");
    assert!(!body.contains("Via: "), "{body}");
    let (went_well, body) = curl("ada:secret@", &["-d", "name=value"], &url);
    assert!(went_well && body.starts_with("found\nPOST /page HTTP/1.1\r\n"), "{body}");
    for (user, more, url, status) in [
        ("", &[][..], url.as_str(), "407"),
        ("ada:wrong@", &[], &url, "407"),
        ("ada:secret@", &[], "http://169.254.169.254/", "403"),
        ("ada:secret@", &[], "http://[::ffff:10.0.0.1]/", "403"),
    ] {
        let (_, written) = curl(user, &[more, &["-o", "/dev/null", "-w", "%{http_code}"]].concat(), url);
        assert_eq!(written, status, "{user} {url}");
    }
    let (_, written) = curl("ada:wrong@", &["-p", "-o", "/dev/null", "-w", "%{http_connect}"], &url);
    assert_eq!(written, "407");
}

/// Asserts that no answer comes for a while.
fn is_silent_for(stream: &mut TcpStream, milliseconds: u64) {
    stream.set_read_timeout(Some(Duration::from_millis(milliseconds))).expect("a timeout can be set");
    let read = stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(read, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{read:?}");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
}

#[test]
fn head_timeout_is_how_long_a_head_may_take() {
    for (flag, sooner) in [("300ms", 100), ("1s", 500)] {
        let program = start(&["--head-timeout", flag]);
        let mut stream = connect(&program);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: te").unwrap();
        is_silent_for(&mut stream, sooner);
        assert_eq!(read_reply(stream).status, 408, "{flag}");
        assert_eq!(program.get("/hello").status, 200);
    }
}

#[test]
fn upstream_timeout_is_how_long_an_answer_may_take() {
    let (listener, silent) = listen();
    let (to, there) = (format!("http://{silent}"), format!("GET http://{silent}/"));
    for (flags, line) in
        [(&["--to", &to][..], "GET /"), (&["--forward", "--forward-allow", "127.0.0.1"], there.as_str())]
    {
        let program = start(&[flags, &["--upstream-timeout", "500ms"]].concat());
        let mut stream = send(program.address, line);
        is_silent_for(&mut stream, 200);
        assert_eq!(read_reply(stream).status, 504, "{flags:?}");
    }
    drop(listener);
}

#[test]
fn times_that_are_none_are_refused() {
    for (flag, more) in [("--head-timeout", &[][..]), ("--upstream-timeout", &["--to", "http://127.0.0.1:9"])]
    {
        for wrong in ["", "5", "s", "-5s", "5 parsecs", "soon", "5s5", "1e3s"] {
            is_refused(&[more, &[flag, wrong]].concat(), "5s or 500ms");
        }
        for nothing in ["0s", "0ms"] {
            is_refused(&[more, &[flag, nothing]].concat(), "more than nothing");
        }
        for right in ["5s", "500ms", "2m", "1m 30s"] {
            drop(start(&[more, &[flag, right]].concat()));
        }
    }
}

#[test]
fn flags_that_contradict_each_other_are_one_line_and_exit_code_2() {
    let to = ["--to", "http://127.0.0.1:9"];
    for (flags, part) in [
        (&["--forward-allow", "10.0.0.0/8"][..], "need --forward"),
        (&["--forward-port", "443"], "need --forward"),
        (&["--forward-user", "a:b"], "need --forward"),
        (&["--forward-parent", "http://127.0.0.1:9"], "need --forward"),
        (&[&to[..], &["--forward-user", "a:b"]].concat(), "need --forward"),
        (&[&to[..], &["--upstream", "http://127.0.0.1:9/"]].concat(), "--upstream is for the demo"),
        (&["--forward", "--upstream", "http://127.0.0.1:9/"], "--upstream is for the demo"),
        (&["--upstream-timeout", "5s"], "needs --to or --forward"),
        // What only the library can judge.
        (&["--forward", "--forward-allow", "10.0.0.0/33"], "10.0.0.0/33"),
        (&["--forward", "--forward-allow", "http://a"], "http://a"),
        (&["--forward", "--forward-port", "70000"], "--forward-port"),
        (&["--forward", "--forward-port", "https"], "--forward-port"),
        (&["--forward", "--forward-user", "ada"], "NAME:PASSWORD"),
        (&["--forward", "--forward-user", ":secret"], "NAME:PASSWORD"),
        (&["--forward", "--forward-user", "a:b\nc"], "control"),
        (&["--forward", "--forward-parent", "127.0.0.1:3128"], "http://127.0.0.1:3128"),
        (&["--forward", "--forward-parent", "https://a"], "http://127.0.0.1:3128"),
        (&["--forward", "--forward-parent", "http://:secret@a"], "http://127.0.0.1:3128"),
    ] {
        is_refused(flags, part);
    }
}
