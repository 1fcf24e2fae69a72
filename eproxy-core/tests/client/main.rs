//! The client from outside: against upstreams that follow a script, byte by byte, and in front of them a server.

mod async_h1_faults;
mod bodies;
mod failures;
mod forward;
mod pool;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "each integration binary uses its part of it")]
mod raw;
mod support;
mod surf;
mod tls;
