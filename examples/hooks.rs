//! Hooks: a proxy that looks at what passes, and changes it. This one asks for a token, tells the upstream who it is that
//! asks, adds a member to the JSON objects that come back, and says what came of each request.
//!
//! ```text
//! $ cargo run --example hooks
//! listening on http://127.0.0.1:8080
//!
//! $ curl http://127.0.0.1:8080/greeting
//! who are you?
//! $ curl -H 'Authorization: Bearer ada' http://127.0.0.1:8080/greeting
//! {"greeting":"hello, ada","seen_by":"eproxy"}
//! ```
//!
//! The proxy says:
//!
//! ```text
//! GET /greeting: 401, 0 bytes
//! GET /greeting: 200, 25 bytes
//! ```
#![expect(clippy::print_stdout, reason = "says where it listens, and what came of each request")]

use std::io;

use eproxy_core::{
    Answer, BodyFilter, Done, Proxy, ProxyRequest, ProxyResponse, Request, Response, Result, Server,
};
use serde_json::{Value, json};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let upstream = Server::builder()
        .get("/greeting", |req: Request, res: Response| {
            let user = req.headers().get_str("X-User").unwrap_or("nobody");
            res.json(&json!({ "greeting": format!("hello, {user}") }));
        })
        .bind("127.0.0.1:0")
        .workers(1)
        .start()?;

    let proxy = Proxy::to(format!("http://{}", upstream.addresses()[0]))
        .on_request(identify)
        .on_response(sign)
        .on_done(|done: &mut Done| {
            let (method, target) = (done.request().method(), done.request().target());
            let status = done.status().map_or("gone".into(), |status| status.to_string());
            println!("{method} {target}: {status}, {} bytes", done.bytes_down());
        });
    let server = Server::builder().at("/*path", proxy).bind(address).start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// Answers whoever has no token, and passes on who has one.
fn identify(req: &mut ProxyRequest) -> Result<Option<Answer>> {
    let token = req.headers().get_str("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    match token.map(str::to_owned) {
        None => Ok(Some(Answer::new(401).with_body("who are you?\n"))),
        Some(user) => {
            req.headers_mut().remove("Authorization");
            req.headers_mut().insert("X-User", user)?;
            Ok(None)
        }
    }
}

/// Has JSON bodies signed. What the headers say of the body as it was is taken out; its new length is the engine's
/// business.
fn sign(res: &mut ProxyResponse) {
    let is_json = |mime: &str| mime.split(';').next() == Some("application/json");
    if res.headers().get_str("Content-Type").is_some_and(is_json) && !has_coding(res) {
        res.headers_mut().remove("ETag");
        res.transform_body(Sign::default());
    }
}

/// Whether the body is compressed, and so nothing that can be read here.
fn has_coding(res: &ProxyResponse) -> bool {
    res.headers().get("Content-Encoding").is_some()
}

/// Adds a member to a JSON object, for which it needs all of it.
#[derive(Default)]
struct Sign(Vec<u8>);

/// Longer bodies are broken off.
const MOST: usize = 1024 * 1024;

impl BodyFilter for Sign {
    fn filter(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
        if self.0.len() + bytes.len() > MOST {
            return Err(io::Error::other("too long to be signed"));
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match serde_json::from_slice(&self.0) {
            Ok(Value::Object(mut object)) => {
                object.insert("seen_by".into(), "eproxy".into());
                out.extend(Value::Object(object).to_string().bytes());
            }
            // Anything else stays as it is.
            _ => out.append(&mut self.0),
        }
        Ok(())
    }
}
