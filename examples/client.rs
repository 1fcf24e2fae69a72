//! Asking other servers: surf's request builder, answers as they came, downloads that are not held, and callbacks. The
//! program is its own upstream.
//!
//! ```text
//! $ cargo run --example client
//! listening on http://127.0.0.1:8080
//! builder: HELLO
//! answer: 200, text/plain, Some("100000")
//! download: 100000 numbers, 5000050000 in all
//! nobody there: upstream refused the connection
//! ```
//!
//! Then it goes on serving, `/proxy` by asking `/numbers`:
//!
//! ```text
//! $ curl -s http://127.0.0.1:8080/proxy | tail -1
//! 100000
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::sync::OnceLock;

use async_std::io::{BufReader, prelude::BufReadExt as _};
use async_std::stream::StreamExt as _;
use async_std::task;
use eproxy_core::{BodyWriter, Client, Error, Request, Response, Result, Server, async_handler, surf};

const NUMBERS: u64 = 100_000;

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let client = Client::new();
    let server = Server::builder()
        .post("/shout", async_handler(shout))
        .get("/numbers", |_: Request, res: Response| {
            let res = res.header("Content-Type", "text/plain").header("X-Numbers", NUMBERS.to_string());
            task::spawn(count(res.stream()));
        })
        .get("/proxy", proxy(client.clone()))
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }

    let origin = format!("http://{}", server.addresses()[0]);
    if let Err(error) = ask(&client, &origin).await {
        println!("failed: {error}");
    }
    server.wait().await;
    Ok(())
}
