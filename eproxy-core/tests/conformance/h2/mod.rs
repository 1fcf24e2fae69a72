//! What the tests of HTTP/2 speak with: frames in bytes over a socket, and judgements in the terms of RFC 9113.
//!
//! It never uses eproxy's HTTP/2, nor the library below it: both ends of the wire are held against the RFC.
//!
//! | file | what is in it |
//! |---|---|
//! | `frame.rs` | frames, well-formed and not; the numbers of types, flags, errors and settings |
//! | `hpack.rs` | header blocks, likewise; a decoder that tolerates nothing |
//! | `client.rs` | [`client::Client`]: a connection |
//! | `hear.rs`, `windows.rs` | whatever comes is held against the RFC; the windows of flow control |
//! | `answer.rs` | [`answer::Answer`]: what is said on a stream |
//! | `check.rs` | tables of bytes and what comes of them |
//! | `site.rs` | the server that they are sent to |

pub(crate) mod answer;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod frame;
mod hear;
pub(crate) mod hpack;
pub(crate) mod site;
mod windows;
