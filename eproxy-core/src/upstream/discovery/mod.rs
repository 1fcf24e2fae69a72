//! Finding out which endpoints there are, while a server runs.
//!
//! It runs on async-std, beside the cores. A source that can't be asked never takes endpoints away: the last ones stay.
//! This never knows who uses them.
//!
//! | file | what is in it |
//! |---|---|
//! | `source.rs` | [`Discovery`]: what every source has in common |
//! | `feed.rs` | [`Feed`], [`Found`]: the way from a source to its user; what is news |
//! | `dns.rs` | [`Dns`]: the addresses of a name |
//! | `srv.rs`, `tiers.rs` | [`Srv`]: the servers of a service; their priorities and weights in our scale |
//! | `names.rs` | what is known of a name, and when it is asked for again |
//! | `ask.rs`, `runtime.rs` | DNS, by hickory; its sockets and timers |
//! | `system.rs` | the same by the system's resolver, where there is no hickory |
//! | `file.rs`, `lines.rs` | [`EndpointsFile`]: a file that is watched; what its lines say |

#[cfg(feature = "dns")]
mod ask;
#[cfg(not(feature = "dns"))]
#[path = "system.rs"]
mod ask;
mod dns;
mod feed;
mod file;
mod lines;
mod names;
#[cfg(feature = "dns")]
mod runtime;
mod source;
#[cfg(feature = "dns")]
mod srv;
#[cfg(feature = "dns")]
mod tiers;

pub use dns::Dns;
pub use feed::{Feed, Found};
pub use file::EndpointsFile;
pub use source::Discovery;
#[cfg(feature = "dns")]
pub use srv::Srv;
