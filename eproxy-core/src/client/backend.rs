//! The transport: lease a connection, send, read; again if that is safe.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_h1::client::Encoder;
use futures_io::AsyncRead;
use futures_lite::{AsyncReadExt as _, future};
use http_types::{Method, Request, headers};

use crate::error::{Error, Kind, Result};
use crate::http1::{AnswerHead, Decoder, read_answer};
use crate::message::{Answer, Body, hop, is_token, is_value};

use super::body::{AnswerBody, Home};
use super::clock::{Clock, Deadline};
use super::connect::connect;
use super::options::ClientOptions;
use super::pool::{Connection, Origin, Pool};
use super::trust::Trust;
use super::wire::Wire;

/// Sends requests over pooled connections.
#[derive(Debug)]
pub(super) struct Transport {
    options: ClientOptions,
    clock: Arc<Clock>,
    pool: Arc<Pool>,
    trust: Trust,
}

/// The size of what is taken from async-h1's encoder at a time. Its chunked encoding panics below six bytes.
const CHUNK: usize = 16 * 1024;

impl Transport {
    pub(super) fn new(options: ClientOptions) -> Self {
        let clock = Arc::new(Clock::default());
        let pool = Arc::new(Pool::new(options.clone(), clock.clone()));
        let trust = Trust::new(options.tls.clone());
        Self { options, clock, pool, trust }
    }

    /// Sends a request and reads the head of its answer.
    ///
    /// A connection from the pool may be closed by its upstream at the very moment it is used. If that happens before
    /// any byte of an answer, a request that has no body and is idempotent (RFC 9110 §9.2.2) is sent once more, over a
    /// new connection; any other fails.
    pub(super) async fn send(&self, request: Request) -> Result<Answer> {
        let origin = Origin::of(request.url())?;
        let method = request.method();
        let mut outgoing = Outgoing::new(request).await?;
        let replayable = outgoing.is_whole() && is_idempotent(method);
        let deadline = self.clock.deadline(self.options.connect);

        if let Some(mut connection) = self.pool.take(&origin) {
            match self.exchange(&mut connection, &mut outgoing, method, &deadline).await {
                Ok(head) => return Ok(self.answer(head, connection, origin, deadline)),
                Err(error) if replayable && matches!(error.kind(), Kind::UpstreamClosed) => {}
                Err(error) => return Err(error),
            }
            deadline.reset(self.options.connect);
        }
        let connected = deadline.limit(connect(&origin, &self.trust)).await;
        let mut connection =
            connected.map_err(|_| Error::new(Kind::ConnectTimeout).detail(format!("{}", origin.host)))??;
        let head = self.exchange(&mut connection, &mut outgoing, method, &deadline).await?;
        Ok(self.answer(head, connection, origin, deadline))
    }

    /// Sends a request over a connection and reads the head of its answer. The answer may come while the body is still
    /// being sent: what is left of the body is then not sent, and the connection is not used again.
    async fn exchange(
        &self,
        connection: &mut Connection,
        outgoing: &mut Outgoing,
        method: Method,
        deadline: &Deadline,
    ) -> Result<AnswerHead> {
        let Connection { stream, input } = connection;
        let mut reading = stream.clone();
        let method_name = method.to_string();
        let closes = outgoing.closes;
        let answered = async {
            let head = read_answer(&mut reading, input, method_name.as_bytes()).await;
            head.map_err(|kind| match reading.failure() {
                Some(what) => Error::new(kind).detail(what),
                None => kind.into(),
            })
        };
        let progress = || deadline.reset(self.options.head);
        progress();
        let talk = async {
            if outgoing.is_whole() {
                // A failed write is told by the read: an early answer may be there.
                let _sent = stream.send_all(&outgoing.first).await;
                return answered.await;
            }
            let mut cut_short = true;
            let send = async {
                let sent = outgoing.send(stream, progress).await;
                cut_short = sent.is_err();
                match sent {
                    Err(error) if error.kind() != Kind::UpstreamIo => Err(error),
                    _ => future::pending().await,
                }
            };
            let mut head = future::or(answered, send).await?;
            head.keep_alive &= !cut_short;
            Ok(head)
        };
        let mut head =
            deadline.limit(talk).await.unwrap_or_else(|_| Err(Kind::UpstreamHeadTimeout.into()))?;
        head.keep_alive &= !closes;
        Ok(head)
    }

