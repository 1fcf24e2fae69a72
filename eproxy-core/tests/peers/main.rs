//! Other people's servers and clients on both sides of a proxy, as they are installed here. Each test starts what it needs
//! on a free port and ends it. What is not installed is said aloud, and its tests pass.
//!
//! | file | what is in it |
//! |---|---|
//! | `checks.rs` | what is asked of every HTTP server, through a proxy |
//! | `nginx.rs`, `caddy.rs`, `node.rs`, `haproxy.rs`, `python.rs`, `async_h1.rs` | those servers, and what each of them is asked |
//! | `clients.rs` | curl, Node and Python as clients |
//! | `clients_http2.rs` | those, nghttp, h2load, openssl and HAProxy as clients that speak TLS and HTTP/2 |
//! | `browser.rs` | Chromium: a page over HTTP/2, and a WebSocket |
//! | `live_page.rs` | Chromium again: the live page of the admin listener |
//! | `grpc.rs` | the client and the server of gRPC's own library for Python |
//! | `websockets.rs` | libraries for WebSockets on both sides of a tunnel |
//! | `secure.rs` | certificates |
//! | `program.rs`, `library.rs` | servers that are programs, and those that run inside of the test |
//! | `scripts/` | what the programs are given |

mod async_h1;
mod browser;

mod caddy;
mod checks;
mod clients;
mod clients_http2;
mod grpc;
mod haproxy;
mod library;
mod live_page;
mod nginx;
mod node;
mod program;
mod python;
mod secure;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "each integration binary uses its part of it")]
mod support;
mod websockets;
