//! A client of raw bytes.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A connection to a server under test.
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    /// Read and not yet used.
    buffer: Vec<u8>,
}

/// A final answer with the interim ones before it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// The minor version of HTTP/1.
    pub(crate) version: u8,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    /// Statuses of the interim answers that came first.
    pub(crate) interim: Vec<u16>,
    /// It came to its end.
    pub(crate) is_whole: bool,
}

impl Reply {
    /// The value of a header that comes once at the most.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| std::str::from_utf8(value).expect("an ASCII value"));
        assert!(values.next().is_none(), "{name} comes twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    pub(crate) fn says_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("an option can be set");
        Self::over(stream)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// Makes the end of this connection a reset: what is still on its way is lost.
    pub(crate) fn reset_on_drop(&self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("an option can be set");
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("the socket has an address")
    }

    /// Writes until the kernel takes no more for a while; gives back how much it took.
    pub(crate) fn send_until_stuck(&mut self, chunk: &[u8], limit: usize) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout can be set");
        let mut sent = 0;
        while sent < limit {
            match self.stream.write(chunk) {
                Ok(n) => sent += n,
                Err(error) if is_timeout(&error) => break,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        sent
    }

    /// Asserts that nothing comes for some milliseconds, the end neither.
    pub(crate) fn hears_nothing_for(&mut self, milliseconds: u64) {
        assert!(self.buffer.is_empty(), "{:?}", self.buffer.escape_ascii().to_string());
        self.stream
            .set_read_timeout(Some(Duration::from_millis(milliseconds)))
            .expect("a timeout can be set");
        match self.stream.read(&mut [0; 256]) {
            Err(error) if is_timeout(&error) => {}
            other => panic!("heard {other:?}"),
        }
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    }
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// What it is a connection over.
    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends what a server that has refused may not read any more.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request and reads the answer.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Reply {
        self.send(request);
        self.reply()
    }

    /// The next answer, which has to be whole.
    pub(crate) fn reply(&mut self) -> Reply {
        self.whole(false)
    }

    /// The next answer, to a HEAD.
    pub(crate) fn reply_to_head(&mut self) -> Reply {
        self.whole(true)
    }

    fn whole(&mut self, to_head: bool) -> Reply {
        let reply = self.next(to_head).expect("an answer comes before the connection ends");
        assert!(reply.is_whole, "the answer broke off: {reply:?}");
        reply
    }

    /// The next answer, whole or broken off; none when the connection ends before it.
    pub(crate) fn next(&mut self, to_head: bool) -> Option<Reply> {
        let mut interim = Vec::new();
        let mut reply = loop {
            let reply = self.head()?;
            if !(100..200).contains(&reply.status) || reply.status == 101 {
                break reply;
            }
            interim.push(reply.status);
        };
        reply.interim = interim;
        let length = reply.header("content-length").map(|length| length.parse().expect("a length"));
        let coding = reply.header("transfer-encoding").map(str::to_owned);
        assert!(length.is_none() || coding.is_none(), "two framings: {reply:?}");
        reply.is_whole = match (coding, length) {
            _ if to_head || matches!(reply.status, 101 | 204 | 304) => true,
            (Some(coding), _) => {
                assert_eq!(coding, "chunked");
                self.chunked(&mut reply).is_some()
            }
            (None, Some(length)) => self.take(length, &mut reply.body),
            (None, None) => {
                assert!(reply.says_close(), "no framing: {reply:?}");
                reply.body = self.rest();
                true
            }
        };
        Some(reply)
    }

    /// The next head; none when the connection ends before its first byte.
    pub(crate) fn head(&mut self) -> Option<Reply> {
        let head = self.until(b"\r\n\r\n")?;
        let mut fields = [httparse::EMPTY_HEADER; 200];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(&head).expect("a well-formed head");
        assert_eq!(parsed, httparse::Status::Complete(head.len()));
        Some(Reply {
            status: response.code.expect("a status"),
            reason: response.reason.expect("a reason").to_owned(),
            version: response.version.expect("a version"),
            headers: response.headers.iter().map(owned).collect(),
            body: Vec::new(),
            trailers: Vec::new(),
            interim: Vec::new(),
            is_whole: true,
        })
    }

    /// Reads a chunked body; none where it breaks off.
    fn chunked(&mut self, reply: &mut Reply) -> Option<()> {
        loop {
            let line = self.until(b"\r\n")?;
            let size =
                std::str::from_utf8(&line[..line.len() - 2]).ok().map(|text| usize::from_str_radix(text, 16));
            let size = size
                .and_then(Result::ok)
                .unwrap_or_else(|| panic!("chunk size {:?}", line.escape_ascii().to_string()));
            if size == 0 {
                break;
            }
            let mut end = Vec::new();
            if !self.take(size, &mut reply.body) || !self.take(2, &mut end) {
                return None;
            }
            assert_eq!(end, b"\r\n", "the end of a chunk");
        }
        let mut section = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            section.extend_from_slice(&line);
            if line == b"\r\n" {
                break;
            }
        }
        let mut fields = [httparse::EMPTY_HEADER; 100];
        match httparse::parse_headers(&section, &mut fields).expect("a well-formed trailer section") {
            httparse::Status::Complete((_, fields)) => reply.trailers = fields.iter().map(owned).collect(),
            httparse::Status::Partial => panic!("an unfinished trailer section"),
        }
        Some(())
    }

    /// Everything up to the end of the connection, a reset counted as the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// The next bytes, as many as have come; none at the end of the connection.
    pub(crate) fn some(&mut self) -> Option<Vec<u8>> {
        self.has_more().then(|| std::mem::take(&mut self.buffer))
    }

    /// Whether another byte comes before the end of the connection.
    pub(crate) fn has_more(&mut self) -> bool {
        !self.is_used_up() || self.fill() > 0
    }

    /// Whether nothing was read that was not used.
    pub(crate) fn is_used_up(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads to the end of the connection; says whether that is a reset.
    pub(crate) fn ends_with_reset(&mut self) -> bool {
        loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }

    /// Asserts that the connection ends without another byte.
    pub(crate) fn is_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "before the end came {:?}", rest.escape_ascii().to_string());
    }

    /// Exactly `n` bytes that follow an answer.
    pub(crate) fn raw(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert!(
            self.take(n, &mut bytes),
            "the connection ended after {:?}",
            bytes.escape_ascii().to_string()
        );
        bytes
    }

    /// Takes the next `n` bytes; says no where the connection ends before.
    pub(crate) fn take(&mut self, n: usize, into: &mut Vec<u8>) -> bool {
        let mut left = n;
        loop {
            let now = left.min(self.buffer.len());
            into.extend_from_slice(&self.buffer[..now]);
            self.buffer.drain(..now);
            left -= now;
            if left == 0 {
                return true;
            }
            if self.fill() == 0 {
                return false;
            }
        }
    }

    /// Takes everything up to and with a mark; none where the connection ends before.
    pub(crate) fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            let found = self.buffer[from..].windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Some(self.buffer.drain(..from + at + mark.len()).collect());
            }
            from = self.buffer.len().saturating_sub(mark.len());
            if self.fill() == 0 {
                return None;
            }
        }
    }

    fn fill(&mut self) -> usize {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    return n;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    panic!("nothing came for a long time, after {:?}", self.buffer.escape_ascii().to_string())
                }
                Err(_) => return 0,
            }
        }
    }
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read and not used: {}", self.buffer.escape_ascii())
    }
}

fn owned(field: &httparse::Header<'_>) -> (String, Vec<u8>) {
    (field.name.to_owned(), field.value.to_vec())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
