//! The program from outside: flags, routes, log, signals. What it does as a proxy is in `proxying.rs`.
#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, PipeReader};
use std::net::TcpStream;

use serde_json::{Value, json};

use support::{
    Lines, PATIENCE, Program, address_in, ask, dead, eproxy, listen, pause, read_reply, run, send, start,
    upstream,
};

#[test]
fn the_demo_lists_its_endpoints_greets_and_knows_no_other_path() {
    let program = start(&[]);
    let list = program.get("/");
    assert_eq!((list.status, list.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    for part in ["/hello", "/proxy", env!("CARGO_PKG_VERSION")] {
        assert!(list.body.contains(part), "{part}: {list:?}");
    }
    let hello = program.get("/hello");
    assert_eq!((hello.status, hello.body.as_str()), (200, "Hello, World!"));
    assert_eq!(program.get("/nothing").status, 404);
    assert_eq!(program.get("/hello/").status, 404);
    assert_eq!(ask(program.address, "POST /hello").status, 405);
    let head = ask(program.address, "HEAD /hello");
    assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, Some("13"), ""));
}

#[test]
fn proxy_relays_what_the_embedded_origin_tells_of_the_request() {
    let program = start(&[]);
    let reply = program.get("/proxy");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let told: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((&told["method"], &told["args"]), (&json!("GET"), &json!({})));
    assert_eq!(told["origin"], json!("127.0.0.1"));
    let url = told["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/get"), "{url}");
    assert_eq!(told["headers"]["host"], json!(address_in(url).to_string()));

    // A second program may ask the first one's origin, with arguments.
    let second = start(&["--upstream", &format!("{url}?a=1&b=two%20words")]);
    let told: Value = serde_json::from_str(&second.get("/proxy").body).unwrap();
    assert_eq!(told["args"], json!({ "a": "1", "b": "two words" }));
    assert_eq!(told["url"], json!(format!("{url}?a=1&b=two%20words")));
}

#[test]
fn proxy_relays_the_answer_of_a_given_upstream() {
    let upstream = upstream();
    let program = start(&["--upstream", &upstream.url]);
    assert!(program.get("/").body.contains(&upstream.url));
    let asking = send(program.address, "GET /proxy");
    let head = upstream.asked.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("GET /some/path?q=1 HTTP/1.1\r\n"), "{head}");
    let answer =
        b"HTTP/1.1 299 Odd\r\nX-Kept: yes\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    upstream.answer.send(answer).unwrap();
    let reply = read_reply(asking);
    assert_eq!((reply.status, reply.header("X-Kept")), (299, Some("yes")));
    assert_eq!(reply.body, "5\r\nhello\r\n0\r\n\r\n");
}

#[test]
fn a_health_check_is_0_where_all_is_well_and_1_elsewhere() {
    let program = start(&[]);
    let check = |path: &str| {
        let url = format!("http://{}{path}", program.address);
        run(&mut eproxy(&["--health-check", &url]))
    };
    assert_eq!(check("/hello"), (Some(0), vec![], vec![]));
    let (code, out, err) = check("/nothing");
    assert_eq!((code, out.len(), err.len()), (Some(1), 0, 1));
    assert!(err[0].ends_with("/nothing: status 404"), "{err:?}");
    let (code, _, err) = run(&mut eproxy(&["--health-check", &format!("http://{}/", dead())]));
    assert_eq!((code, err.len()), (Some(1), 1), "{err:?}");
}

#[test]
fn a_dead_upstream_is_502_and_a_warning() {
    let upstream = dead();
    let program = start(&["--upstream", &format!("http://{upstream}/")]);
    let reply = program.get("/proxy");
    assert_eq!((reply.status, reply.body.as_str()), (502, "upstream: connect\n"));
    let warning: Value = serde_json::from_str(&program.stdout.next().unwrap()).unwrap();
    assert!(warning["msg"].as_str().unwrap().contains(&upstream.to_string()), "{warning}");
    assert_eq!(program.get("/hello").status, 200);
}

#[test]
fn the_log_is_json_in_a_pipe_and_what_was_asked_for_otherwise() {
    for flags in [&[][..], &["--log-format", "json"]] {
        let program = start(flags);
        let line: Value = serde_json::from_str(&program.announcement).unwrap();
        let expected = format!("listening on http://{}", program.address);
        assert!(line["msg"].as_str().unwrap().starts_with(&expected), "{line}");
    }
    let program = start(&["--log-format", "pretty"]);
    assert!(serde_json::from_str::<Value>(&program.announcement).is_err(), "{}", program.announcement);
    assert!(program.announcement.contains("listening on"));
}

