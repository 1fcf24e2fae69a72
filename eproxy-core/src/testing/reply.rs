//! What a client got.

use crate::http1::{Decoder, Finder, Step, find_answer};
use crate::message::{Buffer, Headers};

/// The answer to a request of a [`Lab`](super::Lab)'s client.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    /// As it came, with its body and the framing around that.
    bytes: Vec<u8>,
    headers: Headers,
    body: Vec<u8>,
    is_whole: bool,
}

impl Reply {
    /// Looks for the answer to a request of `method` in what was heard; gives its length with it. One that is broken off is
    /// an answer where the connection `is_over`.
    pub(super) fn find(heard: &[u8], method: &[u8], is_over: bool) -> Option<(Self, usize)> {
        let wrong = |kind| -> ! { panic!("no answer, {kind:?}: {}", heard.escape_ascii()) };
        let (mut start, mut fields) = (0, Vec::new());
        let (line, facts, end) = loop {
            let input = Buffer::copy_of(&heard[start..]);
            let found = find_answer(&mut Finder::new(), input.data(), &mut fields, method);
            let (line, facts, length) = found.unwrap_or_else(|kind| wrong(kind))?;
            match line.status {
                // Interim answers come before the one that is waited for.
                100 | 102..200 => start += length,
                _ => break (line, facts, start + length),
            }
        };
        let mut headers = Headers::new();
        headers.assign(&heard[start..end], &fields);
        let mut decoder = Decoder::new(facts.framing);
        let (mut at, mut body) = (end, Vec::new());
        // Behind that comes a tunnel (RFC 9110 §9.3.6), and not a body.
        let is_tunnel = method == b"CONNECT" && matches!(line.status, 200..300);
        let is_whole = is_tunnel
            || loop {
                match decoder.decode(&heard[at..], usize::MAX).unwrap_or_else(|kind| wrong(kind)) {
                    Step::Data { skip: 0, data: 0 } if is_over => break decoder.ends_with_connection(),
                    Step::Data { skip: 0, data: 0 } => return None,
                    Step::Data { skip, data } => {
                        body.extend_from_slice(&heard[at + skip..at + skip + data]);
                        at += skip + data;
                    }
                    Step::Done { skip } => {
                        at += skip;
                        break true;
                    }
                }
            };
        let bytes = heard[start..at].to_vec();
        Some((Self { status: line.status, bytes, headers, body, is_whole }, at))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The answer as it came, byte for byte, with the framing around its body. Interim answers before it are left out.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The first value of a header field; none where it is not there, or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The body, without the framing around it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// It is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// Whether the body came to its end, and the connection did not come to its own before that.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}
