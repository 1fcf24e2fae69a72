//! The log: femme's lines on standard output.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use eproxy_core::LogFormat;
use log::{LevelFilter, Log, Metadata, Record};

/// Installs the log.
pub(crate) fn start(level: LevelFilter, format: LogFormat) {
    let femme: Box<dyn Log> = match format {
        LogFormat::Pretty => Box::new(femme::pretty::Logger::new()),
        LogFormat::Json => Box::new(femme::ndjson::Logger::new()),
    };
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| match WRITING.get() {
        true => {}
        false => report(info),
    }));
    let guarded = Guarded { femme, broken: AtomicBool::new(false) };
    if log::set_boxed_logger(Box::new(guarded)).is_ok() {
        log::set_max_level(level);
    }
}

thread_local! {
    /// This thread is inside femme, whose panics are dealt with here and not reported.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// femme panics when standard output can't be written: a full disk, a reader that is gone. A server outlives that; it
/// says so once, on standard error, and goes on without a log.
struct Guarded {
    femme: Box<dyn Log>,
    broken: AtomicBool,
}

impl Log for Guarded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' lines are theirs; what matters of them comes in ours.
        metadata.level() <= log::max_level() && metadata.target().starts_with("eproxy")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || self.broken.load(Ordering::Relaxed) {
            return;
        }
        WRITING.set(true);
        let written = catch_unwind(AssertUnwindSafe(|| self.femme.log(record)));
        WRITING.set(false);
        if written.is_err() {
            self.broken.store(true, Ordering::Relaxed);
            crate::complain("standard output can't be written; going on without a log");
        }
    }

    fn flush(&self) {}
}
