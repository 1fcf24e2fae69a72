//! HTTP/1.0 and 1.1 on the wire (RFC 9112).
//!
//! `parse`, `framing`, `chunked`, `decode` and `encode` are plain functions on slices: bytes in, values out, no I/O.
//! Only `server.rs` and `client.rs` touch a stream. A wire never calls up: it is asked for the next head, and told what
//! to send.
//!
//! | file | what is in it |
//! |---|---|
//! | `parse.rs` | heads: where one ends, its lines and fields |
//! | `framing.rs` | [`Framing`]: where a body ends; the only place that decides it |
//! | `chunked.rs` | the chunked coding, decoded |
//! | `decode.rs` | a body of any framing, decoded |
//! | `encode.rs` | heads, chunks and bodies, encoded |
//! | `server.rs` | the downstream connection: reads requests, writes answers |
//! | `client.rs` | the upstream connection: reads answers |

mod chunked;
mod client;
mod decode;
mod encode;
mod framing;
mod parse;
mod server;

pub(crate) use client::{AnswerHead, read_answer};
pub(crate) use decode::{Decoder, Step};
pub(crate) use encode::{
    AnswerParts, BodyCoding, encode_chunk_end, encode_chunk_start, encode_head, encode_interim,
    encode_last_chunk,
};
pub(crate) use framing::RequestFacts;
pub(crate) use parse::parse_request;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use parse::{Finder, Found};
pub(crate) use server::{HeadReader, INPUT, Next, Outbound};
