//! Passing requests on: the relay path, which makes no request or response objects.
//!
//! | file | what is in it |
//! |---|---|
//! | `proxy.rs` | [`Proxy`]: the description of a reverse proxy |
//! | `reverse.rs`, `respond.rs` | story 2: a request is passed on, and its answer passed back |
//! | `forward.rs` | [`Forward`]: the description of a forward proxy |
//! | `forwarding.rs` | story 2 of a forward proxy |
//! | `tries.rs`, `retry.rs` | its middle: endpoints are tried until one answers; who may take a request next |
//! | `ask.rs` | what a group wants to know of a request |
//! | `onward.rs` | [`Onward`]: what would become of a request, told without sending it |
//! | `flight.rs` | requests that are with an upstream, and nothing but a slot here |
//! | `attempt.rs`, `waiting.rs` | story 3: one try to have it answered by one endpoint |
//! | `repeating.rs` | what a [`Proxy`] can be told of requests that are sent again |
//! | `grpc.rs`, `grpc_web.rs` | failures of calls, in the words of gRPC; calls of browsers |
//! | `hedge.rs` | a second endpoint that is asked as well |
//! | `relay.rs` | [`Relay`]: what an exchange that is passed on has to work with |
//! | `upload.rs` | a request on its way to an upstream |
//! | `collect.rs` | a body that is read before its request is passed on |
//! | `max_forwards.rs` | requests that go no further |
//! | `pump.rs`, `content.rs` | a body on its way from one side to the other, and what happens to its bytes |
//! | `ends.rs` | its two ends, and how it is called when one of them fails |
//! | `mirror.rs` | copies of requests for another upstream |
//! | `upgrade.rs` | requests for another protocol |
//! | `request_head.rs`, `answer_head.rs` | the heads on their way |
//! | `rules.rs` | what is changed of paths and header fields |
//! | `redirects.rs` | what answers say of places, in the client's terms |
//! | `hooks.rs` | the user's hooks: what they say, how they are called |
//! | `view.rs` | what hooks are given |
//! | `hooked.rs` | what hooks have made of an exchange, and when they are called |
//! | `filter.rs` | [`BodyFilter`]: bodies looked at or changed by the user |

mod answer_head;
mod ask;
mod attempt;
mod collect;
mod content;
mod ends;
mod filter;
mod flight;
mod forward;
mod forwarding;
mod grpc;
mod grpc_web;
mod hedge;
mod hooked;
mod hooks;
mod max_forwards;
mod mirror;
mod onward;
#[expect(clippy::module_inception, reason = "the room is named after the type that it is about")]
mod proxy;
mod pump;
mod redirects;
mod relay;
mod repeating;
mod request_head;
mod respond;
mod retry;
mod reverse;
mod rules;
mod tries;
mod upgrade;
mod upload;
mod view;
mod waiting;

pub use filter::BodyFilter;
pub(crate) use flight::{Arriving, Departing, Departure, arrive, depart, pass, resume};
pub use forward::Forward;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use grpc_web::decode_text as decode_web_text;
pub(crate) use hooked::{Hooked, tell};
pub use hooks::{Flow, IntoFlow};
pub(crate) use onward::Inquiry;
pub use onward::{Bound, Leads, Onward, OnwardEndpoint, Unit};
pub use proxy::Proxy;
pub(crate) use relay::{Client, Desk, Head, Method, Outcome, Relay, Rest, Site};
pub(crate) use reverse::Reverse;
pub use view::{Done, ProxyRequest, ProxyResponse, UpstreamRequest};
