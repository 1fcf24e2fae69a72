//! What came of one try to have a request answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Kind, Side};

/// How far a try came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It looked for a connection, and sent nothing.
    Connect,
    /// It was sending the request.
    Send,
    /// It had sent the request, and waited for the first byte of the answer.
    Wait,
    /// The answer had begun to come.
    Answer,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Answer => "answer",
        })
    }
}

/// What came of one try to have a request answered by one endpoint: what logs tell of those that failed, and
/// [`Done::tries`](crate::Done::tries) of all.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub(crate) upstream: Arc<str>,
    pub(crate) phase: Phase,
    pub(crate) bytes_sent: u64,
    pub(crate) end: Result<u16, Kind>,
    pub(crate) is_retryable: bool,
    pub(crate) duration: Duration,
}

impl Attempt {
    /// The endpoint: `10.0.0.7:3000`.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// How far it came.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Bytes of the request, its head among them, that were handed to the system for this endpoint.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// The status of the answer, if its head came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.end.ok()
    }

    /// The name of its failure, as [`Stats::failures`](crate::Stats::failures) has it.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        self.end.err().map(|kind| kind.row().name)
    }

    /// The side on which it failed.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        self.end.err().map(|kind| kind.row().side)
    }

    /// Whether the request could have been sent to another endpoint after it: nothing of it was seen, or it does no more
    /// the second time than the first and was there as a whole (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_retryable
    }

    /// How long it took, up to the head of the answer or the failure.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// How far it came, as logs tell it.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, bytes_sent, .. } = self;
        let safe = if self.is_retryable { "safe to repeat" } else { "not to be repeated" };
        write!(f, "{phase}, {bytes_sent} bytes sent, {safe}")
    }
}
