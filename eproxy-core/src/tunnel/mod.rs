//! Connections that bytes are passed through as they come, after an upgrade and for CONNECT; and what stands in front of
//! HTTP on a connection.
//!
//! This room never knows what the bytes mean, but for how a tunnel or a connection begins.
//!
//! | file | what is in it |
//! |---|---|
//! | `relay.rs` | [`Tunnel`]: bytes both ways |
//! | `websocket.rs` | the handshake of WebSocket |
//! | `proxy_protocol.rs` | whose a connection is |

pub(crate) mod proxy_protocol;
mod relay;
mod websocket;

pub use proxy_protocol::ProxyProtocol;
pub(crate) use proxy_protocol::TwoEnds;
pub(crate) use relay::{Next, Tunnel};
pub(crate) use websocket::{Fields, Handshake};
