//! An HTTP proxy engine.
mod driver;
mod error;
mod handler;
mod http1;
mod message;
mod router;
mod server;
mod telemetry;

pub use error::{Error, Result, Side};
pub use handler::{BodyWriter, Handler, IntoAnswer, IntoStatus, Request, Response, Upgraded, async_handler};
pub use message::{Answer, Body, Headers};
pub use router::Route;
pub use server::{Builder, Handle, Limits, Server, Shutdown, Timeouts};
pub use telemetry::Stats;
