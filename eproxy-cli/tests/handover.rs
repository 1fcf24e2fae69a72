//! The program is stopped or replaced while it serves: nothing is lost. Sockets come from systemd, and it is told how things
//! are. The test hands descriptors over and listens as systemd does.
#![cfg(unix)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use command_fds::{CommandFdExt as _, FdMapping};

use support::{
    Lines, PATIENCE, Program, address_in, ask, dead, eproxy, listen, pause, read_reply, run, send, start,
    upstream,
};

/// A folder of the test's own, with a copy of the program in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eproxy-handover-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        let folder = Self(path);
        folder.put_program();
        folder
    }

    fn program(&self) -> PathBuf {
        self.0.join("eproxy")
    }

    /// Puts a copy of another file in the place of the program, as packages are upgraded. Somebody else makes the copy: what
    /// is open for writing here can't be run, and programs that other tests start have it open, too, on their way.
    fn put(&self, from: &Path) {
        let next = self.0.join("next");
        let copied = Command::new("cp").arg(from).arg(&next).status();
        assert!(copied.expect("there is a cp command").success());
        fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::rename(&next, self.program()).expect("it is ours");
    }

    fn put_program(&self) {
        self.put(Path::new(env!("CARGO_BIN_EXE_eproxy")));
    }

    fn put_script(&self, script: &str) {
        let written = self.0.join("script");
        fs::write(&written, script).expect("there is room");
        self.put(&written);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A program that took over, which is nobody's child any more: ended by its number.
struct Successor(u32);

impl Successor {
    fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.0.to_string()]).stderr(Stdio::null());
        let _ended_by_itself = kill.status();
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

/// Starts the program of a command, and waits until it says where it listens.
fn launch(command: &mut Command) -> Program {
    let mut child = command.spawn().expect("the program starts");
    let stdout = Lines::of(child.stdout.take().expect("it was piped"));
    let stderr = Lines::of(child.stderr.take().expect("it was piped"));
    let mut program = Program { child, stdout, stderr, address: dead(), announcement: String::new() };
    program.announcement = program.stdout.next().unwrap_or_else(|| panic!("{:?}", program.stderr.rest()));
    if program.announcement.contains("http://127") {
        program.address = address_in(&program.announcement);
    }
    program
}

fn copy_of_eproxy(folder: &Folder, port: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(folder.program());
    command.args(["--port", port, "--workers", "2"]).args(flags);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for a line of the log.
fn line_with(program: &Program, part: &str) -> String {
    loop {
        let line = program.stdout.next().unwrap_or_else(|| panic!("no {part}: {:?}", program.stderr.rest()));
        if line.contains(part) {
            return line;
        }
    }
}

fn number_behind(line: &str, part: &str) -> u32 {
    let (_, from) = line.split_once(part).unwrap_or_else(|| panic!("no {part}: {line}"));
    let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
    from[..end].parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Has the program replaced, and waits until it is.
fn replace(program: &Program) -> Successor {
    program.signal("USR2");
    let line = line_with(program, "replaced by process");
    Successor(number_behind(&line, "replaced by process "))
}

/// Clients that ask again and again, half of them over connections that are kept.
struct Load {
    clients: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    /// Where `ends` the clients end when nobody listens any more.
    fn on(address: SocketAddr, ends: bool) -> Self {
        let (is_over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let client = |number: usize| {
            let (is_over, answered) = (is_over.clone(), answered.clone());
            let most = if number.is_multiple_of(2) { usize::MAX } else { 3 };
            thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    match TcpStream::connect_timeout(&address, PATIENCE) {
                        Ok(stream) => ask_over(stream, most, &is_over, &answered),
                        Err(_) if ends => return,
                        Err(error) => panic!("nobody listens: {error}"),
                    }
                }
            })
        };
        let load = Self { clients: (0..8).map(client).collect(), is_over, answered };
        load.goes_on();
        load
    }

    /// Waits until more requests were answered.
    fn goes_on(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        for _ in 0..PATIENCE.as_millis() / 10 {
            if self.answered.load(Ordering::SeqCst) > before + 200 {
                return;
            }
            pause(10);
        }
        self.is_over.store(true, Ordering::SeqCst);
        panic!("requests are not answered any more");
    }

    fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.join();
    }

    /// Every request was answered.
    fn join(self) {
        for client in self.clients {
            client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}

fn ask_over(mut stream: TcpStream, most: usize, is_over: &AtomicBool, answered: &AtomicUsize) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    for _ in 0..most {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: test\r\n\r\n").expect("the program reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"Hello, World!") {
            let mut some = [0; 1024];
            let length = stream.read(&mut some).expect("an answer comes");
            assert_ne!(
                length,
                0,
                "the connection ends without an answer: {}",
                String::from_utf8_lossy(&answer)
            );
            answer.extend_from_slice(&some[..length]);
        }
        answered.fetch_add(1, Ordering::SeqCst);
        if String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("connection: close") {
            return;
        }
    }
}

