//! A reverse proxy on some routes of a server that answers others by itself. Its two upstreams are here, too, so that there
//! is something to see; one of them is asked twice as often as the other.
//!
//! ```text
//! $ cargo run --example reverse_proxy
//! listening on http://127.0.0.1:8080
//!
//! $ for i in 1 2 3; do curl http://127.0.0.1:8080/api/users?page=$i; done
//! heavy: GET /users?page=1, for 127.0.0.1
//! light: GET /users?page=2, for 127.0.0.1
//! heavy: GET /users?page=3, for 127.0.0.1
//!
//! $ curl -i http://127.0.0.1:8080/api/moved        # the upstream says http://127.0.0.1:PORT/users
//! HTTP/1.1 302 Found
//! Location: http://127.0.0.1:8080/api/users
//!
//! $ curl -i http://127.0.0.1:8080/down             # nobody is there
//! HTTP/1.1 502 Bad Gateway
//! Proxy-Status: eproxy; error=connection_refused
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::time::Duration;

use eproxy_core::{Balance, Group, Handle, Proxy, Request, Response, Result, Server, UpstreamOptions};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let (heavy, light) = (upstream("heavy")?, upstream("light")?);
    let group = Group::new().endpoint(url(&heavy), 2).endpoint(url(&light), 1).balance(Balance::RoundRobin);
    let server = Server::builder()
        .get("/", |_: Request, res: Response| res.send("try /api/users\n"))
        .at(
            "/api/*path",
            Proxy::to(group)
                // What is /api/users here is /users there, in requests and in redirects.
                .strip_prefix("/api")
                .rewrite_locations()
                .response_header("X-Served-By", "eproxy")
                .upstream_options(UpstreamOptions {
                    head: Duration::from_secs(5),
                    ..UpstreamOptions::default()
                }),
        )
        .at("/down", Proxy::to("http://127.0.0.1:1"))
        .bind(address)
        // Each worker takes turns by itself: with one, the figures come out even.
        .workers(1)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// A server that says what it was asked.
fn upstream(name: &'static str) -> Result<Handle> {
    Server::builder()
        .get("/moved", |req: Request, res: Response| {
            res.status(302)
                .header("Location", format!("http://{}/users", req.host().unwrap_or_default()))
                .send("");
        })
        .at("/*path", move |req: Request, res: Response| {
            let client = req.headers().get_str("X-Forwarded-For").unwrap_or("nobody");
            res.send(format!("{name}: {} {}, for {client}\n", req.method(), req.target()));
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

fn url(server: &Handle) -> String {
    format!("http://{}", server.addresses()[0])
}
