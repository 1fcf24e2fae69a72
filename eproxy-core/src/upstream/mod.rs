//! The way to upstreams: where they are, which one is next, and the connections to them.
//!
//! What a core has here it shares with nobody; what all cores share of a group are atomics, and lists that are copied when
//! they have changed. This room never knows what is sent over a connection, but for probes, which it sends itself.
//!
//! | file | what is in it |
//! |---|---|
//! | `origin.rs`, `destination.rs` | [`Origin`], [`Place`]: where an upstream is; the same with its unused connections |
//! | `endpoint.rs`, `node.rs`, `member.rs` | an endpoint as it is described, as all cores share it, as one core has it |
//! | `group.rs`, `plan.rs`, `settings.rs`, `roster.rs` | [`Group`]; how it is described; what is fixed of it; the endpoints it has |
//! | `view.rs`, `field.rs` | a group as one core sees it; those who may be chosen, and the policy |
//! | `tally.rs`, `snapshot.rs`, `prospect.rs` | what is counted, and shown; who would take a request, told beforehand |
//! | `line.rs`, `supervisor.rs` | requests that wait for room; what goes on whether or not requests come |
//! | `balance/` | which of them takes a request: pure deciders |
//! | `health/` | whether they are well: pure deciders, and probes |
//! | `options.rs`, `registry.rs` | [`UpstreamOptions`]; the numbers under which cores know groups and places |
//! | `discovery/`, `search.rs` | finding out which endpoints there are, while servers run; its use in groups |
//! | `upstreams.rs` | [`Upstreams`]: all of it, as one core sees it |
//! | `pool.rs`, `multiplexed.rs` | connections between requests; those that have many at once |
//! | `transport.rs`, `dial.rs` | how a place is spoken to; a connection that can be spoken over |
//! | `connect.rs`, `race.rs`, `resolve.rs` | a place to a connection; happy eyeballs; names to addresses |
//! | `guard.rs` | which addresses a client may have us connect to (a pure decider) |

mod balance;
mod connect;
mod destination;
mod dial;
mod discovery;
mod endpoint;
mod field;
mod group;
mod guard;
pub(crate) mod health;
mod line;
mod member;
mod multiplexed;
mod node;
mod options;
mod origin;
mod plan;
mod pool;
mod prospect;
mod race;
mod registry;
mod resolve;
mod roster;
mod search;
mod settings;
mod snapshot;
mod supervisor;
mod tally;
mod transport;
mod upstreams;
mod view;

pub use balance::sticky::Sticky;
pub(crate) use balance::{hash::hash, sticky::values as cookie_values};
pub(crate) use destination::Destination;
pub(crate) use dial::Dial;
#[cfg(feature = "dns")]
pub use discovery::Srv;
pub use discovery::{Discovery, Dns, EndpointsFile, Feed, Found};
pub use endpoint::Endpoint;
pub use group::Group;
pub(crate) use guard::Guard;
pub use health::{AdaptiveLimit, Breaker, Ejection, Probe, RetryBudget};
pub(crate) use member::Pick;
pub use node::Mode;
pub use options::UpstreamOptions;
pub(crate) use origin::{Origin, Place, Scheme};
pub(crate) use pool::Identity;
pub(crate) use prospect::{Lead, Prospect};
pub(crate) use race::{HEAD_START, interleave, race};
pub(crate) use registry::{GroupNumber, Registry};
pub(crate) use settings::Wishes;
pub use settings::{Balance, HashKey};
pub use snapshot::{EndpointSnapshot, GroupSnapshot, Health};
pub(crate) use transport::Target;
pub(crate) use upstreams::{Reach, Upstreams};
pub(crate) use view::{Ask, Choice, Tried};