#[test]
fn no_request_is_lost_when_the_program_is_stopped() {
    for _ in 0..3 {
        let mut program = start(&[]);
        let load = Load::on(program.address, true);
        program.signal("TERM");
        assert_eq!(program.wait().code(), Some(0));
        load.join();
        assert!(program.stdout.rest().iter().any(|line| line.contains("\"stopped\"")));
    }
}

#[test]
fn no_request_is_lost_when_the_program_is_replaced() {
    let folder = Folder::new("replaced");
    let mut program = launch(&mut copy_of_eproxy(&folder, "0", &[]));
    let load = Load::on(program.address, false);
    // What runs is not what is in the file any more.
    folder.put_program();
    let first = replace(&program);
    assert_eq!(program.wait().code(), Some(0));
    load.goes_on();
    // And once more, now that the sockets were handed on once.
    first.signal("USR2");
    let line = line_with(&program, "replaced by process");
    let second = Successor(number_behind(&line, "replaced by process "));
    line_with(&program, "\"stopped\"");
    load.goes_on();
    load.end();
    second.signal("TERM");
    // All of them write there; it ends with the last.
    assert!(program.stdout.rest().iter().any(|line| line.contains("\"stopped\"")));
    assert!(TcpStream::connect(program.address).is_err());
    assert_eq!(program.stderr.rest(), Vec::<String>::new());
}

#[test]
fn what_is_under_way_is_finished_by_the_program_that_has_begun_it() {
    let folder = Folder::new("under-way");
    let upstream = upstream();
    let mut program = launch(&mut copy_of_eproxy(&folder, "0", &["--upstream", &upstream.url]));
    let asking = send(program.address, "GET /proxy");
    upstream.asked.recv_timeout(PATIENCE).expect("it is asked");
    let successor = replace(&program);
    assert_eq!(program.get("/hello").status, 200);
    assert!(program.is_running());
    upstream.answer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast").expect("it waits");
    let reply = read_reply(asking);
    assert_eq!((reply.status, reply.body.as_str(), reply.header("connection")), (200, "last", Some("close")));
    assert_eq!(program.wait().code(), Some(0));
    successor.signal("TERM");
    line_with(&program, "\"stopped\"");
}

#[test]
fn a_program_that_does_not_start_does_not_take_over() {
    let folder = Folder::new("broken");
    let mut program = launch(&mut copy_of_eproxy(&folder, "0", &["--upgrade-timeout", "300ms"]));
    let load = Load::on(program.address, false);
    for (script, part) in [
        ("#!/bin/sh\nexit 3\n", "exit status: 3"),
        ("#!/bin/sh\nexec sleep 60\n", "does not serve after"),
        ("#!/nowhere/to/be/found\n", "No such file"),
    ] {
        folder.put_script(script);
        program.signal("USR2");
        let line = line_with(&program, "this one goes on");
        assert!(line.contains(part), "{line}");
        load.goes_on();
    }
    folder.put_program();
    let successor = replace(&program);
    assert_eq!(program.wait().code(), Some(0));
    load.goes_on();
    load.end();
    successor.signal("TERM");
    line_with(&program, "\"stopped\"");
}

#[test]
fn a_stop_while_the_new_program_starts_is_a_stop() {
    let folder = Folder::new("given-up");
    let mut program = launch(&mut copy_of_eproxy(&folder, "0", &[]));
    folder.put_script("#!/bin/sh\nexec sleep 60\n");
    program.signal("USR2");
    line_with(&program, "starting the new program");
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    assert!(program.stdout.rest().iter().any(|line| line.contains("without the new program")));
}

