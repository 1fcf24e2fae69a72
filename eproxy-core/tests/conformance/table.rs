//! A table of requests, and the server that says what it saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_std::task;
use eproxy_core::{Request, Response, Server};
use futures_lite::AsyncReadExt as _;

use crate::support::{Running, start};

/// What comes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// The handler saw this: [`Mirror`] says how it is put. The connection is kept and in step.
    Seen(String),
    /// The same, and the connection ends.
    SeenLast(String),
    /// The server answered by itself and keeps the connection.
    Answered(u16),
    /// Refused with one of these statuses; the handler never saw it; the connection ends.
    Refused(&'static [u16]),
}

/// A server whose answers say what it saw: `METHOD TARGET [VALUES OF X-SEE] BODY {TRAILERS}`, all bytes escaped.
pub(crate) struct Mirror {
    pub(crate) server: Running,
    calls: Arc<AtomicU32>,
}

impl Mirror {
    pub(crate) fn start() -> Self {
        let calls = Arc::new(AtomicU32::new(0));
        let count = calls.clone();
        let server = start(Server::builder().workers(1).at("/*rest", move |req: Request, res: Response| {
            count.fetch_add(1, Ordering::Relaxed);
            reflect(req, res);
        }));
        Self { server, calls }
    }

    /// Sends each request on a connection of its own, with another behind it that must be seen, or must not.
    pub(crate) fn check(&self, cases: &[(&str, Vec<u8>, Want)]) {
        for (name, request, want) in cases {
            let before = self.calls.load(Ordering::Relaxed);
            let mut client = self.server.connect();
            let _cut = client.try_send([request, NEXT.as_bytes()].concat());
            let reply = match request.starts_with(b"HEAD ") {
                true => client.reply_to_head(),
                false => client.reply(),
            };
            let calls = match want {
                Want::Seen(seen) | Want::SeenLast(seen) => {
                    assert_eq!((reply.status, reply.text()), (200, seen.as_str()), "{name}");
                    1
                }
                Want::Answered(status) => {
                    assert_eq!(reply.status, *status, "{name}: {reply:?}");
                    0
                }
                Want::Refused(statuses) => {
                    assert!(statuses.contains(&reply.status), "{name}: {reply:?}");
                    0
                }
            };
            let ends = matches!(want, Want::SeenLast(_) | Want::Refused(_));
            assert_eq!(reply.says_close(), ends, "{name}: {reply:?}");
            match ends {
                true => client.is_closed(),
                false => assert_eq!(client.reply().text(), "GET /next [] ", "{name}: the request behind it"),
            }
            let calls = calls + u32::from(!ends);
            assert_eq!(self.calls.load(Ordering::Relaxed) - before, calls, "{name}: requests seen");
        }
    }

    /// Requests that the handler has seen.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// Behind every case.
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: test\r\n\r\n";

pub(crate) fn reflect(mut req: Request, res: Response) {
    let values: Vec<_> =
        req.headers().get_all("x-see").map(|value| value.escape_ascii().to_string()).collect();
    let head = format!("{} {} [{}] ", req.method(), req.target(), values.join("|"));
    let mut body = req.take_body();
    task::spawn(async move {
        let mut bytes = Vec::new();
        if let Err(error) = body.read_to_end(&mut bytes).await {
            let status = error
                .get_ref()
                .and_then(|error| error.downcast_ref())
                .map_or(500, eproxy_core::Error::status);
            res.status(status).send(());
            return;
        }
        let mut seen = head + &bytes.escape_ascii().to_string();
        for (name, value) in body.trailers().iter().flat_map(|trailers| trailers.iter()) {
            seen += &format!(" {{{name}: {}}}", value.escape_ascii());
        }
        res.send(seen);
    });
}

/// Refused as malformed.
pub(crate) const BAD: Want = Want::Refused(&[400]);

pub(crate) fn seen(text: impl Into<String>) -> Want {
    Want::Seen(text.into())
}

/// Bytes of a text in which each character up to U+00FF stands for its byte.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character that is one byte")).collect()
}

/// A GET with more fields, each with its line end.
pub(crate) fn get_with(fields: &str) -> Vec<u8> {
    bytes(&format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n"))
}

/// A request line, with a Host behind it.
pub(crate) fn line(line: &str) -> Vec<u8> {
    bytes(&format!("{line}\r\nHost: test\r\n\r\n"))
}

/// A POST with these fields, and what follows its head.
pub(crate) fn post_with(fields: &str, body: &str) -> Vec<u8> {
    bytes(&format!("POST / HTTP/1.1\r\nHost: test\r\n{fields}\r\n{body}"))
}

/// A POST in the chunked coding.
pub(crate) fn chunked(coded: &str) -> Vec<u8> {
    post_with("Transfer-Encoding: chunked\r\n", coded)
}
