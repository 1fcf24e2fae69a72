//! The phases of a server's life.

use std::sync::atomic::{AtomicU8, Ordering};

/// The phases of a server's life; they only ever advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Running,
    /// No new connections; the exchanges that run are finished.
    Draining,
    /// Everything ends now.
    Stopped,
}

/// The phase of a server, set by its handle and looked at by its workers.
#[derive(Debug)]
pub(super) struct Life(AtomicU8);

impl Life {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(Phase::Running as u8))
    }

    pub(super) fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }
}
