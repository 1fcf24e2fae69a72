//! The user's seam: handlers, and the requests and responses they are given.
//!
//! This room knows no wire: a [`Response`] leaves its last word in a `Reply`, and whoever serves the connection takes
//! it from there.
//!
//! | file | what is in it |
//! |---|---|
//! | `handler.rs` | [`Handler`], [`async_handler`], [`IntoAnswer`] |
//! | `request.rs` | [`Request`] |
//! | `response.rs` | [`Response`]: consumed by its last word |
//! | `writer.rs` | [`BodyWriter`], [`Upgraded`]: what some last words leave in the handler's hands |
//! | `reply.rs` | where a response's last word waits for its connection |

#[expect(clippy::module_inception, reason = "the room is named after the trait that it is about")]
mod handler;
mod reply;
mod request;
mod response;
mod writer;

pub use handler::{Handler, IntoAnswer, async_handler};
pub(crate) use reply::{Reply, Word};
pub use request::Request;
pub(crate) use request::{Incoming, keep_requests_of_this_thread};
pub use response::{IntoStatus, Response};
pub use writer::{BodyWriter, Upgraded};
