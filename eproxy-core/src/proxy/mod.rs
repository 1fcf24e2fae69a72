//! Passing requests on: the relay path, which makes no request or response objects.
//!
//! | file | what is in it |
//! |---|---|
//! | `proxy.rs` | [`Proxy`]: the description of a reverse proxy |
//! | `reverse.rs` | story 2: a request is passed on, and its answer passed back |
//! | `flight.rs` | requests that are with an upstream, and nothing but a slot here |
//! | `attempt.rs` | story 3: one try to have it answered by one endpoint |
//! | `relay.rs` | [`Relay`]: what an exchange that is passed on has to work with |
//! | `upload.rs` | a request on its way to an upstream |
//! | `pump.rs` | a body on its way from one side to the other |
//! | `upgrade.rs` | requests for another protocol |
//! | `request_head.rs`, `answer_head.rs` | the heads on their way |
//! | `rules.rs` | what is changed of paths and header fields |
//! | `redirects.rs` | what answers say of places, in the client's terms |

mod answer_head;
mod attempt;
mod flight;
#[expect(clippy::module_inception, reason = "the room is named after the type that it is about")]
mod proxy;
mod pump;
mod redirects;
mod relay;
mod request_head;
mod reverse;
mod rules;
mod upgrade;
mod upload;

pub use proxy::Proxy;
pub(crate) use flight::{Arriving, Departing, Departure, arrive, depart, pass, resume};
pub(crate) use relay::{Client, Desk, Head, Method, Outcome, Relay, Site};
pub(crate) use reverse::Reverse;
