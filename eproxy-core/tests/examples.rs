//! The examples do what the comments on top of them say.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// An example that runs as a process of its own; dropping it ends it.
struct Example {
    process: Child,
    lines: Receiver<String>,
    /// What it printed before it listened.
    preface: Vec<String>,
    address: SocketAddr,
}

impl Example {
    /// Runs an example on a free port and waits until it listens.
    fn run(name: &str) -> Self {
        let mut process = Command::new(binary(name))
            .arg("127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example runs");
        let (give, lines) = channel();
        let stdout = process.stdout.take().expect("stdout is piped");
        thread::spawn(move || {
            // Ends with the process, or with the test.
            BufReader::new(stdout).lines().map_while(Result::ok).all(|line| give.send(line).is_ok())
        });
        let mut example =
            Self { process, lines, preface: Vec::new(), address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        loop {
            let line = example.line();
            if let Some(address) = line.strip_prefix("listening on http://") {
                example.address = address.parse().expect("an address");
                return example;
            }
            example.preface.push(line);
        }
    }

    /// The next line that it prints.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the example prints another line")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the example takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// Sends a request whose answer is the last on its connection.
    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").expect("a request can be sent");
        stream
    }

    /// Sends a head as it is, without its last line, and reads the answer to its end.
    fn ask_raw(&self, head: &str) -> (String, String) {
        let mut stream = self.connect();
        write!(stream, "{}\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n"))
            .expect("a request can be sent");
        let head = read_head(&mut stream);
        let mut body = String::new();
        stream.read_to_string(&mut body).expect("the rest of an answer");
        (head, body)
    }

    /// The status and the body of the answer to a request.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        answer(self.send(method, path, body))
    }

    fn get(&self, path: &str) -> String {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Waits until it ends by itself.
    fn wait(mut self) -> ExitStatus {
        self.process.wait().expect("it can be waited for")
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Cargo builds the examples of a package before it runs its tests, and puts them here.
fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("tests are in a folder of the profile's");
    let binary = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(binary.exists(), "{} is not built: cargo build -p eproxy-core --examples", binary.display());
    binary
}

/// Reads an answer to its end: its status, and its body without the chunks around it.
fn answer(mut stream: TcpStream) -> (u16, String) {
    let head = read_head(&mut stream);
    let mut body = String::new();
    stream.read_to_string(&mut body).expect("the rest of an answer");
    if head.contains("Transfer-Encoding: chunked") {
        body = join_chunks(&body).expect("the body is whole");
    }
    (head[9..12].parse().expect("a status"), body)
}

fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a whole head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head of text")
}

/// The text in a chunked body; none where the last chunk is missing.
fn join_chunks(mut coded: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = coded.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        text.push_str(rest.get(..size)?);
        coded = rest.get(size..)?.strip_prefix("\r\n")?;
        if size == 0 {
            return Some(text);
        }
    }
}

#[test]
fn hello_greets_the_world_and_by_name() {
    let hello = Example::run("hello");
    assert_eq!(hello.get("/"), "Welcome\n");
    assert_eq!(hello.get("/hello"), "Hello, World!\n");
    assert_eq!(hello.get("/hello/Ada%20L."), "Hello, Ada L.!\n");
}

#[test]
fn callbacks_answers_later_and_for_whoever_forgets() {
    let callbacks = Example::run("callbacks");
    assert_eq!(callbacks.get("/thread"), "answered by a thread\n");
    assert_eq!(callbacks.get("/task"), "answered by a task\n");
    for path in ["/shout", "/shout/async"] {
        assert_eq!(callbacks.ask("POST", path, "some text"), (200, "SOME TEXT".into()), "{path}");
    }
    assert_eq!(callbacks.ask("GET", "/forgotten", ""), (500, "500 Internal Server Error\n".into()));
}

#[test]
fn callbacks_lets_all_wait_until_the_bell_is_rung() {
    let callbacks = Example::run("callbacks");
    let waiting = [callbacks.send("GET", "/bell", ""), callbacks.send("GET", "/bell", "")];
    let mut rung_for = 0;
    while rung_for < 2 {
        let text = callbacks.ask("POST", "/bell", "").1;
        rung_for += text.trim().strip_prefix("rung for ").unwrap().parse::<usize>().unwrap();
    }
    for stream in waiting {
        assert_eq!(answer(stream), (200, "ding\n".into()));
    }
}

