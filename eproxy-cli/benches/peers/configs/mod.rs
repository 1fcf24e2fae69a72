//! How each program is told what a mode wants of it: command lines and configuration files.
//!
//! Production settings, as far as they concern the work that is measured: one worker, logs off, connections
//! kept on all sides. Whatever one contender does for a request the others do too, or a second pair of them,
//! labelled so, does without.
//!
//! | file | what it holds |
//! |---|---|
//! | `eproxy.rs` | eproxy's flags |
//! | `nginx.rs` | nginx as a server, as a proxy, and as the upstream behind everybody |
//! | `haproxy.rs` | HAProxy as a server and as a proxy |
//! | `envoy.rs` | Envoy as a proxy |

pub(crate) mod envoy;
pub(crate) mod eproxy;
pub(crate) mod haproxy;
pub(crate) mod nginx;
