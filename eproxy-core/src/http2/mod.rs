//! HTTP/2 on the wire (RFC 9113): the `h2` crate speaks it, over streams of this core.
//!
//! Those above know one kind of message. What a stream of HTTP/2 carries is put into the words of HTTP/1.1 and out of them
//! here: an exchange is a [duct](crate::driver::Stream::duct), with an engine that speaks HTTP/1.1 at one end and one of the two
//! carriers of this room at the other. So limits, hooks, retries and all that is said about bodies hold whatever the client and
//! the upstream speak.
//!
//! ```text
//!   client ──HTTP/2──▶ server carrier ──HTTP/1.1──▶ the engine ──HTTP/1.1──▶ client carrier ──HTTP/2──▶ upstream
//! ```
//!
//! This room never routes and never decides what may be sent again; it says what a peer has refused without looking at it.
//!
//! | file | what is in it |
//! |---|---|
//! | `wire.rs` | a stream as the codec wants it |
//! | `meter.rs` | what frames cost that do nothing |
//! | `settings.rs` | what is announced, and what is borne of peers |
//! | `request.rs`, `answer.rs` | heads, into the words of HTTP/1.1 and out of them |
//! | `body.rs` | bodies and trailers, both ways |
//! | `serve.rs` | the carrier of a client's stream |
//! | `ask.rs` | the carrier of a stream to an upstream |

mod answer;
mod ask;
mod body;
mod meter;
mod request;
mod serve;
mod settings;
mod wire;

pub(crate) use ask::{Asking, ask};
pub(crate) use body::Broken;
pub(crate) use request::{Cargo, Target, encode as encode_request};
pub(crate) use serve::{Serving, answer_at_once, carry};
pub(crate) use settings::{UNKNOWN as UNKNOWN_STREAMS, client as client_settings, server as server_settings};
pub(crate) use wire::{Line, Wire};
