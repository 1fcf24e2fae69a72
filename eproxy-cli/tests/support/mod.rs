//! What the tests of the program have in common: running it, and speaking with it. Every child is killed and reaped by its
//! id, whatever happens.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A running program; dropping it kills and reaps it.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    pub(crate) address: SocketAddr,
    pub(crate) announcement: String,
}

/// The lines of a pipe, read by a thread of its own.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let (give, take) = channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if give.send(line).is_err() {
                    // Whoever read it is gone: the pipe closes.
                    return;
                }
            }
        });
        Self(take)
    }

    pub(crate) fn next(&self) -> Option<String> {
        self.0.recv_timeout(PATIENCE).ok()
    }

    /// All lines up to the end of the pipe.
    pub(crate) fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

pub(crate) fn eproxy(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eproxy"));
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the program on a free port and waits until it says which.
pub(crate) fn start(flags: &[&str]) -> Program {
    let mut child =
        eproxy(&["--port", "0", "--workers", "1"]).args(flags).spawn().expect("the program starts");
    let stdout = Lines::of(child.stdout.take().expect("it was piped"));
    let stderr = Lines::of(child.stderr.take().expect("it was piped"));
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut program = Program { child, stdout, stderr, address: nowhere, announcement: String::new() };
    program.announcement = program.stdout.next().unwrap_or_else(|| panic!("{:?}", program.stderr.rest()));
    program.address = address_in(&program.announcement);
    program
}

/// The address behind `http://` in a line.
pub(crate) fn address_in(line: &str) -> SocketAddr {
    let (_, from) = line.split_once("http://").unwrap_or_else(|| panic!("no address: {line}"));
    let end = from.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(from.len());
    from[..end].parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

impl Program {
    pub(crate) fn get(&self, target: &str) -> Reply {
        ask(self.address, &format!("GET {target}"))
    }

    pub(crate) fn signal(&self, name: &str) {
        kill(&self.child, name);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        reap(&mut self.child);
    }
}

pub(crate) fn kill(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(sent.expect("there is a kill command").success(), "{signal} can be sent");
}

/// Waits until a child ends.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    for _ in 0..PATIENCE.as_millis() / 10 {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return status;
        }
        pause(10);
    }
    reap(child);
    panic!("the program does not end");
}

pub(crate) fn reap(child: &mut Child) {
    // It may have ended by itself.
    let _ended = child.kill();
    let _reaped = child.wait();
}

pub(crate) fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// An answer on a connection that is closed behind it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub(crate) fn ask(address: SocketAddr, line: &str) -> Reply {
    read_reply(send(address, line))
}

/// Sends a request without a body.
pub(crate) fn send(address: SocketAddr, line: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the program listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let request = format!("{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the program reads");
    stream
}

pub(crate) fn read_reply(mut stream: TcpStream) -> Reply {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer comes, and the connection ends");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Reply { status, head: head.into(), body: body.into() }
}

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the socket has an address");
    (listener, address)
}

/// An upstream that takes one request, tells of it, and gives its answer when it is told to.
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) asked: Receiver<String>,
    pub(crate) answer: Sender<&'static [u8]>,
}

pub(crate) fn upstream() -> Upstream {
    let (listener, address) = listen();
    let url = format!("http://{address}/some/path?q=1");
    let ((tell, asked), (answer, answers)) = (channel(), channel::<&[u8]>());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head comes");
            head.push(byte[0]);
        }
        tell.send(String::from_utf8(head).expect("an ASCII head")).expect("the test is there");
        // Without an answer it stays silent until the test is over.
        if let Ok(answer) = answers.recv() {
            stream.write_all(answer).expect("the program listens");
        }
    });
    Upstream { url, asked, answer }
}

/// An address on which nobody listens: its port is below those that the system gives to whoever asks for any.
pub(crate) fn dead() -> SocketAddr {
    let ports = std::iter::repeat_with(|| fastrand::u16(12_000..32_000));
    let mut free = ports.take(1000).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    free.next().and_then(|listener| listener.local_addr().ok()).expect("a port is free")
}

/// Runs the program to its end: exit code, lines of standard output, lines of standard error.
pub(crate) fn run(command: &mut Command) -> (Option<i32>, Vec<String>, Vec<String>) {
    let mut child = command.spawn().expect("the program starts");
    let out = child.stdout.take().map(Lines::of);
    let err = child.stderr.take().map(Lines::of);
    let code = wait(&mut child).code();
    (
        code,
        out.map(|lines| lines.rest()).unwrap_or_default(),
        err.map(|lines| lines.rest()).unwrap_or_default(),
    )
}
