//! The program with a configuration file: what it checks, what it serves, and when it reads it again.
#![cfg(unix)]

#[expect(dead_code, reason = "shared with the other tests of the program, which use more of it")]
mod support;

use std::path::PathBuf;
use std::process::{Child, Output};

use support::{Lines, PATIENCE, address_in, ask, eproxy, kill, pause, reap, wait};

/// A folder with a configuration; it is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("eproxy-cli-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        std::fs::create_dir(&path).expect("a folder can be made");
        let folder = Self(path);
        folder.write(text);
        folder
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).expect("a file can be written");
    }

    fn file(&self) -> PathBuf {
        self.0.join("eproxy.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in a folder for temporary things does no harm.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the program to its end.
fn run(folder: &Folder, command: &[&str]) -> Output {
    eproxy(command).current_dir(&folder.0).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const LISTENER: &str = "workers = 1\n[[listener]]\naddress = \"127.0.0.1:0\"\n";

fn saying(body: &str) -> String {
    format!("[[route]]\npath = \"/*path\"\nanswer = {{ body = \"{body}\" }}\n")
}

/// The program, serving what a file says; killed and reaped when it is dropped.
struct Serving {
    child: Child,
    log: Lines,
    errors: Lines,
    address: std::net::SocketAddr,
}

impl Serving {
    fn start(folder: &Folder) -> Self {
        let mut command = eproxy(&["--config", "eproxy.toml", "--log-format", "json"]);
        let mut child =
            command.current_dir(&folder.0).env("WORD", "hello").spawn().expect("the program starts");
        let log = Lines::of(child.stdout.take().expect("it was piped"));
        let errors = Lines::of(child.stderr.take().expect("it was piped"));
        let line = log.next().unwrap_or_else(|| panic!("{:?}", errors.rest()));
        Self { address: address_in(&line), child, log, errors }
    }

    /// The first line of the log that has this in it.
    fn logged(&self, what: &str) -> String {
        let mut seen = Vec::new();
        while let Some(line) = self.log.next() {
            if line.contains(what) {
                return line;
            }
            seen.push(line);
        }
        panic!("{what} was not logged: {seen:?}, {:?}", self.errors.next());
    }

    fn says(&self, body: &str) {
        assert_eq!(ask(self.address, "GET /").body, body);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        reap(&mut self.child);
    }
}

#[test]
fn a_file_that_is_right_is_said_to_be_so() {
    let folder = Folder::new(&format!("{LISTENER}{}", saying("hello")));
    let output = run(&folder, &["check", "eproxy.toml"]);
    assert_eq!(text(&output.stdout), "eproxy.toml: ok, 1 listener, 1 route, 0 groups\n");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn what_is_odd_is_a_warning() {
    let folder = Folder::new(&format!("{LISTENER}[group.spare]\nendpoints = \"http://10.0.0.7\"\n"));
    let output = run(&folder, &["check", "eproxy.toml"]);
    let told = text(&output.stdout);
    assert!(told.starts_with("warning: eproxy.toml:4:8: nothing uses the group `spare`\n"), "{told}");
    assert!(told.ends_with("eproxy.toml: ok, 1 listener, 0 routes, 1 group\n"), "{told}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_started() {
    let folder = Folder::new(&format!("{LISTENER}[timeouts]\nhaed = \"5s\"\n\n[limits]\nhead = 5\n"));
    let expected = "eproxy.toml:5:1: unknown key `haed` in [timeouts]\n    5 | haed = \"5s\"\n      | ^^^^\n      \
                    = hint: did you mean `head`?\n\
                    eproxy.toml:8:8: `head` is 5 bytes, expected 512 to 1GiB\n    8 | head = 5\n      |        ^\n";
    for command in [&["check", "eproxy.toml"][..], &["--config", "eproxy.toml"]] {
        let output = run(&folder, command);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        assert_eq!(text(&output.stderr), expected);
    }
    let output = run(&folder, &["--config", "none.toml"]);
    assert_eq!(
        (output.status.code(), text(&output.stderr).as_str()),
        (Some(2), "none.toml: there is no such file\n")
    );
}

#[test]
fn what_becomes_of_a_request_is_explained() {
    let folder = Folder::new(&format!(
        "{LISTENER}[[route]]\nname = \"api\"\nhost = \"*.example.com\"\npath = \"/api/*rest\"\n\
         proxy = {{ to = \"http://10.0.0.7:3000\", strip_prefix = \"/api\" }}\n"
    ));
    let explain = |asked: &[&str]| run(&folder, &[&["explain", "eproxy.toml"], asked].concat());
    let output = explain(&["GET", "https://eu.example.com/api/users?a"]);
    let told = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    for part in ["an upstream", "api", "/users?a", "10.0.0.7:3000", "listener    none at port 443"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let output = explain(&["GET", "http://eu.example.com:0/api/users"]);
    assert!(text(&output.stdout).starts_with("listener    127.0.0.1:0\n"), "{}", text(&output.stdout));
    let output = explain(&["GET", "/api/users", "-H", "Host: example.org"]);
    assert!(text(&output.stdout).contains("404"), "{}", text(&output.stdout));
    for wrong in [&["GET", "/a b"][..], &["GET", "/", "-H", "no colon"], &["GE T", "/"]] {
        assert_eq!(explain(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn flags_for_what_the_file_says_are_wrong_usage() {
    let folder = Folder::new(LISTENER);
    let output = run(&folder, &["--config", "eproxy.toml", "--to", "http://10.0.0.7"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("the file says the rest"), "{}", text(&output.stderr));
}

#[test]
fn a_hangup_has_an_access_log_that_was_renamed_begun_anew() {
    let folder = Folder::new(&format!("access_log = \"access.log\"\n{LISTENER}{}", saying("hello")));
    let program = Serving::start(&folder);
    let lines = |name: &str| {
        // Lines leave after a while.
        for _ in 0..200 {
            match std::fs::read_to_string(folder.0.join(name)) {
                Ok(text) if !text.is_empty() => return text.lines().count(),
                _ => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
        0
    };
    program.says("hello");
    assert_eq!(lines("access.log"), 1);
    std::fs::rename(folder.0.join("access.log"), folder.0.join("access.log.1")).unwrap();
    kill(&program.child, "HUP");
    program.logged("nothing has changed");
    program.says("hello");
    assert_eq!((lines("access.log"), lines("access.log.1")), (1, 1));
}

#[test]
fn a_hangup_has_the_file_read_again() {
    let folder = Folder::new(&format!("{LISTENER}{}", saying("${WORD} old")));
    let mut program = Serving::start(&folder);
    program.says("hello old");

    folder.write(&format!("{LISTENER}{}", saying("new")));
    kill(&program.child, "HUP");
    program.logged("route /*path: changed");
    program.logged("reloaded eproxy.toml: 1 change");
    program.says("new");

    // What is wrong changes nothing.
    folder.write(&format!("{LISTENER}nonsense = 1\n{}", saying("bad")));
    kill(&program.child, "HUP");
    program.logged("eproxy.toml:4:1: unknown key `nonsense` in [[listener]]");
    program.logged("everything stays as it was");
    program.says("new");

    folder.write(&format!("{LISTENER}{}", saying("newer")));
    kill(&program.child, "HUP");
    program.logged("reloaded eproxy.toml: 1 change");
    program.says("newer");

    kill(&program.child, "TERM");
    assert!(wait(&mut program.child).success());
}

#[test]
fn a_file_that_changes_is_read_again_if_it_says_so() {
    let head = format!("reload = {{ on_change = true }}\n{LISTENER}");
    let folder = Folder::new(&format!("{head}{}", saying("old")));
    let program = Serving::start(&folder);
    program.says("old");
    folder.write(&format!("{head}{}", saying("quite new")));
    program.logged("reloaded eproxy.toml: 1 change");
    program.says("quite new");
}

#[test]
fn a_file_that_changes_is_left_alone_unless_it_says_so() {
    let folder = Folder::new(&format!("{LISTENER}{}", saying("old")));
    let program = Serving::start(&folder);
    folder.write(&format!("{LISTENER}{}", saying("quite new")));
    pause(2500);
    program.says("old");
}

#[test]
fn the_admin_listener_shows_and_reloads_the_configuration() {
    let admin = "[admin]\naddress = \"127.0.0.1:0\"\n";
    let folder = Folder::new(&format!("{LISTENER}{}{admin}", saying("old")));
    let program = Serving::start(&folder);
    let line = program.logged("the admin listener is on");
    let (_, address) = line.split_once("is on ").expect("it says where");
    let end = address.find('"').unwrap_or(address.len());
    let address = address[..end].parse().unwrap_or_else(|error| panic!("{error}: {line}"));
    let request = format!("GET /api/config HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let shown = raw(address, &request);
    assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("/*path"), "{shown}");

    folder.write(&format!("{LISTENER}{}{admin}", saying("new")));
    let request = format!(
        "POST /api/reload HTTP/1.1\r\nHost: {address}\r\nX-Eproxy-Admin: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let reply = raw(address, &request);
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("1 change"), "{reply}");
    program.says("new");
}

/// Sends bytes and reads everything that comes.
fn raw(address: std::net::SocketAddr, request: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect_timeout(&address, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("it ends");
    text(&reply)
}
