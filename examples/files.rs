//! What needs no code: files from a folder, an answer that is always the same, redirects. The folder is the documentation of
//! eproxy, or the second argument.
//!
//! ```text
//! $ cargo run --example files
//! listening on http://127.0.0.1:8080
//!
//! $ curl -i http://127.0.0.1:8080/docs/local.md
//! HTTP/1.1 200 OK
//! Cache-Control: no-cache
//! ETag: "18bda0f2c3a1b000-1a2b"
//! ...
//! $ curl -r 0-24 http://127.0.0.1:8080/docs/local.md        # a part of it
//! # What is answered here
//!
//! $ curl -i http://127.0.0.1:8080/docs/%2e%2e/Cargo.toml    # nothing outside of the folder
//! HTTP/1.1 404 Not Found
//!
//! $ curl -i http://127.0.0.1:8080/guides/local.md?from=old
//! HTTP/1.1 308 Permanent Redirect
//! Location: /docs/local.md?from=old
//!
//! $ curl http://127.0.0.1:8080/healthz
//! ok
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use eproxy_core::{Files, Fixed, Redirect, Result, Server};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let folder =
        std::env::args().nth(2).unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../docs").into());
    let server = Server::builder()
        .at("/docs/*path", Files::from(folder).precompressed().cache_control("no-cache").nosniff())
        .at("/guides/*path", Redirect::to("/docs/{path}?{query}").permanent())
        .get("/healthz", Fixed::new(200).body("ok\n"))
        .get("/", Redirect::to("/docs/local.md"))
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}
