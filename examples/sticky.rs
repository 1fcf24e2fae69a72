//! Clients that stay with the upstream that has answered them first, by a signed cookie; and an upstream that is emptied
//! before it is taken away. All of it is in this program, which asks by itself and then ends.
//!
//! ```text
//! $ cargo run --example sticky
//! a new client: beryl answers, and sets "node=…; Path=/; HttpOnly; SameSite=Lax"
//! with its cookie, 60 times: beryl
//! without one, 60 times: amber, beryl, coral
//! beryl is drained
//! with its cookie, 60 times: beryl
//! without one, 60 times: amber, coral
//! beryl is removed
//! with its cookie: coral answers, and sets another one
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::collections::BTreeSet;

use eproxy_core::{Balance, Client, Group, Handle, Proxy, Request, Response, Result, Server, Sticky, surf};

const NAMES: [&str; 3] = ["amber", "beryl", "coral"];

#[async_std::main]
async fn main() -> surf::Result<()> {
    let urls = NAMES.iter().map(|name| Ok(url(&start_upstream(name)?))).collect::<Result<Vec<_>>>()?;
    // All replicas of a proxy sign with the same secret, and know each other's cookies.
    let group = Group::from(urls.clone())
        .balance(Balance::Random)
        .sticky(Sticky::cookie("node").secret("32 random bytes that are secret."));
    let server = Server::builder().at("/*path", Proxy::to(group.clone())).bind("127.0.0.1:0").start()?;
    let (client, proxy) = (Client::new(), url(&server));

    let (first, set) = ask(&client, &proxy, "").await?;
    let (cookie, attributes) = set.split_once(';').unwrap_or((&set, ""));
    println!("a new client: {first} answers, and sets \"node=…;{attributes}\"");
    println!("with its cookie, 60 times: {}", ask_often(&client, &proxy, cookie).await?);
    println!("without one, 60 times: {}", ask_often(&client, &proxy, "").await?);

    let at = NAMES.iter().position(|name| *name == first).unwrap_or_default();
    // Who has its cookie goes on with it, and nobody else is sent there.
    group.drain(&urls[at])?;
    println!("{first} is drained");
    println!("with its cookie, 60 times: {}", ask_often(&client, &proxy, cookie).await?);
    println!("without one, 60 times: {}", ask_often(&client, &proxy, "").await?);

    group.remove(&urls[at])?;
    println!("{first} is removed");
    let (next, set) = ask(&client, &proxy, cookie).await?;
    let other = if set.is_empty() { "none" } else { "another one" };
    println!("with its cookie: {next} answers, and sets {other}");
    Ok(())
}

/// Asks with a cookie, if it is one: who has answered, and the cookie that was set.
async fn ask(client: &Client, url: &str, cookie: &str) -> surf::Result<(String, String)> {
    let mut request = client.get(url);
    if !cookie.is_empty() {
        request = request.header("Cookie", cookie);
    }
    let mut answer = request.await?;
    let set = answer.header("Set-Cookie").map(|values| values.as_str().to_owned()).unwrap_or_default();
    Ok((answer.body_string().await?, set))
}

/// Asks 60 times: those who have answered.
async fn ask_often(client: &Client, url: &str, cookie: &str) -> surf::Result<String> {
    let mut names = BTreeSet::new();
    for _ in 0..60 {
        names.insert(ask(client, url, cookie).await?.0);
    }
    Ok(names.into_iter().collect::<Vec<_>>().join(", "))
}

/// A server that says its name.
fn start_upstream(name: &'static str) -> Result<Handle> {
    Server::builder()
        .at("/*path", move |_: Request, res: Response| res.send(name))
        .bind("127.0.0.1:0")
        .workers(1)
        .start()
}

fn url(server: &Handle) -> String {
    format!("http://{}", server.addresses()[0])
}
