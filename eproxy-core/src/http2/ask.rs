//! The carrier of a stream to an upstream: from an engine that speaks HTTP/1.1 to HTTP/2, and back.
//!
//! ```text
//!   the engine ──▶ duct ──a head──▶ send_request ──body::send──▶ SendStream
//!   the engine ◀── duct ◀── interim heads, a head ◀── body::receive ◀── RecvStream
//! ```

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::Response;

use crate::driver::{Core, Stream};
use crate::http1::{Decoder, Lines, RequestFacts, parse_request};
use crate::message::{Buffer, LARGE};
use crate::tunnel::{Fields, Handshake};

use super::answer::{self, Ends};
use super::body::{self, Broken, Words};
use super::request::{self, Cargo, Opens};

/// A request on its way to an upstream.
pub(crate) struct Asking {
    pub(crate) send: SendRequest<Bytes>,
    /// This end of the duct to the engine, which writes the request and reads the answer.
    pub(crate) duct: Stream,
    /// That of the upstream's URL.
    pub(crate) scheme: &'static str,
    /// How long the upstream may take nothing of the request.
    pub(crate) patience: Duration,
}

/// A request of the engine's whose head was read.
struct Asked {
    facts: RequestFacts,
    cargo: Cargo,
    is_head: bool,
    /// What a WebSocket's handshake is answered with.
    accept: Option<String>,
    /// What the engine has said behind the head.
    input: Buffer,
}

/// Carries a request until its answer is with the engine, or the exchange is broken off.
pub(crate) async fn ask(core: Rc<Core>, asking: Asking) {
    let Asking { mut send, duct, scheme, patience } = asking;
    let end = async {
        let (head, asked) = read(&duct, scheme).await?;
        let is_end = asked.cargo == Cargo::Nothing;
        let (answer, stream) = send.send_request(head, is_end).map_err(|error| Broken::of(&error))?;
        carry(&core, &duct, asked, (answer, stream), patience).await
    };
    match end.await {
        Ok(()) => {}
        // Whoever has sent it may send it again, whatever it is (RFC 9113 §8.7).
        Err(Broken::Refused) => duct.refuse_on_drop(),
        Err(_) => duct.reset_on_drop(),
    }
}

/// Reads the head of the request; the engine writes it at once and whole.
async fn read(duct: &Stream, scheme: &'static str) -> Result<(http::Request<()>, Asked), Broken> {
    let (mut input, mut fields) = (Buffer::new(), Vec::new());
    loop {
        fields.clear();
        let parsed = parse_request(input.data(), &mut fields, usize::MAX, usize::MAX);
        if let Some((line, length)) = parsed.map_err(|_| Broken::Engine)? {
            let bytes = &input.data()[..length];
            let facts = RequestFacts::read(bytes, &line, &fields).map_err(|_| Broken::Engine)?;
            let lines = Lines::of_head(bytes, &fields);
            let (head, cargo) =
                request::decode(bytes, &line, &lines, &facts, scheme).map_err(|_| Broken::Engine)?;
            let websocket = Fields { bytes, fields: &fields };
            let accept = match cargo {
                Cargo::Tunnel(Opens::WebSocket) => Handshake::of_request(b"GET", websocket).ok(),
                _ => None,
            };
            let is_head = line.method.of(bytes) == b"HEAD";
            let accept = accept.map(Handshake::into_accept);
            input.consume(length);
            return Ok((head, Asked { facts, cargo, is_head, accept, input }));
        }
        match poll_fn(|cx| duct.poll_read(cx, input.space(LARGE))).await {
            Ok(n @ 1..) => input.filled(n),
            _ => return Err(Broken::Engine),
        }
    }
}

async fn carry(
    core: &Rc<Core>,
    duct: &Stream,
    asked: Asked,
    (answer, mut stream): (ResponseFuture, SendStream<Bytes>),
    patience: Duration,
) -> Result<(), Broken> {
    let Asked { facts, cargo, is_head, accept, mut input } = asked;
    let end = {
        let upload = async {
            match cargo {
                Cargo::Nothing => Ok(()),
                Cargo::Tunnel(_) => body::send_raw(core, duct, &mut input, &mut stream, patience).await,
                Cargo::Length | Cargo::Chunked => {
                    let decoder = Decoder::new(facts.framing);
                    body::send(core, duct, &mut input, decoder, &mut stream, patience).await
                }
            }
        };
        let mut upload = std::pin::pin!(upload);
        let mut download = std::pin::pin!(download(duct, answer, cargo, is_head, accept));
        let mut is_sent = false;
        poll_fn(|cx| {
            if !is_sent && let Poll::Ready(end) = upload.as_mut().poll(cx) {
                is_sent = true;
                // An upstream that wants no more of it may still answer.
                if let Err(broken @ (Broken::Engine | Broken::Stalled)) = end {
                    return Poll::Ready(Err(broken));
                }
            }
            if let Poll::Ready(end) = download.as_mut().poll(cx) {
                return Poll::Ready(end);
            }
            // The engine waits for nothing any more.
            match is_sent && duct.poll_broken(cx).is_ready() {
                true => Poll::Ready(Err(Broken::Engine)),
                false => Poll::Pending,
            }
        })
        .await
    };
    if end.is_err() {
        stream.send_reset(Reason::CANCEL);
    }
    end
}

/// Gives the engine what the upstream answers.
async fn download(
    duct: &Stream,
    mut answer: ResponseFuture,
    cargo: Cargo,
    is_head: bool,
    accept: Option<String>,
) -> Result<(), Broken> {
    let mut out = Vec::new();
    let response = loop {
        match next(&mut answer).await? {
            Next::Interim(interim) => {
                out.clear();
                let status = interim.status().as_u16();
                answer::encode(&mut out, status, interim.headers(), false, is_head, Cargo::Nothing);
                out.extend_from_slice(b"\r\n");
                body::write(duct, [&out, b"", b""]).await?;
            }
            Next::Final(response) => break response,
        }
    };
    let (head, mut body) = response.into_parts();
    out.clear();
    let is_end = body.is_end_stream();
    let ends = answer::encode(&mut out, head.status.as_u16(), &head.headers, is_end, is_head, cargo);
    if let (Ends::Never, Some(accept)) = (ends, accept) {
        out.extend_from_slice(b"sec-websocket-accept: ");
        out.extend_from_slice(accept.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    body::write(duct, [&out, b"", b""]).await?;
    match ends {
        Ends::Known | Ends::Now => Ok(()),
        Ends::Length => body::receive_answer(&mut body, duct, Words::Plain).await,
        Ends::Chunked => body::receive_answer(&mut body, duct, Words::Chunks).await,
        Ends::Never => {
            body::receive(&mut body, duct, Words::Plain).await?;
            duct.finish().map_err(|_| Broken::Engine)?;
            // The other direction may go on.
            poll_fn(|cx| duct.poll_broken(cx)).await;
            Ok(())
        }
    }
}

/// What an upstream says.
enum Next {
    Interim(Response<()>),
    Final(Response<RecvStream>),
}

async fn next(answer: &mut ResponseFuture) -> Result<Next, Broken> {
    poll_fn(|cx| {
        if let Poll::Ready(Some(interim)) = answer.poll_informational(cx) {
            return Poll::Ready(interim.map(Next::Interim).map_err(|error| Broken::of(&error)));
        }
        let answered = std::pin::Pin::new(&mut *answer).poll(cx);
        answered.map(|answered| answered.map(Next::Final).map_err(|error| Broken::of(&error)))
    })
    .await
}
