//! A connection: one request after another.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::driver::{Direction, Stream};
use crate::http1::{HeadReader, Next, Outbound};

use super::exchange::{self, After};
use super::refuse;
use super::worker::{Connection, Desk, Worker};

/// Output beyond this is written before the next pipelined request is looked at.
const COLLECT: usize = 16 * 1024;

/// What becomes of a connection that was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It waits for its next request.
    Park,
    Close,
}

/// Serves the requests that have come on a connection, until it has to wait for the next one.
pub(super) async fn serve(worker: &Worker, connection: &mut Connection, desk: &mut Desk) -> End {
    loop {
        let Connection { stream, peer, .. } = &*connection;
        let after = match next(worker, stream, desk).await {
            Next::Head(head) => exchange::run(worker, stream, *peer, desk, head).await,
            Next::Refused(kind) => refuse::refuse(worker, *peer, desk, kind),
            Next::Idle => return End::Park,
            Next::Closed => return End::Close,
        };
        match after {
            After::Keep => connection.served = true,
            After::Close => {
                let _gone = flush(worker, stream, desk).await;
                return End::Close;
            }
            After::Linger => {
                linger(worker, stream, desk).await;
                return End::Close;
            }
        }
    }
}

/// The next thing on the connection. Answers to pipelined requests are collected as long as whole requests are there,
/// and written before anything is waited for.
async fn next(worker: &Worker, stream: &Stream, desk: &mut Desk) -> Next {
    let options = &worker.options;
    if desk.out.len() > COLLECT && flush(worker, stream, desk).await.is_err() {
        return Next::Closed;
    }
    let Desk { input, out, .. } = desk;
    let mut reader = HeadReader::new(stream, input, options.limits.head, options.timeouts.head);
    if let Some(next) = reader.look() {
        return next;
    }
    if !out.is_empty() {
        let mut outbound = Outbound { stream, out, patience: options.timeouts.write_idle };
        if outbound.flush().await.is_err() {
            return Next::Closed;
        }
    }
    poll_fn(|cx| reader.poll_next(cx)).await
}

async fn flush(worker: &Worker, stream: &Stream, desk: &mut Desk) -> Result<(), crate::error::Kind> {
    Outbound { stream, out: &mut desk.out, patience: worker.options.timeouts.write_idle }.flush().await
}

/// Sends the answer, says that it was the last, and reads for a while what the client is still sending: a reset would
/// destroy the answer on its way (RFC 9112 §9.6).
async fn linger(worker: &Worker, stream: &Stream, desk: &mut Desk) {
    /// How long, and how many bytes at the most.
    const PATIENCE: Duration = Duration::from_secs(2);
    const BYTES: usize = 1024 * 1024;
    if flush(worker, stream, desk).await.is_err() || stream.finish().is_err() {
        return;
    }
    stream.set_deadline(Direction::Read, Some(PATIENCE));
    let mut read = 0;
    poll_fn(|cx| {
        while read < BYTES {
            desk.input.clear();
            match stream.poll_read(cx, desk.input.space(crate::http1::INPUT)) {
                Poll::Ready(Ok(n)) if n > 0 => read += n,
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .await;
}
