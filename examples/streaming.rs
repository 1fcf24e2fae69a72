//! A body that is written while it is read: server-sent events, one every half second for as long as somebody listens.
//!
//! ```text
//! $ cargo run --example streaming
//! listening on http://127.0.0.1:8080
//!
//! $ curl -N http://127.0.0.1:8080/events          # until you press Ctrl-C
//! data: 1
//!
//! data: 2
//!
//! data: 3
//! ```
//!
//! The server notices that the client is gone, and stops:
//!
//! ```text
//! gone after event 3
//! ```
//!
//! Open <http://127.0.0.1:8080/> in a browser to watch the events come in.
#![expect(clippy::print_stdout, reason = "says where it listens, and who left")]

use std::time::Duration;

use async_std::{future, task};
use eproxy_core::{Body, BodyWriter, Request, Response, Result, Server};

const EVERY: Duration = Duration::from_millis(500);

const PAGE: &str = "<!doctype html><title>Events</title><pre></pre><script>
new EventSource('/events').onmessage = e => document.querySelector('pre').append(e.data + '\\n')
</script>
";

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let server = Server::builder()
        .get("/", |_: Request, res: Response| {
            res.send(Body::from(PAGE).with_mime("text/html; charset=utf-8"))
        })
        .get("/events", |_: Request, res: Response| {
            let events = res.header("Content-Type", "text/event-stream").header("Cache-Control", "no-store");
            task::spawn(tick(events.stream()));
        })
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// Writes events until the client is gone.
async fn tick(mut events: BodyWriter) {
    let mut number = 0;
    while !events.is_closed() {
        number += 1;
        // Waits while the client reads slower than this writes; fails once it is gone.
        if events.send(format!("data: {number}\n\n")).await.is_err() {
            break;
        }
        // A pause that ends early when the client leaves.
        let _paused = future::timeout(EVERY, events.closed()).await;
    }
    println!("gone after event {number}");
}
