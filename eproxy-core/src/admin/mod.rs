//! A small server beside the one that it shows: an API and a page for whoever runs it.
//!
//! It is never part of what is served to others: it has its own listener, its own worker, and its own idea of who may ask.
//! It changes what the program lets it change, through groups and callbacks, and decides nothing by itself.
//!
//! | file | what is in it |
//! |---|---|
//! | `admin.rs` | [`Admin`]: the description, and how it starts |
//! | `callbacks.rs` | what the program does for it: reload, log level, configuration |
//! | `gate.rs` | who may ask for what: hosts, the token, pages of others |
//! | `api.rs` | which answer a request gets |
//! | `changes.rs` | requests that change something |
//! | `explain.rs` | what would become of a request, and why |
//! | `answer.rs` | answers in JSON, and the fields that all answers have |
//! | `shared.rs` | what all of it works with |
//! | `state.rs`, `groups.rs`, `routes.rs` | what is known at one moment, as JSON |
//! | `history.rs`, `lately.rs` | the last five minutes; how long things took lately |
//! | `process.rs` | what the system says of this process |
//! | `events.rs` | the state, once a second, for as long as somebody listens |
//! | `page.rs` | the live page, made of `page.html`, `page.css` and `page.js` |

#[expect(clippy::module_inception, reason = "the room is named after what is in it")]
mod admin;
mod answer;
mod api;
mod callbacks;
mod changes;
mod events;
mod explain;
mod gate;
mod groups;
mod history;
mod lately;
mod page;
mod process;
mod routes;
mod shared;
mod state;

pub use admin::Admin;
