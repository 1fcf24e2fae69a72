//! A WebSocket of ours, through a contender to the echo: opened, and asked for one echo after the other.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Outcome;
use crate::pages::READY;
use crate::websocket::{self, ACCEPT, Plain};

pub(crate) struct Tunnel {
    stream: TcpStream,
    words: Words,
}

/// What a tunnel says next.
pub(crate) struct Words {
    tunnel: u64,
    said: u64,
}

impl Tunnel {
    /// Connects and switches protocols. `number` is the tunnel's own: its messages are no other's.
    pub(crate) fn open(port: u16, number: usize) -> Outcome<Self> {
        let head = Self::connect(port).and_then(|mut stream| {
            stream.write_all(websocket::encode_handshake(READY.path).as_bytes())?;
            Ok((read_head(&mut stream)?, stream))
        });
        let (head, stream) = head.map_err(|err| format!("the handshake failed: {err}"))?;
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(format!(
                "the handshake is answered with {:?}",
                head.lines().next().unwrap_or_default()
            ));
        }
        if websocket::field(&head, "Sec-WebSocket-Accept") != Some(ACCEPT) {
            return Err(format!("the answer to the handshake lacks the right key: {head:?}"));
        }
        Ok(Self { stream, words: Words { tunnel: number as u64, said: 0 } })
    }

    fn connect(port: u16) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a message and waits for its echo.
    pub(crate) fn check(&mut self) -> Outcome<()> {
        let (said, expected) = self.words.next();
        let mut heard: Plain = [0; size_of::<Plain>()];
        let echo = self.stream.write_all(&said).and_then(|()| self.stream.read_exact(&mut heard));
        echo.map_err(|err| format!("there is no echo: {err}"))?;
        compare(&heard, &expected)
    }

    /// For a loop that waits for many of them.
    pub(crate) fn into_parts(self) -> (TcpStream, Words) {
        (self.stream, self.words)
    }
}

impl Words {
    /// A frame to send, and the frame that has to come back.
    pub(crate) fn next(&mut self) -> (websocket::Masked, Plain) {
        self.said += 1;
        let message = websocket::message(self.tunnel, self.said);
        // Masks keep scripts of browsers from choosing the bytes on the wire (RFC 6455 §10.3): these only
        // have to differ.
        let mask = (self.said as u32 ^ self.tunnel as u32).wrapping_mul(0x9E37_79B9).to_be_bytes();
        (websocket::encode_masked(&message, mask), websocket::encode_plain(&message))
    }
}

pub(crate) fn compare(heard: &Plain, expected: &Plain) -> Outcome<()> {
    match heard == expected {
        true => Ok(()),
        false => Err(format!("the echo is {heard:02x?} instead of {expected:02x?}")),
    }
}

/// Byte by byte: what follows a head belongs to the tunnel.
fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
        if head.len() > LONGEST_HEAD {
            return Err(Error::new(ErrorKind::InvalidData, "the answer's head does not end"));
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// How long a proxy may be silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// No answer to a handshake is as long as this.
const LONGEST_HEAD: usize = 4 * 1024;
