//! WebSockets through a proxy, with the libraries of Rust, Python and Node at both ends. A server greets whoever comes,
//! echoes messages, and closes with the code that it is told.

use async_std::net::TcpStream;
use async_std::task::block_on;
use async_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use async_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketStream, accept_async, client_async};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};

use crate::checks::Peer;
use crate::library::Library;
use crate::program::{Program, command, find_with, run};
use crate::support::{PATIENCE, Running, eventually};

/// Makes a module of tests for each library on the server's side.
macro_rules! servers {
    ($($library:ident: $($check:ident),+;)+) => {
        $(
            mod $library {
                $(
                    #[test]
                    fn $check() {
                        if let Some(peer) = super::$library() {
                            super::in_time(super::$check(peer.proxied()));
                        }
                    }
                )+
            }
        )+
    };
}

servers! {
    tungstenite:
        messages_come_back_as_they_were, a_message_in_pieces_is_one_message, a_ping_is_answered_by_the_other_end,
        a_megabyte_comes_back, the_client_closes_with_a_code, the_server_closes_with_a_code,
        what_the_server_says_first_is_heard, a_client_that_speaks_before_it_may_is_heard_once_it_may;
    python:
        messages_come_back_as_they_were, a_message_in_pieces_is_one_message, a_ping_is_answered_by_the_other_end,
        a_megabyte_comes_back, the_client_closes_with_a_code, the_server_closes_with_a_code,
        what_the_server_says_first_is_heard, a_client_that_speaks_before_it_may_is_heard_once_it_may;
    node:
        messages_come_back_as_they_were, a_message_in_pieces_is_one_message, a_ping_is_answered_by_the_other_end,
        a_megabyte_comes_back, the_client_closes_with_a_code, the_server_closes_with_a_code,
        what_the_server_says_first_is_heard, a_client_that_speaks_before_it_may_is_heard_once_it_may;
}

const PYTHON: &str = "websockets for Python";
const NODE: &str = "ws for Node";

fn find_python() -> Option<std::path::PathBuf> {
    find_with(&["python3"], PYTHON, &["-c", "import websockets"])
}

fn find_node() -> Option<std::path::PathBuf> {
    find_with(&["node", "nodejs"], NODE, &["-e", "require('ws')"])
}

fn tungstenite() -> Option<Peer> {
    Some(Peer::Library(Library::start(async |stream| {
        // A client may go as it likes.
        let _end = serve(stream).await;
    })))
}

/// Speaks as the scripts for the other libraries do.
async fn serve(stream: TcpStream) -> Result<(), Error> {
    let mut socket = accept_async(stream).await?;
    socket.send(Message::text("welcome")).await?;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) if text.starts_with("close ") => {
                let code = text["close ".len()..].parse::<u16>().map_or(CloseCode::Protocol, CloseCode::from);
                socket.close(Some(CloseFrame { code, reason: "as told".into() })).await?;
            }
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            _ => {}
        }
    }
    Ok(())
}

fn python() -> Option<Peer> {
    let python = find_python()?;
    Some(Peer::Program(Program::start(move |port, _| {
        let mut command = command(&python);
        command.args(["-c", include_str!("scripts/ws_server.py"), &port.to_string()]);
        command
    })))
}

fn node() -> Option<Peer> {
    let node = find_node()?;
    Some(Peer::Program(Program::start(move |port, _| {
        let mut command = command(&node);
        command.args(["-e", include_str!("scripts/ws_server.js"), &port.to_string()]);
        command
    })))
}

/// Runs a test to its end, which has to come.
fn in_time(test: impl Future<Output = ()>) {
    block_on(async_std::future::timeout(PATIENCE, test)).expect("it comes to an end");
}

/// A client behind the proxy that has been greeted.
async fn greeted(server: &Running) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(server.address()).await.expect("the server takes connections");
    let url = format!("ws://{}/chat", server.address());
    let (mut socket, answer) = client_async(url, stream).await.expect("the handshake is answered");
    assert_eq!(answer.status().as_u16(), 101);
    assert_eq!(hear(&mut socket).await, Message::text("welcome"));
    socket
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Message {
    socket.next().await.expect("the connection is there").expect("a message comes")
}

async fn say(socket: &mut WebSocketStream<TcpStream>, message: Message) {
    socket.send(message).await.expect("the connection is there");
}

async fn messages_come_back_as_they_were(server: Running) {
    let mut socket = greeted(&server).await;
    for message in [
        Message::text("hello"),
        Message::text(""),
        Message::text("\u{2603} and \u{1F980}"),
        Message::binary(vec![0, 255, 13, 10, 13, 10]),
        Message::binary(Vec::new()),
        // Lengths at which their coding changes.
        Message::binary(vec![7; 125]),
        Message::binary(vec![8; 126]),
        Message::binary(vec![9; 65_535]),
        Message::binary(vec![10; 65_536]),
    ] {
        say(&mut socket, message.clone()).await;
        assert_eq!(hear(&mut socket).await, message);
    }
    assert_eq!(server.stats().tunnels, 1);
}