#[test]
fn streaming_sends_events_until_the_client_is_gone() {
    let streaming = Example::run("streaming");
    assert!(streaming.get("/").contains("EventSource('/events')"));
    let mut events = streaming.send("GET", "/events", "");
    assert!(read_head(&mut events).contains("Content-Type: text/event-stream\r\n"));
    for number in 1..=3 {
        let expected = format!("9\r\ndata: {number}\n\n\r\n");
        let mut chunk = vec![0; expected.len()];
        events.read_exact(&mut chunk).expect("another event");
        assert_eq!(String::from_utf8_lossy(&chunk), expected);
    }
    drop(events);
    let line = streaming.line();
    let last: u32 = line.strip_prefix("gone after event ").unwrap().parse().unwrap();
    assert!((3..10).contains(&last), "{line}");
}

/// More than any buffer on the way holds, and more than the default limit of a body.
const LARGE: usize = 32 * 1024 * 1024 + 7;

/// A byte of a long body; places that are near each other, or a power of two apart, differ.
fn byte_at(at: usize) -> u8 {
    ((at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

/// Sends a long body, chunked or with its length.
fn send_large(mut stream: &TcpStream, path: &str, is_chunked: bool) {
    let framing = match is_chunked {
        true => "Transfer-Encoding: chunked".into(),
        false => format!("Content-Length: {LARGE}"),
    };
    let mut send = |bytes: &[u8]| stream.write_all(bytes).expect("the body is taken");
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{framing}\r\n\r\n");
    send(head.as_bytes());
    for start in (0..LARGE).step_by(64 * 1024) {
        let bytes: Vec<u8> = (start..LARGE.min(start + 64 * 1024)).map(byte_at).collect();
        match is_chunked {
            true => send(&[format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()),
            false => send(&bytes),
        }
    }
    if is_chunked {
        send(b"0\r\n\r\n");
    }
}

#[test]
fn upload_counts_and_echoes_long_bodies_at_the_same_time() {
    let upload = Example::run("upload");
    let (count, echo) = (upload.connect(), upload.connect());
    thread::scope(|scope| {
        scope.spawn(move || {
            send_large(&count, "/count", true);
            assert_eq!(answer(count), (200, format!("{LARGE} bytes\n")));
        });
        let mut back = echo.try_clone().unwrap();
        scope.spawn(move || send_large(&echo, "/echo", false));
        let head = read_head(&mut back);
        assert!(head.contains(&format!("Content-Length: {LARGE}\r\n")), "{head}");
        let mut bytes = Vec::with_capacity(LARGE);
        back.read_to_end(&mut bytes).expect("the body comes back");
        assert_eq!(bytes.len(), LARGE);
        assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == byte_at(at)));
    });
}

#[test]
fn upload_tells_a_client_that_asks_first_to_go_on() {
    let upload = Example::run("upload");
    let mut stream = upload.connect();
    let head = "POST /count HTTP/1.1\r\nHost: test\r\nConnection: close\r\nExpect: 100-continue\r\n";
    write!(stream, "{head}Content-Length: 5\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 100 "));
    stream.write_all(b"hello").unwrap();
    assert_eq!(answer(stream), (200, "5 bytes\n".into()));
}

#[test]
fn upload_never_takes_half_a_body_for_a_whole_one() {
    let upload = Example::run("upload");
    let mut stream = upload.connect();
    write!(stream, "POST /count HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(answer(stream).0, 400);
}

#[test]
fn client_asks_in_all_its_ways_and_relays() {
    let client = Example::run("client");
    let expected = [
        "builder: HELLO",
        "answer: 200, 100000 numbers announced",
        "download: 100000 numbers, 5000050000 in all",
    ];
    assert_eq!(client.preface[..3], expected);
    assert!(client.preface[3].starts_with("nobody there, 502: "), "{:?}", client.preface);
    let numbers = client.get("/proxy");
    assert!(numbers.lines().eq((1..=100_000).map(|number| number.to_string())));
}

#[test]
fn reverse_proxy_shares_requests_out_and_speaks_in_the_clients_terms() {
    let proxy = Example::run("reverse_proxy");
    assert_eq!(proxy.get("/"), "try /api/users\n");
    let names: Vec<_> = (0..6).map(|page| proxy.get(&format!("/api/users?page={page}"))).collect();
    for (page, text) in names.iter().enumerate() {
        assert!(text.ends_with(&format!(": GET /users?page={page}, for 127.0.0.1\n")), "{text}");
    }
    assert_eq!(names.iter().filter(|text| text.starts_with("heavy")).count(), 4, "{names:?}");
    let (head, _) = proxy.ask_raw("GET /api/moved HTTP/1.1\nHost: example.test");
    assert!(head.contains("Location: http://example.test/api/users\r\n"), "{head}");
    assert!(head.contains("X-Served-By: eproxy\r\n"), "{head}");
    let (head, _) = proxy.ask_raw("GET /down HTTP/1.1\nHost: test");
    assert!(head.contains("Proxy-Status: eproxy; error=connection_refused\r\n"), "{head}");
}

#[test]
fn admin_shows_a_page_and_refuses_to_reload() {
    let example = Example::run("admin");
    let page = example.preface[0].strip_prefix("the live page: http://").unwrap().trim_end_matches('/');
    let admin = |head: &str| {
        let mut stream = TcpStream::connect(page).expect("the admin listener takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let text = format!("{head}\nHost: localhost\nConnection: close\n\n").replace('\n', "\r\n");
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    assert!(admin("GET / HTTP/1.1").contains("<title>eproxy</title>"));
    assert!(admin("GET /readyz HTTP/1.1").ends_with(r#"{"ready":true,"reasons":[]}"#));
    let refused = admin("POST /api/reload HTTP/1.1\nX-Eproxy-Admin: 1\nContent-Length: 0");
    assert!(
        refused.starts_with("HTTP/1.1 422 ") && refused.contains("there is no file to load"),
        "{refused}"
    );
    assert_eq!(example.get("/"), "try /shop/anything and /search\n");
}

#[test]
fn forward_proxy_asks_who_it_is_and_lets_nobody_inside() {
    let proxy = Example::run("forward_proxy");
    let reachable = proxy.preface[0].strip_prefix("the server that may be reached: ").unwrap().to_owned();
    let authority = reachable.strip_prefix("http://").unwrap();
    let credentials = "Proxy-Authorization: Basic YWRhOnNlY3JldA==";
    let (head, body) =
        proxy.ask_raw(&format!("GET {reachable}/page HTTP/1.1\nHost: {authority}\n{credentials}"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("you asked for /page\n"), "{body}");
    let (head, body) = proxy.ask_raw(&format!(
        "CONNECT {authority} HTTP/1.1\nHost: {authority}\n{credentials}\n\nGET /tunnel HTTP/1.1\nHost: x"
    ));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("you asked for /tunnel\n"), "{body}");
    let (head, _) = proxy.ask_raw(&format!("GET {reachable}/page HTTP/1.1\nHost: {authority}"));
    assert!(head.starts_with("HTTP/1.1 407 ") && head.contains("Proxy-Authenticate: Basic "), "{head}");
    let inside = format!("GET http://169.254.169.254/ HTTP/1.1\nHost: 169.254.169.254\n{credentials}");
    assert!(proxy.ask_raw(&inside).0.starts_with("HTTP/1.1 403 "));
}

#[test]
fn websocket_echoes_through_the_proxy() {
    use async_tungstenite::tungstenite::Message;
    use futures_lite::StreamExt as _;

    let example = Example::run("websocket");
    assert!(example.get("/").contains("new WebSocket("));
    assert_eq!(example.ask("GET", "/chat", ""), (400, "malformed request for another protocol\n".into()));
    async_std::task::block_on(async {
        let stream = async_std::net::TcpStream::connect(example.address).await.unwrap();
        let url = format!("ws://{}/chat", example.address);
        let (mut socket, _) = async_tungstenite::client_async(url, stream).await.unwrap();
        for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
        socket.close(None).await.unwrap();
    });
    assert_eq!(example.line(), "closed after 2 messages");
}

#[test]
fn files_serves_a_folder_and_nothing_beside_it() {
    let files = Example::run("files");
    let ask = |path: &str, fields: &str| files.ask_raw(&format!("GET {path} HTTP/1.1\nHost: test{fields}"));
    let (head, page) = ask("/docs/local.md", "");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nETag: "), "{head}");
    assert!(head.contains("\r\nCache-Control: no-cache\r\n"), "{head}");
    let (head, part) = ask("/docs/local.md", "\nRange: bytes=0-24");
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert!(part == "# What is answered here\n\n" && page.starts_with(&part), "{part}");
    assert!(ask("/docs/%2e%2e/Cargo.toml", "").0.starts_with("HTTP/1.1 404 Not Found\r\n"));
    let (head, _) = ask("/guides/local.md?from=old", "");
    assert!(head.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"), "{head}");
    assert!(head.contains("\r\nLocation: /docs/local.md?from=old\r\n"), "{head}");
    assert_eq!(files.get("/healthz"), "ok\n");
}

#[test]
fn hooks_asks_who_it_is_and_signs_what_comes_back() {
    let hooks = Example::run("hooks");
    assert_eq!(hooks.ask("GET", "/greeting", ""), (401, "who are you?\n".into()));
    assert_eq!(hooks.line(), "GET /greeting: 401, 0 bytes");
    let (head, body) = hooks.ask_raw("GET /greeting HTTP/1.1\nHost: test\nAuthorization: Bearer ada");
    assert_eq!(body, r#"{"greeting":"hello, ada","seen_by":"eproxy"}"#);
    assert!(head.contains("Content-Length: 44\r\n"), "{head}");
    assert_eq!(hooks.line(), "GET /greeting: 200, 25 bytes");
}

#[test]
fn mirror_copies_requests_and_forgets_the_answers() {
    let mirror = Example::run("mirror");
    assert_eq!(
        mirror.ask("POST", "/notes", "some text"),
        (200, "today's version has taken 9 bytes\n".into())
    );
    assert_eq!(mirror.line(), "tomorrow's version: POST /notes, 9 bytes");
}

#[test]
fn embed_runs_its_server_and_ends_by_itself() {
    let embed = Example::run("embed");
    assert_eq!(embed.line(), "answer: HTTP/1.1 200 OK, \"Hello from inside!\"");
    assert_eq!(embed.line(), "accepted 1 connection, understood 1 request");
    assert_eq!(embed.line(), "shut down: Clean");
    assert!(embed.wait().success());
}

/// What an example that ends by itself prints, and what the comment on top of it says that it prints.
fn printed_and_promised(name: &str) -> (Vec<String>, Vec<String>) {
    let run = Command::new(binary(name)).stdin(Stdio::null()).output().expect("the example runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.rs"));
    let source = fs::read_to_string(path).expect("the example has a source");
    let promised = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let promised =
        promised.skip_while(|line| !line.starts_with("$ ")).skip(1).take_while(|line| *line != "```");
    let printed = String::from_utf8(run.stdout).expect("it prints text");
    (printed.lines().map(str::to_owned).collect(), promised.map(str::to_owned).collect())
}

#[test]
fn testing_tells_what_the_comment_on_top_of_it_says() {
    let (printed, promised) = printed_and_promised("testing");
    assert_eq!(printed, promised);
}

#[test]
fn failover_loses_no_request_while_an_upstream_is_gone() {
    let (printed, promised) = printed_and_promised("failover");
    assert_eq!(printed, promised);
}

#[test]
fn tls_renews_its_certificate_while_it_runs() {
    let (printed, promised) = printed_and_promised("tls");
    assert_eq!(printed, promised);
}

#[test]
fn mtls_tells_clients_by_their_certificates() {
    let (printed, promised) = printed_and_promised("mtls");
    assert_eq!(printed, promised);
}

#[test]
fn http2_has_many_requests_on_one_connection() {
    let (printed, promised) = printed_and_promised("http2");
    assert_eq!(printed, promised);
}

#[test]
fn grpc_translates_calls_and_tells_of_failures() {
    let (printed, promised) = printed_and_promised("grpc");
    assert_eq!(printed, promised);
}

#[test]
fn load_balance_shares_by_weight_and_relieves_who_is_slow() {
    let (printed, promised) = printed_and_promised("load_balance");
    assert_eq!(printed[..2], promised[..2]);
    let answered = |name: &str| {
        let line = printed[4..].iter().find(|line| line.starts_with(name)).expect("a line for each");
        assert!(line.contains(": weight 1, Fit, ") && line.ends_with(" answered, 0 failures"), "{line}");
        let (count, _) = line.split_once(" of ").expect("so many of so many");
        count.rsplit(' ').next().and_then(|count| count.parse::<u32>().ok()).expect("a number")
    };
    let (amber, beryl, coral) = (answered("amber"), answered("beryl"), answered("coral"));
    assert_eq!(amber + beryl + coral, 60);
    assert!(coral < amber && coral < beryl, "the slow one is asked the least: {printed:?}");
}

#[test]
fn sticky_keeps_clients_where_they_were_until_that_is_gone() {
    let (printed, promised) = printed_and_promised("sticky");
    let first = printed[0].split(' ').nth(3).expect("somebody answers");
    let names = |line: &str| line.rsplit(": ").next().unwrap_or_default().to_owned();
    assert!(printed[0].ends_with(r#" sets "node=…; Path=/; HttpOnly; SameSite=Lax""#), "{printed:?}");
    assert_eq!((names(&printed[1]), names(&printed[4])), (first.to_owned(), first.to_owned()));
    assert_eq!(names(&printed[2]), "amber, beryl, coral");
    assert!(!names(&printed[5]).contains(first), "nobody new goes there: {printed:?}");
    let last = printed[7].strip_prefix("with its cookie: ").expect("the last line");
    assert!(!last.starts_with(first) && last.ends_with(" and sets another one"), "{printed:?}");
    assert_eq!(printed.len(), promised.len());
}

#[test]
fn the_table_names_every_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".rs") else { continue };
        assert!(table.contains(&format!("| [`{name}`]({file}) |")), "{name} is not in the table");
        assert!(table.contains(&format!("--example {name}`")), "{name} has no command in the table");
    }
}
