//! Whole answers, checked byte for byte: a small HTTP/1.1 client with one kept-alive connection, in plain or over TLS, and
//! whatever else a contender is spoken to by.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ClientConfig;

use crate::contender::Wire;
use crate::pages::Expected;
use crate::{http2, identity, secure};

/// A connection over any wire.
pub(crate) enum Probe {
    Http1(Connection),
    Http2(Box<http2::Connection>),
}

impl Probe {
    /// `tls` is for the wires that need it.
    pub(crate) fn open(wire: Wire, port: u16, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        match wire {
            Wire::Http1 => Connection::open(port).map(Self::Http1),
            Wire::Tls => {
                let stream = secure::open(port, tls)?;
                Ok(Self::Http1(Connection::over(stream)))
            }
            Wire::Http2 => http2::Connection::open(port).map(|connection| Self::Http2(Box::new(connection))),
        }
    }

    /// One GET.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        match self {
            Self::Http1(connection) => connection.get(path),
            Self::Http2(connection) => connection.get(path),
        }
    }

    /// One GET whose answer has to be the expected one, and leave the connection open; otherwise a sentence
    /// on what is wrong.
    pub(crate) fn check(&mut self, expected: &Expected) -> Result<(), String> {
        let answer = self.get(expected.path).map_err(|err| format!("the answer can't be read: {err}"))?;
        answer.check(expected)?;
        match answer.is_kept {
            true => Ok(()),
            false => Err("the answer ends its connection".to_owned()),
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The media type without parameters, in lower case.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
    /// The connection is good for another request.
    pub(crate) is_kept: bool,
}

impl Answer {
    /// Whether it is the expected one; otherwise a sentence on what is wrong.
    pub(crate) fn check(&self, expected: &Expected) -> Result<(), String> {
        if self.status != 200 {
            return Err(format!("the status is {}, not 200", self.status));
        }
        if self.content_type != expected.content_type {
            return Err(format!(
                "the content type is {:?}, not {}",
                self.content_type, expected.content_type
            ));
        }
        expected.compare(&self.body)
    }
}

/// HTTP/1.1.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    host: &'static str,
}

/// What a connection is over.
trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Connection {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        Ok(Self::new(connect(port)?, "127.0.0.1"))
    }

    /// The same over TLS, which has shaken hands.
    pub(crate) fn over(stream: secure::Stream) -> Self {
        Self::new(stream, identity::NAME)
    }

    fn new(stream: impl Stream + 'static, host: &'static str) -> Self {
        // A small buffer: the idle mode holds thousands of these.
        Self { stream: BufReader::with_capacity(1024, Box::new(stream)), host }
    }

    /// One GET.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", self.host);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = parse_status(&self.read_line()?)?;
        let mut content_type = String::new();
        let mut length = None;
        let (mut chunked, mut is_kept) = (false, true);
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            let value = value.trim().to_ascii_lowercase();
            match name.to_ascii_lowercase().as_str() {
                "content-type" => {
                    content_type = value.split(';').next().unwrap_or_default().trim().to_owned()
                }
                "content-length" => length = Some(value.parse().map_err(|_| malformed(&line))?),
                "transfer-encoding" => chunked = value == "chunked",
                "connection" => is_kept = value != "close",
                _ => {}
            }
        }
        let body = match length {
            _ if chunked => self.read_chunks()?,
            Some(length) => self.read_exactly(length)?,
            None => {
                return Err(Error::new(ErrorKind::InvalidData, "the answer has no length and isn't chunked"));
            }
        };
        Ok(Answer { status, content_type, body, is_kept })
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.stream).take(LONGEST_LINE).read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None if line.is_empty() => {
                Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"))
            }
            None => Err(malformed(&line)),
        }
    }

    fn read_exactly(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.stream).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length {
            return Ok(bytes);
        }
        let sentence = format!("the body ended after {} of {length} bytes", bytes.len());
        Err(Error::new(ErrorKind::UnexpectedEof, sentence))
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
            if size == 0 {
                break;
            }
            body.append(&mut self.read_exactly(size)?);
            let end = self.read_line()?;
            if !end.is_empty() {
                return Err(malformed(&end));
            }
        }
        while !self.read_line()?.is_empty() {}
        Ok(body)
    }
}

/// A socket whose peer may not be silent for long.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn parse_status(line: &str) -> io::Result<u16> {
    let code = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).ok_or_else(|| malformed(line))
}

fn malformed(line: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the line {line:?} of the answer is malformed"))
}

/// How long a server may be silent before the probe gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Longer lines than this are no answer that was expected here.
const LONGEST_LINE: u64 = 16 * 1024;
