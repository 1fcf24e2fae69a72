//! The upstream client: surf's request builder and middleware over eproxy's own transport.
//!
//! It runs on async-std, outside the cores: for handlers that ask somebody else, not for relaying. Requests are encoded
//! by async-h1; answers are decoded by the same code that serves, because async-h1's decoder is not fit for upstreams
//! that can't be trusted.
//!
//! | file | what is in it |
//! |---|---|
//! | `client.rs` | [`Client`], [`IntoRequest`] |
//! | `options.rs` | [`ClientOptions`] |
//! | `backend.rs` | the transport: lease, send, read; again if that is safe |
//! | `connect.rs` | names to addresses to a connection, happy eyeballs |
//! | `wire.rs`, `tls.rs` | what a connection is made of: a socket, or TLS over one |
//! | `trust.rs` | whom to trust |
//! | `pool.rs` | connections between requests |
//! | `body.rs` | the body of an answer, on its connection |
//! | `clock.rs` | deadlines of all requests, by one coarse ticker |

mod backend;
mod body;
#[expect(clippy::module_inception, reason = "the room is named after the type that it is about")]
mod client;
mod clock;
mod connect;
mod options;
mod pool;
mod tls;
mod trust;
mod wire;

pub use client::{Client, IntoRequest};
pub use options::ClientOptions;
