//! What the system says of this process.

use std::time::Duration;

/// What the system says of this process; nothing where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMetrics {
    /// Processor time that it has used, its own and that of the system on its behalf.
    pub cpu: Option<Duration>,
    /// Bytes of memory that are resident.
    pub resident_bytes: Option<u64>,
    /// Descriptors that are open.
    pub open_fds: Option<u64>,
}

impl ProcessMetrics {
    /// Asks the system.
    #[cfg(target_os = "linux")]
    pub(super) fn read() -> Self {
        use std::fs;

        let stat = fs::read_to_string("/proc/self/stat").ok();
        let status = fs::read_to_string("/proc/self/status").ok();
        // One of them is that of the folder that is being read.
        let open = fs::read_dir("/proc/self/fd").ok().map(|folder| (folder.count() as u64).saturating_sub(1));
        Self {
            cpu: stat.as_deref().and_then(cpu),
            resident_bytes: status.as_deref().and_then(resident),
            open_fds: open,
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read() -> Self {
        Self::default()
    }
}

/// The processor time in `/proc/self/stat` (proc_pid_stat(5)).
#[cfg(any(target_os = "linux", test))]
fn cpu(stat: &str) -> Option<Duration> {
    /// Ticks of a second: `USER_HZ`, which is that for every program on all that Rust runs on.
    const TICKS: u64 = 100;
    // The program's name, the second field, may hold anything, but nothing behind it holds a bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS))
}

/// The resident memory in `/proc/self/status` (proc_pid_status(5)).
#[cfg(any(target_os = "linux", test))]
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 9 0 0 0 250 75 0 0 20 0 4 0 100 1 2";
        assert_eq!(cpu(stat), Some(Duration::from_millis(3250)));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\nRssAnon:\t 1 kB\n"), Some(1234 * 1024));
        assert_eq!((cpu("7"), resident("")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn there_is_something_to_be_read() {
        let now = ProcessMetrics::read();
        assert!(now.cpu.is_some() && now.resident_bytes > Some(100_000) && now.open_fds > Some(2), "{now:?}");
    }
}
