//! Request bodies of any size, read as they come: neither route ever holds more than some hundred kilobytes of one,
//! and a client that sends faster than its body is read has to wait.
//!
//! ```text
//! $ cargo run --release --example upload
//! listening on http://127.0.0.1:8080
//!
//! $ head -c 1G /dev/zero | curl -T - http://127.0.0.1:8080/count
//! 1073741824 bytes
//!
//! $ seq 1000000 | curl -sT - http://127.0.0.1:8080/echo | tail -1
//! 1000000
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use async_std::io;
use eproxy_core::{Request, Response, Result, Route, Server, async_handler};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let server = Server::builder()
        .route(Route::new("/count").any(async_handler(count)).body_limit(u64::MAX))
        .route(Route::new("/echo").any(echo).body_limit(u64::MAX))
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// Reads the body and forgets it. It fails when the body breaks off: half a body is never taken for a whole one.
async fn count(mut req: Request) -> Result<String> {
    let bytes = req.take_body().copy_to(&mut io::sink()).await?;
    Ok(format!("{bytes} bytes\n"))
}

/// A request's body is a body like any other, so it can be an answer's.
fn echo(mut req: Request, res: Response) {
    res.send(req.take_body());
}