    /// The answer whose head was read; its body stays on the connection unless all of it has come.
    fn answer(
        &self,
        head: AnswerHead,
        mut connection: Connection,
        origin: Origin,
        deadline: Deadline,
    ) -> Answer {
        let AnswerHead { status, headers, framing, keep_alive } = head;
        let pool = self.pool.clone();
        if let Some(length) = framing.length()
            && length <= connection.input.len() as u64
        {
            let bytes = connection.input.data()[..length as usize].to_vec();
            connection.input.consume(bytes.len());
            Home { pool, origin, connection: Some(connection), keep_alive }.give_back();
            return Answer::from_parts(status, headers, Body::from_upstream(bytes));
        }
        let home = Home { pool, origin, connection: Some(connection), keep_alive };
        let decoder = Decoder::new(framing);
        let options = self.options.clone();
        let body = AnswerBody { decoder, deadline, waiting: false, options, home, trailers: None };
        Answer::from_parts(status, headers, Body::from_source(body, framing.length()))
    }
}

fn is_idempotent(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace | Method::Put | Method::Delete
    )
}

/// A request on its way: the bytes that async-h1's encoder makes of it.
struct Outgoing {
    /// The head, and the beginning of the body.
    first: Vec<u8>,
    /// The rest, if there is any.
    encoder: Option<Encoder>,
    /// It tells the upstream to close the connection behind it.
    closes: bool,
}

impl Outgoing {
    /// Checks a request and encodes its beginning.
    ///
    /// # Errors
    ///
    /// A header that would break the message, which async-h1 would put on the wire as it is; CONNECT, whose answer begins
    /// a tunnel and no exchange follows (RFC 9110 §9.3.6).
    async fn new(mut request: Request) -> Result<Self> {
        if request.method() == Method::Connect {
            return Err(Error::new(Kind::BadRequest).detail("CONNECT, which opens a tunnel"));
        }
        // The encoder frames the body; what else says how would contradict it.
        request.remove_header(headers::TRANSFER_ENCODING);
        request.remove_header(headers::CONTENT_LENGTH);
        for (name, values) in &request {
            let valid = is_token(name.as_str().as_bytes())
                && values.iter().all(|value| is_value(value.as_str().as_bytes()));
            if !valid {
                return Err(Error::new(Kind::BadRequest).detail(format!("header {:?}", name.as_str())));
            }
        }
        let length = request.len();
        if let Some(length) = length.filter(|length| *length > 0) {
            let body = Exact { body: request.take_body(), left: length as u64 };
            let body = futures_lite::io::BufReader::with_capacity(CHUNK, body);
            request.set_body(http_types::Body::from_reader(body, Some(length)));
        }
        let closes = request.header(headers::CONNECTION).is_some_and(|values| {
            let mut options = values.iter().flat_map(|value| hop::members(value.as_str().as_bytes()));
            options.any(|option| option.eq_ignore_ascii_case(b"close"))
        });
        let expects_body = matches!(request.method(), Method::Post | Method::Put | Method::Patch);
        let mut out = Self { first: Vec::new(), encoder: Some(Encoder::new(request)), closes };
        if length == Some(0) {
            out.encode_all().await?;
            if !expects_body {
                out.drop_length();
            }
        }
        Ok(out)
    }

    /// Takes out the `Content-Length: 0` that async-h1 gives every request: one whose method has no use for a body
    /// should not have it (RFC 9110 §8.6).
    fn drop_length(&mut self) {
        const LINE: &[u8] = b"\r\ncontent-length: 0\r\n";
        if let Some(at) = memchr::memmem::find(&self.first, LINE) {
            self.first.drain(at..at + LINE.len() - 2);
        }
    }

    /// Whether all of it is encoded, so that it can be sent again.
    fn is_whole(&self) -> bool {
        self.encoder.is_none()
    }

    async fn encode_all(&mut self) -> Result<()> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(()) };
        let mut filled = 0;
        loop {
            self.first.resize(filled + 1024, 0);
            match encoder.read(&mut self.first[filled..]).await? {
                0 => break,
                n => filled += n,
            }
        }
        self.first.truncate(filled);
        Ok(())
    }

    /// Sends all of it, once; says `progress` whenever some of it was taken.
    ///
    /// # Errors
    ///
    /// `UpstreamIo`, or what is wrong with the body.
    async fn send(&mut self, stream: &mut Wire, progress: impl Fn()) -> Result<()> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(()) };
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = encoder.read(&mut chunk).await?;
            if n == 0 {
                return Ok(());
            }
            let sent = stream.send_all(&chunk[..n]).await;
            sent.map_err(|error| Error::new(Kind::UpstreamIo).because(error))?;
            progress();
        }
    }
}

/// A body that must have its length: a shorter one would leave the upstream waiting.
#[derive(Debug)]
struct Exact {
    body: http_types::Body,
    left: u64,
}

impl AsyncRead for Exact {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.body).poll_read(cx, into))?;
        if n == 0 && self.left > 0 && !into.is_empty() {
            let short = format!("{} bytes shorter than announced", self.left);
            return Poll::Ready(Err(Error::new(Kind::BodyFailed).detail(short).into()));
        }
        self.left = self.left.saturating_sub(n as u64);
        Poll::Ready(Ok(n))
    }
}
