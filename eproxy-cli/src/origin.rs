//! The embedded origin: what `/proxy` asks when no upstream is given, so that the demo needs no network.

use std::collections::BTreeMap;

use eproxy_core::http_types::{self, Url};
use eproxy_core::{Handle, Request, Response, Result, Server};
use serde_json::json;

/// Starts the origin on a free loopback port; the URL is that of its `/get`.
pub(crate) fn start() -> Result<(Handle, Url)> {
    let origin = Server::builder().get("/get", get).bind("127.0.0.1:0").workers(1).start()?;
    let address = origin.addresses()[0];
    let url = Url::parse(&format!("http://{address}/get")).expect("an address makes a valid URL");
    Ok((origin, url))
}

/// Tells what it was asked, as httpbin does.
fn get(req: Request, res: Response) {
    let headers: BTreeMap<String, String> = req
        .headers()
        .iter()
        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    let origin = req.peer_addr().map(|peer| peer.ip().to_string());
    let request = match http_types::Request::try_from(req) {
        Ok(request) => request,
        Err(error) => return res.status(400).send(format!("{error}\n")),
    };
    let args: BTreeMap<_, _> = request.url().query_pairs().into_owned().collect();
    res.json(&json!({
        "method": request.method().to_string(),
        "url": request.url().as_str(),
        "args": args,
        "headers": headers,
        "origin": origin,
    }));
}
