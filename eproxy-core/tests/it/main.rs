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
mod refusals;
mod routing;
mod shutdown;
mod support;
mod timeouts;
mod upgrades;
