//! The rules of RFC 9110, RFC 9112 and RFC 9113, a module for each section: tables of bytes and what comes of them. Here
//! those for requests that a handler answers, in `relay` those for messages that are passed on; `h2` is what HTTP/2 is
//! spoken with. `expected.toml` lists what the black-box suite would have otherwise.

mod h2;
mod relay;
mod rfc7541;
mod rfc8441;
mod rfc9110_10_1_1;
mod rfc9110_15;
mod rfc9110_5;
mod rfc9110_6_5;
mod rfc9110_7_2;
mod rfc9110_9;
mod rfc9112_2_2;
mod rfc9112_2_3;
mod rfc9112_3;
mod rfc9112_3_2;
mod rfc9112_5;
mod rfc9112_6_1;
mod rfc9112_6_2;
mod rfc9112_7_1;
mod rfc9112_8;
mod rfc9112_9;
mod rfc9113;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use more of it")]
mod support;
mod table;
