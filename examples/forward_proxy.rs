//! A forward proxy: clients say where they want to go, `curl -x` for one. It asks who they are, and lets them reach the
//! public internet and, as a demonstration, one server on this machine.
//!
//! ```text
//! $ cargo run --example forward_proxy
//! the server that may be reached: http://127.0.0.1:40123
//! listening on http://127.0.0.1:8080
//!
//! $ curl -x http://ada:secret@127.0.0.1:8080 http://127.0.0.1:40123/page
//! you asked for /page
//! $ curl -x http://ada:secret@127.0.0.1:8080 -p http://127.0.0.1:40123/page     # through a tunnel, as https would
//! you asked for /page
//!
//! $ curl -x http://127.0.0.1:8080 http://127.0.0.1:40123/page                   # who are you?
//! 407 Proxy Authentication Required
//! $ curl -x http://ada:secret@127.0.0.1:8080 http://169.254.169.254/            # what only this machine may reach
//! 403 Forbidden
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use eproxy_core::{Forward, Request, Response, Result, Server};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let destination = Server::builder()
        .at("/*path", |req: Request, res: Response| res.send(format!("you asked for {}\n", req.path())))
        .bind("127.0.0.1:0")
        .workers(1)
        .start()?;
    let reachable = destination.addresses()[0];
    println!("the server that may be reached: http://{reachable}");

    let server = Server::builder()
        .forward(
            Forward::new()
                .user("ada", "secret")
                // Loopback is out of bounds unless it is allowed; so are private networks.
                .allow("127.0.0.1")
                .connect_ports([443, reachable.port()]),
        )
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}
