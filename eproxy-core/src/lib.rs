//! An HTTP proxy engine to embed: a [`Server`] whose handlers answer through callback [`Response`] objects, and an
//! upstream [`Client`].
//!
//! ```no_run
//! use eproxy_core::{Client, Request, Response, Server};
//!
//! #[async_std::main]
//! async fn main() -> eproxy_core::Result<()> {
//!     let client = Client::new();
//!     Server::builder()
//!         .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
//!         .get("/proxy", move |_: Request, res: Response| {
//!             client.fetch("http://127.0.0.1:9000/get", move |answer| match answer {
//!                 Ok(upstream) => res.forward(upstream),
//!                 Err(error) => res.status(error.status()).send(error.name()),
//!             })
//!         })
//!         .bind("127.0.0.1:8080")
//!         .run()
//!         .await
//! }
//! ```
//!
//! A [`Handler`] returns at once and answers when it likes, from any thread; [`async_handler`] makes one of an async
//! closure. Bodies are streams with back-pressure in both directions. Everything has a limit ([`Limits`], [`Timeouts`]),
//! and everything that is refused is counted by its name ([`Stats`]). The server runs inside the program that starts it:
//! it installs no signal handlers, prints nothing, and logs through the `log` facade.
//!
//! # The map
//!
//! Rooms stand on floors and use lower floors only.
//!
//! | floor | rooms |
//! |---|---|
//! | 5 | `server`: listeners, connections, exchanges |
//! | 4 | `router`: which route; `client`: asking others |
//! | 3 | `handler`: the seam between the server and its user |
//! | 2 | `http1`: the wire; `telemetry`: counters |
//! | 1 | `message`: the words of HTTP |
//! | 0 | `driver`: poll, tasks, timers, sockets; `error` |
//!
//! A request goes from `driver` to `server/connection`, is parsed by `http1`, and then follows one function:
//! `server/exchange::run`.

mod client;
mod driver;
mod error;
#[cfg(all(unix, any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod http1;
mod message;
mod proxy;
mod router;
mod server;
mod telemetry;
mod tunnel;
mod upstream;

pub use client::{Client, ClientOptions, IntoRequest};
pub use error::{Error, Result, Side};
pub use handler::{BodyWriter, Handler, IntoAnswer, IntoStatus, Request, Response, Upgraded, async_handler};
pub use message::{Answer, Body, Headers, Limits, Timeouts};
pub use proxy::{
    BodyFilter, Done, Flow, Forward, IntoFlow, Proxy, ProxyRequest, ProxyResponse, UpstreamRequest,
};
pub use router::{Mount, Mounted, Route};
pub use server::{Builder, Handle, Server, Shutdown};
pub use telemetry::Stats;
pub use tunnel::ProxyProtocol;
pub use upstream::{Group, UpstreamOptions};

/// The vocabulary of HTTP: methods, status codes, URLs, media types.
pub use http_types;
/// The request builder and middleware of the [`Client`].
pub use surf;
