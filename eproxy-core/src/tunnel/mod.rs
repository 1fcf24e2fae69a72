//! Connections that bytes are passed through as they come: after an upgrade, and for CONNECT.
//!
//! This room never knows what the bytes mean, but for how a tunnel begins.
//!
//! | file | what is in it |
//! |---|---|
//! | `relay.rs` | [`Tunnel`]: bytes both ways |
//! | `websocket.rs` | the handshake of WebSocket |

mod relay;
mod websocket;

pub(crate) use relay::{Next, Tunnel};
pub(crate) use websocket::{Fields, Handshake};
