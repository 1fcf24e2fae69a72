//! An HTTP proxy engine.
mod client;
mod driver;
mod error;
mod handler;
mod http1;
mod message;
mod router;
mod server;
mod telemetry;

pub use client::{Client, ClientOptions, IntoRequest};
pub use error::{Error, Result, Side};
pub use handler::{BodyWriter, Handler, IntoAnswer, IntoStatus, Request, Response, Upgraded, async_handler};
pub use message::{Answer, Body, Headers};
pub use router::Route;
pub use server::{Builder, Handle, Limits, Server, Shutdown, Timeouts};
pub use telemetry::Stats;

/// The vocabulary of HTTP: methods, status codes, URLs, media types.
pub use http_types;
/// The request builder and middleware of the [`Client`].
pub use surf;
