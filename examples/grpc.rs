//! gRPC behind a proxy: calls of gRPC-Web, as browsers make them, for a server that speaks gRPC; probes that ask it how it is;
//! failures in words that its clients understand. All of it is in this program. The server is a few handlers, whose messages
//! are plain bytes; any other would do.
//!
//! ```text
//! $ cargo run --example grpc
//! greeter is Fit
//! a call: "hello, ada", grpc-status: 0
//! greeter is Down: says that it is not serving
//! a call: grpc-status: 14, grpc-message: no endpoint of the group is fit
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_std::task;
use eproxy_core::{
    Client, Group, Handle, Headers, Health, Probe, Proxy, Request, Response, Result, Server, surf,
};

#[async_std::main]
async fn main() -> surf::Result<()> {
    let is_serving = Arc::new(AtomicBool::new(true));
    let greeter = greeter(is_serving.clone())?;
    let probe = Probe::grpc().interval(Duration::from_millis(50)).rise(1).fall(1);
    let group = Group::from(format!("h2c://{}", greeter.addresses()[0])).probe(probe);
    let server = Server::builder()
        .at("/*path", Proxy::to(group.clone()).grpc_web())
        .bind("127.0.0.1:0")
        .workers(1)
        .start()?;
    let client = Client::new();
    let url = format!("http://{}/greet.Greeter/Hello", server.addresses()[0]);

    println!("greeter is {}", wait_for(&group, Health::Fit).await);
    println!("a call: {}", call(&client, &url, b"ada").await?);

    is_serving.store(false, Ordering::Relaxed);
    println!("greeter is {}", wait_for(&group, Health::Down).await);
    println!("a call: {}", call(&client, &url, b"ada").await?);
    Ok(())
}

/// Makes a call as a browser does; gives what comes of it.
async fn call(client: &Client, url: &str, message: &[u8]) -> surf::Result<String> {
    let call = client.post(url).header("Content-Type", "application/grpc-web").body(frame(0, message));
    let mut answer = call.await?;
    let body = answer.body_bytes().await?;
    let mut parts = Vec::new();
    let mut rest = &body[..];
    while let Some((&[kind, a, b, c, d], behind)) = rest.split_first_chunk() {
        let (carried, behind) = behind.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
        let text = String::from_utf8_lossy(carried);
        // The last frame has the trailers.
        parts.push(if kind & 0x80 == 0 {
            format!("{text:?}")
        } else {
            text.trim_end().replace("\r\n", ", ")
        });
        rest = behind;
    }
    // A call that fails without a message has them in its head.
    for name in ["grpc-status", "grpc-message"] {
        parts.extend(answer.header(name).map(|values| format!("{name}: {}", values.as_str())));
    }
    Ok(parts.join(", "))
}

/// A server of gRPC.
fn greeter(is_serving: Arc<AtomicBool>) -> Result<Handle> {
    Server::builder()
        .post("/greet.Greeter/Hello", |mut req: Request, res: Response| {
            task::spawn(async move {
                let Ok(body) = req.take_body().bytes(1 << 20).await else { return };
                let name = String::from_utf8_lossy(body.get(5..).unwrap_or_default()).into_owned();
                reply(res, format!("hello, {name}").as_bytes()).await;
            });
        })
        .post("/grpc.health.v1.Health/Check", move |_: Request, res: Response| {
            // HealthCheckResponse, with SERVING or NOT_SERVING.
            let status = if is_serving.load(Ordering::Relaxed) { 1 } else { 2 };
            task::spawn(async move { reply(res, &[0x08, status]).await });
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

/// Answers a call with a message, and says in trailers that all is well.
async fn reply(res: Response, message: &[u8]) {
    let mut writer = res.header("Content-Type", "application/grpc").stream();
    let mut trailers = Headers::new();
    let is_sent = writer.send(frame(0, message)).await.is_ok();
    if is_sent && trailers.insert("grpc-status", "0").is_ok() {
        writer.finish_with_trailers(trailers);
    }
}

/// A message in its frame: a kind and a length in front.
fn frame(kind: u8, message: &[u8]) -> Vec<u8> {
    [&[kind], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// Waits until the endpoint fares like that, and says so. A program of yours would rather look at this than wait for it.
async fn wait_for(group: &Group, health: Health) -> String {
    loop {
        let snapshot = group.snapshot();
        let endpoint = &snapshot.endpoints[0];
        if endpoint.health == health {
            let trouble = endpoint.trouble.as_ref().map_or(String::new(), |trouble| format!(": {trouble}"));
            return format!("{health:?}{trouble}");
        }
        task::sleep(Duration::from_millis(10)).await;
    }
}
