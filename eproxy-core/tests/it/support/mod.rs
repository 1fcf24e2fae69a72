//! What the tests speak with: raw bytes over a socket, a server that ends with its test, helpers whose panics count.
//!
//! It never uses eproxy's own parsers: what the server sends is read with `httparse`.
//!
//! | file | what is in it |
//! |---|---|
//! | `wire.rs` | [`Connection`]: a client of raw bytes, and the answers that it gets |
//! | `server.rs` | [`Running`]: a server on a free loopback port that ends with its test |
//! | `secure.rs` | [`secure::TlsClient`]: clients that speak TLS |
//! | `http2.rs` | [`http2::Http2`]: clients that speak HTTP/2 |
//! | `http2_upstream.rs` | [`http2_upstream::Http2Upstream`]: an upstream that speaks HTTP/2 and follows a script |
//! | `wires.rs` | streams for the HTTP/2 of the tests' side |
//! | `certificates.rs` | certificates, and who certifies |
//! | `folder.rs` | [`Folder`]: a folder of the test's own |
//! | `dns.rs` | [`dns::Dns`]: a DNS server that says what the test wants |
//! | `watch.rs` | [`watch::Watch`]: a discovery at work, and what it tells |
//! | `exposition.rs` | [`exposition::Exposition`]: metrics, read by the rules of OpenMetrics |
//! | `logged.rs` | [`logged::Logged`]: the lines of an access log |
//! | `notes.rs` | [`Notes`]: what hooks and scripts have to tell |
//! | `lab.rs` | labs, written shorter |
//! | `helper.rs` | threads beside a test, and waiting for what comes in its own time |

pub(crate) mod certificates;
#[cfg(feature = "dns")]
pub(crate) mod dns;
pub(crate) mod exposition;
#[cfg(unix)]
pub(crate) mod folder;
mod helper;
pub(crate) mod http2;
pub(crate) mod http2_upstream;
pub(crate) mod lab;
#[cfg(unix)]
pub(crate) mod logged;
pub(crate) mod notes;
pub(crate) mod secure;
pub(crate) mod server;
#[cfg(unix)]
pub(crate) mod watch;
pub(crate) mod wire;
mod wires;

pub(crate) use helper::{Helper, eventually, pause};
pub(crate) use server::{Running, start};
pub(crate) use wire::{Connection, PATIENCE};

/// Requests, written shorter: every LF becomes CR LF.
pub(crate) fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// A GET without further fields.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// A POST with a Content-Length.
pub(crate) fn post(target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A POST in the chunked coding, with this coded body.
pub(crate) fn post_chunked(target: &str, coded: &str) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    [head.as_bytes(), coded.as_bytes()].concat()
}
