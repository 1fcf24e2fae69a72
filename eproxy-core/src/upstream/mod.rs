//! The way to upstreams: where they are, which one is next, and the connections to them.
//!
//! Everything here belongs to one core and is shared with nobody, but for what `health/` knows of endpoints. This room never
//! knows what is sent over a connection, but for probes, which it sends itself.
//!
//! | file | what is in it |
//! |---|---|
//! | `origin.rs` | [`Origin`], [`Place`]: where an upstream is |
//! | `group.rs` | [`Group`]: endpoints that share requests; the numbers under which cores know them |
//! | `options.rs` | [`UpstreamOptions`] |
//! | `upstreams.rs` | [`Upstreams`]: all of it, as one core sees it |
//! | `rotation.rs` | which endpoint is next (a pure decider) |
//! | `health/` | whether endpoints are well: `probe_options.rs`, `probe.rs`, `rise_fall.rs`, `ejection_options.rs`, `ejection.rs`, `outliers.rs`, `breaker_options.rs`, `breaker.rs`, `breaker_state.rs`, `budget.rs`, `gradient_options.rs`, `gradient.rs`, `queue.rs`, `millis.rs` |
//! | `pool.rs` | connections between requests |
//! | `connect.rs`, `race.rs` | a place to a connection; happy eyeballs |
//! | `resolve.rs` | names to addresses |
//! | `guard.rs` | which addresses a client may have us connect to (a pure decider) |

mod connect;
mod group;
mod guard;
#[cfg_attr(not(test), expect(dead_code, reason = "groups do not use it yet"))]
#[expect(unused_imports, reason = "groups do not use it yet")]
mod health;
mod options;
mod origin;
mod pool;
mod race;
mod resolve;
mod rotation;
mod upstreams;

pub use group::Group;
pub(crate) use group::{GroupNumber, Registry, ShelfNumber};
pub(crate) use guard::Guard;
pub use health::{AdaptiveLimit, Breaker, Ejection, Probe, RetryBudget};
pub use options::UpstreamOptions;
pub(crate) use origin::{Origin, Place};
pub(crate) use pool::{Identity, Pool};
pub(crate) use race::{HEAD_START, interleave, race};
pub(crate) use rotation::Tried;
pub(crate) use upstreams::Upstreams;
