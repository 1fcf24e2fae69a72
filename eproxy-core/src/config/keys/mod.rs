//! Which keys there are: the one table that the reader, the schema and the reference are made from.
//!
//! | file | what is in it |
//! |---|---|
//! | `shape.rs` | [`Section`], [`Key`], [`Shape`]: what a table of keys is made of |
//! | `server.rs` | the file as a whole: workers, listeners, limits, timeouts |
//! | `tls.rs` | TLS on both sides |
//! | `group.rs` | groups, their endpoints, how these are found and chosen |
//! | `health.rs` | probes, ejection, breakers, limits, budgets |
//! | `observe.rs` | the access log, identifiers of requests, traces |
//! | `route.rs` | routes, and which requests they take |
//! | `local.rs` | answers that no upstream gives |
//! | `proxy.rs` | what a proxy does to what it passes on; the forward proxy |
//! | `schema.rs` | all of it as JSON Schema |

mod group;
mod health;
mod local;
mod observe;
mod proxy;
mod route;
mod schema;
mod server;
mod shape;
mod tls;

pub(super) use schema::{literal, schema};
pub(super) use server::ROOT;
pub(super) use shape::{Default, Section, Shape, one_of};
