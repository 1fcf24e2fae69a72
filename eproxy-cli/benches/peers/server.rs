//! A server as a child process: started, waited for, and stopped whatever happens.
//!
//! Only processes that were started here are ever signalled, each by its id and only while it is certain to
//! be the same process. An interrupt from the keyboard ends this program at once; it reaches the children
//! too, as they share the terminal's process group, and only the scratch directory stays behind.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use rustls::client::ClientConfig;

use crate::contender::{Launch, Site, Wire};
use crate::identity::Identity;
use crate::pages::Expected;
use crate::probe::Probe;
use crate::procfs::{self, Process};

/// A directory for configuration files and logs that is gone at the end of the run, failed or not.
pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Outcome<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "only to make a name that no earlier run has left behind"
        )]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("eproxy-peers-{}-{}", std::process::id(), now.as_nanos());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir)
            .map_err(|err| format!("the directory {} can't be made: {err}", dir.display()))?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(err) = fs::remove_dir_all(&self.dir) {
            eprintln!("peers: the directory {} can't be removed: {err}", self.dir.display());
        }
    }
}

/// A running server. Dropping it stops it, with all its processes.
pub(crate) struct Server {
    name: String,
    child: Child,
    port: u16,
    doors: u16,
    log: PathBuf,
    /// The processes below `child` when it first answered: the ones to look for should it die without
    /// stopping them.
    family: Vec<Process>,
}

/// What is to be started.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) launch: fn(&Site<'_>) -> Launch,
    /// How many ports it listens on.
    pub(crate) doors: u16,
    /// What it is asked over.
    pub(crate) wire: Wire,
    pub(crate) identity: &'a Identity,
    /// What it is asked by, over TLS.
    pub(crate) tls: &'a Arc<ClientConfig>,
    pub(crate) expected: &'a Expected,
    pub(crate) upstreams: &'a [u16],
    pub(crate) connections: usize,
    pub(crate) body_mib: usize,
}

impl Server {
    /// Starts a server on a free port and returns when it has answered as expected, twice on one connection.
    pub(crate) fn start(plan: &Plan<'_>, scratch: &Scratch) -> Outcome<Self> {
        Self::start_at(free_ports(plan.doors)?, plan, scratch)
    }

    /// The same on a certain port: where the same server has been before.
    pub(crate) fn start_at(port: u16, plan: &Plan<'_>, scratch: &Scratch) -> Outcome<Self> {
        // nginx takes paths as they come only if there is no space in them.
        let dir = scratch.path().join(format!("{}-{port}", plan.name.replace(' ', "-")));
        let Plan { doors, upstreams, identity, connections, body_mib, .. } = *plan;
        let site = Site { port, doors, upstreams, identity, connections, body_mib, dir: &dir };
        let mut server = Self::spawn(plan, &site)
            .map_err(|err| format!("{} ({}) can't be started: {err}", plan.name, plan.program.display()))?;
        server.wait_until_it_answers(plan)?;
        server.family = procfs::tree(server.pid())?;
        server.check(plan)?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// All ports that it listens on.
    pub(crate) fn ports(&self) -> std::ops::Range<u16> {
        self.port..self.port + self.doors
    }

    /// Where it writes what it has to say.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.log.with_file_name(name)
    }

