//! A server that says hello.
//!
//! ```text
//! $ cargo run --example hello
//! listening on http://127.0.0.1:8080
//!
//! $ curl http://127.0.0.1:8080/
//! Welcome
//! $ curl http://127.0.0.1:8080/hello
//! Hello, World!
//! $ curl http://127.0.0.1:8080/hello/Ada%20L.
//! Hello, Ada L.!
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use eproxy_core::{Request, Response, Result, Server};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let server = Server::builder()
        .get("/", |_: Request, res: Response| res.send("Welcome\n"))
        .get("/hello", |_: Request, res: Response| res.send("Hello, World!\n"))
        .get("/hello/:name", greet)
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// Closures are handlers, and so are functions.
fn greet(req: Request, res: Response) {
    let name = req.param("name").unwrap_or("World");
    res.send(format!("Hello, {name}!\n"));
}
