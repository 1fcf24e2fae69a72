//! Spans on their way to a collector, by OTLP over HTTP.
//!
//! It takes spans that are over and never asks anybody for one: what is traced is decided in `telemetry`. It stands above the
//! `client`, which it sends with, and below the `server`, which starts it.
//!
//! | file | what is in it |
//! |---|---|
//! | `traces.rs` | [`Traces`]: where spans go, and which |
//! | `exporter.rs` | batches, what is sent again, what is given up |
//! | `verdict.rs` | what a collector's answer says of a batch |
//! | `encode.rs` | a batch as OTLP has it, in JSON |

mod encode;
mod exporter;
mod traces;
mod verdict;

pub(crate) use exporter::Exporter;
pub use traces::Traces;
