//! The configuration file: everything that a server and its groups can be told, in TOML.
//!
//! ```text
//! files ──gather, toml──▶ tables with places ──reader, by keys──▶ tree ──build──▶ Builder, Group
//!                                    └── problems, all of them ──┴──────────┘
//! ```
//!
//! Only this room knows TOML. What is wrong is noted where it is found and the rest is read all the same, so that all of it
//! can be told at once. One table of keys says what there is: the reader, the schema and the reference are made from it.
//!
//! | file | what is in it |
//! |---|---|
//! | `config.rs` | [`Config`]: a configuration that was found right |
//! | `problem.rs` | [`Problem`], [`Problems`]: what is wrong, and where |
//! | `files.rs` | [`Files`]: the files that it was read from, and whether they have changed |
//! | `gather.rs`, `glob.rs` | a file and everything that it includes; patterns for paths |
//! | `source.rs` | texts, and places in them |
//! | `keys/` | which keys there are, and what their values look like |
//! | `reader.rs` | from TOML to a tree, by the tables of keys |
//! | `values.rs` | durations, sizes, variables of the environment |
//! | `suggest.rs` | what may have been meant |
//! | `tree.rs` | what was read: values with their places |
//! | `build/` | from a tree to what the other rooms are told |
//! | `describe.rs`, `differences.rs` | a configuration to be shown; what has changed from one to the next |

mod build;
#[expect(clippy::module_inception, reason = "the room is named after what is in it")]
mod config;
mod describe;
mod differences;
mod files;
mod gather;
mod glob;
mod keys;
mod problem;
mod reader;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod values;

pub use config::{Config, LogFormat};
pub use files::Files;
pub use problem::{Problem, Problems};
