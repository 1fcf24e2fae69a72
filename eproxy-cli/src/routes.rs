//! The three demo routes.

use eproxy_core::http_types::Url;
use eproxy_core::{Builder, Client, Request, Response};

/// Adds the routes; `/proxy` asks `upstream` through `client`.
pub(crate) fn add(server: Builder, client: Client, upstream: &Url) -> Builder {
    let upstream = upstream.clone();
    let welcome = format!(
        "Welcome to eproxy {}\n\n\
         GET /        this list\n\
         GET /hello   a greeting\n\
         GET /proxy   the answer of {upstream}, relayed\n",
        env!("CARGO_PKG_VERSION")
    );
    server
        .get("/", move |_: Request, res: Response| res.send(welcome.clone()))
        .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
        .get("/proxy", move |_: Request, res: Response| {
            client.fetch(upstream.clone(), move |answer| match answer {
                Ok(upstream) => res.forward(upstream),
                Err(error) => {
                    log::warn!("/proxy: {error}");
                    res.status(error.status()).send(format!("upstream: {}\n", error.name()));
                }
            });
        })
}
