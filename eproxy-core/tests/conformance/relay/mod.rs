//! The rules of HTTP for messages that are passed on: what an upstream is sent of a request, and what a client gets to see
//! of an answer. Everything is said in bytes, at both ends.
//!
//! It never takes eproxy's word for what was sent: the upstream has a reader of its own, which tolerates nothing.
//!
//! | file | what is in it |
//! |---|---|
//! | `upstream.rs` | an upstream that follows a script and records every byte |
//! | `seen.rs` | a request as it was sent one, read strictly |
//! | `table.rs` | tables of requests and answers, and the proxies that they go through |
//! | `rfc….rs` | the rules, a file for each section |
//! | `advisories.rs` | faults of another proxy that must not be ours, by the names of their advisories |

mod advisories;
mod rfc6455_4;
mod rfc7239;
mod rfc9110_10_1_1;
mod rfc9110_10_1_4;
mod rfc9110_14;
mod rfc9110_15;
mod rfc9110_15_2;
mod rfc9110_5;
mod rfc9110_6_5;
mod rfc9110_6_6_1;
mod rfc9110_7_2;
mod rfc9110_7_6_1;
mod rfc9110_7_6_2;
mod rfc9110_7_6_3;
mod rfc9110_7_8;
mod rfc9110_9;
mod rfc9112_2_2;
mod rfc9112_2_3;
mod rfc9112_3;
mod rfc9112_3_2;
mod rfc9112_4;
mod rfc9112_5;
mod rfc9112_6_1;
mod rfc9112_6_2;
mod rfc9112_6_3;
mod rfc9112_7_1;
mod rfc9112_8;
mod rfc9112_9_3;
mod rfc9112_9_5;
mod rfc9113_8;
mod rfc9113_8_1;
mod rfc9113_8_5;
mod seen;
mod table;
#[expect(dead_code, reason = "shared with the tests of proxies, which use more of it")]
mod upstream;
