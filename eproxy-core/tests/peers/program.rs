//! Programs that are installed here: found, started on a free port, and ended with the test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::{env, process, thread};

use crate::support::pause;

/// How to start a server on a port, with a folder that it may use.
type Launch = dyn Fn(u16, &Path) -> Command;

/// A server that is a program of its own. Dropping it ends the program.
pub(crate) struct Program {
    child: Child,
    port: u16,
    folder: Folder,
    launch: Box<Launch>,
}

impl Program {
    /// Starts a server on a free port, and returns when it takes connections.
    pub(crate) fn start(launch: impl Fn(u16, &Path) -> Command + Clone + 'static) -> Self {
        let mut words = String::new();
        // Somebody else may be faster to take the port.
        for _ in 0..3 {
            let (port, folder) = (free_port(), Folder::new());
            let launch: Box<Launch> = Box::new(launch.clone());
            let child = spawn(&*launch, port, &folder);
            let mut program = Self { child, port, folder, launch };
            if program.listens() {
                return program;
            }
            words = program.last_words();
        }
        panic!("the server does not start: {words}");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Ends the program at once, which closes all its connections, and starts it again on the same port.
    pub(crate) fn restart(&mut self) {
        end(&mut self.child);
        self.child = spawn(&*self.launch, self.port, &self.folder);
        assert!(self.listens(), "the server does not start again: {}", self.last_words());
    }

    /// Waits until it takes connections; false when it ends instead.
    fn listens(&mut self) -> bool {
        for _ in 0..3000 {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            if TcpStream::connect(self.address()).is_ok() {
                return true;
            }
            pause(5);
        }
        false
    }

    fn last_words(&self) -> String {
        fs::read_to_string(self.folder.path("output")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end(&mut self.child);
        if thread::panicking() {
            eprintln!("the server said: {}", self.last_words());
        }
    }
}

fn spawn(launch: &Launch, port: u16, folder: &Folder) -> Child {
    let mut command = launch(port, &folder.0);
    let output = File::options().create(true).append(true).open(folder.path("output"));
    let output = output.expect("the folder is there");
    let errors = output.try_clone().expect("a descriptor is free");
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    command.spawn().expect("a program that was found can be started")
}

fn end(child: &mut Child) {
    // One that has ended by itself is waited for all the same.
    let _gone = child.kill();
    child.wait().expect("a child can be waited for");
}

/// Runs a client, which ends by itself, and has to do so well; gives back what it wrote.
pub(crate) fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().expect("a program that was found can be started");
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{status}: {} {}", words(&stdout), words(&stderr));
    words(&stdout)
}

/// Looks for a program, under the first of its names that is there. Says so aloud if there is none.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let found = names.iter().find_map(|name| look_for(name, |_| true));
    found.or_else(|| skip(names[0]))
}

/// Looks for a program that passes a test: one that has a library. Says aloud if there is none that has `what`.
pub(crate) fn find_with(names: &[&str], what: &str, arguments: &[&str]) -> Option<PathBuf> {
    let has = |program: &Path| {
        let mut command = command(program);
        command.args(arguments).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
    };
    names.iter().find_map(|name| look_for(name, has)).or_else(|| skip(what))
}

/// A command that finds the libraries which the system has for Node, and those that the environment names.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let named = env::var("NODE_PATH").unwrap_or_default();
    command.env("NODE_PATH", format!("{named}:/usr/share/nodejs:/usr/lib/nodejs:/usr/share/javascript"));
    command
}

/// Searches the path, and places that are not on everybody's.
fn look_for(name: &str, suits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let elsewhere = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(elsewhere)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file() && suits(program))
}

/// Says that something is not installed: once, and past the harness, which shows nothing of tests that pass.
fn skip<T>(what: &str) -> Option<T> {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().expect("nobody panics while holding this");
    if said.insert(what.to_owned()) {
        writeln!(io::stderr(), "skipped: {what} is not installed").expect("the tests can say something");
    }
    None
}

/// A port that nobody listens on, below those that the system gives to outgoing connections, and that no other test is given.
fn free_port() -> u16 {
    static FIRST: LazyLock<u16> = LazyLock::new(|| fastrand::u16(..));
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let candidates = std::iter::repeat_with(|| {
        let number = FIRST.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        12_000 + number % 20_000
    });
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.take(1000).find(is_free).expect("a port is free")
}

/// A folder that is gone when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("eproxy-peers-{}-{number}", process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self(folder)
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _left = fs::remove_dir_all(&self.0);
    }
}