    fn spawn(plan: &Plan<'_>, site: &Site<'_>) -> std::io::Result<Self> {
        fs::create_dir_all(site.dir)?;
        let launch = (plan.launch)(site);
        for (name, bytes) in &launch.files {
            fs::write(site.path(name), bytes)?;
        }
        let log = site.dir.join("output");
        let output = File::create(&log)?;
        let child = Command::new(plan.program)
            .args(&launch.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let Site { port, doors, .. } = *site;
        Ok(Self { name: plan.name.to_owned(), child, port, doors, log, family: Vec::new() })
    }

    fn wait_until_it_answers(&mut self, plan: &Plan<'_>) -> Outcome<()> {
        let mut last = String::new();
        for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "{} ended before it answered ({status}){}",
                    self.name,
                    self.last_words()
                ));
            }
            let probe = Probe::open(plan.wire, self.port, plan.tls);
            match probe.and_then(|mut probe| probe.get(plan.expected.path)) {
                Ok(_) => return Ok(()),
                Err(err) => last = err.to_string(),
            }
            sleep(POLL);
        }
        let limit = START_LIMIT.as_secs();
        Err(format!(
            "{} did not answer within {limit} s of its start: {last}{}",
            self.name,
            self.last_words()
        ))
    }

    /// A wrong answer would make every figure after it worthless. The second request proves that the
    /// connection is kept.
    fn check(&self, plan: &Plan<'_>) -> Outcome<()> {
        let Plan { wire, tls, expected, .. } = plan;
        let context = |err: String| format!("{}, GET {}: {err}", self.name, expected.path);
        let mut probe = Probe::open(*wire, self.port, tls).map_err(|err| context(err.to_string()))?;
        probe.check(expected).map_err(context)?;
        probe.check(expected).map_err(|err| context(format!("on a kept-alive connection, {err}")))
    }

    /// The end of what the server printed, for the error that its failure becomes.
    fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        match &lines[lines.len().saturating_sub(LAST_LINES)..] {
            [] => "; it printed nothing".to_owned(),
            lines => format!("; its last lines:\n  {}", lines.join("\n  ")),
        }
    }

    /// Ends it without a warning, all its processes at once, as a machine does that loses its power.
    pub(crate) fn kill(&mut self) -> Outcome<()> {
        let family = procfs::tree(self.pid())?;
        signal("KILL", &family);
        let _ = self.child.wait();
        for _ in 0..STOP_LIMIT.as_millis() / POLL.as_millis() {
            if !family.iter().any(Process::still_runs) {
                return Ok(());
            }
            sleep(POLL);
        }
        Err(format!("{} still runs after it was killed", self.name))
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self) -> Outcome<()> {
        for _ in 0..STOP_LIMIT.as_millis() / POLL.as_millis() {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            sleep(POLL);
        }
        Err(format!("{} was told to leave and still runs", self.name))
    }

    /// Sends a signal to all its processes.
    pub(crate) fn signal(&self, name: &str) -> Outcome<()> {
        signal(name, &procfs::tree(self.pid())?);
        Ok(())
    }

    /// Has eproxy replace itself, and waits until the old program has ended.
    pub(crate) fn upgrade(&mut self) -> Outcome<()> {
        let (old, before) = (self.last(), self.successors().len());
        signal("USR2", [&self.family[old]]);
        for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
            // It may end as soon as it has told who takes its place, and leave an orphan.
            let _ = self.child.try_wait();
            if let Some(new) = self.successors().get(before).filter(|_| !self.family[old].still_runs()) {
                self.family.extend(procfs::tree(*new)?.into_iter().take(1));
                return Ok(());
            }
            sleep(POLL);
        }
        Err(format!("{} was not replaced{}", self.name, self.last_words()))
    }

    /// The processes that have taken over, as the log has them.
    fn successors(&self) -> Vec<u32> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let behind = text.split("replaced by process ").skip(1);
        let number = |text: &str| text.split(';').next()?.parse().ok();
        behind.filter_map(number).collect()
    }

    /// Has it, or whoever has taken over, end by itself.
    pub(crate) fn end(&mut self) -> Outcome<()> {
        let last = self.last();
        signal("TERM", [&self.family[last]]);
        for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
            let _ = self.child.try_wait();
            if !self.family[last].still_runs() {
                return Ok(());
            }
            sleep(POLL);
        }
        Err(format!("{} was told to end and still runs", self.name))
    }

    /// Which of its processes was started last.
    fn last(&self) -> usize {
        self.family.len().checked_sub(1).expect("a server that was started has a process")
    }

    /// Asks first: nginx's master and HAProxy stop their workers themselves. Then insists, by id.
    fn stop(&mut self) {
        let mut family = std::mem::take(&mut self.family);
        // Where an upgrade has failed half-way, nobody has looked after who has taken over.
        let unknown =
            self.successors().into_iter().filter(|pid| family.iter().all(|known| known.pid != *pid));
        let unknown: Vec<_> = unknown.filter_map(|pid| procfs::tree(pid).ok()).flatten().collect();
        family.extend(unknown);
        if matches!(self.child.try_wait(), Ok(None)) {
            // As long as it was not waited for, its id can't be another's.
            family.append(&mut procfs::tree(self.pid()).unwrap_or_default());
            signal("TERM", family.iter().filter(|process| process.pid == self.pid()).take(1));
            for _ in 0..STOP_LIMIT.as_millis() / POLL.as_millis() {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    break;
                }
                sleep(POLL);
            }
        }
        // Both fail only when the child has been reaped already, and then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        signal("KILL", family.iter().filter(|process| process.still_runs()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first of so many ports in a row that were free a moment ago; nothing can hold them for a process that is still
/// to start. They are none of
/// those that the kernel gives to outgoing connections, if there are others: one of them could take the place
/// of an upstream that is down, even the very connection that is being made to it.
fn free_ports(count: u16) -> Outcome<u16> {
    let ports = match procfs::first_outgoing_port() {
        first if first > LOWEST_PORT + count => LOWEST_PORT..first - count,
        _ => LOWEST_PORT..u16::MAX - count,
    };
    let is_free =
        |first: &u16| (*first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let mut some = std::iter::repeat_with(|| fastrand::u16(ports.clone())).take(PORTS_TRIED);
    some.find(is_free).ok_or_else(|| format!("no free ports among {PORTS_TRIED} places of 127.0.0.1"))
}

/// The standard library can only send KILL, and only to a direct child; the shell's builtin can do the rest.
fn signal<'a>(name: &str, processes: impl IntoIterator<Item = &'a Process>) {
    let pids: Vec<String> = processes.into_iter().map(|process| process.pid.to_string()).collect();
    if pids.is_empty() {
        return;
    }
    let script = format!("kill -{name} {} 2>/dev/null", pids.join(" "));
    if let Err(err) = Command::new("sh").args(["-c", &script]).status() {
        eprintln!("peers: {name} can't be sent to {}: {err}", pids.join(", "));
    }
}

/// Those below are other programs' by custom.
const LOWEST_PORT: u16 = 10_000;

const PORTS_TRIED: usize = 100;

/// How long a server may take from its start to its first answer; generous, as CI machines are slow.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long a server may take to stop by itself.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// How often a starting or stopping server is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How much of a failed server's output goes into the error.
const LAST_LINES: usize = 8;
