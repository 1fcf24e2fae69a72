//! How far a server has come, from its start to its end, as its handle says and its workers see.
//!
//! ```text
//!   running ──▶ draining ──▶ stopped
//! ```

use std::sync::atomic::{AtomicU8, Ordering};

/// The phases of a server's life; they only ever advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Running,
    /// No new connections; the exchanges that run are finished, and idle connections have a little time.
    Draining,
    /// Everything ends now.
    Stopped,
}

/// What becomes of the listening sockets at the end of a server; it only ever advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Legacy {
    /// They are closed, and nobody else has them.
    Closed,
    /// Somebody else may have them.
    Lent,
    /// Somebody else listens on them.
    HandedOn,
}

/// The phase of a server, set by its handle and looked at by its workers.
#[derive(Debug)]
pub(crate) struct Life {
    phase: AtomicU8,
    legacy: AtomicU8,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { phase: AtomicU8::new(Phase::Running as u8), legacy: AtomicU8::new(Legacy::Closed as u8) }
    }

    pub(super) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// Whether the server is on its way to its end, or there.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase() != Phase::Running
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }

    /// To be called before the phase in which it matters.
    pub(super) fn leave(&self, legacy: Legacy) {
        self.legacy.fetch_max(legacy as u8, Ordering::AcqRel);
    }

    pub(super) fn legacy(&self) -> Legacy {
        match self.legacy.load(Ordering::Acquire) {
            0 => Legacy::Closed,
            1 => Legacy::Lent,
            _ => Legacy::HandedOn,
        }
    }
}
