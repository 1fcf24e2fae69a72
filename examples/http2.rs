//! HTTP/2 to an upstream: many requests at once on one connection, and trailers behind an answer. Clients need not speak it;
//! the one in this program does not.
//!
//! ```text
//! $ cargo run --example http2
//! the upstream was asked in HTTP/2
//! 100 requests at once: 1 connection to the upstream
//! "5050", and behind it x-checksum: 5050
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use async_std::task;
use eproxy_core::{Client, Handle, Headers, Proxy, Request, Response, Result, Server, surf};
use futures_lite::AsyncReadExt as _;

#[async_std::main]
async fn main() -> surf::Result<()> {
    let upstream = upstream()?;
    // `h2c://` is HTTP/2 without TLS, which the upstream must be known to speak. Over `https://` it is spoken where the
    // upstream chooses it.
    let server = Server::builder()
        .at("/*path", Proxy::to(format!("h2c://{}", upstream.addresses()[0])))
        .bind("127.0.0.1:0")
        .workers(1)
        .start()?;
    let client = Client::new();
    println!("the upstream was asked in {}", client.get(url(&server, "/version")).recv_string().await?);

    let asking: Vec<_> = (1..=100)
        .map(|number| {
            let (client, url) = (client.clone(), url(&server, &format!("/double/{number}")));
            task::spawn(async move { client.get(url).recv_string().await })
        })
        .collect();
    let asked = asking.len();
    for answer in asking {
        answer.await?;
    }
    println!("{asked} requests at once: {} connection to the upstream", upstream.stats().http2_connections);

    let mut body = client.send(url(&server, "/sum")).await?.into_body();
    let mut sum = String::new();
    body.read_to_string(&mut sum).await?;
    let trailers = body.trailers().unwrap_or_default();
    println!("{sum:?}, and behind it x-checksum: {}", trailers.get_str("x-checksum").unwrap_or("nothing"));
    Ok(())
}

/// A server that speaks HTTP/2 to whoever begins with it, as every listener does.
fn upstream() -> Result<Handle> {
    Server::builder()
        .get("/version", |req: Request, res: Response| res.send(req.version().to_string()))
        .get("/double/:number", |req: Request, res: Response| {
            let number = req.param("number").and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
            res.send((2 * number).to_string());
        })
        .get("/sum", |_: Request, res: Response| {
            let mut writer = res.stream();
            task::spawn(async move {
                let sum = (1..=100).sum::<u64>().to_string();
                let mut trailers = Headers::new();
                let is_sent = writer.send(&sum).await.is_ok();
                if is_sent && trailers.insert("X-Checksum", &sum).is_ok() {
                    writer.finish_with_trailers(trailers);
                }
            });
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

fn url(server: &Handle, path: &str) -> String {
    format!("http://{}{path}", server.addresses()[0])
}
