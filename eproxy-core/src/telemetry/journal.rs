//! Log lines on their way from the cores to the log.
//!
//! A logger may block on a slow terminal, and some panic on a closed pipe. So cores never log: they leave their lines
//! here, and a thread of its own hands them to the `log` facade.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use log::Level;

use super::failure::FailureLine;
use super::recent::Recent;

/// Lines that may wait for the log; further ones are dropped and counted.
const WAITING: usize = 1024;

/// Where cores leave their log lines.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    lines: SyncSender<(Level, String)>,
    dropped: Arc<AtomicU64>,
    recent: Recent,
}

impl Journal {
    /// Starts the thread that hands lines on; it ends with the last journal.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = dropped.clone();
        std::thread::Builder::new().name("eproxy-log".into()).spawn(move || hand_on(&waiting, &lost))?;
        Ok(Self { lines, dropped, recent: Recent::default() })
    }

    /// Leaves the line of a failure, which is kept among the last of them, too.
    pub(crate) fn note_failure(&self, line: &FailureLine<'_>) {
        self.recent.note(line);
        self.note(line.error.kind().row().level, || line.to_string());
    }

    /// The last failures.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Leaves a line, which is made only if it will be logged.
    pub(crate) fn note(&self, level: Level, line: impl FnOnce() -> String) {
        if level <= log::max_level() && self.lines.try_send((level, line())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn hand_on(waiting: &Receiver<(Level, String)>, lost: &AtomicU64) {
    for (level, line) in waiting {
        let lost = lost.swap(0, Ordering::Relaxed);
        // A logger that panics has lost this line, and nothing else.
        let _logged = catch_unwind(AssertUnwindSafe(|| {
            if lost > 0 {
                log::warn!("{lost} log lines were dropped: the log could not keep up");
            }
            log::log!(level, "{line}");
        }));
    }
}
