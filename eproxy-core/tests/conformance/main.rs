//! The rules of RFC 9110 and RFC 9112 for requests, a module for each section: tables of bytes and what comes of them.

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
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the integration tests, which use more of it")]
mod support;
mod table;