/// An upstream that switches to WebSocket and sends back what comes.
fn echo() -> SocketAddr {
    let (listener, address) = listen();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut stream, mut head) = (stream, Vec::new());
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a head comes");
                    head.push(byte[0]);
                }
                // The answer to the key in RFC 6455 §1.3.
                let answer =
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                stream.write_all(answer).expect("the program reads");
                let mut back = stream.try_clone().expect("a handle");
                let _ended = std::io::copy(&mut stream, &mut back);
            });
        }
    });
    address
}

fn websocket(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the program listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let head = "GET /chat HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the program reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer comes");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// Sends a message with an empty mask, and gets it back.
fn chat(stream: &mut TcpStream) {
    let message = b"\x82\x84\0\0\0\0ping";
    stream.write_all(message).expect("the tunnel is there");
    let mut back = [0; 10];
    stream.read_exact(&mut back).expect("it comes back");
    assert_eq!(&back, message);
}

#[test]
fn tunnels_go_on_in_the_old_program_until_they_end_or_the_deadline_comes() {
    let folder = Folder::new("tunnels");
    let to = format!("http://{}", echo());
    for (timeout, ends) in [("30s", true), ("1s", false)] {
        let flags = ["--to", &to, "--stop-timeout", timeout];
        let mut program = launch(&mut copy_of_eproxy(&folder, "0", &flags));
        let (mut first, mut second) = (websocket(program.address), websocket(program.address));
        chat(&mut first);
        let successor = replace(&program);
        chat(&mut second);
        chat(&mut websocket(program.address));
        if ends {
            pause(200);
            assert!(program.is_running());
            chat(&mut first);
            drop((first, second));
        } else {
            let mut rest = Vec::new();
            let _reset = first.read_to_end(&mut rest);
            assert_eq!(rest, b"");
        }
        assert_eq!(program.wait().code(), Some(0));
        line_with(&program, if ends { "\"stopped\"" } else { "breaking off what still ran" });
        chat(&mut websocket(program.address));
        successor.signal("KILL");
    }
}

/// Hands descriptors to a program as systemd does; which process is meant can't be said before it is there.
fn hand(command: &mut Command, sockets: impl IntoIterator<Item = OwnedFd>, names: &str) {
    let mappings =
        sockets.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    let mappings: Vec<_> = mappings.collect();
    command.env("LISTEN_FDS", mappings.len().to_string()).env("LISTEN_FDNAMES", names);
    command.fd_mappings(mappings).expect("each has its number");
}

#[test]
fn systemd_may_be_the_one_who_listens() {
    let (listener, address) = listen();
    let port = address.port().to_string();
    // Whoever comes before the program waits for it.
    let early = send(address, "GET /hello");
    let mut command = eproxy(&["--port", &port]);
    hand(&mut command, [listener.try_clone().expect("a handle").into()], "web.socket");
    let mut program = launch(&mut command);
    assert_eq!(program.address, address);
    assert_eq!(read_reply(early).body, "Hello, World!");
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
    // And so does whoever comes behind it.
    let late = send(address, "GET /hello");
    let mut command = eproxy(&["--port", &port]);
    hand(&mut command, [listener.into()], "web.socket");
    let mut program = launch(&mut command);
    assert_eq!(read_reply(late).body, "Hello, World!");
    assert_eq!(program.get("/hello").status, 200);
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn sockets_that_are_for_somebody_else_or_none_are_not_used() {
    let (listener, address) = listen();
    // The port is in use: it was not handed over.
    let mut command = eproxy(&["--port", &address.port().to_string()]);
    hand(&mut command, [listener.try_clone().expect("a handle").into()], "web.socket");
    let (code, _, err) = run(command.env("LISTEN_PID", "1"));
    assert_eq!((code, err.len()), (Some(1), 1), "{err:?}");

    // The test has its descriptors in there.
    drop(command);
    let (one, _other) = UnixStream::pair().expect("a pair");
    let mut command = eproxy(&["--port", "0"]);
    hand(&mut command, [OwnedFd::from(one)], "odd.socket");
    let (code, _, err) = run(&mut command);
    assert_eq!((code, err.len()), (Some(1), 1), "{err:?}");
    assert!(err[0].contains("odd.socket"), "{err:?}");

    let mut command = eproxy(&["--port", "0"]);
    hand(&mut command, [OwnedFd::from(listener)], "web.socket");
    let program = launch(&mut command);
    // They come by different ways.
    let lines = [program.announcement.clone(), program.stdout.next().expect("a second line")];
    assert!(lines.iter().any(|line| line.contains("web.socket")), "{lines:?}");
    let listening = lines.iter().find(|line| line.contains("listening on")).expect("it says so");
    assert_eq!(ask(address_in(listening), "GET /hello").status, 200);
    drop(command);
    // Other tests start programs: on their way, those have for a moment whatever is open here.
    let is_closed = (0..300).any(|_| {
        TcpStream::connect(address).is_err() || {
            pause(10);
            false
        }
    });
    assert!(is_closed);
}

#[test]
fn a_replaced_program_hands_on_what_systemd_has_given() {
    let folder = Folder::new("activated");
    let (listener, address) = listen();
    let mut command = copy_of_eproxy(&folder, &address.port().to_string(), &[]);
    hand(&mut command, [listener.try_clone().expect("a handle").into()], "web.socket");
    let mut program = launch(&mut command);
    let load = Load::on(address, false);
    let successor = replace(&program);
    assert_eq!(program.wait().code(), Some(0));
    load.goes_on();
    load.end();
    successor.signal("TERM");
    line_with(&program, "\"stopped\"");
    assert!(TcpStream::connect(address).is_ok(), "the test listens");
}

/// A place where a service manager would listen.
fn manager(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).expect("there is no such file");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

/// The next message that is not only about being alive.
fn told(manager: &UnixDatagram) -> Vec<String> {
    loop {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).expect("something is told");
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        if text != "WATCHDOG=1" {
            return text.lines().map(str::to_owned).collect();
        }
    }
}

