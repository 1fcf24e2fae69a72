//! Instruments: counters that each core keeps for itself and that are added up when somebody looks, and what is told of
//! exchanges beside numbers.
//!
//! This room is told what happened; it never asks or decides.
//!
//! | file | what is in it |
//! |---|---|
//! | `account.rs` | [`Account`]: what is kept of an exchange until it is over |
//! | `attempt.rs` | [`Attempt`]: what came of one try to have a request answered |
//! | `counter.rs` | [`Counters`] of one core, and [`Stats`], their sum |
//! | `tally.rs`, `histogram.rs` | [`RouteTally`]: what one core counts of one route; how long things took |
//! | `metrics.rs`, `openmetrics.rs` | [`Metrics`]: all cores together; as text for those who collect it |
//! | `accept.rs` | which text that is, by what they accept |
//! | `process.rs` | what the system says of this process |
//! | `watch.rs`, `story.rs` | [`Watch`]: what a core tells of exchanges; [`Story`]: what it keeps of one for that |
//! | `access_log.rs`, `access_line.rs` | [`AccessLog`]: what the access log is told to be; a line of it |
//! | `log_buffer.rs` | lines of the access log on their way off the cores |
//! | `request_id.rs` | [`RequestIds`]: what requests are known by |
//! | `trace.rs`, `span.rs` | W3C Trace Context; spans on their way off the cores |
//! | `dice.rs`, `text.rs`, `redact.rs` | chance; numbers and JSON in a buffer; what must not be read in a log |
//! | `failure.rs` | [`FailureLine`]: what is logged of a failure |
//! | `journal.rs` | [`Journal`]: log lines on their way off the cores |
//! | `recent.rs` | [`Failure`]: the last of them, kept for whoever looks at a server |

mod accept;
mod access_line;
mod access_log;
mod account;
mod attempt;
mod counter;
mod dice;
mod failure;
mod histogram;
mod journal;
mod log_buffer;
mod metrics;
mod openmetrics;
mod process;
mod recent;
mod redact;
mod request_id;
mod span;
mod story;
mod tally;
mod text;
mod trace;
mod watch;

pub use access_log::AccessLog;
pub use attempt::{Attempt, Phase};
pub use counter::Stats;
pub use histogram::Latencies;
pub use metrics::{Classes, EndpointMetrics, GroupMetrics, Metrics, MetricsSnapshot, RouteMetrics};
pub use process::ProcessMetrics;
pub use request_id::RequestIds;

pub(crate) use access_log::Sink;
pub(crate) use account::Account;
pub(crate) use counter::{Counter, Counters};
pub(crate) use failure::FailureLine;
pub(crate) use histogram::Histogram;
pub(crate) use journal::Journal;
pub(crate) use log_buffer::LogQueue;
pub(crate) use metrics::Losses;
pub use recent::Failure;
pub(crate) use span::{Span, SpanNews, SpanQueue, SpanSide, Value};
pub(crate) use story::AttemptEnd;
pub(crate) use tally::{ClassCounters, RouteTally};
pub(crate) use trace::TraceRules;
pub(crate) use watch::{Came, Ended, Watch, WatchPlan};
