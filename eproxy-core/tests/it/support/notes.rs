//! What happened somewhere else, for the test to look at.

use std::sync::{Arc, Mutex};

use super::helper::eventually;

/// Notes of hooks, filters and scripts, in the order in which they were made. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().expect("nobody panics while holding this").push(note.into());
    }

    /// Takes what there is.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics while holding this"))
    }

    /// Waits for so many, and takes them.
    pub(crate) fn wait(&self, number: usize) -> Vec<String> {
        let count = || self.0.lock().expect("nobody panics while holding this").len();
        eventually("it was noted", || count() >= number);
        self.take()
    }
}
