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
//! | `date.rs` | the Date field |
//! | `encode.rs` | heads, chunks and bodies, encoded |
//! | `server.rs` | the downstream connection: reads requests, writes answers |
//! | `client.rs` | the upstream connection: reads answers |

mod chunked;
mod client;
mod date;
mod decode;
mod encode;
mod framing;
mod parse;
mod server;

pub(crate) use client::{AnswerHead, MAX_INTERIM, find_answer, read_answer};
pub(crate) use date::DateLine;
pub(crate) use decode::{Decoder, Step};
pub(crate) use encode::{
    AnswerParts, BodyCoding, Lines, encode_chunk_end, encode_chunk_start, encode_field, encode_head,
    encode_interim, encode_last_chunk, encode_lines, encode_number,
};
pub(crate) use framing::{AnswerFacts, RequestFacts};
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) use parse::Found;
pub(crate) use parse::{Finder, parse_request};
pub(crate) use server::{HeadReader, Next, Outbound};
