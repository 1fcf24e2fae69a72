//! What a proxy can be told about its connections to upstreams.

use std::time::Duration;

/// Timeouts and pool sizes of connections to upstreams. Deadlines come up to 8 ms late, never early.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::{Proxy, UpstreamOptions};
///
/// let proxy = Proxy::to("http://10.0.0.7:3000").upstream_options(UpstreamOptions {
///     head: Duration::from_secs(5),
///     ..UpstreamOptions::default()
/// });
/// ```
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// From looking the name up to the connection: 504, `connect_timeout`. Default 5 s.
    pub connect: Duration,
    /// From the last bytes of the request that the upstream took to the end of the answer's head; interim answers begin
    /// it anew. 504, `upstream_head_timeout`. Default 60 s.
    pub head: Duration,
    /// How long the body of an answer may bring no byte while the client takes what comes: the answer is broken off,
    /// `upstream_body_timeout`. Default 60 s.
    pub body_idle: Duration,
    /// How long an upstream may take no byte of a request: 504, `upstream_write_timeout`. Default 60 s.
    pub write_idle: Duration,
    /// How long an unused connection is kept; an upstream that announces a shorter time (`Keep-Alive: timeout=5`) gets
    /// one second less than that. Default 30 s, which is shorter than what most servers allow, so that few requests meet
    /// a connection that is being closed.
    pub keep_alive: Duration,
    /// Unused connections that each worker keeps to one upstream. Default 1,024; 0 keeps none. An unused connection
    /// costs a descriptor and a few hundred bytes.
    pub pool_size: usize,
    /// Requests that each worker gives to one HTTP/2 connection at once; where the upstream announces fewer, those. Another
    /// connection is made for more. Default 100; 0 counts as 1.
    pub streams: usize,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            write_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
            pool_size: 1024,
            streams: 100,
        }
    }
}
