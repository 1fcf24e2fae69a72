//! Which route a request takes: by path pattern, then by method.
//!
//! This room answers questions about a request's path and method; it never sees a connection or a body.
//!
//! | file | what is in it |
//! |---|---|
//! | `mount.rs` | [`Mount`]: what may stand behind a route |
//! | `route.rs` | [`Route`]: a pattern with its handlers and options |
//! | `pattern.rs` | the syntax of patterns |
//! | `tree.rs` | patterns as a tree of segments |
//! | `table.rs` | all routes of a server, and the choice among them |

mod mount;
mod pattern;
mod route;
mod table;
mod tree;

pub(crate) use mount::Target;
pub use mount::{Mount, Mounted};
pub use route::Route;
pub(crate) use table::{Choice, RouteNumber, Table};
