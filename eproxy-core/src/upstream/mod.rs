//! The way to upstreams: where they are, which one is next, and the connections to them.
//!
//! Everything here belongs to one core and is shared with nobody. This room never knows what is sent over a connection.
//!
//! | file | what is in it |
//! |---|---|
//! | `origin.rs` | [`Origin`], [`Place`]: where an upstream is |
//! | `group.rs` | [`Group`]: endpoints that share requests; the numbers under which cores know them |
//! | `endpoint.rs` | [`Endpoint`]: one of them, as it is described |
//! | `discovery/` | finding out which there are, while a server runs; it has a table of its own |
//! | `source.rs`, `feed.rs` | there: [`Discovery`], [`Feed`] |
//! | `dns.rs`, `srv.rs`, `tiers.rs`, `names.rs`, `ask.rs`, `runtime.rs`, `system.rs` | there: [`Dns`], `Srv` |
//! | `file.rs`, `lines.rs` | there: [`EndpointsFile`] |
//! | `options.rs` | [`UpstreamOptions`] |
//! | `upstreams.rs` | [`Upstreams`]: all of it, as one core sees it |
//! | `rotation.rs` | which endpoint is next (a pure decider) |
//! | `pool.rs` | connections between requests |
//! | `connect.rs`, `race.rs` | a place to a connection; happy eyeballs |
//! | `resolve.rs` | names to addresses |
//! | `guard.rs` | which addresses a client may have us connect to (a pure decider) |

mod connect;
mod discovery;
mod endpoint;
mod group;
mod guard;
mod options;
mod origin;
mod pool;
mod race;
mod resolve;
mod rotation;
mod upstreams;

#[cfg(feature = "dns")]
pub use discovery::Srv;
pub use discovery::{Discovery, Dns, EndpointsFile, Feed, Found};
pub use endpoint::Endpoint;
pub use group::Group;
pub(crate) use group::{GroupNumber, Registry, ShelfNumber};
pub(crate) use guard::Guard;
pub use options::UpstreamOptions;
pub(crate) use origin::{Origin, Place};
pub(crate) use pool::{Identity, Pool};
pub(crate) use race::{HEAD_START, interleave, race};
pub(crate) use rotation::Tried;
pub(crate) use upstreams::Upstreams;
