//! What is answered here, without an upstream: files, fixed answers, redirects.
//!
//! Each is described by its user, checked when the server starts, and then a handler as any other. This room never asks
//! another server.
//!
//! | file | what is in it |
//! |---|---|
//! | `place.rs` | [`Local`]: a description that becomes a handler; [`Place`]: where it is mounted |
//! | `fields.rs` | header fields that a description adds to its answers |
//! | `fixed.rs` | [`Fixed`]: the same answer to everybody |
//! | `redirect.rs` | [`Redirect`]: the client is sent elsewhere |
//! | `template.rs` | where to: a text with placeholders, filled in from the request |
//! | `files.rs` | [`Files`]: the description of a folder that is served |
//! | `serve.rs` | its story: find, judge, send |
//! | `find.rs` | from a path to a file, never outside the folder |
//! | `condition.rs` | If-Match and its like: what the client has already |
//! | `validator.rs` | ETag and Last-Modified |
//! | `range.rs` | Range: the part that is asked for |
//! | `coding.rs` | Accept-Encoding: which of the compressed files |
//! | `media_type.rs` | Content-Type, by the ending of a file's name |
//! | `sending.rs` | a long file on its way |
//! | `fuzzing.rs` | what clients say to files and redirects, for the fuzzer |

mod coding;
mod condition;
mod fields;
mod files;
mod find;
mod fixed;
#[cfg(all(unix, any(test, fuzzing)))]
pub(crate) mod fuzzing;
mod media_type;
mod place;
mod range;
mod redirect;
mod sending;
mod serve;
mod template;
mod validator;

pub use files::Files;
pub use fixed::Fixed;
pub(crate) use place::{Local, Place};
pub use redirect::Redirect;
