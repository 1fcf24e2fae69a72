//! The response of a handler.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::message::{Answer, Body, Headers, hop, is_token, pipe};

use super::reply::{Reply, Word};
use super::writer::{BodyWriter, Upgraded};

/// Bytes of a streamed body that may be waiting for the client.
const STREAM_BUFFER: usize = 64 * 1024;

/// The answer to a request, in the making; a handler is given one with each [`Request`](crate::Request).
///
/// Status and headers are set in a chain, and the last word sends it: [`send`](Self::send), [`json`](Self::json),
/// [`stream`](Self::stream), [`forward`](Self::forward) or [`upgrade`](Self::upgrade). The last word may be said now or
/// later, from any thread. It consumes the response, so that answering twice does not compile.
///
/// A response that is dropped unanswered is answered with 500, counted and logged with its route: a client never waits
/// for a callback that was forgotten.
///
/// ```
/// use eproxy_core::{Request, Response, Server};
///
/// let server = Server::builder()
///     .get("/", |_: Request, res: Response| res.send("Welcome"))
///     .get("/later", |_: Request, res: Response| {
///         std::thread::spawn(move || res.status(202).header("X-From", "a thread").send("done"));
///     });
/// ```
pub struct Response(Option<Draft>);

struct Draft {
    reply: Arc<Reply>,
    status: u16,
    headers: Headers,
    /// The first value that was set and can't be sent.
    refused: Option<Error>,
}

impl Response {
    pub(crate) fn new(reply: Arc<Reply>) -> Self {
        Self(Some(Draft { reply, status: 200, headers: Headers::new(), refused: None }))
    }

    /// Sets the status code, 200 unless set: a number from 200 to 999 or an `http_types::StatusCode`. Any other number
    /// makes the answer a 500, and the reason is logged.
    #[must_use = "a response is sent by its last word, such as send"]
    pub fn status(mut self, status: impl IntoStatus) -> Self {
        let status = status.into_status();
        self.change(|draft| match status {
            200..=999 => {
                draft.status = status;
                Ok(())
            }
            _ => Err(Error::new(Kind::BadResponse).detail(format!("status {status}"))),
        });
        self
    }

    /// Sets a header in place of all headers of that name. A name that is not a token, or a value that holds a control
    /// character other than a tab (RFC 9110 §5.1, §5.5), makes the answer a 500, and the reason is logged.
    ///
    /// Content-Length, Transfer-Encoding and Connection are the server's own: they are accepted and not sent.
    #[must_use = "a response is sent by its last word, such as send"]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|draft| draft.headers.insert(name, value));
        self
    }

    /// Adds a header behind those of the same name: for Set-Cookie. Values are checked as by [`header`](Self::header).
    #[must_use = "a response is sent by its last word, such as send"]
    pub fn append_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|draft| draft.headers.append(name, value));
        self
    }

    fn change(&mut self, change: impl FnOnce(&mut Draft) -> Result<()>) {
        if let Some(draft) = &mut self.0
            && let Err(error) = change(draft)
        {
            draft.refused.get_or_insert(error);
        }
    }

    /// Sends the answer with this body: text, bytes, a [`Body`], or `()` for none.
    ///
    /// Content-Type is what the [`Body`] brings unless it was set; Content-Length and Date are added.
    pub fn send(self, body: impl Into<Body>) {
        self.say(|status, headers| Word::Answer(Answer::from_parts(status, headers, body.into())));
    }

    /// Sends a value as JSON, `application/json`. A value that cannot be written as JSON is answered with 500.
    pub fn json(mut self, value: &impl http_types::convert::Serialize) {
        let bytes = http_types::Body::from_json(value)
            .and_then(|body| futures_lite::future::block_on(body.into_bytes()))
            .unwrap_or_else(|error| {
                self.change(|_| Err(Error::new(Kind::BadResponse).detail(format!("JSON: {error}"))));
                Vec::new()
            });
        self.send(Body::from(bytes).with_mime("application/json"));
    }

    /// Sends status and headers now, and the body as it is written. Over HTTP/1.1 it is chunked, over HTTP/1.0 it ends
    /// with the connection.
    #[must_use = "the body is broken off when its writer is dropped; finish it"]
    pub fn stream(self) -> BodyWriter {
        let (writer, reader) = pipe(STREAM_BUFFER);
        self.send(Body::from_pipe(reader, None));
        BodyWriter::new(writer)
    }

    /// As [`stream`](Self::stream), for a body of exactly so many bytes: where fewer have been written when the writer is
    /// finished, the message is left broken.
    pub(crate) fn stream_of(self, length: u64) -> BodyWriter {
        let (writer, reader) = pipe(STREAM_BUFFER);
        self.send(Body::from_pipe(reader, Some(length)));
        BodyWriter::new(writer)
    }

    /// Relays an answer: its status, its headers in their order and case, its body as it comes. Headers that concern
    /// one connection only are left out (RFC 9110 §7.6.1); headers set on this response replace those of the answer.
    pub fn forward(self, answer: Answer) {
        self.say(|_, own| {
            let (status, mut headers, body) = answer.into_parts();
            hop::strip(&mut headers);
            for (name, _) in own.iter() {
                headers.remove(name);
            }
            // Both were checked when they were set or parsed.
            let merged = own.iter().try_for_each(|(name, value)| headers.append(name, value));
            match merged {
                Ok(()) => Word::Answer(Answer::from_parts(status, headers, body)),
                Err(error) => Word::Refused(error),
            }
        });
    }

    /// Answers with 101 (Switching Protocols) and gives the connection away (RFC 9110 §7.8). The headers set so far are
    /// sent with it; `Connection` and `Upgrade` are added. The request must have asked for an upgrade, else the client
    /// gets a 500 and the [`Upgraded`] is at its end.
    #[must_use = "dropping the upgraded connection closes it"]
    pub fn upgrade(mut self, protocol: &str) -> Upgraded {
        let (to_handler, reader) = pipe(STREAM_BUFFER);
        let (writer, from_handler) = pipe(STREAM_BUFFER);
        if !protocol.split('/').all(|part| is_token(part.as_bytes())) {
            self.change(|_| Err(Error::new(Kind::BadResponse).detail(format!("protocol {protocol:?}"))));
        }
        let protocol = protocol.to_owned();
        self.say(|_, headers| Word::Upgrade { protocol, headers, to_handler, from_handler });
        Upgraded::new(reader, writer)
    }

    /// Whether the client is gone, so that nobody will see the answer.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.as_ref().is_some_and(|draft| draft.reply.is_closed())
    }

    fn say(mut self, word: impl FnOnce(u16, Headers) -> Word) {
        if let Some(Draft { reply, status, headers, refused }) = self.0.take() {
            reply.put(match refused {
                Some(error) => Word::Refused(error),
                None => word(status, headers),
            });
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        if let Some(draft) = self.0.take() {
            draft.reply.put(draft.refused.map_or(Word::Dropped, Word::Refused));
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Response");
        if let Some(draft) = &self.0 {
            out.field("status", &draft.status).field("headers", &draft.headers);
        }
        out.finish_non_exhaustive()
    }
}

/// What [`Response::status`] takes.
pub trait IntoStatus {
    /// The status code as a number.
    fn into_status(self) -> u16;
}

impl IntoStatus for u16 {
    fn into_status(self) -> u16 {
        self
    }
}

impl IntoStatus for http_types::StatusCode {
    fn into_status(self) -> u16 {
        self.into()
    }
}