#[test]
fn a_quiet_log_does_not_hide_the_port_that_the_system_chose() {
    let mut program = start(&["--log-level", "error"]);
    assert!(program.announcement.starts_with("listening on http://127.0.0.1:"), "{}", program.announcement);
    assert_eq!(program.get("/hello").status, 200);
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!((program.stdout.rest(), program.stderr.rest()), (vec![], vec![]));
}

#[test]
fn a_signal_ends_the_program_when_the_request_in_flight_is_answered() {
    for signal in ["TERM", "INT"] {
        let upstream = upstream();
        let mut program = start(&["--upstream", &upstream.url]);
        let asking = send(program.address, "GET /proxy");
        upstream.asked.recv_timeout(PATIENCE).unwrap();
        program.signal(signal);
        let line = program.stdout.next().unwrap();
        assert!(line.contains("stopping"), "{signal}: {line}");
        pause(200);
        assert!(program.is_running(), "{signal}");
        assert!(TcpStream::connect(program.address).is_err(), "{signal}: it still takes connections");
        upstream.answer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast").unwrap();
        let reply = read_reply(asking);
        assert_eq!((reply.status, reply.body.as_str()), (200, "last"), "{signal}");
        assert_eq!(program.wait().code(), Some(0), "{signal}");
        assert!(program.stdout.rest().iter().any(|line| line.contains("stopped")), "{signal}");
        assert_eq!(program.stderr.rest(), Vec::<String>::new(), "{signal}");
    }
}

#[test]
fn an_idle_program_ends_at_the_first_signal() {
    for signal in ["TERM", "INT"] {
        let mut program = start(&[]);
        // A connection that is kept open, and one on which nothing was ever said.
        let idle = TcpStream::connect(program.address).unwrap();
        assert_eq!(program.get("/proxy").status, 200);
        program.signal(signal);
        assert_eq!(program.wait().code(), Some(0), "{signal}");
        drop(idle);
    }
}

#[test]
fn a_second_signal_does_not_wait_for_what_is_in_flight() {
    let upstream = upstream();
    let mut program = start(&["--upstream", &upstream.url]);
    let asking = send(program.address, "GET /proxy");
    upstream.asked.recv_timeout(PATIENCE).unwrap();
    program.signal("TERM");
    assert!(program.stdout.next().unwrap().contains("stopping"));
    pause(100);
    assert!(program.is_running());
    program.signal("INT");
    assert_eq!(program.wait().code(), Some(0));
    drop(asking);
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_1() {
    let (_listener, taken) = listen();
    let program = start(&[]);
    for port in [taken.port(), program.address.port()] {
        let (code, out, err) = run(&mut eproxy(&["--port", &port.to_string()]));
        assert_eq!((code, out.len(), err.len()), (Some(1), 0, 1), "{out:?} {err:?}");
        assert!(err[0].starts_with("eproxy: ") && err[0].contains(&port.to_string()), "{err:?}");
        assert!(err[0].to_lowercase().contains("in use"), "{err:?}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_one_line_and_exit_code_1() {
    for host in ["nonsense host", "", "192.0.2.1", "::ffff:zz"] {
        let (code, out, err) = run(&mut eproxy(&["--port", "0", "--host", host]));
        assert_eq!((code, out.len(), err.len()), (Some(1), 0, 1), "{host:?}: {out:?} {err:?}");
        assert!(err[0].starts_with("eproxy: "), "{err:?}");
    }
}

#[test]
fn wrong_flags_are_one_line_and_exit_code_2() {
    for flags in [
        &["--nope"][..],
        &["stray"],
        &["--port"],
        &["--port", "99999"],
        &["--port", "-1"],
        &["--port", "http"],
        &["--port", "1", "--port", "2"],
        &["--workers", "0"],
        &["--workers", "1025"],
        &["--workers", "many"],
        &["--upstream", "nonsense"],
        &["--upstream", "http://"],
        &["--upstream", "/path"],
        &["--upstream", "ftp://127.0.0.1/"],
        &["--upstream", "two\nlines"],
        &["--log-level", "loud"],
        &["--log-format", "xml"],
        &["--no\npe"],
    ] {
        let (code, out, err) = run(eproxy(flags).env("RUST_BACKTRACE", "1"));
        assert_eq!((code, out.len(), err.len()), (Some(2), 0, 1), "{flags:?}: {out:?} {err:?}");
        assert!(err[0].starts_with("eproxy: ") && !err[0].contains("panicked"), "{flags:?}: {err:?}");
    }
}

#[test]
fn an_argument_that_is_not_utf_8_is_one_line_and_exit_code_2() {
    use std::os::unix::ffi::OsStrExt as _;
    let (code, out, err) = run(eproxy(&[]).arg(std::ffi::OsStr::from_bytes(b"--port=\xFF")));
    assert_eq!((code, out.len(), err.len()), (Some(2), 0, 1), "{out:?} {err:?}");
}

#[test]
fn the_version_is_an_answer_and_exit_code_0() {
    let (code, out, err) = run(&mut eproxy(&["--version"]));
    assert_eq!((code, out, err.len()), (Some(0), vec![format!("eproxy {}", env!("CARGO_PKG_VERSION"))], 0));
}

#[test]
fn help_names_every_flag_and_is_an_answer_too() {
    let (code, out, err) = run(&mut eproxy(&["--help"]));
    assert_eq!((code, err.len()), (Some(0), 0));
    let help = out.join("\n");
    let source = include_str!("../src/flags.rs");
    let (_, flags) = source.split_once("pub(crate) struct Flags {").expect("the flags are there");
    let (flags, _) = flags.split_once("\n}").expect("they end");
    let names = flags.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("pub(crate) ");
        let (name, _) = line.split_once(':').filter(|_| !line.starts_with(['/', '#']))?;
        // Commands have no dashes.
        let name = Some(name).filter(|name| *name != "command")?;
        Some(format!("--{}", name.replace('_', "-")))
    });
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names.into_iter().chain(["--help".to_owned()]) {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&name)), "{name}: {help}");
    }
}

