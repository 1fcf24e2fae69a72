//! Which endpoint takes a request: policies that are told all they need, the time and the dice included.
//!
//! They work on positions `0..n` of the endpoints that are eligible, on closures and on numbers. None of them does I/O or
//! knows anything else of this room.
//!
//! | file | what is in it |
//! |---|---|
//! | `draw.rs` | by chance, in proportion to weights |
//! | `two_choices.rs` | the better of two |
//! | `round_robin.rs` | by turns |
//! | `least_requests.rs` | the one with the fewest requests under way |
//! | `latency.rs` | how long an endpoint takes, and what makes one the better |
//! | `slow_start.rs` | the weight of new endpoints |
//! | `tiers.rs`, `zone.rs`, `subset.rs` | which endpoints come into question |
//! | `ring.rs`, `hash.rs` | by a key, the same endpoint every time; a stable hash |
//! | `sticky.rs` | [`Sticky`](sticky::Sticky): by a cookie, the endpoint that a client had before |

pub(super) mod draw;
pub(super) mod hash;
pub(super) mod latency;
pub(super) mod least_requests;
pub(super) mod ring;
pub(super) mod round_robin;
pub(super) mod slow_start;
pub(super) mod sticky;
pub(super) mod subset;
pub(super) mod tiers;
pub(super) mod two_choices;
pub(super) mod zone;

#[cfg(test)]
mod tests;
