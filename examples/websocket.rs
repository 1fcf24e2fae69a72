//! WebSockets: a handler that accepts them, and a proxy that passes them on. The frames are a library's business; a proxy
//! does not look into them.
//!
//! ```text
//! $ cargo run --example websocket
//! listening on http://127.0.0.1:8080
//!
//! $ curl http://127.0.0.1:8080/chat                # no WebSocket
//! malformed request for another protocol
//! ```
//!
//! Open <http://127.0.0.1:8080/> in a browser: what you type goes through the proxy to the handler, and comes back.
#![expect(clippy::print_stdout, reason = "says where it listens, and who left")]

use async_std::task;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{Message, Result as Outcome};
use eproxy_core::{Body, Proxy, Request, Response, Result, Server, Upgraded};
use futures_lite::StreamExt as _;

const PAGE: &str = "<!doctype html><title>Echo</title><input autofocus placeholder='say something'><pre></pre><script>
const socket = new WebSocket('ws://' + location.host + '/chat'), say = text => document.querySelector('pre').append(text + '\\n')
socket.onmessage = e => say(e.data)
socket.onclose = () => say('closed')
document.querySelector('input').onchange = e => { socket.send(e.target.value); e.target.value = '' }
</script>
";

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let upstream = Server::builder().get("/chat", accept).bind("127.0.0.1:0").workers(1).start()?;
    let server = Server::builder()
        .get("/", |_: Request, res: Response| {
            res.send(Body::from(PAGE).with_mime("text/html; charset=utf-8"))
        })
        .at("/chat", Proxy::to(format!("http://{}", upstream.addresses()[0])))
        .bind(address)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }
    server.wait().await;
    Ok(())
}

/// Answers the handshake and takes the connection over.
fn accept(req: Request, res: Response) {
    match req.websocket_accept() {
        Ok(accept) => {
            let connection = res.header("Sec-WebSocket-Accept", accept).upgrade("websocket");
            task::spawn(async move {
                match echo(connection).await {
                    Ok(count) => println!("closed after {count} messages"),
                    Err(error) => println!("broken off: {error}"),
                }
            });
        }
        Err(error) => {
            res.status(error.status()).header("Sec-WebSocket-Version", "13").send(format!("{error}\n"));
        }
    }
}

/// Says what it hears; gives the number of messages.
async fn echo(connection: Upgraded) -> Outcome<u32> {
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, None).await;
    let mut count = 0;
    while let Some(message) = socket.next().await {
        // Pings are answered by the library.
        if let message @ (Message::Text(_) | Message::Binary(_)) = message? {
            count += 1;
            socket.send(message).await?;
        }
    }
    Ok(count)
}
