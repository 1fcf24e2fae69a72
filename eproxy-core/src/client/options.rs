//! What a client can be told.

use std::time::Duration;

use crate::tls::UpstreamTls;

/// Timeouts and pool sizes of a [`Client`](crate::Client). Deadlines come up to 200 ms late, never early.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::{Client, ClientOptions};
///
/// let client = Client::with_options(ClientOptions {
///     head: Duration::from_secs(5),
///     ..ClientOptions::default()
/// });
/// ```
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// From looking the name up to the connection: `connect_timeout`. Default 5 s.
    pub connect: Duration,
    /// From the connection, or the last bytes of the request's body that the upstream took, to the end of the answer's
    /// head: `upstream_head_timeout`. Default 60 s.
    pub head: Duration,
    /// How long the body of an answer may bring no byte while it is read: `upstream_body_timeout`. Default 60 s.
    pub body_idle: Duration,
    /// How long an unused connection is kept, give or take a quarter and 5 s at the most. Default 30 s, which is shorter than what servers usually allow, so that
    /// few requests meet a connection that is being closed.
    pub keep_alive: Duration,
    /// Unused connections that are kept for one scheme, host and port. Default 128; 0 keeps none.
    pub pool_size: usize,
    /// How servers of `https://` are spoken to. By default the system's roots are trusted.
    pub tls: UpstreamTls,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
            pool_size: 128,
            tls: UpstreamTls::new(),
        }
    }
}
