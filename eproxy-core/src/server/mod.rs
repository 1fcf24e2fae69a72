//! The server: listeners, connections, exchanges, draining.
//!
//! It runs inside the caller's program: no signals, no globals, no output, no exit. Each worker is a thread with a core
//! of its own; connections never change theirs.
//!
//! | file | what is in it |
//! |---|---|
//! | `builder.rs` | [`Server`], [`Builder`]: what is served, where, by how many workers |
//! | `check.rs`, `start.rs` | what is not right with that; starting the workers |
//! | `inherited.rs`, `held.rs` | listening sockets that come from elsewhere; those that are there, to be handed on |
//! | `plan.rs`, `edition.rs` | what is served, and how; the same as a worker has it at the moment |
//! | `replace.rs`, `orders.rs` | another plan for a server that runs; how workers are told of it |
//! | `handle.rs`, `life.rs` | [`Handle`]: addresses, statistics, shutdown; the phases of a server |
//! | `worker.rs` | a worker: its connections at rest, its turns |
//! | `at_once.rs` | requests that are dealt with without anything being waited for |
//! | `flight.rs`, `tunnels.rs` | requests that are with an upstream; connections that have become tunnels |
//! | `downstream.rs` | connections of clients, and how many there are |
//! | `owner.rs` | who is told of a parked connection |
//! | `seat.rs`, `desk.rs`, `accept.rs` | the tasks of the others, and their buffers; the loop that takes connections in |
//! | `who.rs`, `trust.rs` | who is at the other end; whose word is taken for that |
//! | `door.rs`, `introduce.rs` | what a connection begins with: TLS; the PROXY protocol |
//! | `connection.rs`, `multiplex.rs` | a connection: one request after another; with HTTP/2: many exchanges |
//! | `exchange.rs`, `open.rs` | story 1: a request and its answer; its beginning: parse, check, route, ask |
//! | `account.rs`, `telling.rs` | what is kept of it until it is over, and recorded then; where what is told goes |
//! | `pass.rs` | an exchange that is passed on and has to be waited for |
//! | `asked.rs`, `explain.rs`, `explanation.rs` | a request that is asked about; what becomes of it and why; how that is told |
//! | `refuse.rs`, `upload.rs`, `download.rs` | answers that the server gives by itself; the bodies of an exchange |
//! | `upgrade.rs` | a connection that a handler has taken over |
//! | `alone.rs`, `fuzzing.rs` | a server on the calling thread, for tests and for the fuzzer |

mod accept;
mod account;
mod alone;
mod asked;
mod at_once;
mod builder;
mod check;
mod connection;
mod desk;
mod door;
mod download;
mod downstream;
mod edition;
mod exchange;
mod explain;
mod explanation;
mod flight;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) mod fuzzing;
mod handle;
mod held;
mod inherited;
mod introduce;
pub(crate) mod life;
mod multiplex;
mod open;
mod orders;
mod owner;
mod pass;
mod plan;
mod refuse;
mod replace;
mod seat;
mod start;
mod telling;
mod trust;
mod tunnels;
mod upgrade;
mod upload;
mod who;
mod worker;

pub(crate) use alone::Alone;
pub use asked::Asked;
pub use builder::{Builder, Server};
pub use explanation::{Explanation, Outcome};
pub use handle::{Handle, Shutdown};
#[cfg(unix)]
pub use held::ListeningSocket;
pub use inherited::Inherited;
