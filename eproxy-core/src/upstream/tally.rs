//! What one core counts of one endpoint.

use crate::telemetry::{ClassCounters, Counter, Histogram};

/// What one core counts of one endpoint. One thread writes, any thread reads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Requests that are with it now.
    pub(super) active: Counter,
    /// Attempts that were begun.
    pub(super) attempts: Counter,
    /// Those among them for requests that had been sent before.
    pub(super) retries: Counter,
    /// Heads of answers that came, by class; those of 500 and more are failures of the endpoint's.
    pub(super) answers: ClassCounters,
    /// How long they took to come, in nanoseconds.
    pub(super) head: Histogram,
    /// Connections that were begun.
    pub(super) connects: Counter,
    /// Attempts that found no connection.
    pub(super) unreached: Counter,
    /// Attempts that were sent and brought no answer.
    pub(super) unanswered: Counter,
    /// The estimate of its latency, in microseconds.
    pub(super) latency: Counter,
}
