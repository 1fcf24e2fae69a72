//! Three upstreams share the requests of a proxy: by turns and weights, with another weight while it runs, and by whoever is
//! the quickest. All of it is in this program, which asks by itself and then ends.
//!
//! ```text
//! $ cargo run --example load_balance
//! by turns, weights 2, 1 and 1: amber 20, beryl 10, coral 10
//! with a weight of 2 for coral: amber 16, beryl 8, coral 16
//! the quickest, coral takes 200 ms: amber 31, beryl 28, coral 1
//!
//! amber: weight 1, Fit, 31 of 31 answered, 0 failures
//! beryl: weight 1, Fit, 28 of 28 answered, 0 failures
//! coral: weight 1, Fit, 1 of 1 answered, 0 failures
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_std::task;
use eproxy_core::{
    Balance, Client, Endpoint, Group, Handle, Proxy, Request, Result, Server, async_handler, surf,
};

const NAMES: [&str; 3] = ["amber", "beryl", "coral"];

#[async_std::main]
async fn main() -> surf::Result<()> {
    // How long each of them takes, in milliseconds.
    let delays: [Arc<AtomicU64>; 3] = Default::default();
    let mut urls = Vec::new();
    for (name, delay) in NAMES.into_iter().zip(&delays) {
        let upstream = start_upstream(name, delay.clone())?;
        urls.push(format!("http://{}", upstream.addresses()[0]));
    }

    // A group is a handle: the proxy gets a clone, this program keeps one.
    let by_turns = Group::new()
        .with(Endpoint::new(&urls[0]).weight(2))
        .with(Endpoint::new(&urls[1]))
        .with(Endpoint::new(&urls[2]))
        .balance(Balance::RoundRobin);
    // Without a word about it, whoever promises the quicker answer is asked.
    let quickest: Group = urls.iter().collect();

    let server = Server::builder()
        .at("/turns/*path", Proxy::to(by_turns.clone()))
        .at("/quickest/*path", Proxy::to(quickest.clone()))
        .bind("127.0.0.1:0")
        // Each worker takes turns by itself: with one, the figures come out even.
        .workers(1)
        .start()?;
    let proxy = format!("http://{}", server.addresses()[0]);

    let client = Client::new();
    let who = ask(&client, &format!("{proxy}/turns/x"), 40).await?;
    println!("by turns, weights 2, 1 and 1: {who}");

    by_turns.set_weight(&urls[2], 2)?;
    let who = ask(&client, &format!("{proxy}/turns/x"), 40).await?;
    println!("with a weight of 2 for coral: {who}");

    delays[2].store(200, Ordering::Relaxed);
    let who = ask(&client, &format!("{proxy}/quickest/x"), 60).await?;
    println!("the quickest, coral takes 200 ms: {who}\n");

    for (name, endpoint) in NAMES.iter().zip(quickest.snapshot().endpoints) {
        println!(
            "{name}: weight {}, {:?}, {} of {} answered, {} failures",
            endpoint.weight,
            endpoint.health,
            endpoint.answers,
            endpoint.attempts,
            endpoint.unreached + endpoint.unanswered,
        );
    }
    Ok(())
}

/// Asks so many times, and says who has answered how often.
async fn ask(client: &Client, url: &str, times: usize) -> surf::Result<String> {
    let mut answers = [0; NAMES.len()];
    for _ in 0..times {
        let name = client.get(url).recv_string().await?;
        if let Some(at) = NAMES.iter().position(|known| *known == name) {
            answers[at] += 1;
        }
    }
    let counts: Vec<_> = NAMES.iter().zip(answers).map(|(name, count)| format!("{name} {count}")).collect();
    Ok(counts.join(", "))
}

/// A server that says its name, after as long as it is told to take.
fn start_upstream(name: &'static str, delay: Arc<AtomicU64>) -> Result<Handle> {
    let answer = move |_: Request| {
        let delay = Duration::from_millis(delay.load(Ordering::Relaxed));
        async move {
            task::sleep(delay).await;
            name
        }
    };
    Server::builder().at("/*path", async_handler(answer)).bind("127.0.0.1:0").workers(1).start()
}
