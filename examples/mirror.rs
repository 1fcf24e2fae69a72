//! A mirror: every request goes to the upstream, and a copy of it to another one whose answers nobody waits for: to try a new
//! version with the requests of real clients.
//!
//! ```text
//! $ cargo run --example mirror
//! listening on http://127.0.0.1:8080
//!
//! $ curl -d 'some text' http://127.0.0.1:8080/notes
//! today's version has taken 9 bytes
//! ```
//!
//! The new version says what it was asked, and that it fails does not matter to the client:
//!
//! ```text
//! tomorrow's version: POST /notes, 9 bytes
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens, and what the mirror sees")]

use eproxy_core::{Handle, Proxy, Request, Response, Result, Server};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let today = version(|_, bytes, res| res.send(format!("today's version has taken {bytes} bytes\n")))?;
    let tomorrow = version(|request, bytes, res| {
        println!("tomorrow's version: {request}, {bytes} bytes");
        res.status(500).send("not ready yet\n");
    })?;
    let server = Server::builder()
        .at("/*path", Proxy::to(url(&today)).mirror(url(&tomorrow)))
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// A server that reads what it is sent, and answers with `answer`.
fn version(answer: fn(String, usize, Response)) -> Result<Handle> {
    Server::builder()
        .at("/*path", move |req: Request, res: Response| {
            let request = format!("{} {}", req.method(), req.target());
            req.read(move |body| match body {
                Ok(bytes) => answer(request, bytes.len(), res),
                Err(error) => res.status(error.status()).send(error.to_string()),
            });
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

fn url(server: &Handle) -> String {
    format!("http://{}", server.addresses()[0])
}
