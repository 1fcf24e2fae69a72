//! A server inside a program that has other things to do: it is started, used, asked for its numbers and shut down in
//! good order, without signals, globals or an exit of its own.
//!
//! ```text
//! $ cargo run --example embed
//! listening on http://127.0.0.1:8080
//! answer: HTTP/1.1 200 OK, "Hello from inside!"
//! accepted 1 connection, understood 1 request
//! shut down: Clean
//! ```
#![expect(clippy::print_stdout, reason = "tells what it does")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use async_std::task;
use eproxy_core::{Request, Response, Result, Server};

#[async_std::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());

    // From here on the server runs, on threads of its own.
    let server = Server::builder()
        .get("/", |_: Request, res: Response| res.send("Hello from inside!"))
        .bind(address)
        .workers(1)
        .start()?;
    for listener in server.listeners() {
        println!("listening on http://{listener}");
    }

    // The program does whatever it does. This one is its own client.
    let address = server.addresses()[0];
    match task::spawn_blocking(move || fetch(address)).await {
        Ok(answer) => println!("answer: {answer}"),
        Err(error) => println!("no answer: {error}"),
    }

    let stats = server.stats();
    println!("accepted {} connection, understood {} request", stats.accepted, stats.requests);

    // Takes nothing new, finishes what runs, and breaks off what still runs after ten seconds.
    let end = server.shutdown(Duration::from_secs(10)).await;
    println!("shut down: {end:?}");
    Ok(())
}

/// One request over a plain socket: its status line and its body.
fn fetch(address: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    write!(socket, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(format!("{}, {body:?}", head.lines().next().unwrap_or_default()))
}
