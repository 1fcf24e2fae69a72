//! Asking other servers: surf's request builder, answers as they came, downloads that are never held, and callbacks.
//! The program brings a server to ask along.
//!
//! ```text
//! $ cargo run --example client
//! builder: HELLO
//! answer: 200, 100000 numbers announced
//! download: 100000 numbers, 5000050000 in all
//! nobody there, 502: upstream refused the connection: 127.0.0.1:1: Connection refused (os error 111)
//! listening on http://127.0.0.1:8080
//!
//! $ curl -s http://127.0.0.1:8080/proxy | tail -1
//! 100000
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use async_std::io::BufReader;
use async_std::io::prelude::BufReadExt as _;
use async_std::stream::StreamExt as _;
use async_std::task;
use eproxy_core::{BodyWriter, Client, Handle, Request, Response, Result, Server, async_handler, surf};

const NUMBERS: u64 = 100_000;

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let origin = start_origin()?;
    let url = format!("http://{}", origin.addresses()[0]);

    // One client for the whole program: it keeps connections, and its clones share them.
    let client = Client::new();
    if let Err(error) = ask(&client, &url).await {
        println!("failed: {error}");
    }
    // What can't be asked is an error that says which status to pass on.
    if let Err(error) = client.send("http://127.0.0.1:1/").await {
        println!("nobody there, {}: {error}", error.status());
    }

    let server = Server::builder()
        // Calls back when the answer's head is there; its body is relayed as it comes.
        .get("/proxy", move |_: Request, res: Response| {
            client.fetch(format!("{url}/numbers"), move |answer| match answer {
                Ok(answer) => res.forward(answer),
                Err(error) => res.status(error.status()).send(error.name()),
            });
        })
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

async fn ask(client: &Client, url: &str) -> surf::Result<()> {
    // surf's builder: bodies in and out in one line, and JSON, queries, middleware.
    let shouted = client.post(format!("{url}/shout")).body("hello").recv_string().await?;
    println!("builder: {shouted}");

    // The answer as it came, its body still to be read.
    let answer = client.send(format!("{url}/numbers")).await?;
    let announced = answer.headers().get_str("X-Numbers").unwrap_or("no");
    println!("answer: {}, {announced} numbers announced", answer.status());

    // Line by line, and no faster than they are added up.
    let mut lines = BufReader::new(answer.into_body()).lines();
    let (mut count, mut sum) = (0, 0);
    while let Some(line) = lines.next().await {
        sum += line?.parse::<u64>()?;
        count += 1;
    }
    println!("download: {count} numbers, {sum} in all");
    Ok(())
}

/// The server to ask.
fn start_origin() -> Result<Handle> {
    Server::builder()
        .post(
            "/shout",
            async_handler(|mut req: Request| async move {
                let body = req.take_body().bytes(64 * 1024).await?;
                Result::<_>::Ok(body.to_ascii_uppercase())
            }),
        )
        .get("/numbers", |_: Request, res: Response| {
            task::spawn(count_up(res.header("X-Numbers", NUMBERS.to_string()).stream()));
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

/// Writes the numbers, and gives up when nobody reads them any more.
async fn count_up(mut numbers: BodyWriter) -> Result<()> {
    for number in 1..=NUMBERS {
        numbers.send(format!("{number}\n")).await?;
    }
    numbers.finish();
    Ok(())
}
