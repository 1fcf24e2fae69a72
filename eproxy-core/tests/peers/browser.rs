//! Chromium: a page and what belongs to it over TLS and HTTP/2, and a WebSocket in a stream of the same connection (RFC 8441).

use std::process::Command;
use std::sync::{Arc, Mutex};

use async_std::net::TcpStream;
use async_std::stream::StreamExt as _;
use async_tungstenite::accept_hdr_async;
use async_tungstenite::tungstenite::handshake::server::{Request as Handshake, Response as Accepted};
use eproxy_core::http_types::{Mime, Request, Response, Result, StatusCode};
use eproxy_core::{Proxy, Server};

use crate::checks::Peer;
use crate::library::Library;
use crate::program::{Folder, command, find, run};
use crate::secure::{NAME, start_secure};

#[test]
fn chromium_loads_a_page_over_http2() {
    let Some((mut chromium, _folder)) = chromium() else { return };
    let pages = Peer::Library(Library::start(serve));
    let server = start_secure(Server::builder().workers(1).at("/*path", Proxy::to(pages.group())));
    let url = format!("https://{NAME}:{}/page", server.address().port());
    let page = run(chromium.arg(url));
    // The page itself, and what belongs to it, in its own words.
    for name in ["page", "style.css", "script.js", "picture.svg", "data.json"] {
        assert!(page.contains(&format!("[{name} h2]")), "{name}: {page}");
    }
    assert!(page.contains("fetched: 20000 words"), "{page}");
    assert!(server.stats().http2_streams >= 5);
}

#[test]
fn chromium_opens_a_websocket_in_a_stream_of_http2() {
    let Some((mut chromium, _folder)) = chromium() else { return };
    let pages = Peer::Library(Library::start(serve));
    let came_by = Arc::new(Mutex::new(Vec::new()));
    let notes = came_by.clone();
    let sockets = Peer::Library(Library::start(move |stream| echo(stream, notes.clone())));
    let routes = Server::builder()
        .workers(1)
        .at("/chat", Proxy::to(sockets.group()))
        .at("/*path", Proxy::to(pages.group()));
    let server = start_secure(routes);
    let url = format!("https://{NAME}:{}/chat.html", server.address().port());
    let page = run(chromium.arg(url));
    assert!(page.contains("heard: hello, 100000 letters, closed 4003"), "{page}");
    assert_eq!(*came_by.lock().expect("nobody panics while holding this"), ["2.0 eproxy"]);
}

/// Chromium without a window, which writes down what has become of a page, and the folder that it lives in.
fn chromium() -> Option<(Command, Folder)> {
    let chromium = find(&["chromium", "chromium-browser"])?;
    let folder = Folder::new();
    let mut command = command(&chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--ignore-certificate-errors", "--no-proxy-server", "--timeout=20000", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", folder.as_path().display()));
    command.env("HOME", folder.as_path());
    Some((command, folder))
}

async fn serve(stream: TcpStream) {
    // How a connection ends is the proxy's business.
    let _end = async_h1::accept(stream, answer).await;
}

async fn answer(request: Request) -> Result<Response> {
    let (mime, body) = match request.url().path() {
        "/page" => ("text/html", include_str!("scripts/page.html").to_owned()),
        "/chat.html" => ("text/html", include_str!("scripts/chat.html").to_owned()),
        "/style.css" => ("text/css", "body { color: black }".to_owned()),
        "/script.js" => ("text/javascript", "window.scriptRan = true".to_owned()),
        "/picture.svg" => {
            ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>".to_owned())
        }
        "/data.json" => ("application/json", format!("[{}0]", "1,".repeat(19_999))),
        _ => return Ok(Response::new(StatusCode::NotFound)),
    };
    let mut response = Response::new(StatusCode::Ok);
    response.set_body(body);
    response.set_content_type(mime.parse::<Mime>()?);
    Ok(response)
}

/// Echoes messages, and notes by whom the handshake came.
#[expect(clippy::result_large_err, reason = "the type of the library's callback")]
async fn echo(stream: TcpStream, came_by: Arc<Mutex<Vec<String>>>) {
    let note = |request: &Handshake, accepted: Accepted| {
        let via = request.headers().get("via").and_then(|via| via.to_str().ok()).unwrap_or_default();
        came_by.lock().expect("nobody panics while holding this").push(via.to_owned());
        Ok(accepted)
    };
    let Ok(mut socket) = accept_hdr_async(stream, note).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}