/// A pipe into which writing fails.
fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer): (PipeReader, _) = std::io::pipe().expect("there are descriptors left");
    drop(reader);
    writer
}

#[test]
fn answers_to_nobody_are_no_failure() {
    for flag in ["--version", "--help"] {
        let (code, _, err) = run(eproxy(&[flag]).stdout(closed_pipe()));
        assert_eq!((code, err.len()), (Some(0), 0), "{flag}: {err:?}");
    }
    let (code, ..) = run(eproxy(&["--nope"]).stdout(closed_pipe()).stderr(closed_pipe()));
    assert_eq!(code, Some(2));
}

#[test]
fn the_server_outlives_the_reader_of_its_log() {
    for (format, level) in [("json", "info"), ("pretty", "info"), ("json", "error")] {
        let address = dead();
        let flags = ["--port", &address.port().to_string(), "--log-format", format, "--log-level", level];
        let upstream = format!("http://{}/", dead());
        let child = eproxy(&flags).args(["--upstream", &upstream]).stdout(closed_pipe()).spawn();
        let mut child = child.expect("the program starts");
        let stderr = Lines::of(child.stderr.take().expect("it was piped"));
        let stdout = Lines::of(std::io::empty());
        let mut program = Program { child, stdout, stderr, address, announcement: String::new() };
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                break;
            }
            pause(10);
        }
        // Each of these is a line of the log.
        for _ in 0..3 {
            assert_eq!(program.get("/proxy").status, 502);
        }
        assert_eq!(program.get("/hello").status, 200);
        program.signal("TERM");
        assert_eq!(program.wait().code(), Some(0), "{format}, {level}");
        let said = program.stderr.rest();
        let expected = usize::from(level == "info");
        assert_eq!(said.len(), expected, "{format}, {level}: {said:?}");
        assert!(said.iter().all(|line| line.starts_with("eproxy: ")), "{said:?}");
    }
}

#[test]
fn a_reader_that_leaves_later_does_not_end_the_server_either() {
    let mut child = eproxy(&["--port", "0", "--upstream", &format!("http://{}/", dead())]).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().expect("it was piped"));
    let stderr = Lines::of(child.stderr.take().expect("it was piped"));
    let stdout = Lines::of(std::io::empty());
    let mut program = Program { child, stdout, stderr, address: dead(), announcement: String::new() };
    reader.read_line(&mut program.announcement).unwrap();
    program.address = address_in(&program.announcement);
    drop(reader);
    for _ in 0..3 {
        assert_eq!(program.get("/proxy").status, 502);
    }
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!(program.stderr.rest().len(), 1);
}
