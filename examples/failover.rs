//! Two tiers of upstreams and probes: while the first tier is gone the second one answers, and no request fails. All of it
//! is in this program, which asks all the time, stops an upstream and starts it again.
//!
//! ```text
//! $ cargo run --example failover
//! near answers
//! near is stopped: far answers
//! near is down, as its probe says: upstream refused the connection
//! near is there again: near answers
//! 0 requests failed
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_std::task;
use eproxy_core::{
    Client, Endpoint, Group, Handle, Health, Probe, Proxy, Request, Response, Result, Server, surf,
};

#[async_std::main]
async fn main() -> surf::Result<()> {
    let near = start_upstream("near", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let far = start_upstream("far", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let (address, near_url) = (near.addresses()[0], url(&near));

    let group = Group::new()
        .with(Endpoint::new(&near_url))
        // The next tier is asked where nobody of the first is fit.
        .with(Endpoint::new(url(&far)).priority(1))
        .probe(Probe::http("/healthz").interval(Duration::from_millis(50)).rise(2).fall(2));
    let server =
        Server::builder().at("/*path", Proxy::to(group.clone())).bind("127.0.0.1:0").workers(1).start()?;
    let proxy = url(&server);

    // Somebody who asks all the time.
    let failed = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let client = Client::new();
    let asking = task::spawn({
        let (client, proxy, failed, is_over) =
            (client.clone(), proxy.clone(), failed.clone(), is_over.clone());
        async move {
            while !is_over.load(Ordering::Relaxed) {
                let is_good = client.send(proxy.as_str()).await.is_ok_and(|answer| answer.status() == 200);
                failed.fetch_add(u64::from(!is_good), Ordering::Relaxed);
            }
        }
    });

    wait_for(&group, &near_url, Health::Fit).await;
    println!("{} answers", client.get(&proxy).recv_string().await?);

    // What it was sent it finishes; a request that meets a closed connection goes elsewhere.
    near.shutdown(Duration::from_secs(5)).await;
    println!("near is stopped: {} answers", client.get(&proxy).recv_string().await?);

    // Requests have found out at once. The probe needs two results in a row, and sees when it is there again.
    wait_for(&group, &near_url, Health::Down).await;
    let trouble = group.snapshot().endpoint(&near_url).and_then(|near| near.trouble.clone());
    let trouble = trouble.unwrap_or_default();
    println!("near is down, as its probe says: {}", trouble.split(':').next().unwrap_or_default());

    let _near = start_upstream("near", address)?;
    wait_for(&group, &near_url, Health::Fit).await;
    println!("near is there again: {} answers", client.get(&proxy).recv_string().await?);

    is_over.store(true, Ordering::Relaxed);
    asking.await;
    println!("{} requests failed", failed.load(Ordering::Relaxed));
    Ok(())
}

/// Waits until an endpoint fares like that. A program of yours would rather look at this than wait for it.
async fn wait_for(group: &Group, url: &str, health: Health) {
    while group.snapshot().endpoint(url).is_none_or(|endpoint| endpoint.health != health) {
        task::sleep(Duration::from_millis(10)).await;
    }
}

/// A server that says its name, and that it is well.
fn start_upstream(name: &'static str, address: SocketAddr) -> Result<Handle> {
    Server::builder()
        .get("/healthz", |_: Request, res: Response| res.send("well"))
        .get("/", move |_: Request, res: Response| res.send(name))
        .bind(address.to_string())
        .workers(1)
        .start()
}

fn url(server: &Handle) -> String {
    format!("http://{}", server.addresses()[0])
}
