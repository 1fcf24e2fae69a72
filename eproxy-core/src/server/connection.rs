//! A connection: one request after another.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::http1::{HeadReader, Next, Outbound};
use crate::message::{Buffer, SMALL};
use crate::tls::Acceptor;

use super::desk::Desk;
use super::door::Stage;
use super::downstream::Connection;
use super::exchange::{self, After};
use super::introduce::introduce;
use super::multiplex::is_preface;
use super::pass;
use super::refuse;
use super::seat::Job;
use super::tunnels::Beginning;
use super::worker::Worker;

/// Output beyond this is written before the next pipelined request is looked at.
pub(super) const COLLECT: usize = 16 * 1024;

/// Requests that are served before others get their turn.
const BATCH: u32 = 32;

/// What becomes of a connection that was served.
pub(super) enum End {
    /// It waits for its next request.
    Park,
    Close,
    /// It is a tunnel.
    Tunnel(Box<Beginning>),
    /// It speaks HTTP/2.
    Multiplex,
    /// It begins to speak TLS, with what is on the desk.
    Shake(Acceptor),
}

/// Does what a connection was given a seat for, and serves the requests that come then, until it has to wait for the
/// next one.
pub(super) async fn serve(worker: &Worker, connection: &mut Connection, desk: &mut Desk, job: Job) -> End {
    if let Stage::Introduces(tls) = std::mem::replace(&mut connection.stage, Stage::Ready) {
        if let Err(kind) = introduce(worker, connection, desk).await {
            refuse::fail(worker, connection.who.peer, "", &kind.into());
            return End::Close;
        }
        if let Some(tls) = tls {
            return End::Shake(tls);
        }
    }
    let mut after = match job {
        Job::Serve => None,
        Job::Answer(mut opened) => Some(exchange::answer_later(worker, connection, desk, &mut opened).await),
        Job::Pass(passing) => Some(pass::pass(worker, connection, desk, passing).await),
        Job::Resume(flight) => Some(pass::resume(worker, connection, desk, flight).await),
        Job::End(after) => Some(after),
    };
    for number in 1_u32.. {
        match after {
            None => {}
            Some(After::Keep) if !connection.who.is_stream => connection.served = true,
            Some(After::Keep | After::Close) => {
                let _gone = flush(worker, &connection.stream, desk).await;
                return End::Close;
            }
            Some(After::Linger) => {
                linger(worker, &connection.stream, desk).await;
                return End::Close;
            }
            Some(After::Reset) => {
                let _gone = flush(worker, &connection.stream, desk).await;
                connection.stream.reset_on_drop();
                return End::Close;
            }
            Some(After::Tunnel(beginning)) => return End::Tunnel(beginning),
        }
        if number % BATCH == 0 {
            futures_lite::future::yield_now().await;
        }
        after = Some(match next(worker, &connection.stream, desk).await {
            Next::Head(line, length) => exchange::run(worker, connection, desk, line, length).await,
            Next::Refused(kind) if is_preface(connection, kind, &desk.input) => return End::Multiplex,
            Next::Refused(kind) => refuse::refuse(worker, connection.who.peer, desk, kind),
            Next::Idle => return End::Park,
            // It may have ended its side only, and an answer may be on its way.
            Next::Closed => After::Close,
        });
    }
    End::Close
}

/// The next thing on the connection. Answers to pipelined requests are collected as long as whole requests are there,
/// and written before anything is waited for.
async fn next(worker: &Worker, stream: &Stream, desk: &mut Desk) -> Next {
    let edition = worker.edition();
    let timeouts = edition.timeouts();
    if desk.out.len() > COLLECT && flush(worker, stream, desk).await.is_err() {
        return Next::Closed;
    }
    let Desk { input, out, fields, .. } = desk;
    let mut reader = HeadReader::new(stream, input, fields, &edition.limits, timeouts.head);
    if let Some(next) = reader.look() {
        return next;
    }
    if !out.is_empty() {
        let mut outbound = Outbound { stream, out, patience: timeouts.write_idle };
        if outbound.flush().await.is_err() {
            return Next::Closed;
        }
    }
    poll_fn(|cx| reader.poll_next(cx)).await
}

async fn flush(worker: &Worker, stream: &Stream, desk: &mut Desk) -> Result<(), crate::error::Kind> {
    exchange::outbound(worker, stream, &mut desk.out).flush().await
}

/// Sends the answer, says that it was the last, and reads for a while what the client is still sending: a reset would
/// destroy the answer on its way (RFC 9112 §9.6).
async fn linger(worker: &Worker, stream: &Stream, desk: &mut Desk) {
    if flush(worker, stream, desk).await.is_ok() && stream.finish().is_ok() {
        hear_out(stream, &mut desk.input).await;
    }
}

/// Reads for a while what a client is still sending who was told the last thing.
pub(super) async fn hear_out(stream: &Stream, input: &mut Buffer) {
    /// How long, and how many bytes at the most.
    const PATIENCE: Duration = Duration::from_secs(2);
    const BYTES: usize = 1024 * 1024;
    stream.set_deadline(Direction::Read, Some(PATIENCE));
    let mut read = 0;
    poll_fn(|cx| {
        while read < BYTES {
            input.clear();
            match stream.poll_read(cx, input.space(SMALL)) {
                Poll::Ready(Ok(n)) if n > 0 => read += n,
                Poll::Ready(_) => break,
                Poll::Pending => {
                    input.clear();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    })
    .await;
}
