//! For tests of what is built with this crate: a server, its clients and its upstreams on one thread, without a network and
//! without waiting.
//!
//! A [`Lab`] has one worker of a real [`Server`](crate::Server): the same parser, pools, deadlines and sockets, only that
//! nothing listens, and that the clock is the lab's. Upstreams do what a [`Script`] says, byte by byte if it has to be.
//! Where everybody waits, the lab moves its clock to when the next thing happens: an upstream that takes a minute costs no
//! time at all. The same test sees the same things in the same order each time it runs.
//!
//! ```
//! use std::time::Duration;
//! use eproxy_core::{Proxy, Server};
//! use eproxy_core::testing::{Lab, Script};
//!
//! let lab = Lab::new();
//! let app = lab.upstream("http://app.test", Script::new().latency(Duration::from_secs(5)).answer(200, "hello"));
//! lab.serve(Server::builder().at("/*path", Proxy::to("http://app.test")));
//!
//! let reply = lab.get("/x");
//! assert_eq!((reply.status(), reply.text()), (200, "hello"));
//! assert_eq!(app.last_request().line(), "GET /x HTTP/1.1");
//! assert_eq!(lab.now().as_secs(), 5);
//!
//! app.refuse();
//! app.close_connections();
//! assert_eq!(lab.get("/x").status(), 502);
//! ```
//!
//! What answers from elsewhere, a thread or a task of async-std, takes the time that it takes: the lab waits for it, and
//! does not move its clock meanwhile. A [`Client`](crate::Client) asks over the real network, not the lab's.
//!
//! | file | what is in it |
//! |---|---|
//! | `lab.rs` | [`Lab`]: a server, and the world around it |
//! | `world.rs` | turns and time: what runs when |
//! | `connection.rs` | [`Connection`], [`Pending`]: a client |
//! | `reply.rs` | [`Reply`]: what a client got |
//! | `upstream.rs` | [`Upstream`]: a scripted server |
//! | `script.rs` | [`Script`]: what it does |
//! | `play.rs` | a script on a connection |
//! | `seen.rs` | [`Seen`]: a request, as an upstream saw it |
//! | `line.rs` | the lab's end of a connection |

mod connection;
mod lab;
mod line;
mod play;
mod reply;
mod script;
mod seen;
mod upstream;
mod world;

pub use connection::{Connection, Pending};
pub use lab::Lab;
pub use reply::Reply;
pub use script::Script;
pub use seen::Seen;
pub use upstream::Upstream;
