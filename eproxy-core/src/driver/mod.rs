//! One core: a thread with its own poll, its own tasks and its own timers.
//!
//! A core shares nothing with its neighbours; what reaches it from other threads comes through a [`Remote`]. Each turn
//! of its loop is one system call: the kernel is asked once which sockets changed, then everything that can run runs.
//!
//! This room never knows HTTP, and it is the only one that reads the clock.
//!
//! | file | what is in it |
//! |---|---|
//! | `reactor.rs`, `source.rs` | readiness of sockets, deadlines; what is known of each |
//! | `inbox.rs`, `outbox.rs` | what is read ahead of whom it is for, and written behind those who wrote it |
//! | `batch.rs` | the calls of a turn, made in one (Linux; `no_batch.rs` elsewhere) |
//! | `cipher.rs` | what may stand between the bytes of a stream and those of its socket |
//! | `clock.rs` | the clock, read once a turn |
//! | `timer.rs`, `sleep.rs` | the wheel of coarse deadlines; waiting for one |
//! | `executor.rs`, `among.rs` | tasks, wakers, the run queue; tasks that wait for what others do |
//! | `listen.rs` | addresses to listen on, a listening socket for each core |
//! | `listener.rs` | listeners |
//! | `look.rs` | whether a file is the one that was read |
//! | `socket.rs` | sockets, and the system calls on them |
//! | `sealed.rs` | streams that wear a cipher |
//! | `duct.rs` | streams between two owners on one core, without a socket |
//! | `stream.rs`, `traits.rs`, `parking.rs` | streams, TCP and unix-domain; by the traits of others; that nobody reads |
//! | `pipe.rs` | bytes from one socket to another without a copy (Linux; `no_pipe.rs` elsewhere) |
//! | `connect.rs` | streams to somebody else's listener |
//! | `network.rs` | a network in memory, for a core that is taken through its turns by hand |
//! | `cores.rs` | a core's loop, and the way in from other threads |

mod among;
#[cfg(target_os = "linux")]
mod batch;
#[cfg(not(target_os = "linux"))]
#[path = "no_batch.rs"]
mod batch;
mod cipher;
mod clock;
mod connect;
mod cores;
mod duct;
mod executor;
mod inbox;
mod listen;
mod listener;
mod look;
mod network;
mod outbox;
mod parking;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod pipe;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "no_pipe.rs"]
mod pipe;
mod reactor;
mod sealed;
mod sleep;
mod socket;
mod source;
mod stream;
mod timer;
mod traits;

pub(crate) use cipher::{Cipher, Opened, Sink, Then};
pub(crate) use clock::wall_seconds;
#[cfg(test)]
pub(crate) use cores::on_a_core;
pub(crate) use cores::{Core, Remote};
pub(crate) use executor::TaskId;
pub(crate) use listen::{Address, Bound, Given};
pub(crate) use listener::Listener;
pub(crate) use look::Look;
pub(crate) use network::{Network, Welcome};
pub(crate) use pipe::Pipe;
pub(crate) use reactor::Wakeup;
pub(crate) use socket::Next;
pub(crate) use source::Direction;
pub(crate) use stream::{Peer, Stream};
