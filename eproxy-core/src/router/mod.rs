//! Which route a request takes: by host, path pattern, header fields and query, then by method.
//!
//! This room answers questions about the head of a request; it never sees a connection or a body.
//!
//! | file | what is in it |
//! |---|---|
//! | `mount.rs` | [`Mount`]: what may stand behind a route |
//! | `route.rs` | [`Route`]: which requests it is for, with its handlers and options; the order in which routes are chosen |
//! | `pattern.rs` | the syntax of patterns |
//! | `host.rs` | hosts: of routes, of requests, and what belongs to which |
//! | `condition.rs` | [`Match`]: what a route may ask of header fields and of the query |
//! | `sought.rs` | [`Sought`]: a request, as far as routes are chosen by it |
//! | `entry.rs` | a route as it is looked at |
//! | `tree.rs` | patterns as a tree of segments |
//! | `map.rs` | all routes of a server, and the choice among them |
//! | `finding.rs` | [`Finding`]: what is not right with them |
//! | `table.rs` | the same, with what answers |
//! | `explain.rs` | [`Candidate`]: why a request takes the route that it takes |

mod condition;
mod entry;
mod explain;
mod finding;
mod host;
mod map;
mod mount;
mod pattern;
mod route;
mod sought;
mod table;
mod tree;

pub use condition::Match;
pub(crate) use explain::{Behind, Explained, Found, explain};
pub use explain::{Candidate, ChosenRoute, Verdict};
pub use finding::{Finding, Hidden, Unreachable};
pub(crate) use map::check;
pub(crate) use mount::Target;
pub use mount::{Mount, Mounted};
pub use route::Route;
pub(crate) use sought::Sought;
pub(crate) use table::{Choice, RouteNumber, Table};
