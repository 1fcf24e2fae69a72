//! Connections that speak HTTP/2: each stream is an exchange of its own, in the words of HTTP/1.1.
//!
//! ```text
//!   preface ──▶ serve: a task for the connection ──a stream──▶ begin ──answered at once──▶ the codec
//!                                                                └──▶ a duct: at_once, flights and seats at one end,
//!                                                                             http2/serve, a task, at the other
//! ```

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method, Request};

use crate::driver::Stream;
use crate::error::Kind;
use crate::http1;
use crate::http2::{self, Broken, Cargo, Line, Serving, Target, Wire};
use crate::message::Buffer;

use super::at_once;
use super::connection::hear_out;
use super::desk::Desk;
use super::downstream::Connection;
use super::exchange;
use super::open::{Opening, open};
use super::refuse;
use super::who::Who;
use super::worker::Worker;

/// What a connection begins with that speaks HTTP/2 without being asked (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Streams that are begun before others get their turn.
const BATCH: usize = 100;

/// Requests that a client may give up, beyond those that it lets be answered: each costs more than it (CVE-2023-44487).
const RESETS: u32 = 200;

/// How long a client that was told to go may take for that.
const GOODBYE: Duration = Duration::from_secs(5);

/// Bytes of a message that wait between the codec and the engine.
const ROOM: usize = 64 * 1024;

/// A stream that a client has begun.
pub(super) type Begun = (Request<RecvStream>, SendResponse<Bytes>);

type Codec = h2::server::Connection<Wire, Bytes>;

/// Whether what can't be a request of HTTP/1 is the beginning of HTTP/2; where the end of the preface is still to come, the
/// codec waits for it.
pub(super) fn is_preface(connection: &Connection, kind: Kind, input: &Buffer) -> bool {
    let there = input.len().min(PREFACE.len());
    kind == Kind::BadVersion && !connection.served && input.data().starts_with(&PREFACE[..there])
}

/// Serves a connection that speaks HTTP/2, in a task of its own; `before` was read of it.
pub(super) fn start(worker: &Rc<Worker>, connection: Connection, before: Buffer) {
    worker.counters.http2_connections.add();
    let own = Rc::new(Cell::new(None));
    let task = worker.core.spawn({
        let (worker, own) = (worker.clone(), own.clone());
        async move {
            serve(&worker, connection, before).await;
            own.get().map(|task| worker.multiplexed.borrow_mut().remove(&task));
        }
    });
    own.set(Some(task));
    worker.multiplexed.borrow_mut().insert(task);
}

async fn serve(worker: &Rc<Worker>, connection: Connection, before: Buffer) {
    let local = connection.who.local.clone();
    let local = local.or_else(|| connection.stream.local_addr().map(Rc::new));
    let who = Who { local, is_stream: true, ..connection.who.clone() };
    let (stream, place) = connection.into_parts();
    let (wire, line) = Wire::of_client(stream, before, worker.edition().timeouts().write_idle);
    line.set_patience(Some(worker.patience(worker.edition().timeouts().head)));
    // Only what stays is kept with the task.
    if let Some(codec) = Box::pin(shake(worker, wire, &line)).await {
        let mut serving = Multiplexed {
            worker,
            who,
            codec,
            line,
            credit: Rc::new(Cell::new(RESETS)),
            is_idle: false,
            is_leaving: false,
            is_calmed: false,
        };
        if let Err(error) = poll_fn(|cx| serving.poll(cx)).await {
            serving.failed(&error);
        }
        let line = serving.line;
        drop(serving.codec);
        // What the codec has said last must not be destroyed by what the client is still sending.
        if line.stream().finish().is_ok() {
            hear_out(line.stream(), &mut Buffer::new()).await;
        }
    }
    drop(place);
}

/// Waits for the client's preface.
async fn shake(worker: &Worker, wire: Wire, line: &Line) -> Option<Box<Codec>> {
    let mut handshake = std::pin::pin!(http2::server_settings().handshake(wire));
    let failed = |kind| {
        worker.counters.failure(kind);
        None
    };
    poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Pending if line.is_late() => Poll::Ready(failed(Kind::HeadTimeout)),
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(codec)) => Poll::Ready(Some(Box::new(codec))),
        Poll::Ready(Err(_)) => Poll::Ready(failed(Kind::Http2Error)),
    })
    .await
}

/// A connection, and the requests that come on it.
struct Multiplexed<'w> {
    worker: &'w Rc<Worker>,
    /// Who sends them.
    who: Who,
    codec: Box<Codec>,
    line: Line,
    /// Requests that the client may still give up.
    credit: Rc<Cell<u32>>,
    /// There is no stream, and the client has its time to begin one.
    is_idle: bool,
    /// The client was told that no further stream is taken.
    is_leaving: bool,
    /// It was told that it asks for too much.
    is_calmed: bool,
}

