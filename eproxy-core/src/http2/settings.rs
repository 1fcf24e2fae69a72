//! What is announced to peers, and what is borne of them.

use std::time::Duration;

/// Requests that a client may have under way on one connection (RFC 9113 §5.1.2).
const STREAMS: u32 = 100;

/// Bytes of the fields of a head, each counted with 32 more (RFC 9113 §6.5.2).
const HEADER_LIST: u32 = 32 * 1024;

/// What may be under way to us of one body before it was passed on, and of all of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes of one body that are kept until the peer takes them.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a peer may reset before they were looked at; more in a row are an attack (CVE-2023-44487).
const RAPID_RESETS: usize = 50;

/// Streams that were reset for what the peer did wrong on them, in all; more are an attack.
const ERROR_RESETS: usize = 1024;

/// Streams that were reset by us of which late frames are still ignored, and for how long.
const RESET_STREAMS: usize = 50;
const RESET_MEMORY: Duration = Duration::from_secs(5);

/// The streams that an upstream takes before it has said how many that are; no upstream can say this.
pub(crate) const UNKNOWN: usize = usize::MAX - 1;

/// For connections of clients.
pub(crate) fn server() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RAPID_RESETS)
        .max_local_error_reset_streams(Some(ERROR_RESETS))
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_MEMORY)
        .enable_connect_protocol();
    builder
}

/// For connections to upstreams.
pub(crate) fn client() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(UNKNOWN)
        .max_header_list_size(2 * HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_MEMORY);
    builder
}
