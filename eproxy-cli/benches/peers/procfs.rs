//! What Linux tells under `/proc`: CPU time and memory of a process tree, limits, and what the machine is.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::process::Command;

use crate::Outcome;

/// A process, named so that a later one with the same id isn't taken for it.
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Ticks between the machine's start and the process's.
    started: u64,
}

impl Process {
    pub(crate) fn still_runs(&self) -> bool {
        Stat::read(self.pid).is_ok_and(|stat| stat.started == self.started && stat.state != "Z")
    }
}

/// A process and everything below it: nginx works in a child of the process that was started.
pub(crate) fn tree(root: u32) -> Outcome<Vec<Process>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut started = HashMap::new();
    for pid in numbers_in("/proc").map_err(|err| format!("/proc can't be listed: {err}"))? {
        // A process may be gone since the listing.
        if let Ok(stat) = Stat::read(pid) {
            children.entry(stat.parent).or_default().push(pid);
            started.insert(pid, stat.started);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        if let Some(&started) = started.get(&pid) {
            found.push(Process { pid, started });
        }
        next.extend(children.remove(&pid).unwrap_or_default());
    }
    Ok(found)
}

/// CPU time that a process tree has used so far, from both of the kernel's accounts.
pub(crate) struct CpuTime {
    /// User and system time in clock ticks, of ended threads and reaped children too.
    ticks: u64,
    /// Nanoseconds on a CPU, of the threads that exist now; not every kernel keeps it.
    nanos: Option<u64>,
}

impl CpuTime {
    pub(crate) fn of(root: u32) -> Outcome<Self> {
        let mut time = Self { ticks: 0, nanos: Some(0) };
        for Process { pid, .. } in tree(root)? {
            let stat = Stat::read(pid).map_err(|err| format!("process {pid} can't be looked at: {err}"))?;
            time.ticks += stat.ticks;
            time.nanos = time.nanos.zip(nanos_of(pid)).map(|(sum, more)| sum + more);
        }
        Ok(time)
    }

    /// Seconds of CPU time between two readings. The nanoseconds are finer than the ticks, which are 10 ms as
    /// a rule, but a thread that ends takes its share with it: so the ticks have the last word when the two
    /// differ by more than rounding.
    pub(crate) fn since(&self, before: &Self, ticks_per_second: f64) -> f64 {
        let coarse = self.ticks.saturating_sub(before.ticks) as f64 / ticks_per_second;
        let Some(nanos) = self.nanos.zip(before.nanos).and_then(|(after, before)| after.checked_sub(before))
        else {
            return coarse;
        };
        let fine = nanos as f64 / 1e9;
        let rounding = ROUNDING_TICKS / ticks_per_second + coarse * 0.02;
        if (fine - coarse).abs() <= rounding { fine } else { coarse }
    }
}

/// User and system time of two processes are each cut to whole ticks, at both readings.
const ROUNDING_TICKS: f64 = 6.0;

pub(crate) fn ticks_per_second() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // The value on all common architectures, for systems without getconf.
    text.trim().parse().unwrap_or(100.0)
}

/// Resident memory in bytes, summed over a process tree; pages that processes share count for each of them.
pub(crate) fn resident_bytes(root: u32) -> Outcome<u64> {
    let mut kib = 0;
    for Process { pid, .. } in tree(root)? {
        // The same number as VmRSS, but counted anew: VmRSS may be off by dozens of pages for each CPU.
        let counted = kib_of(&format!("/proc/{pid}/smaps_rollup"), "Rss:");
        kib += match counted.or_else(|| kib_of(&format!("/proc/{pid}/status"), "VmRSS:")) {
            Some(kib) => kib,
            None => return Err(format!("the memory of process {pid} can't be read")),
        };
    }
    Ok(kib * 1024)
}

/// Where the ports begin that the kernel gives to outgoing connections.
pub(crate) fn first_outgoing_port() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    // The kernel's own default, where it does not tell.
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768)
}

/// Makes sure that this process and its children may have that many files open, starting itself anew with a
/// higher soft limit if need be: changing the limit of a running process takes a system call that the
/// standard library doesn't offer.
pub(crate) fn raise_open_files(needed: u64) -> Outcome<()> {
    let (soft, hard) = open_files().ok_or("the limit of open files can't be read from /proc/self/limits")?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(format!(
            "this run needs {needed} open files in one process and the hard limit is {hard}: \
             raise it, or lower --connections"
        ));
    }
    let program =
        std::env::current_exe().map_err(|err| format!("this program's own path is not known: {err}"))?;
    let mut again = Command::new("sh");
    again.args(["-c", &format!("ulimit -S -n {needed} && exec \"$0\" \"$@\"")]);
    again.arg(program).args(std::env::args_os().skip(1));
    Err(format!("the limit of open files can't be raised to {needed}: {}", replace_this_process(&mut again)))
}

/// Returns only if it fails.
#[cfg(unix)]
fn replace_this_process(command: &mut Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
fn replace_this_process(_: &mut Command) -> io::Error {
    io::Error::from(io::ErrorKind::Unsupported)
}

/// The CPU's model, the cores, the kernel and the load that was there before, in one line.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{model}, {cores} cores, Linux {}, load average {load} at the start", kernel.trim())
}

/// The fields of `/proc/PID/stat` that matter here.
struct Stat {
    state: String,
    parent: u32,
    ticks: u64,
    started: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its stat is malformed"))
    }

    /// Fields are counted from the last parenthesis: the second one is the program's name and may hold
    /// anything.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // proc(5) counts from 1 and `fields` starts with its third field.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.to_string(),
            parent: u32::try_from(number(4)?).ok()?,
            // utime, stime, and those of children that were waited for.
            ticks: number(14)? + number(15)? + number(16)? + number(17)?,
            started: number(22)?,
        })
    }
}

/// Nanoseconds on a CPU, summed over a process's threads: the first field of each schedstat.
fn nanos_of(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in numbers_in(&format!("/proc/{pid}/task")).ok()? {
        // A thread may be gone since the listing; `CpuTime::since` notices if it mattered.
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")) {
            sum += text.split(' ').next()?.parse::<u64>().ok()?;
        }
    }
    // No thread has used nothing: zero means that the kernel doesn't count.
    (sum > 0).then_some(sum)
}

fn kib_of(path: &str, label: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(label))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The soft and the hard limit of open files.
fn open_files() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut limits = line.split_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((limits.next()??, limits.next()??))
}

/// The entries of a directory whose names are numbers.
fn numbers_in(dir: &str) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir(dir)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}