#[test]
fn the_service_manager_is_told_how_things_are() {
    let folder = Folder::new("notified");
    let manager = manager(&folder.0.join("notify"));
    let mut command = copy_of_eproxy(&folder, "0", &[]);
    let mut program = launch(command.env("NOTIFY_SOCKET", folder.0.join("notify")));
    let message = told(&manager);
    assert_eq!(message, ["READY=1", &format!("STATUS=listening on {}", program.address)]);

    program.signal("USR2");
    let message = told(&manager);
    assert_eq!(message[0], "RELOADING=1");
    let since = message[1].strip_prefix("MONOTONIC_USEC=").expect("the time");
    assert!(since.parse::<u64>().expect("a number") > 0);
    let message = told(&manager);
    let successor = Successor(number_behind(&message[0], "MAINPID="));
    assert_eq!(message[1], "READY=1");
    assert_eq!(program.wait().code(), Some(0));

    folder.put_script("#!/bin/sh\nexit 3\n");
    successor.signal("USR2");
    assert_eq!(told(&manager)[0], "RELOADING=1");
    let message = told(&manager);
    assert!(message[0] == "READY=1" && message[1].contains("did not take over"), "{message:?}");
    successor.signal("TERM");
    assert_eq!(told(&manager)[0], "STOPPING=1");
    line_with(&program, "\"stopped\"");
}

#[test]
fn the_service_manager_hears_that_the_program_is_alive() {
    let folder = Folder::new("watchdog");
    let path = folder.0.join("notify");
    let manager = manager(&path);
    let command = || {
        let mut command = copy_of_eproxy(&folder, "0", &[]);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
        command
    };
    let hears = |number| {
        let mut message = [0; 64];
        let mut alive = 0;
        while alive < number {
            let length = manager.recv(&mut message).expect("it is told");
            alive += usize::from(&message[..length] == b"WATCHDOG=1");
        }
    };
    let program = launch(&mut command());
    hears(3);
    drop(program);
    while manager.set_nonblocking(true).is_ok() && manager.recv(&mut [0; 64]).is_ok() {}
    manager.set_nonblocking(false).expect("it can be set");
    // Not by one that is not meant.
    let mut program = launch(command().env("WATCHDOG_PID", "1"));
    pause(400);
    program.signal("TERM");
    program.wait();
    let mut message = [0; 64];
    for expected in ["READY=1", "STOPPING=1"] {
        let length = manager.recv(&mut message).expect("it is told");
        assert!(message[..length].starts_with(expected.as_bytes()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_service_manager_may_have_an_abstract_address() {
    use std::os::linux::net::SocketAddrExt as _;
    let name = format!("eproxy-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("it is short");
    let manager = UnixDatagram::bind_addr(&address).expect("nobody has it");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let _program = launch(eproxy(&["--port", "0"]).env("NOTIFY_SOCKET", format!("@{name}")));
    assert_eq!(told(&manager)[0], "READY=1");
}
