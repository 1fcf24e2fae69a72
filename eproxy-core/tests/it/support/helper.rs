//! Threads beside a test, and waiting for what comes in its own time.

use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A thread beside the test. It is joined at the end of the test, and its panic is the test's.
#[must_use = "the helper is joined where this is dropped"]
pub(crate) struct Helper<T = ()>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Helper<T> {
    pub(crate) fn run(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(Some(thread::spawn(work)))
    }

    /// Waits for what it gives back.
    pub(crate) fn join(mut self) -> T {
        let thread = self.0.take().expect("a helper is joined once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<T> Drop for Helper<T> {
    fn drop(&mut self) {
        let end = self.0.take().map(JoinHandle::join);
        if let Some(Err(panic)) = end
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Waits until `is_so`, for 15 s at the most.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        pause(5);
    }
    panic!("it never came to this: {what}");
}

/// Lets some milliseconds pass, where a test has to see that nothing happens.
pub(crate) fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
