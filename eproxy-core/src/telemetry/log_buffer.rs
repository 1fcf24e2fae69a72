//! Lines of the access log on their way off the cores.
//!
//! ```text
//!   core ──a line──▶ its buffer ──32 KiB, or 200 ms──▶ queue ──▶ a thread: one write ──▶ file
//!                       ▲                                └─ full: dropped, counted         └─ failed: likewise
//!                       └───────────── empty buffers ◀──────────────────┘
//! ```

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_std::channel::Sender;

use crate::driver::Core;
use crate::error::{Error, Kind, Result};

use super::access_log::{AccessLog, Sink};
use super::journal::Journal;
use super::metrics::Losses;
use super::text::WallTime;

/// Bytes that are handed over as soon as they are there.
const BATCH: usize = 32 * 1024;

/// What is not that much is handed over after so long.
const DELAY: Duration = Duration::from_millis(200);

/// Batches of all cores that may wait to be written: 4 MiB.
const WAITING: usize = 128;

/// Buffers that are kept while nobody needs them.
const SPARE: usize = 64;

/// Lines that leave together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

enum Message {
    Lines(Batch),
    /// There is something to be looked at.
    Look,
    /// Somebody waits until all that came before is written; this is dropped then.
    Flush(Sender<Infallible>),
}

/// The way to the thread that writes.
#[derive(Clone, Debug)]
pub(crate) struct LogQueue {
    messages: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spare: Mutex<Vec<Vec<u8>>>,
    losses: Arc<Losses>,
    /// The file is to be opened again.
    reopen: AtomicBool,
}

impl LogQueue {
    /// Opens the file, and starts the thread, which ends with the last queue.
    ///
    /// # Errors
    ///
    /// The file can't be written to: `BadOption`. The system has no thread left: `Start`.
    pub(crate) fn start(log: &AccessLog, losses: &Arc<Losses>, journal: &Journal) -> Result<Self> {
        let target = match &log.sink {
            Sink::File(path) => Target::open(path.clone())?,
            Sink::Log => Target::Log,
        };
        let (messages, waiting) = sync_channel(WAITING);
        let shared = Arc::new(Shared {
            spare: Mutex::default(),
            losses: losses.clone(),
            reopen: AtomicBool::new(false),
        });
        let writer = Writer { target, shared: shared.clone(), journal: journal.clone(), has_failed: false };
        let thread =
            std::thread::Builder::new().name("eproxy-access".into()).spawn(move || writer.run(&waiting));
        thread.map_err(|error| Error::new(Kind::Start).because(error))?;
        Ok(Self { messages, shared })
    }

    /// Has the file be opened again, under the name that it was given.
    pub(crate) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // A thread that has more to do than it can looks by itself.
        let _full = self.messages.try_send(Message::Look);
    }

    /// Has `told` be dropped when all that was handed over before is written.
    pub(crate) async fn flush(&self, told: Sender<Infallible>) {
        const PAUSE: Duration = Duration::from_millis(20);
        let mut message = Message::Flush(told);
        while let Err(TrySendError::Full(full)) = self.messages.try_send(message) {
            message = full;
            async_std::task::sleep(PAUSE).await;
        }
    }
}

/// The lines of one core.
#[derive(Debug)]
pub(super) struct LogBuffer {
    core: Rc<Core>,
    lines: Rc<Lines>,
    wall: RefCell<WallTime>,
}

/// Lines that were not handed over.
#[derive(Debug)]
struct Lines {
    queue: LogQueue,
    batch: RefCell<Batch>,
    /// They will be soon.
    is_due: Cell<bool>,
}

impl LogBuffer {
    pub(super) fn new(core: &Rc<Core>, queue: &LogQueue) -> Self {
        let lines = Lines { queue: queue.clone(), batch: RefCell::default(), is_due: Cell::new(false) };
        Self { core: core.clone(), lines: Rc::new(lines), wall: RefCell::default() }
    }

    /// Adds the line that `write` appends.
    pub(super) fn write(&self, write: impl FnOnce(&mut Vec<u8>, &mut WallTime)) {
        let mut batch = self.lines.batch.borrow_mut();
        write(&mut batch.bytes, &mut self.wall.borrow_mut());
        batch.lines += 1;
        if batch.bytes.len() >= BATCH {
            self.lines.hand_over(&mut batch);
        } else if !self.lines.is_due.replace(true) {
            let (core, lines) = (self.core.clone(), self.lines.clone());
            self.core.spawn(async move {
                core.sleep(DELAY).await;
                lines.is_due.set(false);
                lines.flush();
            });
        }
    }
}

impl Lines {
    /// Hands over what there is.
    fn flush(&self) {
        let mut batch = self.batch.borrow_mut();
        if batch.lines > 0 {
            self.hand_over(&mut batch);
        }
    }

