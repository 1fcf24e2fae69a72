//! Whether endpoints are well, and what is asked of them while they are not.
//!
//! Everything but the probe is a pure decider: it does no I/O, and is told the time. What cores share is a few atomics each;
//! nobody ever waits for a lock. This folder never chooses an endpoint.
//!
//! | file | what is in it |
//! |---|---|
//! | `probe_options.rs` | [`Probe`]: what is asked of an endpoint to see whether it is well |
//! | `probe.rs` | one probe, from the connection to the answer |
//! | `grpc_probe.rs` | the question that gRPC has for this |
//! | `rise_fall.rs` | what the results of probes say, and when the next one is due |
//! | `ejection_options.rs` | [`Ejection`]: when endpoints rest because of how they treated requests |
//! | `ejection.rs`, `outliers.rs` | how an endpoint stands; who answers worse than the others |
//! | `breaker_options.rs` | [`Breaker`]: when an endpoint is left alone, and how it is tried out |
//! | `breaker.rs`, `breaker_state.rs` | a circuit breaker; its states, in one word |
//! | `budget.rs` | [`RetryBudget`]: how many requests may be sent again |
//! | `gradient_options.rs` | [`AdaptiveLimit`]: a limit that follows the latency |
//! | `gradient.rs` | how many requests an endpoint bears at once |
//! | `millis.rs` | times that fit into an atomic |

mod breaker;
mod breaker_options;
mod breaker_state;
mod budget;
mod ejection;
mod ejection_options;
mod gradient;
mod gradient_options;
mod grpc_probe;
mod millis;
mod outliers;
mod probe;
mod probe_options;
mod rise_fall;

pub(super) use breaker::{Admission, Circuit};
pub use breaker_options::Breaker;
pub(super) use budget::Budget;
pub use budget::RetryBudget;
pub(super) use ejection::{Failure, Standing, sweep};
pub use ejection_options::Ejection;
pub(super) use gradient::Gradient;
pub use gradient_options::AdaptiveLimit;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use grpc_probe::serving;
pub(super) use outliers::Tally;
pub(super) use probe::examine;
pub use probe_options::Probe;
pub(super) use rise_fall::{RiseFall, Verdict, first_probe, next_probe};
