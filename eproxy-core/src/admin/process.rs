//! What the system says of this process.

use std::time::Duration;

/// How much time on processors it has used; none where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn cpu_time() -> Option<Duration> {
    None
}

/// Bytes of its memory that are resident; none where the system does not tell.
pub(super) fn resident_bytes() -> Option<u64> {
    // There only on Linux.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    resident_in(&status)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

/// How many processors there are for it.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_stands_in_kibibytes() {
        assert_eq!(resident_in("Name:\teproxy\nVmRSS:\t   12340 kB\nThreads:\t4\n"), Some(12_340 * 1024));
        assert_eq!(resident_in("Name:\teproxy\n"), None);
        assert_eq!(resident_in("VmRSS:\t many kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_some_of_both() {
        assert!(resident_bytes() > Some(0));
        assert!(cpu_time() > Some(Duration::ZERO));
    }
}
