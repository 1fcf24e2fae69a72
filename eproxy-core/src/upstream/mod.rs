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
//! | `balance/` | policies by which an endpoint may be chosen, all of them pure deciders: |
//! | `draw.rs`, `two_choices.rs`, `round_robin.rs`, `least_requests.rs`, `latency.rs` | … by chance, turns, load or time |
//! | `ring.rs`, `hash.rs`, `sticky.rs` | … by a key, or by a cookie: [`Sticky`] |
//! | `slow_start.rs`, `tiers.rs`, `zone.rs`, `subset.rs` | … and who comes into question |
//! | `health/` | whether endpoints are well: `rise_fall.rs`, `ejection_options.rs`, `ejection.rs`, `outliers.rs`, `breaker_options.rs`, `breaker.rs`, `breaker_state.rs`, `budget.rs`, `gradient_options.rs`, `gradient.rs`, `queue.rs`, `millis.rs` |
//! | `health/` | whether endpoints are well: `probe_options.rs`, `probe.rs`, `rise_fall.rs`, `ejection_options.rs`, `ejection.rs`, `outliers.rs`, `breaker_options.rs`, `breaker.rs`, `breaker_state.rs`, `budget.rs`, `gradient_options.rs`, `gradient.rs`, `queue.rs`, `millis.rs` |
//! | `pool.rs` | connections between requests |
//! | `connect.rs`, `race.rs` | a place to a connection; happy eyeballs |
//! | `resolve.rs` | names to addresses |
//! | `guard.rs` | which addresses a client may have us connect to (a pure decider) |

#[cfg_attr(not(test), expect(dead_code, reason = "not used yet: groups still choose by rotation"))]
mod balance;
mod connect;
mod destination;
mod endpoint;
mod group;
mod guard;
mod member;
mod node;
#[cfg_attr(not(test), expect(dead_code, reason = "groups do not use all of it yet"))]
#[cfg_attr(not(test), expect(dead_code, reason = "groups do not use it yet"))]
#[expect(unused_imports, reason = "groups do not use it yet")]
mod health;
mod options;
mod origin;
mod pool;
mod race;
mod registry;
mod resolve;
mod roster;
mod rotation;
mod standing;
mod tally;
mod upstreams;
mod view;

pub(crate) use destination::Destination;
pub use endpoint::Endpoint;
pub use balance::sticky::Sticky;
pub use group::Group;
pub(crate) use guard::Guard;
pub(crate) use member::Pick;
pub use node::Mode;
pub use health::{AdaptiveLimit, Breaker, Ejection, RetryBudget};
pub use health::{AdaptiveLimit, Breaker, Ejection, Probe, RetryBudget};
pub use options::UpstreamOptions;
pub(crate) use origin::{Origin, Place};
pub(crate) use pool::{Identity, Pool};
pub(crate) use race::{HEAD_START, interleave, race};
pub(crate) use registry::{GroupNumber, Registry};
pub(crate) use upstreams::Upstreams;
pub(crate) use view::{Choice, Tried};