    fn hand_over(&self, batch: &mut Batch) {
        let Shared { spare, losses, .. } = &*self.queue.shared;
        let next = spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let next = next.unwrap_or_else(|| Vec::with_capacity(BATCH + BATCH / 4));
        let full = std::mem::replace(batch, Batch { bytes: next, lines: 0 });
        let lines = full.lines;
        if self.queue.messages.try_send(Message::Lines(full)).is_err() {
            losses.add_lines(lines);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Where lines go.
#[derive(Debug)]
enum Target {
    File { path: PathBuf, file: File, is_torn: bool },
    Log,
}

impl Target {
    fn open(path: PathBuf) -> Result<Self> {
        match open(&path) {
            Ok(file) => Ok(Self::File { path, file, is_torn: false }),
            Err(error) => {
                let what = format!("the access log {}: {error}", path.display());
                Err(Error::new(Kind::BadOption).detail(what).because(error))
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()) {
        return open_fifo(path);
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// Opens a FIFO without waiting for somebody to read from it (fifo(7)); the thread may wait when it writes.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_fifo(path: &Path) -> io::Result<File> {
    let at_once = rustix::pipe::PipeFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().append(true).custom_flags(at_once).open(path).map_err(|error| {
        match error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
            true => io::Error::new(error.kind(), "it is a FIFO that nobody reads"),
            false => error,
        }
    })?;
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

/// The thread that writes.
struct Writer {
    target: Target,
    shared: Arc<Shared>,
    journal: Journal,
    /// The last write has failed: that is told once.
    has_failed: bool,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Message>) {
        for message in waiting {
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match message {
                Message::Lines(batch) => self.write(batch),
                Message::Look => {}
                Message::Flush(told) => drop(told),
            }
        }
    }

    /// What can't be opened leaves what is open in its place.
    fn reopen(&mut self) {
        let Target::File { path, file, is_torn } = &mut self.target else { return };
        match open(path) {
            Ok(opened) => (*file, *is_torn) = (opened, false),
            Err(error) => {
                let path = path.display();
                self.journal
                    .note(log::Level::Warn, || format!("the access log {path} stays as it was: {error}"));
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        let Batch { mut bytes, lines } = batch;
        match &mut self.target {
            Target::File { path, file, is_torn } => {
                let (whole, written) = append(file, &bytes, is_torn);
                if let Err(error) = &written {
                    self.shared.losses.add_lines(lines.saturating_sub(whole));
                    if !self.has_failed {
                        let path = path.display();
                        let line = || format!("lines of the access log {path} are dropped: {error}");
                        self.journal.note(log::Level::Warn, line);
                    }
                }
                self.has_failed = written.is_err();
            }
            Target::Log => hand_on(&bytes, &self.shared.losses),
        }
        bytes.clear();
        let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE && bytes.capacity() <= 2 * BATCH {
            spare.push(bytes);
        }
    }
}

/// Writes lines; gives how many of them were written whole, whatever comes of the others. `is_torn` says that what was written
/// before ended inside a line.
fn append(file: &mut impl Write, bytes: &[u8], is_torn: &mut bool) -> (u64, io::Result<()>) {
    if *is_torn {
        // A line that broke off must not run into the next.
        if let Err(error) = file.write_all(b"\n") {
            return (0, Err(error));
        }
    }
    let mut written = 0;
    let end = loop {
        if written == bytes.len() {
            break Ok(());
        }
        match file.write(&bytes[written..]) {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    let written = &bytes[..written];
    *is_torn = written.last().is_some_and(|byte| *byte != b'\n');
    (written.iter().filter(|byte| **byte == b'\n').count() as u64, end)
}

/// Gives lines to the program's log.
fn hand_on(bytes: &[u8], losses: &Losses) {
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = String::from_utf8_lossy(line);
        // A logger that panics has lost this line, and nothing else.
        let logged = catch_unwind(AssertUnwindSafe(|| log::info!(target: "eproxy::access", "{line}")));
        if logged.is_err() {
            losses.add_lines(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file on a disk that has so much room left.
    struct Disk {
        file: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= n;
            self.file.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_is_full_for_a_while_leaves_no_blank_line_and_costs_what_was_not_written() {
        let after = |room: usize| {
            let mut disk = Disk { file: Vec::new(), room };
            let mut is_torn = false;
            let (whole, end) = append(&mut disk, b"one\ntwo\n", &mut is_torn);
            assert_eq!(end.is_ok(), room >= 8);
            assert_eq!(append(&mut disk, b"lost\n", &mut is_torn).0, u64::from(room >= 13));
            disk.room = 100;
            let (next, end) = append(&mut disk, b"three\n", &mut is_torn);
            assert!(next == 1 && end.is_ok() && !is_torn);
            (whole, String::from_utf8(disk.file).unwrap())
        };
        assert_eq!(after(0), (0, "three\n".into()));
        assert_eq!(after(2), (0, "on\nthree\n".into()));
        assert_eq!(after(4), (1, "one\nthree\n".into()));
        assert_eq!(after(6), (1, "one\ntw\nthree\n".into()));
        assert_eq!(after(8), (2, "one\ntwo\nthree\n".into()));
        assert_eq!(after(13), (2, "one\ntwo\nlost\nthree\n".into()));
    }
}
