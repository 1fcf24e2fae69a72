//! The words of HTTP that all its versions share: heads, headers, targets, bodies.
//!
//! Bytes stay as they came: order and case of headers, unknown methods, values outside ASCII. This room never does I/O
//! on a socket and never knows how a message looks on a wire.
//!
//! | file | what is in it |
//! |---|---|
//! | `grpc.rs` | the words of gRPC |
//! | `known.rs` | [`Known`]: the fields that mean something to a proxy |
//! | `headers.rs` | [`Headers`]: fields in their order and case, and the rules for a valid name or value |
//! | `head.rs` | first lines, versions, spans of a buffer |
//! | `target.rs` | the forms of a request target, and the canonical path that routes are chosen by |
//! | `hop.rs` | which fields concern one connection only |
//! | `body.rs` | [`Body`]: bytes in hand, or a stream |
//! | `pipe.rs` | a bounded pipe of bytes between a connection and whoever reads or writes a body |
//! | `buffer.rs` | the input buffer of a connection |
//! | `options.rs` | [`Limits`], [`Timeouts`]: what clients may send, and how long they may take |
//! | `pace.rs` | how fast a request body must come |
//! | `answer.rs` | [`Answer`]: a whole answer as a value |

mod answer;
mod body;
mod buffer;
pub(crate) mod grpc;
mod head;
mod headers;
pub(crate) mod hop;
mod known;
mod options;
mod pace;
mod pipe;
pub(crate) mod target;

pub use answer::Answer;
pub(crate) use answer::{http_types_field, reason_phrase};
pub use body::Body;
pub(crate) use body::{BodySource, Content};
pub(crate) use buffer::{Buffer, LARGE, SMALL, keep_buffers_of_this_thread};
pub(crate) use grpc::Grpc;
pub(crate) use head::{RequestLine, Span, StatusLine, Version};
pub use headers::Headers;
pub(crate) use headers::{Field, is_token, is_token_byte, is_value};
pub(crate) use known::Known;
pub use options::{Limits, Timeouts};
pub(crate) use pace::Pace;
pub(crate) use pipe::{Demand, PipeReader, PipeWriter, pipe};
