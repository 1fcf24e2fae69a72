//! From a tree to what the other rooms are told, and everything that is wrong with it.
//!
//! Each file has functions that make something of a table, which never fail, and such that check it: these try it as a whole
//! first, and look for the key that is at fault only where that fails.
//!
//! | file | what is in it |
//! |---|---|
//! | `whole.rs` | [`check`], [`builder`]: all of it |
//! | `admin.rs` | the admin listener |
//! | `server.rs` | listeners, limits, timeouts, trusted proxies |
//! | `tls.rs` | TLS on both sides |
//! | `observe.rs` | the access log, identifiers of requests, traces |
//! | `groups.rs` | [`Groups`]: all groups, those that are kept from the configuration before among them |
//! | `group.rs` | a group |
//! | `endpoint.rs` | its endpoints, and how they are found |
//! | `health.rs` | what finds out how endpoints fare |
//! | `route.rs` | routes |
//! | `proxy.rs` | reverse proxies |
//! | `local.rs` | answers that no upstream gives |
//! | `forward.rs` | the forward proxy |

mod admin;
mod endpoint;
mod forward;
mod group;
mod groups;
mod health;
mod local;
mod observe;
mod proxy;
mod route;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod whole;

pub(super) use admin::admin;
pub(super) use groups::Groups;
pub(super) use whole::{builder, check};