impl Multiplexed<'_> {
    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            if self.worker.is_draining() {
                self.leave();
            }
            // The codec writes whenever it is asked for the next request: answers that are given in between would leave one
            // by one.
            let mut begun = self.worker.begun.take();
            let end = self.accept(cx, &mut begun);
            let (is_full, has_begun) = (begun.len() == BATCH, !begun.is_empty());
            if has_begun {
                // Its time begins anew behind the last of them.
                self.is_idle = false;
                self.line.set_patience(None);
            }
            for (request, respond) in begun.drain(..) {
                begin(self.worker, &self.who, &self.credit, request, respond);
            }
            self.worker.begun.replace(begun);
            if self.line.is_flooded() || self.credit.get() == 0 {
                self.calm();
            }
            match end {
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending if is_full => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending if has_begun => {}
                Poll::Pending if self.line.is_late() && self.is_leaving => return Poll::Ready(Ok(())),
                Poll::Pending if self.line.is_late() => self.leave(),
                Poll::Pending => {
                    self.wait();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Takes the requests that there are; ready when the connection is over.
    fn accept(&mut self, cx: &mut Context<'_>, begun: &mut Vec<Begun>) -> Poll<Result<(), h2::Error>> {
        while begun.len() < BATCH {
            match ready!(self.codec.poll_accept(cx)) {
                Some(Ok(stream)) => begun.push(stream),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        Poll::Pending
    }

    /// Tells the client that no further stream is taken; the connection is over with the last one (RFC 9113 §6.8).
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_leaving, true) {
            self.codec.graceful_shutdown();
            self.line.set_patience(None);
            self.is_idle = false;
        }
    }

    /// Ends a connection whose client asks for too much (RFC 9113 §10.5).
    fn calm(&mut self) {
        if !std::mem::replace(&mut self.is_calmed, true) {
            refuse::fail(self.worker, self.who.peer, "", &Kind::Http2Flood.into());
            self.codec.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.is_leaving = true;
            self.line.set_patience(Some(GOODBYE));
        }
    }

    /// Gives a client without a stream its time.
    fn wait(&mut self) {
        let is_idle = !self.codec.has_streams();
        if is_idle != self.is_idle {
            self.is_idle = is_idle;
            let patience =
                if self.is_leaving { GOODBYE } else { self.worker.edition().timeouts().keep_alive };
            self.line.set_patience(is_idle.then_some(patience));
        }
    }

    /// Counts why the connection was given up.
    fn failed(&self, error: &h2::Error) {
        let kind = match error.reason() {
            _ if self.is_calmed => return,
            Some(Reason::ENHANCE_YOUR_CALM) => Kind::Http2Flood,
            _ if error.is_io() || error.is_remote() => return,
            _ => Kind::Http2Error,
        };
        refuse::fail(self.worker, self.who.peer, "", &kind.into());
    }
}

/// Begins the exchange of a stream.
fn begin(
    worker: &Rc<Worker>,
    who: &Who,
    credit: &Rc<Cell<u32>>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    worker.counters.http2_streams.add();
    let desk = &mut *worker.desk();
    let is_head = request.method() == Method::HEAD;
    let (mut opening, cargo) = match read(worker, who, desk, &request) {
        Ok((opening, cargo)) => (Ok(opening), cargo),
        Err(kind) => (Err(kind), Cargo::Nothing),
    };
    let is_answered = match &mut opening {
        // What was asked for a tunnel has to be told what another answer means.
        Ok(Opening::Asked(_)) if matches!(cargo, Cargo::Tunnel(_)) => false,
        Ok(Opening::Asked(opened)) => exchange::answer_at_once(worker, desk, opened).is_some(),
        Ok(Opening::Passing(_)) => false,
        Err(kind) => {
            refuse::refuse(worker, who.peer, desk, *kind);
            true
        }
    };
    if is_answered {
        let Desk { out, fields, .. } = &mut **desk;
        // A stream that is gone takes no answer.
        if http2::answer_at_once(&mut respond, out, fields, is_head).is_err() {
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
        earn(credit);
        return desk.clear();
    }
    let Ok(opening) = opening else { return };
    let (engine, duct) = Stream::duct(&worker.core, ROOM);
    let patience = worker.edition().timeouts().write_idle;
    let serving = Serving { respond, body: request.into_body(), cargo, is_head, duct, patience };
    let (core, credit) = (worker.core.clone(), credit.clone());
    worker.core.spawn(async move {
        match http2::carry(core, serving).await {
            Ok(()) => earn(&credit),
            Err(Broken::Peer(_)) => credit.set(credit.get().saturating_sub(1)),
            Err(_) => {}
        }
    });
    let connection = worker.stream_of(engine, who);
    at_once::proceed(worker, connection, desk, opening);
}

/// A request that was answered allows another to be given up.
fn earn(credit: &Cell<u32>) {
    credit.set((credit.get() + 1).min(RESETS));
}

/// Puts the head of a request on the desk in the words of HTTP/1.1, and opens its exchange.
fn read(
    worker: &Rc<Worker>,
    who: &Who,
    desk: &mut Desk,
    request: &Request<RecvStream>,
) -> Result<(Opening, Cargo), Kind> {
    let edition = worker.edition();
    let target = if edition.table.only_forwards() { Target::Absolute } else { Target::Origin };
    let mut head = worker.head.borrow_mut();
    head.clear();
    let cargo = http2::encode_request(&mut head, request, request.body().is_end_stream(), target)?;
    let limits = &edition.limits;
    if head.len() > limits.head {
        return Err(Kind::HeadTooLarge);
    }
    desk.fields.clear();
    let parsed = http1::parse_request(&head, &mut desk.fields, limits.target, limits.headers)?;
    let (line, length) = parsed.ok_or(Kind::BadRequestLine)?;
    desk.input.clear();
    desk.input.space(length)[..length].copy_from_slice(&head);
    desk.input.filled(length);
    Ok((open(worker, who, desk, line, length)?, cargo))
}
