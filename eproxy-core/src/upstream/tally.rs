//! What one core counts of one endpoint.

use crate::telemetry::Counter;

/// What one core counts of one endpoint. One thread writes, any thread reads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Requests that are with it now.
    pub(super) active: Counter,
    /// Attempts that were begun.
    pub(super) attempts: Counter,
    /// Heads of answers that came, by class; those of 500 and more are failures of the endpoint's.
    pub(super) answers: Counter,
    pub(super) server_errors: Counter,
    /// Attempts that found no connection.
    pub(super) unreached: Counter,
    /// Attempts that were sent and brought no answer.
    pub(super) unanswered: Counter,
    /// The estimate of its latency, in microseconds.
    pub(super) latency: Counter,
}
