//! A request, as an upstream saw it.

use crate::http1::{Decoder, RequestFacts, Step, parse_request};
use crate::message::{Field, Headers};

/// A request that an [`Upstream`](super::Upstream) got; see [`Upstream::last_request`](super::Upstream::last_request).
#[derive(Clone, Debug)]
pub struct Seen {
    /// As it came.
    bytes: Vec<u8>,
    head: usize,
    method: usize,
    headers: Headers,
    body: Vec<u8>,
}

/// What is looked for in what an upstream has heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A request as a whole.
    Whole,
    /// The same, and whoever waits for 100 (Continue) before.
    WholeOrWait,
    /// A head, whatever follows. It is not taken: the request is still there.
    Head,
}

/// What was found at the front of what an upstream has heard.
pub(super) enum Found {
    Seen(Box<Seen>),
    /// A head whose sender waits for 100 (Continue).
    Expects,
}

/// As long a target, and as many fields, as come at all.
const MOST: usize = 1024 * 1024;

impl Seen {
    /// Looks for a request in what was heard; gives its length with it.
    pub(super) fn find(heard: &[u8], wanted: Wanted) -> Option<(Found, usize)> {
        let mut fields: Vec<Field> = Vec::new();
        let wrong = |kind| -> ! { panic!("no request, {kind:?}: {}", heard.escape_ascii()) };
        let (line, length) =
            parse_request(heard, &mut fields, MOST, MOST).unwrap_or_else(|kind| wrong(kind))?;
        let head = &heard[..length];
        let facts = RequestFacts::read(head, &line, &fields).unwrap_or_else(|kind| wrong(kind));
        let mut decoder = Decoder::new(facts.framing);
        let (mut at, mut body) = (length, Vec::new());
        loop {
            if wanted == Wanted::Head {
                break;
            }
            match decoder.decode(&heard[at..], usize::MAX).unwrap_or_else(|kind| wrong(kind)) {
                Step::Data { skip: 0, data: 0 }
                    if wanted == Wanted::WholeOrWait && facts.expects_continue && at == length =>
                {
                    return Some((Found::Expects, 0));
                }
                Step::Data { skip: 0, data: 0 } => return None,
                Step::Data { skip, data } => {
                    body.extend_from_slice(&heard[at + skip..at + skip + data]);
                    at += skip + data;
                }
                Step::Done { skip } => {
                    at += skip;
                    break;
                }
            }
        }
        let mut headers = Headers::new();
        headers.assign(head, &fields);
        let (bytes, method) = (heard[..at].to_vec(), line.method.of(head).len());
        let used = if wanted == Wanted::Head { 0 } else { at };
        Some((Found::Seen(Box::new(Self { bytes, head: length, method, headers, body })), used))
    }

    /// The request as it came, byte for byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The head as it came, with the empty line at its end.
    ///
    /// # Panics
    ///
    /// It is not UTF-8.
    #[must_use]
    pub fn head(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.head]).expect("the head is UTF-8")
    }

    /// The first line, `GET /x HTTP/1.1`.
    ///
    /// # Panics
    ///
    /// The head is not UTF-8.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head().lines().next().unwrap_or_default()
    }

    /// The method.
    ///
    /// # Panics
    ///
    /// The head is not UTF-8.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.head()[..self.method]
    }

    /// The target, as it came.
    ///
    /// # Panics
    ///
    /// The head is not UTF-8.
    #[must_use]
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
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
}
