//! An admin listener beside a proxy: a live page, an API, and endpoints that are drained by a click. There is some traffic, made
//! here, so that there is something to see; one upstream fails now and then, another one comes and goes.
//!
//! ```text
//! $ cargo run --example admin -- 127.0.0.1:8080 127.0.0.1:9901
//! the live page: http://127.0.0.1:9901/
//! listening on http://127.0.0.1:8080
//!
//! $ curl http://127.0.0.1:9901/readyz
//! {"ready":true,"reasons":[]}
//!
//! $ curl -H 'X-Eproxy-Admin: 1' -d '{"endpoint":"127.0.0.1:PORT"}' http://127.0.0.1:9901/api/groups/shop/endpoints/drain
//! {"name":"shop","waiting":0,"troubles":[],"endpoints":[{"url":"http://127.0.0.1:PORT", … "mode":"draining", …
//!
//! $ curl -X POST -H 'X-Eproxy-Admin: 1' http://127.0.0.1:9901/api/reload
//! {"error":"the configuration was refused: nothing has changed","problems":["there is no file to load"]}
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::time::Duration;

use async_std::task;
use eproxy_core::{
    Admin, Client, Endpoint, Group, Handle, Probe, Proxy, Request, Response, Result, Server, async_handler,
};

#[async_std::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".into());
    let admin_address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".into());

    let upstreams = [upstream(2)?, upstream(3)?, upstream(9)?];
    let urls = upstreams.each_ref().map(|upstream| format!("http://{}", upstream.addresses()[0]));
    let probe = Probe::http("/healthz").interval(Duration::from_millis(500));
    let shop = Group::new()
        .with(Endpoint::new(&urls[0]).weight(2).zone("here"))
        .with(Endpoint::new(&urls[1]).zone("here"))
        .with(Endpoint::new("http://127.0.0.1:1").zone("there").priority(1))
        .probe(probe);
    let search: Group = [&urls[2]].into_iter().collect();

    let server = Server::builder()
        .get("/", |_: Request, res: Response| res.send("try /shop/anything and /search\n"))
        .at("/shop/*path", Proxy::to(shop.clone()))
        .at("/search", Proxy::to(search.clone()))
        .bind(address)
        .start()?;
    let admin = Admin::new()
        .bind(admin_address)
        // On another address than the loopback there has to be one:
        // .token("something that nobody guesses")
        .groups([("shop", shop), ("search", search)])
        .config(|| "listen = \"127.0.0.1:8080\"\n".into())
        .on_reload(|| async { Err("there is no file to load".into()) })
        .start(&server)?;

    println!("the live page: http://{}/", admin.addresses()[0]);
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    task::spawn(traffic(format!("http://{}", server.addresses()[0])));
    server.wait().await;
    Ok(())
}

/// A server that takes so many milliseconds, and fails now and then.
fn upstream(milliseconds: u64) -> Result<Handle> {
    let answer = move |request: Request| async move {
        let dice = request.path().bytes().fold(0_u64, |sum, byte| sum * 31 + u64::from(byte)) % 97;
        task::sleep(Duration::from_millis(milliseconds + dice / 10)).await;
        match dice {
            0 => (500, "that went wrong\n"),
            1..=4 => (404, "there is no such thing\n"),
            5..=14 => (304, ""),
            _ => (200, "here it is\n"),
        }
    };
    Server::builder()
        .get("/healthz", |_: Request, res: Response| res.send("fine\n"))
        .at("/*path", async_handler(answer))
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

/// Asks for this and that, with pauses, for as long as the program runs.
async fn traffic(server: String) {
    let client = Client::new();
    for number in 0_u64.. {
        let path = if number % 5 == 0 { "search".into() } else { format!("shop/{}", number * number % 1009) };
        // Whatever becomes of it is seen on the page.
        let _answer = client.get(format!("{server}/{path}")).recv_bytes().await;
        task::sleep(Duration::from_millis(20 + number / 40 % 20)).await;
    }
}