async fn a_message_in_pieces_is_one_message(server: Running) {
    let mut socket = greeted(&server).await;
    let pieces = [("one, ", OpCode::Data(Data::Text), false), ("two", OpCode::Data(Data::Continue), false)];
    for (piece, code, is_last) in pieces {
        say(&mut socket, Message::Frame(Frame::message(piece, code, is_last))).await;
        // What is about the connection may come between the pieces.
        say(&mut socket, Message::Ping("between".into())).await;
        assert_eq!(hear(&mut socket).await, Message::Pong("between".into()));
    }
    say(&mut socket, Message::Frame(Frame::message(", three", OpCode::Data(Data::Continue), true))).await;
    assert_eq!(hear(&mut socket).await, Message::text("one, two, three"));
}

async fn a_ping_is_answered_by_the_other_end(server: Running) {
    let mut socket = greeted(&server).await;
    for word in ["", "are you there?"] {
        say(&mut socket, Message::Ping(word.into())).await;
        assert_eq!(hear(&mut socket).await, Message::Pong(word.into()));
    }
}

async fn a_megabyte_comes_back(server: Running) {
    let mut socket = greeted(&server).await;
    let bytes: Vec<u8> = (0..1 << 20).map(|number: u32| (number >> 8 ^ number) as u8).collect();
    for _ in 0..2 {
        say(&mut socket, Message::binary(bytes.clone())).await;
        let Message::Binary(back) = hear(&mut socket).await else { panic!("another message") };
        assert!(back == bytes, "{} bytes", back.len());
    }
}

async fn the_client_closes_with_a_code(server: Running) {
    let mut socket = greeted(&server).await;
    let frame = CloseFrame { code: CloseCode::from(4001), reason: "enough".into() };
    socket.close(Some(frame)).await.expect("the connection is there");
    let Message::Close(Some(echo)) = hear(&mut socket).await else { panic!("another message") };
    assert_eq!(u16::from(echo.code), 4001);
    is_over(socket, &server).await;
}

async fn the_server_closes_with_a_code(server: Running) {
    let mut socket = greeted(&server).await;
    say(&mut socket, Message::text("close 4002")).await;
    let Message::Close(Some(frame)) = hear(&mut socket).await else { panic!("another message") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4002, "as told"));
    is_over(socket, &server).await;
}

/// Both ends have said that it is over: the connection ends, and the tunnel with it.
async fn is_over(mut socket: WebSocketStream<TcpStream>, server: &Running) {
    let end = socket.next().await;
    assert!(matches!(end, None | Some(Err(Error::ConnectionClosed))), "{end:?}");
    drop(socket);
    eventually("the tunnel is gone", || server.stats().open == 0);
}

async fn what_the_server_says_first_is_heard(server: Running) {
    // Often in one segment with the 101, sometimes behind it.
    for _ in 0..50 {
        let mut socket = greeted(&server).await;
        say(&mut socket, Message::text("hello")).await;
        assert_eq!(hear(&mut socket).await, Message::text("hello"));
    }
    assert_eq!(server.stats().tunnels, 50);
}

async fn a_client_that_speaks_before_it_may_is_heard_once_it_may(server: Running) {
    // "hello", masked with zeros, in one piece with the request; then, after the 101, again.
    const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
    const ECHO: &[u8] = b"\x81\x05hello";
    let mut stream = TcpStream::connect(server.address()).await.expect("the server takes connections");
    let request = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let early = [request.as_bytes(), HELLO].concat();
    stream.write_all(&early).await.expect("the server reads");
    let mut heard = Vec::new();
    let end = [b"\r\n\r\n\x81\x07welcome", ECHO].concat();
    while !heard.ends_with(&end) {
        let mut chunk = [0; 1000];
        let n = stream.read(&mut chunk).await.expect("the connection is there");
        assert!(n > 0, "it ended after {}", heard.escape_ascii());
        heard.extend_from_slice(&chunk[..n]);
    }
    let text = String::from_utf8_lossy(&heard);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    // What RFC 6455 §1.3 says of this key.
    assert!(text.contains(": s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
    stream.write_all(HELLO).await.expect("the server reads");
    let mut echo = [0; ECHO.len()];
    stream.read_exact(&mut echo).await.expect("the connection is there");
    assert_eq!(echo, ECHO);
}

/// Runs a client against a server of another library, each through a proxy of its own.
fn against_all_others(client: &mut dyn FnMut(&str) -> String) {
    for peer in [tungstenite(), python(), node()].into_iter().flatten() {
        let server = peer.proxied();
        assert_eq!(client(&server.address().port().to_string()), "all is well\n");
        eventually("the tunnel is gone", || server.stats().open == 0);
        assert_eq!(server.stats().tunnels, 1);
    }
}

#[test]
fn a_client_of_pythons_speaks_with_every_server() {
    let Some(python) = find_python() else { return };
    let script = include_str!("scripts/ws_client.py");
    against_all_others(&mut |port| run(command(&python).args(["-c", script, port])));
}

#[test]
fn a_client_of_nodes_speaks_with_every_server() {
    let Some(node) = find_node() else { return };
    let script = include_str!("scripts/ws_client.js");
    against_all_others(&mut |port| run(command(&node).args(["-e", script, port])));
}
