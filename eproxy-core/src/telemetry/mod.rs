//! Instruments: counters that each core keeps for itself and that are added up when somebody looks.
//!
//! This room is told what happened; it never asks, decides or does I/O.
//!
//! | file | what is in it |
//! |---|---|
//! | `attempt.rs` | [`Attempt`]: what came of one try to have a request answered |
//! | `counter.rs` | [`Counters`] of one core, and [`Stats`], their sum |
//! | `failure.rs` | [`FailureLine`]: what is logged of a failure |
//! | `journal.rs` | [`Journal`]: log lines on their way off the cores |
//! | `recent.rs` | [`Failure`]: the last of them, kept for whoever looks at a server |

mod attempt;
mod counter;
mod failure;
mod journal;
mod recent;

pub use attempt::{Attempt, Phase};
pub use counter::Stats;
pub(crate) use counter::{Counter, Counters};
pub(crate) use failure::FailureLine;
pub(crate) use journal::Journal;
pub use recent::Failure;
