//! The server from outside, one file for each promise. Everything is said in bytes over loopback sockets.

mod bodies;
mod conversions;
mod drain;
mod expect_continue;
mod handlers;
mod keep_alive_and_pipelining;
mod limits;
mod listeners;
mod mutations;
mod peer;
mod proxy_filtered;
mod proxy_mutations;
mod proxy_pool;
mod proxy_retries;
mod proxy_rewrites;
mod proxy_streaming;
mod proxy_timeouts;
mod refusals;
mod routing;
#[path = "../conformance/relay/seen.rs"]
#[expect(dead_code, reason = "shared with the relay tests of the conformance suite, which use more of it")]
mod seen;
mod shutdown;
mod support;
mod timeouts;
mod upgrades;
#[path = "../conformance/relay/upstream.rs"]
#[expect(dead_code, reason = "shared with the relay tests of the conformance suite, which use more of it")]
mod upstream;
